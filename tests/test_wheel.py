"""The built wheel in an environment of its own, far from the repository: train, sweep, report, sample, by name."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PARTS = ("rnngen", "configs", "docs", "pyproject.toml", "README.md", "LICENSE")
TINY = [
    *("--config.cell.kwargs.hidden_dim=4", "--config.train.batch_size=4", "--config.diagnose.examples=4"),
    *("--config.train.log_every=50", "--config.train.eval_every=100"),
]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder of the programs of a new environment: this one's libraries, and rnngen from its wheel alone."""
    home = tmp_path_factory.mktemp("wheel")
    for part in PARTS:  # of a copy, since a build leaves things behind
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, home / "source" / part, **({"symlinks": True} if copy is shutil.copytree else {}))
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    build = [*pip, "wheel", "--no-deps", "--wheel-dir", str(home), str(home / "source")]
    subprocess.run(build, check=True)
    (wheel,) = home.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home / "venv")], check=True)
    python = home / "venv" / "bin" / "python"
    (site,) = home.glob("venv/lib/python*/site-packages")
    (site / "libraries.pth").write_text(
        sysconfig.get_path("purelib")
    )  # a path alone: no .pth of an editable install is read
    subprocess.run([*pip, "--python", str(python), "install", "--no-deps", str(wheel)], check=True)
    return home / "venv" / "bin"


@pytest.fixture
def rnngen(installed, tmp_path, monkeypatch):
    """Run a command of the installed program in an empty folder, and return what it prints."""
    monkeypatch.delenv("PYTHONPATH", raising=False)

    def run(*arguments, status=0):
        done = subprocess.run([installed / "rnngen", *arguments], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout if status == 0 else done.stderr

    return run


@pytest.mark.slow
def test_the_wheel_is_what_runs_and_has_every_config(installed, tmp_path):
    look = "import rnngen.config.files as files; print(files.FOLDER, *files.shipped_files())"
    done = subprocess.run(
        [installed / "python", "-c", look], capture_output=True, text=True, check=True, cwd=tmp_path, env=_plain()
    )
    folder, *names = done.stdout.split()
    assert folder.startswith(str(installed.parent))
    assert set(names) == {
        p.relative_to(ROOT / "configs").with_suffix("").as_posix() for p in ROOT.glob("configs/**/*.py")
    }


def _plain():
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


@pytest.mark.slow
def test_a_run_and_what_is_made_of_it(rnngen, tmp_path):
    out = rnngen("train", "--config=adding", "--config.train.steps=200", "--workdir=runs/adding", *TINY)
    assert "finished at step 200" in out
    assert "report.html" in rnngen("report", "runs/adding")
    text = ["--config.task.kwargs.source=python", "--config.task.kwargs.chunk=8", "--config.train.eval_batch_size=4"]
    rnngen("train", "--config=char_rnn", "--config.train.steps=50", "--workdir=runs/text", *TINY, *text)
    assert rnngen("sample", "runs/text", "--prompt=The ", "--length=20").startswith("The ")


@pytest.mark.slow
def test_a_copied_sweep_its_best_trial_and_the_lists(rnngen, tmp_path):
    rnngen("init", "sweeps/demo", "mine.py")
    text = (tmp_path / "mine.py").read_text()
    text = re.sub(r'"digits"\)', '"latch", length=6)', text.replace("[3000, 1500]", "[40, 40]"))
    (tmp_path / "mine.py").write_text(text.replace("range(3)", "range(1)").replace('["rnn", "gru", "lstm"]', '["rnn"]'))
    sweep = ["sweep", "--config=mine.py", "--workdir=runs/mine", "--workers=1", *TINY[:3]]
    assert "2/2  finished" in rnngen(*sweep)
    assert "rnngen train --config=runs/mine/trials/" in rnngen("best", "runs/mine")
    assert "sweeps/demo" in rnngen("list", "configs")
    assert "lstm(hidden_dim" in rnngen("list")
    docs = re.search(r"\ndocumentation:\n  (.*)\n", rnngen("--help"))[1]
    assert Path(docs).read_text() == (ROOT / "docs" / "index.md").read_text()
    assert Path(docs).parent.joinpath("how_to", "resume.md").exists()
    assert "did you mean 'adding'?" in rnngen("train", "--config=addin", "--workdir=no", status=2)
