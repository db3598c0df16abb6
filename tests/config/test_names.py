"""Configs by name: shipped ones from anywhere, files of one's own, folders of runs, and names that mean two things."""

from pathlib import Path

import pytest

import rnngen
from rnngen.cli.main import main
from rnngen.config import base_config, complete, load, resolve, shipped
from rnngen.config.check import ConfigError
from rnngen.config.files import find_config, shipped_files
from rnngen.runs import open_folder
from rnngen.storage.folder import RunFolder

ROOT = Path(__file__).parents[2]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder, far from the repository."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_config_of_the_repository_is_shipped_by_name(here):
    files = {path.relative_to(ROOT / "configs").with_suffix("").as_posix() for path in ROOT.glob("configs/**/*.py")}
    assert set(shipped_files()) == files
    for name in ("adding", "sweeps/demo", "sweeps/zoo"):
        assert find_config(name).samefile(ROOT / "configs" / f"{name}.py")
    assert find_config("demo") == find_config("sweeps/demo")
    assert find_config("char_rnn").parent.name == "configs"  # the exact name goes before that of a sweep


def test_a_name_a_file_and_a_runs_folder_give_a_config(here):
    config = load("adding")
    assert (config.cell.name, config.task.name) == ("lstm", "adding")
    Path("mine.py").write_text("import rnngen.config\nget_config = rnngen.config.base_config\n")
    for name in ("mine.py", "./mine.py", "mine", Path("mine.py"), here / "mine.py"):
        assert complete(load(name)) == complete(base_config())
    RunFolder("runs/a").start(resolve(config))
    for name in ("runs/a", "runs/a/config.json", here / "runs" / "a"):
        assert resolve(load(name)) == resolve(config)
    assert resolve(open_folder("runs/a").config) == resolve(config)


def test_a_name_that_is_shipped_and_here_is_refused_and_says_how_to_name_each(here):
    assert main(["init", "adding"]) == 0
    message = r"adding: is a shipped config, and adding\.py is here too: say \./adding\.py or rnngen:adding"
    with pytest.raises(ConfigError, match=message):
        load("adding")
    assert find_config("./adding.py") == Path("adding.py") == find_config("adding.py")
    assert find_config("rnngen:adding").samefile(ROOT / "configs" / "adding.py")
    RunFolder("demo").start(resolve(base_config()))
    with pytest.raises(ConfigError, match=r"demo is here too: say \./demo or rnngen:sweeps/demo"):
        load("demo")
    assert find_config("./demo") == Path("demo")
    Path("music").mkdir()  # of data, and no run
    assert load("music").task.name == "music"


def test_the_file_itself_is_no_second_thing(monkeypatch):
    monkeypatch.chdir(ROOT / "configs")
    assert find_config("adding").samefile("adding.py")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("addin", r"^addin: no such config; did you mean 'adding'\?$"),
        ("rnngen:addin", r"^addin: no such config; did you mean 'adding'\?$"),
        ("sweeps/dmo", r"no such config; did you mean 'sweeps/demo'\?"),
        ("configs/adding.py", r"no such config file; the shipped config is called 'adding'$"),
        ("configs/sweeps/demo.py", r"no such config file; the shipped config is called 'sweeps/demo'$"),
        ("my_own.py", r"my_own\.py: no such config file$"),
        ("a_sweep", r"a_sweep: no such config; it holds a sweep: give one of its trials, a_sweep/trials/\.\.\."),
    ],
)
def test_names_of_nothing(here, name, message):
    Path("a_sweep").mkdir()
    Path("a_sweep/sweep.json").write_text("{}")
    with pytest.raises(ConfigError, match=message):
        load(name)
    with pytest.raises(ConfigError, match=message):
        rnngen.train(name, here / "run")
    assert not (here / "run").exists()


def test_a_sweep_of_a_config_without_one(here, capsys):
    RunFolder("run").start(resolve(base_config()))
    for name, message in {
        "char_rnn": "char_rnn: has no get_sweep(); did you mean 'sweeps/char_rnn'?",
        "adding": "has no get_sweep()",
        "run": "run: is the config of a run, and a sweep needs a file with get_sweep()",
    }.items():
        assert main(["sweep", f"--config={name}", "--workdir=out"]) == 2
        assert message in capsys.readouterr().err
        with pytest.raises(ConfigError, match=r"get_sweep\(\)"):
            rnngen.sweep.run(name, None, "out")
    assert not Path("out").exists()


@pytest.mark.parametrize("name", ["pascanu2013_full", "long_memory_full", "adding"])
def test_a_copy_works_where_it_lies_also_of_one_that_builds_on_another(here, capsys, name):
    assert main(["init", name, "my_copy.py"]) == 0
    command = "train" if name == "adding" else "sweep"
    assert f"rnngen {command} --config=my_copy.py --workdir=runs/my_copy" in capsys.readouterr().out
    assert complete(load("my_copy.py")) == complete(load(name))
    if command == "sweep":
        copied, ours = (shipped(f"sweeps/{name}"), find_config("my_copy.py"))
        assert ours.read_text() == find_config(name).read_text()
        assert len(copied.get_sweep()) > 100


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["addin"], "rnngen: addin: no such config; did you mean 'adding'?"),
        (["adding", "there.py"], "there.py: is there already; name another file"),
        (["adding", "there"], "there: a config's file ends in .py"),
        (["adding", "none/there.py"], "none/there.py: there is no folder none"),
    ],
)
def test_copies_that_cannot_be(here, capsys, arguments, message):
    Path("there.py").write_text("mine")
    assert main(["init", *arguments]) == 2
    caught = capsys.readouterr()
    assert message in caught.err
    assert caught.err.count("\n") == 1
    assert [path.name for path in here.iterdir()] == ["there.py"]
    assert Path("there.py").read_text() == "mine"


def test_the_modules_of_a_foreign_run_are_not_imported_for_its_config(here):
    made = base_config()
    made.cell.update({"name": "nowhere_at_all:cell", "kwargs": {}})
    Path("foreign").mkdir()
    Path("foreign/config.json").write_text(made.to_json())
    with pytest.raises(ConfigError, match=r"foreign: was not made here, and would import nowhere_at_all: say --trust"):
        load("foreign")
    assert load("foreign", trust=True).cell.name == "nowhere_at_all:cell"
