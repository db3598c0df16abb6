"""Run folders are read back as they were written, whole or not at all."""

import gzip
import json
import math

import pytest

from rnngen.runs import load, open_sweep
from rnngen.runs.export import export
from rnngen.storage.dotted import describe, flatten, short
from rnngen.storage.folder import RunFolder
from rnngen.storage.jsonl import DamagedFile, append_row, dumps, loads, read_json, read_rows, write_json
from rnngen.storage.plan import proposals
from rnngen.storage.provenance import provenance


def make_run(path, seed=0, **result):
    run = RunFolder(path)
    run.start({"seed": seed, "cell": {"name": "gru", "kwargs": {"hidden_dim": 4}}})
    for step in (1, 2):
        run.append("metrics", {"step": step, "split": "train", "loss": 1.0 / step})
    if result:
        run.finish(result)
    return run


def test_load_a_run(tmp_path):
    make_run(tmp_path / "a", status="finished", metrics={"test": {"loss": 0.25}})
    frame = load(tmp_path / "a")
    assert frame["loss"].tolist() == [1.0, 0.5]
    assert frame["config.cell.kwargs.hidden_dim"].tolist() == [4, 4]
    results = load(tmp_path / "a", "results")
    assert results.loc[0, "metrics.test.loss"] == 0.25
    assert results.loc[0, "trial"] == "a"
    assert load(tmp_path / "a", "provenance").loc[0, "git_dirty"] in (True, False)


def test_load_a_sweep_in_its_order(tmp_path):
    for name, seed in (("b", 1), ("a", 2)):
        make_run(tmp_path / "trials" / name, seed)
    write_json(
        tmp_path / "sweep.json", {"config": {}, "trials": [{"id": "b", "overrides": {}}, {"id": "a", "overrides": {}}]}
    )
    assert load(tmp_path)["config.seed"].tolist() == [1, 1, 2, 2]
    assert load(tmp_path, "results")["status"].tolist() == ["unfinished", "unfinished"]
    assert [run.name for run in open_sweep(tmp_path)] == ["b", "a"]


def test_labels_of_an_axis_are_columns(tmp_path):
    labels = {"a": {"optim.clip_norm": "clipped", "cell": "tanh RNN"}, "b": {"optim.clip_norm": "off"}, "c": {}}
    for name in labels:
        make_run(tmp_path / "trials" / name, status="finished", metrics={"test": {"loss": 0.25}})
    trials = [{"id": name, "overrides": {}, "labels": of} for name, of in labels.items()]
    write_json(tmp_path / "sweep.json", {"config": {}, "trials": trials})
    export(tmp_path, tmp_path / "packed")
    for folder in (tmp_path, tmp_path / "packed"):
        results = load(folder, "results").set_index("trial")
        assert results["label.optim.clip_norm"].dropna().to_dict() == {"a": "clipped", "b": "off"}
        assert results["label.cell"].dropna().to_dict() == {"a": "tanh RNN"}
        assert results.loc["c", "config.cell.name"] == "gru"
    assert set(load(tmp_path)["label.optim.clip_norm"].dropna()) == {"clipped", "off"}
    assert "label.cell" not in load(tmp_path / "trials" / "a", "results")


def test_what_is_neither_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds neither a run"):
        load(tmp_path)
    make_run(tmp_path / "a")
    with pytest.raises(ValueError, match="table must be one of results, metrics"):
        load(tmp_path / "a", "metric")


def test_numbers_that_json_lacks(tmp_path):
    write_json(tmp_path / "x.json", {"a": [math.inf, -math.inf, math.nan, 1.5, "text"]})
    a = read_json(tmp_path / "x.json")["a"]
    assert a[0] == math.inf
    assert a[1] == -math.inf
    assert math.isnan(a[2])
    assert a[3:] == [1.5, "text"]
    json.loads((tmp_path / "x.json").read_text(), parse_constant=lambda name: pytest.fail(f"not JSON: {name}"))


@pytest.mark.parametrize("text", ["inf", "-inf", "nan", "'inf", "''nan", "info", "'", "", "Infinity"])
def test_text_that_reads_like_a_number_stays_text(tmp_path, text):
    write_json(tmp_path / "x.json", {text: [text, {"a": text}]})
    assert read_json(tmp_path / "x.json") == {text: [text, {"a": text}]}
    append_row(tmp_path / "x.jsonl", {"what": text, "loss": math.inf})
    assert read_rows(tmp_path / "x.jsonl") == [{"what": text, "loss": math.inf}]
    assert loads(dumps((text, -math.inf))) == [text, -math.inf]


def test_labels_of_older_folders_are_text(tmp_path):
    # As they were written before text was told from numbers.
    trial = '{"id": "a", "overrides": {"optim.clip_norm": 0.0}, "labels": {"optim.clip_norm": "inf", "seed": "nan"}}'
    (tmp_path / "sweep.json").write_text(f'{{"config": {{}}, "trials": [{trial}]}}')
    assert open_sweep(tmp_path).plan["trials"][0]["labels"] == {"optim.clip_norm": "inf", "seed": "nan"}
    proposal = '{"numbers": [0], "overrides": {}, "labels": {"seed": "-inf"}, "params": {}}'
    (tmp_path / "trials" / "a").mkdir(parents=True)
    (tmp_path / "trials" / "a" / "trial.json").write_text(proposal)
    assert proposals(tmp_path)[0]["labels"] == {"seed": "-inf"}


def test_a_torn_last_row_is_passed_over_and_rewound(tmp_path):
    run = make_run(tmp_path)
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"step": 3, "lo')
    assert [row["step"] for row in run.rows("metrics")] == [1, 2]
    run.rewind(1)
    run.append("metrics", {"step": 2, "split": "train", "loss": 0.0})
    assert [row["step"] for row in run.rows("metrics")] == [1, 2]


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    write_json(tmp_path / "x.json", {"a": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "x.json", {"a": object()})
    assert read_json(tmp_path / "x.json") == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


def test_missing_files():
    assert RunFolder("/nonexistent").config() is None
    assert RunFolder("/nonexistent").rows("metrics") == []


def test_provenance_answers_a_reviewer():
    found = provenance()
    assert found["versions"]["jax"]
    assert set(found) >= {"time", "command", "python", "platform", "git_commit", "git_dirty", "xla_flags"}
    found["versions"] = None
    assert provenance()["versions"]["jax"]


def test_packed_records_read_like_the_sweep(tmp_path):
    for name, seed in (("b", 1), ("a", 2)):
        make_run(tmp_path / "trials" / name, seed, status="finished", metrics={"test": {"loss": 0.123456789}})
        for step in (1, 2):
            RunFolder(tmp_path / "trials" / name).append("metrics", {"step": step, "split": "valid", "loss": math.inf})
    write_json(
        tmp_path / "sweep.json", {"config": {}, "trials": [{"id": "b", "overrides": {}}, {"id": "a", "overrides": {}}]}
    )
    path = export(tmp_path, tmp_path / "small")
    first = path.read_bytes()
    assert export(tmp_path, tmp_path / "small").read_bytes() == first
    metrics, whole = load(tmp_path / "small"), load(tmp_path)
    assert metrics.equals(whole[whole["split"] == "valid"].reset_index(drop=True))
    assert load(tmp_path / "small", "results")["metrics.test.loss"].tolist() == [0.1235, 0.1235]
    assert open_sweep(tmp_path / "small").plan == open_sweep(tmp_path).plan
    # Packed again it is the same, and it says nothing of whose machine it was.
    assert export(tmp_path / "small", tmp_path / "again").read_bytes() == first
    assert "command" not in load(tmp_path / "small", "provenance")
    path.write_bytes(first[: len(first) // 2])
    with pytest.raises(ValueError, match=r"records\.jsonl\.gz: not the records that export writes"):
        load(tmp_path / "small")


def test_a_trial_that_is_there_twice_is_refused(tmp_path):
    make_run(tmp_path / "trials" / "a")
    trial = {"id": "a", "overrides": {}}
    write_json(tmp_path / "sweep.json", {"config": {}, "trials": [trial]})
    path = export(tmp_path, tmp_path / "small")
    head, run = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    path.write_bytes(gzip.compress(head + run + run))
    with pytest.raises(DamagedFile, match=r"records\.jsonl\.gz: trial 'a' is there twice"):
        load(tmp_path / "small")
    write_json(tmp_path / "sweep.json", {"config": {}, "trials": [trial, trial]})
    with pytest.raises(DamagedFile, match=r"sweep\.json: trials: trial 'a' is there twice"):
        load(tmp_path)


def test_words():
    assert flatten({"a": {"b": 1, "c": {"d": 2}}}) == {"a.b": 1, "a.c.d": 2}
    assert describe({"name": "adding", "kwargs": {"length": 5}}) == "adding(length=5)"
    assert describe({"name": "digits", "kwargs": {}}) == "digits"
    assert describe({"name": "digits", "kwargs": [1]}) == "{'name': 'digits', 'kwargs': [1]}"
    assert describe(3) == 3
    assert [short(n) for n in ("cell.name", "task.kwargs.length", "task", "seed")] == ["cell", "length", "task", "seed"]
    assert dumps({"x": (1, 2)}) == '{"x": [1, 2]}'
