"""The command line as a person types it: what it makes, what it refuses, and that it goes on after a kill."""

import os
import pickle
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

import rnngen
from rnngen import cells, runtime
from rnngen.cli.main import main
from rnngen.config import base_config
from rnngen.config.check import load_module
from rnngen.config.defaults import MEANINGS
from rnngen.models.controls import CONTROLS
from rnngen.runs import load
from rnngen.storage.folder import RunFolder

ROOT = Path(__file__).parents[2]
ADDING = f"--config={ROOT}/configs/adding.py"
SMALL = [
    "--config.cell.name=rnn",
    "--config.cell.kwargs={'hidden_dim': 4}",
    "--config.task.kwargs.length=6",
    "--config.train.steps=4",
    "--config.train.log_every=2",
    "--config.train.eval_every=2",
    "--config.train.batch_size=4",
    "--config.diagnose.examples=4",
]


@pytest.mark.slow
def test_what_is_not_used_is_not_imported(tmp_path):
    listing = "import sys; from rnngen.cli.main import main; main(['list']); print(*sys.modules, file=sys.stderr)"
    fresh = os.environ | {"RNNGEN_CACHE": str(tmp_path)}  # the second time the list is read from there
    done = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True, env=fresh)
    heavy = {"flax", "matplotlib", "optuna", "orbax", "pandas", "scipy", "sklearn"}
    assert not heavy & {name.partition(".")[0] for name in done.stderr.split()}
    again = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True, env=fresh)
    assert again.stdout == done.stdout
    assert "jax" not in again.stderr.split()


def test_train_then_again_then_another_config(tmp_path, capsys):
    folder = tmp_path / "run"
    assert main(["train", ADDING, f"--workdir={folder}", *SMALL]) == 0
    out = capsys.readouterr().out
    assert "finished at step 4: test" in out
    assert "; memoryless baseline 0.1" in out
    assert "half-life of the gradient" in out
    assert RunFolder(folder).config()["cell"]["kwargs"]["hidden_dim"] == 4
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}

    assert main(["train", ADDING, f"--workdir={folder}", *SMALL]) == 0
    assert main(["train", ADDING, f"--workdir={folder}", *SMALL, "--config.seed=3"]) == 2
    assert "holds a run of a different config: seed is 0 there, 3 here" in capsys.readouterr().err
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()} == before

    assert main(["report", str(folder)]) == 0
    assert (folder / "figures" / "gradient_norms.svg").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([ADDING, "--config.cell.nam=gru"], "config.cell.nam: no such key; did you mean 'name'?"),
        ([ADDING, "--config.trian.steps=3"], "config.trian: no such key; did you mean 'train'?"),
        ([ADDING, "--config.cell.name=gruu"], "unknown cell 'gruu'; did you mean 'gru'?"),
        ([ADDING, "--config.task.name=addin"], "unknown task 'addin'; did you mean 'adding'?"),
        ([ADDING, "--config.optim.name=adm"], "unknown optimiser 'adm'; did you mean 'adam'?"),
        ([ADDING, "--config.train.steps=many"], "config.train.steps=many"),
        ([ADDING, "--config.cell.kwargs.hidden_dim=-4"], "hidden_dim must be a positive whole number, got -4"),
        ([ADDING, "--config.cell.kwargs.forget_bas=1.0"], "did you mean 'forget_bias'?"),
        ([ADDING, "--config.model.head_init.name=lecu"], "config.model.head_init.name: unknown initialiser 'lecu'"),
        ([f"--config={ROOT}/configs/addin.py"], "no such config file; did you mean"),
        (["--config=addin"], "addin: no such config; did you mean 'adding'?"),
        ([ADDING, "--log=wandbb"], "--log: unknown tracker 'wandbb'; did you mean 'wandb'?"),
        ([f"--config={ROOT}/tests/my_lab.py"], "has no get_config()"),
        ([], "--config=FILE is needed"),
        ([ADDING, "--wrkdir=x"], "train: unknown option '--wrkdir'; did you mean '--workdir'?"),
        ([ADDING, "more"], "unexpected argument 'more'"),
    ],
)
def test_bad_input_is_one_line_status_2_and_nothing_written(tmp_path, capsys, arguments, message):
    assert main(["train", *arguments, f"--workdir={tmp_path / 'run'}"]) == 2
    caught = capsys.readouterr()
    assert message in caught.err
    assert caught.err.startswith("rnngen: ")
    assert caught.err.count("\n") == 1
    assert caught.out == ""
    assert list(tmp_path.iterdir()) == []


def test_a_run_does_not_go_into_a_sweeps_folder(tmp_path, capsys):
    (tmp_path / "sweep.json").write_text("{}")
    assert main(["train", ADDING, f"--workdir={tmp_path}", *SMALL]) == 2
    assert "holds a sweep, not a single run" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["sweep.json"]


def test_folders_that_cannot_be_written(tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    assert main(["train", ADDING, f"--workdir={tmp_path / 'file' / 'run'}", *SMALL]) == 2
    assert main(["sweep", f"--config={ROOT}/configs/sweeps/demo.py", f"--workdir={tmp_path / 'file'}"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert all("is not a folder" in line for line in lines)
    assert len(lines) == 2
    assert (tmp_path / "file").read_text() == "mine"


def test_a_read_only_folder():
    """In a process without root's rights, since root may write anywhere."""
    code = (
        "import os, pathlib, sys\n"
        "from rnngen.runs.train import check_writable\n"
        "os.getuid() or os.setuid(65534)\n"
        "check_writable(pathlib.Path(sys.argv[1]) / 'run')\n"
    )
    with tempfile.TemporaryDirectory() as closed:
        os.chmod(closed, 0o555)
        done = subprocess.run([sys.executable, "-c", code, closed], capture_output=True, text=True)
        assert f"ConfigError: {closed}/run: {closed} cannot be written" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "no such command 'trian'; did you mean 'train'?"),
        (["report", "nowhere"], "nowhere holds neither a run (config.json) nor a sweep (sweep.json)"),
        (["report"], "report: the following arguments are required: DIR"),
        (["list", "cels"], "list: argument PART: no such part 'cels'; did you mean 'cells'?"),
        (["status"], "status: the following arguments are required: DIR"),
        (["status", "nowhere"], "nowhere: holds no sweep"),
        (["train", ADDING], "--workdir=DIR is needed"),
        (["sweep", ADDING, "--workdir=nowhere"], "has no get_sweep()"),
        (
            ["sweep", ADDING, "--workdir=nowhere", "--workers=-1"],
            "--workers: must be a whole number of at least 0, got '-1'",
        ),
    ],
)
def test_bad_commands(capsys, arguments, message):
    assert main(arguments) == 2
    caught = capsys.readouterr().err
    assert message in caught
    assert caught.count("\n") == 1
    assert not Path("nowhere").exists()


CONFIG = """from __future__ import annotations

from dataclasses import dataclass

from part_beside import SIZES
from rnngen.config import base_config, component


@dataclass
class Sizes:
    hidden: int


def get_config():
    config = base_config()
    config.cell, config.task = component("rnn", hidden_dim=Sizes(*SIZES).hidden), component("latch", length=5)
    return config
"""


def test_a_config_file_is_a_module_that_finds_what_lies_beside_it(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "part_beside.py").write_text("SIZES = [3]")
    (tmp_path / "own.py").write_text(CONFIG)
    module = load_module(str(tmp_path / "own.py"))
    assert module.get_config().cell.kwargs.hidden_dim == 3
    assert pickle.loads(pickle.dumps(module.Sizes(4))) == module.Sizes(4)
    # Last, so that a config called like a library's module is not taken for it.
    assert sys.path[-1] == str(tmp_path)


def test_a_home_folder_is_meant_by_every_path(tmp_path, monkeypatch, capsys):
    for name, usual in {"XDG_CACHE_HOME": ".cache", "XDG_CONFIG_HOME": ".config"}.items():  # Matplotlib has both
        monkeypatch.setenv(name, os.environ.get(name) or str(Path.home() / usual))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "adding.py").write_bytes((ROOT / "configs" / "adding.py").read_bytes())
    assert main(["train", "--config=~/adding.py", "--workdir=~/run", *SMALL]) == 0
    assert main(["export", "~/run", "~/packed"]) == 0
    assert main(["report", "~/packed"]) == 0
    assert main(["doctor", "~/run"]) == 0
    assert main(["train", "--config=~/addin.py", "--workdir=~/none"]) == 2
    assert main(["status", "~/run"]) == 2
    assert main(["sample", "~/run"]) == 2
    assert main(["inspect", "~/none"]) == 2
    assert f"{tmp_path}/none" in capsys.readouterr().err
    assert len(load("~/run")) == len(load(tmp_path / "run")) > 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adding.py", "packed", "run"]


def test_version_and_the_module():
    done = subprocess.run([sys.executable, "-m", "rnngen", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"rnngen {rnngen.__version__}\n"


@pytest.mark.slow
@pytest.mark.parametrize("command", ["train -h", "list"])
def test_a_reader_who_has_seen_enough(command):
    line = f"{sys.executable} -m rnngen {command} | head -1"
    done = subprocess.run(line, shell=True, capture_output=True, text=True, check=True)
    assert (done.stdout.count("\n"), done.stderr) == (1, "")


@pytest.mark.slow
def test_a_long_list_says_equation_paper_structure_and_engines(capsys):
    assert main(["list", "--long"]) == 0
    out = capsys.readouterr().out
    found = dict(re.findall(r"^  (\w+)\(hidden_dim.*\n((?:      .*\n|\n)*)", out, re.MULTILINE))
    assert sorted(found) == sorted(cells.CELLS | CONTROLS)
    for name, said in found.items():
        assert re.search(r"(19|20)\d\d", said), f"{name} names no paper"
        others = ("residual", "variational_dropout", "zoneout", *CONTROLS)
        assert " = " in said or name in others, f"{name} shows no equation"
    assert "Affine structure, diagonal; engines scan, scan (remat), fused, associative, newton" in found["mingru"]
    assert "Gated structure; engines scan, scan (remat), fused, fused (handwritten), newton" in found["lstm"]
    assert "no structure declared; engines" in found["zoneout"]
    assert "Omega of Pascanu" in out  # of all the others, the whole documentation


def keys_of(tree, before=""):
    """Every key of a config; of the arguments of what is named there, one for all."""
    for key, value in tree.items():
        if key == "kwargs":
            yield f"{before}kwargs.*"
        elif isinstance(value, dict):
            yield from keys_of(value, f"{before}{key}.")
        else:
            yield before + key


def test_list_has_every_key_of_a_config_with_its_default_and_meaning(capsys):
    assert sorted(MEANINGS) == sorted(keys_of(base_config().to_dict()))
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[lines.index("  train.steps=2000") + 1] == "      updates of the run, at most"
    assert "  optim.clip_norm=1.0" in lines
    assert "  model.engine.name='auto'" in lines
    at = lines.index("  train.on_divergence='stop'")
    assert lines[at + 2] == "      choices: stop, skip_update, restore"
    assert main(["list", "config"]) == 0
    assert capsys.readouterr().out.splitlines() == lines[: lines.index("configs")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variable", "value", "commands", "message"),
    [
        ("JAX_PLATFORMS", "cuda", ("train", "sweep", "doctor"), "JAX: cannot start on cuda"),
        ("JAX_DISABLE_JIT", "1", ("train", "sweep"), "JAX: JAX_DISABLE_JIT is set, and training is compiled: unset it"),
    ],
)
def test_a_jax_that_cannot_train_is_one_line(tmp_path, variable, value, commands, message):
    if value == "cuda" and runtime.gpus():
        pytest.skip("there is a GPU")
    for command in commands:
        config = ADDING if command == "train" else f"--config={ROOT}/configs/sweeps/demo.py"
        given = [] if command == "doctor" else [config, f"--workdir={tmp_path}/run"]
        line = [sys.executable, "-m", "rnngen", command, *given]
        done = subprocess.run(line, env=os.environ | {variable: value}, capture_output=True, text=True, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"rnngen: {message}")
        assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_link_to_nowhere_and_the_folder_where_one_stands(tmp_path, monkeypatch, capsys):
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    for folder in (tmp_path / "link", tmp_path / "link" / "run"):
        assert main(["train", ADDING, f"--workdir={folder}", *SMALL]) == 2
        assert f"link is a link to {tmp_path / 'gone'}, which is not there" in capsys.readouterr().err
    RunFolder(tmp_path / "run").start({"cell": {"name": "rnn"}})
    RunFolder(tmp_path / "run").append("metrics", {"step": 1, "split": "valid", "loss": 1.0})
    monkeypatch.chdir(tmp_path / "run")
    assert load(".")["trial"].tolist() == ["run"]


def test_list_names_everything_with_its_arguments(capsys):
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    assert "lstm(hidden_dim, forget_bias=1.0," in out
    assert "copy_memory(length=100," in out
    for word in (
        "orthogonal(gain=1.0)",
        "adam(b1=0.9",
        "cosine(final=0.0)",
        "engines\n  associative(chunk=",
        "scan(remat=False",
        "local(workers=0, retries=2)",
        "slurm(workers=0, partition=''",
        "trackers\n  mlflow()",
        "\n  tensorboard()",
        "\n  wandb()",
    ):
        assert word in out


SWEEP = """
from rnngen.config import base_config, component
from rnngen.sweep import axis, loguniform, product, search
def get_config():
    config = base_config()
    config.cell = component('rnn', hidden_dim=4)
    config.task = component('latch', length=5, eval_size=10)
    config.train.update(steps=2, log_every=2, eval_every=2, batch_size=4)
    config.diagnose.examples = 4
    return config
"""
LAUNCH = "get_launch = lambda: {'executor': component('local', workers=1), 'pack': 2}\n"
CELLS = "axis('cell.name', ['rnn', 'my_lab:exploding'])"
LISTED = SWEEP + LAUNCH + f"get_sweep = lambda: product({CELLS}, axis('seed', [0]))"
SEARCHED = SWEEP + "get_sweep = lambda: search('tpe', space={'optim.learning_rate': loguniform(1e-3, 1)}, trials=2)"


def sweeping(tmp_path, text, *more):
    (tmp_path / "mine.py").write_text(text)
    return ["sweep", f"--config={tmp_path}/mine.py", f"--workdir={tmp_path}/out", *more]


@pytest.mark.slow
def test_sweep_from_a_file_of_ones_own(tmp_path, capsys):
    command = sweeping(tmp_path, LISTED, "--launch.log=my_lab:collecting")
    assert main(command) == 1
    caught = capsys.readouterr()
    assert "1/2  finished" in caught.out
    assert "best loss" in caught.out
    assert "RuntimeError: this cell cannot step" in caught.err
    assert "success" in (tmp_path / "out" / "table.csv").read_text().splitlines()[0]
    assert "this cell cannot step" in (tmp_path / "out" / "report.html").read_text()
    assert len(list((tmp_path / "out").glob("trials/*/collected.txt"))) == 2
    frame = load(tmp_path / "out", "results")
    assert frame["status"].tolist() == ["finished", "failed"]

    assert main(["status", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert "2 of 2 trials over: 1 finished, 0 pruned, 0 diverged, 1 failed" in out
    assert f"best loss on valid: {frame['metrics.valid.loss'].min():.4g} ({frame['trial'][0]})" in out
    assert main([*command, "--config.optim.learning_rate=0.5"]) == 2
    assert "holds a different sweep" in capsys.readouterr().err


@pytest.mark.slow
def test_status_of_a_sweep_under_way(tmp_path, capsys):
    command = sweeping(tmp_path, SEARCHED, "--workers=1")
    assert main(command) == 0
    first, second = sorted((tmp_path / "out" / "trials").iterdir())
    RunFolder(second).forget()
    capsys.readouterr()
    assert main(["status", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert "1 of 2 trials over: 1 finished" in out
    assert re.search(rf"1 begun and not over\n  {second.name}  step 2, heard of \d+ s ago", out)
    assert "of one worker's time left" in out
    # Table, figures and page are made of the trials' folders alone, and so is what the search knows.
    for made in ("table.csv", "table.tex", "report.html"):
        (tmp_path / "out" / made).unlink()
    assert main(command) == 0
    assert sorted((tmp_path / "out" / "trials").iterdir()) == [first, second]
    assert (tmp_path / "out" / "report.html").exists()


@pytest.mark.parametrize(
    ("text", "argument", "message"),
    [
        (
            LISTED,
            "--launch.executor.name=lokal",
            "launch.executor.name: unknown executor 'lokal'; did you mean 'local'?",
        ),
        (LISTED, "--launch.executor.kwargs.worker=3", "launch.executor.kwargs.worker: local has no such argument"),
        (LISTED, "--launch.executr=x", "launch.executr: no such key; did you mean 'executor'?"),
        (LISTED, "--launch.pack=some", "launch.pack: must be auto, off or a positive number, got 'some'"),
        (LISTED, "--launch.log=tensorbord", "launch.log: unknown tracker 'tensorbord'; did you mean 'tensorboard'?"),
        (LISTED, "--detach", "--detach: jobs of the executor 'local' end with this process"),
        (SEARCHED, "--detach", "--detach: what a search by results tries next needs a driver that stays"),
        (SWEEP + "get_sweep = lambda: search(space={'seed': loguniform(0, 1)})", "", "a log range must lie above zero"),
    ],
)
def test_launches_that_cannot_be(tmp_path, capsys, text, argument, message):
    assert main(sweeping(tmp_path, text, *([argument] if argument else []))) == 2
    caught = capsys.readouterr().err
    assert message in caught
    assert caught.count("\n") == 1
    assert not (tmp_path / "out").exists()


def run_process(folder, *more):
    command = [sys.executable, "-m", "rnngen", "train", ADDING, f"--workdir={folder}", *SMALL, *more]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=ROOT)


@pytest.mark.slow
def test_a_sweep_interrupted_by_ctrl_c_leaves_no_process_and_no_verdict(tmp_path):
    config = (ROOT / "configs" / "adding.py").read_text().replace("steps = 5000", "steps = 1000000")
    (tmp_path / "long.py").write_text(
        config + "\ndef get_sweep():\n    return [{'seed': 0}, {'seed': 1}, {'seed': 2}]\n"
    )
    folder = tmp_path / "out"
    command = [sys.executable, "-m", "rnngen", "sweep", f"--config={tmp_path}/long.py", f"--workdir={folder}"]
    process = subprocess.Popen([*command, "--workers=2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while len(list(folder.glob("trials/*/metrics.jsonl"))) < 2:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)  # returns only when no worker holds the pipes any more
    assert process.returncode == 75, errors
    assert "Traceback" not in errors
    assert "rnngen: stopped by SIGINT: saving; once more ends it at once\n" in errors
    assert "rnngen: stopped with 2 trials under way; the same command goes on\n" in errors  # the third had not begun
    assert set(load(folder, "results")["status"]) == {"unfinished"}


@pytest.mark.slow
def test_scripts_are_the_same_by_another_name(capsys):
    for name in ("train", "sweep"):
        done = subprocess.run([sys.executable, ROOT / "scripts" / f"{name}.py"], capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (2, "")
        assert "--config=FILE is needed" in done.stderr
