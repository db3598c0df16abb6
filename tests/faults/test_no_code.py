"""Nothing that is loaded runs code, a page shows data as text alone, and nothing listens beyond this machine."""

import ast
import os
import re
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import rnngen
from rnngen import report
from rnngen.config.check import ConfigError
from rnngen.datasets import CODECS
from rnngen.runs import open_sweep
from rnngen.storage import trust
from rnngen.storage.folder import RunFolder
from rnngen.storage.jsonl import read_json, write_json

sys.path.insert(0, str(Path(__file__).parents[1] / "report"))
pytest_plugins = ["handmade_sweep"]

ROOT = Path(__file__).parents[2] / "rnngen"
MODULES = {
    "pickle",
    "cPickle",
    "_pickle",
    "marshal",
    "shelve",
    "dill",
    "cloudpickle",
    "joblib",
    "jsonpickle",
    "runpy",
    "code",
}
CALLS = {"eval", "exec", "compile", "__import__"}
METHODS = {"exec_module", "system", "popen", "extractall", "read_pickle", "to_pickle", "unsafe_load"}
ALLOWED = {
    # The user's own config file, named on the command line.
    ("check.py", "exec_module"),
}


def name_of(node):
    """A dotted name as text, "" of anything else."""
    if isinstance(node, ast.Attribute):
        return f"{name_of(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def given(call, name):
    """A keyword's constant value, None where there is none."""
    return next((k.value.value for k in call.keywords if k.arg == name and isinstance(k.value, ast.Constant)), None)


def suspicions(tree):
    """What in a module could run what it reads."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.split(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom):
            yield from [node.module] if (node.module or "").split(".")[0] in MODULES else []
        elif isinstance(node, ast.Call):
            yield from called(node, name_of(node.func))


def called(node, name):
    """The same of a call."""
    last = name.split(".")[-1]
    if name in CALLS or (last in METHODS and "." in name):
        yield last
    if name in ("np.load", "numpy.load", "jnp.load") and given(node, "allow_pickle") is not False:
        mapped = given(node, "mmap_mode")  # what is mapped cannot be unpickled: NumPy refuses objects there
        yield from [] if mapped else [name]
    if given(node, "allow_pickle") is True or given(node, "shell") is True:
        yield f"{name} with {[k.arg for k in node.keywords]}"
    if name in ("yaml.load", "torch.load", "yaml.full_load", "pd.read_pickle", "pandas.read_pickle"):
        yield name


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_can_run_what_it_reads(path):
    found = {(path.name, what) for what in suspicions(ast.parse(path.read_text()))}
    assert found <= ALLOWED


@pytest.mark.parametrize(
    "code",
    ["import pickle", "from marshal import loads", "eval('1')", "np.load(p)", "np.load(p, allow_pickle=True)",
     "os.system('x')", "subprocess.run('x', shell=True)", "t.extractall()", "yaml.load(f)", "torch.load(f)"],
)  # fmt: skip
def test_the_search_finds_what_it_looks_for(code):
    assert list(suspicions(ast.parse(code)))


NAMED = [
    ("os:system", {"command": "touch {}"}), ("pathlib:Path", {"args": "{}"}), ("pandas:read_pickle", {}),
    ("rnngen.storage.jsonl:replace", {"path": "{}"}), ("my_lab:leaky", {"hidden_dim": 3}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "kwargs"), NAMED)
@pytest.mark.parametrize("part", ["cell", "task", "head_init", "codec", "interface"])
def test_a_folder_made_elsewhere_imports_nothing_that_it_names(tmp_path, capsys, name, kwargs, part):
    """Its records are read; whoever wants its model is told what that would import, and says so or does not."""
    from rnngen.cli.main import main
    from rnngen.config import base_config, resolve

    config, ran = resolve(base_config()).to_dict(), tmp_path / "ran"
    named = {"name": name, "kwargs": {key: str(value).format(ran) for key, value in kwargs.items()}}
    folder = RunFolder(tmp_path / "run")
    folder.start(config)
    if part in ("codec", "interface"):
        folder.describe(**{"codec": None} | {part: named})
    else:
        (config["model"] if part == "head_init" else config)[part] = named
        write_json(folder.path / "config.json", config)
    module = name.split(":")[0]
    for command in {"codec": ("sample", "score"), "interface": ()}.get(part, ("inspect",)):
        assert main([command, str(folder.path)]) == 2
        assert f"would import {module}: say --trust" in capsys.readouterr().err
    with pytest.raises(ConfigError, match=f"would import {re.escape(module)}"):
        rnngen.open(folder.path).restore()
    assert len(rnngen.load(folder.path, "results")) == 1
    assert main(["status", str(folder.path)]) == 2
    assert not ran.exists()


def test_a_folder_of_ones_own_is_known_by_its_signature(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    config = {"cell": {"name": "my_lab:leaky", "kwargs": {}}}
    folder = RunFolder(tmp_path / "run")
    folder.start(config)
    assert trust.is_own(folder.path)
    assert (tmp_path / "state" / "rnngen" / "key").stat().st_mode & 0o777 == 0o600
    write_json(folder.path / "config.json", {"cell": {"name": "os:system", "kwargs": {}}})
    assert not trust.is_own(folder.path)
    folder.start(config)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another"))
    assert not trust.is_own(folder.path)
    RunFolder(tmp_path / "plain").start({"cell": {"name": "gru", "kwargs": {}}})
    assert not (tmp_path / "plain" / "signature").exists()


HOSTILE = (
    "<script>alert(1)</script>", "</script><img src=x onerror=alert(1)>", "\" onmouseover=\"alert(1)", "' onload='x",
    "javascript:alert(1)", "&lt;b&gt;&amp;", "</style><h1 id=evil>", "]]><evil>",
    "{{ name }} {% raw %} {# {x} #}", "</pre></title>",
)  # fmt: skip


def test_no_template_lets_markup_through():
    templates = [*(ROOT / "report" / "templates").glob("*.html")]
    assert templates
    for template in templates:
        assert not re.search(r"\bsafe\b|autoescape", template.read_text()), template


class Seen(HTMLParser):
    """All elements and attributes of a page, but for its own script and style."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.text = [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *attribute) for attribute in attrs]

    def handle_data(self, data):
        self.text.append(data)


def poison(folder, word):
    """Put a word into every place of a sweep that comes from data."""
    there = read_json(folder / "sweep.json")
    for number, trial in enumerate(there["trials"]):
        old, safe = folder / "trials" / trial["id"], word.replace("/", "\u2215")
        trial |= {"id": f"{number}{safe}", "labels": {"cell.name": word + trial["overrides"]["cell.name"]}}
        trial["overrides"] |= {f"task.kwargs.{word}": f"{word}{number % 2}"}
        old.rename(folder / "trials" / trial["id"])
    config = {"name": word, word: {word: word}, "task": {"name": word, "kwargs": {word: word}}}
    write_json(folder / "sweep.json", there | {"config": config})
    runs = [RunFolder(folder / "trials" / trial["id"]) for trial in there["trials"]]
    for run in runs:
        versions = {"jax": word, word: word}
        facts = {"device": word, "platform": word, "time": word, "xla_flags": word, "git_commit": word, "python": word}
        run.append("provenance", {"versions": versions, "command": [word]} | facts)
        run.append("metrics", {"step": 100, "split": "valid", "loss": 0.5, word: 0.5})
        if run.result()["status"] == "finished":
            metrics = {"test": {"loss": 0.5, word: 0.5}, "valid": {word: 0.5}}
            run.finish(run.result() | {"metrics": metrics, "half_life": {"initial": 1.0, "final": 2.0, word: 3.0}})
    runs[0].finish({"status": "failed", "reason": word, "traceback": word})
    runs[1].finish(runs[1].result() | {"status": "diverged", "step": 3})
    (runs[2].path / "samples").mkdir()
    for suffix in (".txt", ".mid", ".svg"):
        (runs[2].path / "samples" / f"{word.replace('/', chr(8725))}{suffix}").write_text(word)


ATTRIBUTES = {
    *("lang", "charset", "http-equiv", "content", "name", "class", "id", "scope", "data-v", "tabindex", "role"),
    *("aria-label", "src", "alt", "href", "download", "style", "type", "aria-live", "hidden", "data-part"),
}


def test_a_page_shows_data_as_text_alone(sweep):
    from rnngen.report import page, summary

    plain = Seen(page.render(open_sweep(sweep), summary(open_sweep(sweep)), []))
    word = " ".join(HOSTILE)
    poison(sweep, word)
    seen = Seen(page.render(open_sweep(sweep), summary(open_sweep(sweep)), {}, word))
    assert word in "".join(seen.text)
    own = {
        "dl",
        "dt",
        "dd",
        "ul",
        "li",
        "code",
        "span",
        "pre",
        "figure",
        "figcaption",
        "div",
        "img",
        "a",
        "details",
        "summary",
    }
    assert set(seen.tags) <= set(plain.tags) | own
    assert seen.tags.count("script") == plain.tags.count("script")
    assert seen.tags.count("style") == 1
    assert "evil" not in seen.tags
    for tag, name, value in seen.attributes:
        assert not name.startswith("on"), (tag, name)
        assert name in ATTRIBUTES, (tag, name)
        if name == "style":  # numbers of our own alone
            assert re.fullmatch(r"--[a-z]+: ?[\d.]+", value), value
        if name in ("src", "href"):
            assert value.startswith("data:"), value[:60]
        if name == "id":
            assert re.fullmatch(r"\w+", value)


@pytest.mark.slow
def test_figures_hold_data_as_text_alone(sweep):
    poison(sweep, "<script>&\"' $x_")
    written = report.write(open_sweep(sweep))
    for path in written:
        if path.suffix == ".svg":
            svg = path.read_text()
            assert "<script" not in svg
            assert "javascript:" not in svg
    assert len(written) > 6


def test_pictures_of_media_hold_numbers_alone(tmp_path):
    for name in ("strokes", "trajectories"):
        values = np.array([[1, 2, 0], [np.nan, np.inf, 1], [0, -1e38, 1]], np.float32)
        for path in CODECS[name]().write([values], tmp_path / "a"):
            if path.suffix == ".svg":
                assert set(re.findall(r"<([a-z]+)", path.read_text())) <= {"svg", "rect", "g", "path"}


LISTENING = """
import pathlib, sys
sys.path[:0] = [{tests!r}, {sweeps!r}]
import sweeps
if __name__ == "__main__":
    times = dict(steps=2000, log_every=2, eval_every=0, save_every=0)
    sweeps.sweep(pathlib.Path({folder!r}), [dict(seed=0), dict(seed=1)], sweeps.here(), **times)
"""


def children_of(pid):
    """A process and all that came from it."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += children_of(int(child))
    return found


def listening(pids):
    """The addresses, as the kernel writes them, on which these processes listen."""
    inodes = set()
    for pid in pids:
        for descriptor in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                inodes |= set(re.findall(r"socket:\[(\d+)\]", os.readlink(descriptor)))
            except OSError:
                continue
    lines = [
        line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
    ]
    return {line[1].split(":")[0] for line in lines if line[3] == "0A" and line[9] in inodes}


LOOPBACK = {"0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F"}


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="the kernel does not say who listens")
def test_nothing_listens_beyond_this_machine(tmp_path):
    tests = str(Path(__file__).parents[1])
    script = tmp_path / "sweeping.py"
    script.write_text(LISTENING.format(tests=tests, sweeps=f"{tests}/sweep", folder=str(tmp_path / "out")))
    env = os.environ | {"PYTHONPATH": f"{tests}{os.pathsep}{ROOT.parent}"}
    process = subprocess.Popen([sys.executable, script], env=env, stderr=subprocess.PIPE, text=True)
    looked, most, found = 0, 0, set()
    try:
        until = time.monotonic() + 120
        while process.poll() is None and looked < 3 and time.monotonic() < until:
            there = children_of(process.pid)
            most = max(most, len(there))
            found |= listening(there)
            looked += len(list((tmp_path / "out").glob("trials/*/metrics.jsonl"))) == 2
            time.sleep(0.2)
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=60)
    assert looked == 3, errors
    assert most > 2  # it and its two workers
    assert found <= LOOPBACK
