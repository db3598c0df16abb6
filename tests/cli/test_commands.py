"""The commands and their options: help, examples, the nearest name, completion scripts, and how little they import."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from rnngen.cli.main import COMMANDS, RENAMED, build_parser, main, parse
from rnngen.cli.parser import UsageError
from rnngen.generation.analysis import STEPS

OPTIONS = {
    "train": ["--config", "--workdir", "--take_over", "--log", "--distributed", "--trust"],
    "sweep": ["--config", "--workdir", "--take_over", "--workers", "--retry_failed", "--detach", "--dry_run"],
    "status": ["DIR"],
    "best": ["DIR", "--metric", "--mode", "--all"],
    "sample": [
        *("RUN", "--prompt", "--prompt_file", "--length", "--temperature", "--top_k", "--top_p"),
        *("--batch", "--seed", "--trust", "--out"),
    ],
    "score": ["RUN", "--text", "--file", "--trust"],
    "inspect": ["RUN", "--text", "--file", "--steps", "--trust"],
    "report": ["DIR", "--all"],
    "export": ["DIR", "OUT"],
    "doctor": ["DIR"],
    "card": ["NAME", "--workdir", "--workers", "--quick"],
    "check-cell": ["NAME"],
    "check-task": ["NAME"],
    "list": ["PART", "--long"],
    "init": ["NAME", "FILE"],
    "demo": ["--workdir", "--workers"],
}


def helped(capsys, *arguments):
    assert main([*arguments, "--help"]) == 0
    caught = capsys.readouterr()
    assert caught.err == ""
    return caught.out


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_is_about_its_options(capsys, command):
    out = helped(capsys, command)
    assert out.startswith(f"usage: rnngen {command} ")
    own = re.split("overrides:|example:", out)[0]
    assert re.findall(r"^  (?:-h, )?(--\w+|[A-Z]+)(?= |$)", own, re.MULTILINE) == inserted(OPTIONS[command], "--help")


def inserted(options, option):
    """The option stands after the positional arguments."""
    positional = [name for name in options if not name.startswith("--")]
    return [*positional, option, *options[len(positional) :]]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_ends_with_an_example_that_parses(capsys, command):
    example = helped(capsys, command).rpartition("example:\n")[2]
    program, *arguments = shlex.split(example)
    assert (program, arguments[0]) == ("rnngen", command)
    options = parse(arguments)
    assert (options.command, options.run) == (command, COMMANDS[command].run)


def test_the_help_of_all_has_a_line_for_each_command_and_the_exit_statuses(capsys):
    out = helped(capsys)
    lines = re.findall(r"^    ([a-z-]+) {2,}[A-Z][^\n]+$", out, re.MULTILINE)
    assert lines == list(COMMANDS)
    assert re.findall(r"^  (\d+) ", out, re.MULTILINE) == ["0", "1", "2", "75", "130"]
    docs = re.search(r"^documentation:\n  (.+)$", out, re.MULTILINE)
    assert Path(docs[1]).read_text().startswith("# rnngen\n")
    assert main(["help"]) == 0
    assert capsys.readouterr().out == out
    assert main([]) == 2
    assert capsys.readouterr().out == out


def test_defaults_are_shown(capsys):
    assert "number of sequences (default: 1)" in helped(capsys, "sample")
    assert "0: one a core (default: 0)" in helped(capsys, "sweep")
    assert f"(default: {STEPS})" in helped(capsys, "inspect")
    assert "None" not in "".join(helped(capsys, command) for command in COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian", "--help"], "no such command 'trian'; did you mean 'train'?"),
        (["check_cell"], "no such command 'check_cell'; did you mean 'check-cell'?"),
        (["--vresion"], "unknown option '--vresion'; did you mean '--version'?"),
        (["--print-completion=fsh"], "invalid choice: 'fsh'"),
        (["sweep", "--retry_faild"], "sweep: unknown option '--retry_faild'; did you mean '--retry_failed'?"),
        (["sweep", "--retry"], "sweep: unknown option '--retry'; did you mean '--retry_failed'?"),
        (["train", "--launch.pack=2"], "train: unknown option '--launch.pack'"),
        (["train", "--take_over=soon"], "--take_over: must be a finite number of at least 0, got 'soon'"),
        (["train", "--take_over=inf"], "--take_over: must be a finite number of at least 0, got 'inf'"),
        (["train", "--workdir="], "--workdir: must not be empty"),
        (["doctor", "--fix"], "doctor: unknown option '--fix'"),
        (["export", "here"], "export: the following arguments are required: OUT"),
        (["check-cell", "rnn", "-x=1"], "check-cell: unknown option '-x'"),
    ],
)
def test_bad_options_are_one_line(capsys, arguments, message):
    assert main(arguments) == 2
    caught = capsys.readouterr()
    assert caught.out == ""
    assert caught.err.startswith("rnngen: ")
    assert message in caught.err
    assert caught.err.count("\n") == 1


def test_options_with_dashes_are_those_with_underscores():
    plain = parse(["sample", "run", "--top_k=3", "--prompt_file", "a-b", "--prompt=--a-b"])
    dashed = parse(["sample", "run", "--top-k=3", "--prompt-file", "a-b", "--prompt=--a-b"])
    assert dashed == plain
    assert (plain.top_k, plain.prompt_file, plain.prompt) == (3, "a-b", "--a-b")


def test_overrides_are_passed_on_in_their_order():
    given = ["--config.cell.kwargs", "{'a': 1}", "--noconfig.a", "--config.seed", "-1", "--config.b=a b"]
    options = parse(["train", "--config=x.py", *given[:3], "--workdir=y", *given[3:]])
    assert (options.rest, options.config) == (given, "x.py")
    with pytest.raises(UsageError, match="--launch"):
        parse(["train", "--launch.pack=2"])
    assert parse(["sweep", "--launch.pack=2"]).rest == ["--launch.pack=2"]


def test_an_old_name_works_and_says_the_new_one(capsys, tmp_path):
    for old, new in RENAMED.items():
        assert main([old, str(tmp_path / "none"), str(tmp_path / "out")]) == 2
        assert capsys.readouterr().err.startswith(f"rnngen: `{old}` is now called `{new}`\nrnngen: {tmp_path}/none")


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_scripts_name_every_command_and_option(capsys, shell):
    assert main([f"--print-completion={shell}"]) == 0
    script = capsys.readouterr().out
    for command, parser in build_parser()[1].items():
        assert re.search(rf"\b{command}\b", script)
        for action in parser._actions:
            for option in action.option_strings if shell != "tcsh" else [o[2:] for o in action.option_strings[-1:]]:
                assert option in script


@pytest.mark.slow
def test_bash_takes_its_completion_script(tmp_path):
    script = subprocess.run([sys.executable, "-m", "rnngen", "--print-completion=bash"], capture_output=True, text=True)
    (tmp_path / "complete").write_text(script.stdout)
    ask = "source complete; COMP_WORDS=(rnngen sa); COMP_CWORD=1; _shtab_rnngen rnngen sa rnngen; echo ${COMPREPLY[*]}"
    done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout == "sample\n"


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["list", "--help"], ["nosuch"], ["status"]])
def test_help_and_bad_commands_load_neither_numpy_nor_jax(arguments):
    code = f"import sys; from rnngen.cli.main import main; main({arguments}); sys.exit('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
