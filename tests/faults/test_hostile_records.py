"""Mutated records: every reader refuses in one line or works, and nothing outside of the folder is touched."""

import gzip
import json
import math
import traceback

import pytest
from mutate import Mutator, within

from rnngen import report
from rnngen.config import base_config, component, resolve
from rnngen.config.check import ConfigError
from rnngen.generation.generator import load_generator
from rnngen.report import tables
from rnngen.runs import EXPORT, load, open_sweep
from rnngen.runs.export import export
from rnngen.runs.train import claim, run
from rnngen.storage.folder import TABLES, RunFolder
from rnngen.storage.jsonl import DamagedFile, write_json
from rnngen.sweep import plan, progress

SECONDS = 20  # that one reader may take at the most
REFUSALS = (ConfigError, DamagedFile, OSError)


def text_config(**changes):
    """A run of two training steps that makes text."""
    config = base_config().to_dict()
    config["cell"] = component("gru", hidden_dim=4).to_dict()
    config["task"] = component("text", source="python", chunk=4, eval_steps=64).to_dict()
    config["train"] |= {"steps": 2, "batch_size": 2, "log_every": 2, "eval_every": 2, "save_every": 2}
    config["train"] |= {"eval_batch_size": 4}
    config["diagnose"] |= {"examples": 2}
    return resolve(config | changes)


def fill(path, cell, length, seed, status="finished"):
    """A run's folder by hand, with every kind of row."""
    folder, config = RunFolder(path), text_config(seed=seed).to_dict()
    config["cell"]["name"] = cell
    folder.start(config, seed=seed, device="cpu of mine x1")
    for step in (0, 100):
        for split in ("train", "valid", "test"):
            folder.append("metrics", {"step": step, "split": split, "loss": 0.1 + seed, "accuracy": 0.5})
        for what, found in DIAGNOSED.items():
            folder.append("diagnoses", {"step": step, "what": what, "cost_seconds": 0.5} | found)
    if status == "failed":
        folder.finish({"status": "failed", "reason": "MemoryError: no room", "traceback": "line 7"})
        return
    metrics = {split: {"loss": 0.1 * length + seed, "accuracy": 0.5} for split in ("train", "valid", "test")}
    facts = {"step": 100, "chosen_step": 100, "reached_at": None, "baseline": 0.5, "solved": seed == 0}
    times = {"train_seconds": 3.5, "compile_seconds": 1.5, "parameters": 30}
    half_life = {"initial": 2.0, "final": math.inf}
    folder.finish({"status": status, "metrics": metrics, "half_life": half_life} | facts | times)


SPREAD = {"median": [0.0, -1.0, -2.0], "low": [-1.0, -2.0, -3.0], "high": [0.0, 0.0, -math.inf]}
COMPLEX = {"real": [0.1, 0.2], "imag": [0.0, 0.1]}
DIAGNOSED = {
    "gradient_flow": {
        "curves": {"all": SPREAD, "layer_0/h": SPREAD},
        "half_life": {"all": {"steps": 3.0, "low": 2.0}},
        "not_finite": 0.0,
    },
    "carry_norms": {"curves": {what: {"layer_0/h": SPREAD} for what in ("norm", "to_last")}},
    "lyapunov_spectrum": {"exponents": SPREAD, "steps": [1, 2], "running": [[0.1, 0.2, 0.3], [0.1, 0.2, 0.3]]},
    "jacobian_products": {"lags": [1, 2, 4], "log10_norm": SPREAD, "log10_condition": SPREAD},
    "recurrent_eigenvalues": {"steps": [0, 1], "kernel": {"layer_0": COMPLEX}, "jacobian": [COMPLEX, COMPLEX]},
    "gate_statistics": {"gates": {"layer_0/r": {"left": [0.1, 0.2], "right": [0.3, 0.4]}}},
    "length_generalisation": {"lengths": [5, 6], "metrics": {"accuracy": [0.5, 0.25]}},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a run that was trained, a sweep, a search and the sweep packed."""
    place = tmp_path_factory.mktemp("made")
    run(text_config(), place / "run")
    trials, search = [], text_config().to_dict()
    for cell in ("gru", "rnn"):
        for length in (5, 6, 7):
            for seed in (0, 1):
                name = f"{cell}{length}{seed}"
                failed = name == "rnn71"
                fill(place / "sweep" / "trials" / name, cell, length, seed, "failed" if failed else "finished")
                overrides = {"cell.name": cell, "task.kwargs.chunk": length, "seed": seed}
                trials.append({"id": name, "overrides": overrides, "labels": {"cell.name": f"the {cell}"}})
    (place / "sweep" / "trials" / "rnn70" / "result.json").unlink()
    (place / "sweep" / "trials" / "rnn60" / "samples").mkdir()
    (place / "sweep" / "trials" / "rnn60" / "samples" / "a.txt").write_text("to be")
    write_json(place / "sweep" / "sweep.json", {"config": text_config().to_dict(), "trials": trials})
    for number, rate in enumerate((0.1, 0.2, 0.3)):
        path = place / "search" / "trials" / f"rate{number}"
        fill(path, "gru", number + 1, 0)
        rates = {"overrides": {"optim.learning_rate": rate}, "params": {"optim.learning_rate": rate}}
        write_json(path / "trial.json", {"numbers": [number], "labels": {}} | rates)
    sought = {"method": "tpe", "metric": "loss", "mode": "min", "trials": 4, "seed": 0, "space": {}, "pruner": {}}
    write_json(place / "search" / "sweep.json", {"config": search, "trials": [], "search": sought})
    export(place / "sweep", place / "packed")
    return place


def read_all(folder):
    """Every reader, each to its own end; yields what it did."""
    for table in ("results", *TABLES):
        yield f"load {table}", lambda table=table: load(folder, table)
    yield "runs", lambda: [run.config for run in open_sweep(folder)]
    yield "sweep", lambda: open_sweep(folder).axes
    yield "pack", lambda: export(folder, folder / "out")
    yield "summary", lambda: report.summary(open_sweep(folder))
    yield "failures", lambda: tables.failures(open_sweep(folder))
    if (folder / "sweep.json").exists():
        yield "status", lambda: progress.status(folder)


def write_report(folder):
    """The slowest reader of all."""
    yield "report", lambda: report.write(open_sweep(folder))


def faults_of(folder, what, readers):
    """What is wrong with each reader that neither works nor refuses in one line that names a file."""
    for name, action in readers(folder):
        try:
            with within(SECONDS):
                action()
        except REFUSALS as error:
            if "\n" in str(error) or len(str(error)) > 1100:
                yield f"{name}: unclear: {str(error)[:300]!r} for {what}"
        except Exception as error:
            where = [f"{frame.name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
            yield f"{name}: {type(error).__name__}: {str(error)[:300]} in {where[-3:]} for {what}"


def mutated(folder, mutator):
    """(file, its content before, after) of one file of the folder, which is then as after."""
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".json", ".jsonl", ".gz") and path.is_file()
                   and "checkpoints" not in path.parts)  # fmt: skip
    seldom = [path for path in files if path.parent == folder]
    file = mutator.random.choice(seldom if seldom and mutator.random.random() < 0.5 else files)
    before = file.read_bytes()
    plain = gzip.decompress(before) if file.suffix == ".gz" and mutator.random.random() < 0.8 else before
    as_json = plain[:1] == b"{" and mutator.random.random() < 0.7
    after = mutator.json(plain) if as_json else mutator.bytes(plain)
    after = gzip.compress(after, 1) if plain is not before else after
    file.write_bytes(after)
    return file, before, after


def try_mutations(made, count, seed, readers, kinds):
    """Faults of `count` mutations of the folders named."""
    mutator, found = Mutator(seed, ("gru", "text", "audio", "strokes", "gradient_flow", "nowhere:x", "finished")), []
    for number in range(count):
        folder = made / kinds[number % len(kinds)]
        file, before, after = mutated(folder, mutator)
        found += faults_of(folder, f"{file.name} {changed(before, after)}", readers)
        file.write_bytes(before)
    return found


def changed(before, after):
    """Where two contents begin to differ, and what stands there."""
    at = next((i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), 0)
    return f"{before[max(0, at - 20) : at + 40]!r} -> {after[max(0, at - 20) : at + 80]!r}"


@pytest.mark.slow
def test_mutated_records(faults, made):
    count = faults.count(60, 5000)
    faults.tell("mutated records", count, try_mutations(made, count, 1, read_all, ("run", "sweep", "search", "packed")))


@pytest.mark.slow
def test_mutated_records_in_a_report(faults, made):
    count = faults.count(2, 150)
    faults.tell("mutated records, report", count, try_mutations(made, count, 2, write_report, ("sweep", "packed")))


def make(folder):
    """What `sample` and a resumed run do with a run's folder."""
    yield "load_generator", lambda: load_generator(folder).sequences(1, length=2)
    yield "claim", lambda: claim(RunFolder(folder), text_config())


@pytest.mark.slow
def test_mutated_runs_that_are_gone_on_with(faults, made):
    count = faults.count(40, 2000)
    faults.tell("mutated run, gone on with", count, try_mutations(made, count, 3, make, ("run",)))


def claims(folder):
    """What a sweep does with its folder before it runs."""
    base, search = text_config().to_dict(), {"method": "tpe", "metric": "loss", "mode": "min", "trials": 4}
    trial = plan.Trial("gru50", {}, base, {})
    yield "claim", lambda: plan.claim(folder, base, [trial])
    yield "claim_search", lambda: plan.claim_search(folder, base, search)


@pytest.mark.slow
def test_mutated_sweeps_that_are_gone_on_with(faults, made):
    count = faults.count(50, 2850)
    faults.tell("mutated sweep, gone on with", count, try_mutations(made, count, 4, claims, ("sweep", "search")))


OUTSIDE = ("../../x", "/x", "", ".", "..", "a/b", "a\\b", "..\\x", "x/..", "a\0b", None, 3, ["x"])


@pytest.mark.parametrize("name", OUTSIDE)
def test_trials_stay_in_their_folder(tmp_path, name):
    for place in ("inside", "x"):
        fill(tmp_path / place, "gru", 5, 0)
    before = sorted((path, path.stat().st_mtime_ns) for path in (tmp_path / "x").rglob("*"))
    write_json(tmp_path / "inside" / "sweep.json", {"config": {}, "trials": [{"id": name, "overrides": {}}]})
    (tmp_path / "inside" / "config.json").unlink()
    packed = tmp_path / "packed" / EXPORT
    packed.parent.mkdir()
    run_line = {"trial": name, "config": None, "result": None} | {table: [] for table in TABLES}
    lines = [json.dumps(line) + "\n" for line in ({"sweep": None}, run_line)]
    packed.write_bytes(gzip.compress("".join(lines).encode()))
    for folder in (tmp_path / "inside", tmp_path / "packed"):
        for reader in (load, open_sweep):
            with pytest.raises(DamagedFile, match=r"must be the name of a folder"):
                reader(folder)
    assert sorted((path, path.stat().st_mtime_ns) for path in (tmp_path / "x").rglob("*")) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["inside", "packed", "x"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"split": "valid", "loss": 1.0}', "metrics.jsonl, line 2: has no step"),
        ('{"step": "3", "split": "valid"}', 'metrics.jsonl, line 2: step must be a whole number, got "3"'),
        ('{"step": 3}', "metrics.jsonl, line 2: has no split"),
        ('{"step": 3, "split": "valid", "loss": "low"}', 'metrics.jsonl, line 2: loss must be a number, got "low"'),
        ("[1]", "metrics.jsonl, line 2: must be an object, got [1]"),
        ('{"step": 3, ', "metrics.jsonl, line 2: is not the JSON that was written there"),
        ('{"step": 10000000000000000000, "split": "valid"}', "a whole number above 2^53"),
        ("[" * 200_000, "metrics.jsonl, line 2: is nested too deeply"),
        (b"\xff\xfe", "metrics.jsonl, line 2: is not the JSON that was written there"),
        ("", "metrics.jsonl, line 2: is not the JSON that was written there"),
    ],
)
def test_a_bad_row_is_named_by_its_line(tmp_path, line, message):
    run = RunFolder(tmp_path)
    run.start({"cell": {"name": "gru"}})
    run.append("metrics", {"step": 1, "split": "train", "loss": 1.0})
    with open(tmp_path / "metrics.jsonl", "ab") as file:
        file.write((line if isinstance(line, bytes) else line.encode()) + b"\n")
    with pytest.raises(DamagedFile) as caught:
        load(tmp_path)
    assert message in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_packed_records_that_unpack_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr("rnngen.runs.export.MOST_BYTES", 1000)
    (tmp_path / EXPORT).write_bytes(gzip.compress(b" " * 10**6))
    with pytest.raises(DamagedFile, match="more than 1000 bytes"):
        load(tmp_path)


@pytest.mark.slow
def test_words_that_no_file_can_hold_are_replaced(tmp_path):
    fill(tmp_path, "gru", 5, 0, "failed")
    (tmp_path / "result.json").write_text(r'{"status": "failed", "reason": "\ud800 is half a sign"}')
    assert load(tmp_path, "results")["reason"].tolist() == ["? is half a sign"]
    assert "? is half a sign" in report.write(open_sweep(tmp_path))[-1].read_text()
