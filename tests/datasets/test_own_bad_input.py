"""Data of one's own that make no sense: one line that names the argument or the column, and nothing written."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from own_data import padded, sequences

from rnngen.cli.main import main
from rnngen.config import component, resolve
from rnngen.config.build import build_task
from rnngen.config.check import ConfigError
from rnngen.tasks import from_arrays, from_series

X = np.zeros((5, 20, 2))
Y = np.arange(20.0)
LIST = sequences()
WAVE = np.sin(np.arange(100.0))
DAYS = pd.date_range("2020-01-01", periods=100)


def holed(place):
    x = X.copy()
    x[place] = np.nan
    return x


ARRAYS = {
    "lengths of x and y": ((X, Y[:19]), {}, "y must be one target a sequence, [20] or [20, k], or one a step, [5, 20]"),
    "time last": ((X.swapaxes(0, 1), Y), {}, "time first: where its first axis is the sequences, give list(x)"),
    "one feature without its axis": ((X[..., 0], Y), {}, "x must be [t, n, d], time first, or a list of n sequences, "
                                     "got [5, 20]; one feature has an axis too: x[..., None]"),
    "a mask of another shape": ((X, Y), {"mask": np.ones((20, 5), bool)}, "mask must be bool [5, 20] as x is"),
    "a mask of numbers": ((X, Y), {"mask": np.ones((5, 20))}, "mask must be bool [5, 20] as x is, got float64"),
    "mask and lengths": ((X, Y), {"mask": np.ones((5, 20), bool), "lengths": [5] * 20}, "give mask or lengths, not"),
    "lengths beyond the steps": ((X, Y), {"lengths": [6] * 20}, "lengths must be at most the 5 steps of x, got 6"),
    "too few lengths": ((X, Y), {"lengths": [5] * 19}, "lengths must be 20 whole numbers"),
    "a sequence of no step": ((X, Y), {"lengths": [5] * 19 + [0]}, "x: sequence 19 has no step"),
    "sequences of other features": (([*LIST[:19], LIST[0][:, :1]], Y), {}, "x[19] must be [t_i, 2], got [4, 1]"),
    "steps of another length": ((LIST, [one[:, 0] for one in LIST[:19]] + [LIST[19][1:, 0]]), {},
                                "y[19] must have the 6 steps of x[19], got [5]"),
    "sequences or steps": ((np.zeros((4, 4, 1)), np.zeros((4, 4))), {}, "say per_step=True or False"),
    "NaN without a mask": ((holed((3, 7, 1)), Y), {}, "got nan in sequence 7, step 3, feature 1: give a mask or len"),
    "an infinite input": ((np.where(X == 0, np.inf, X), Y), {"missing": "mask"}, "x must be finite numbers, got inf"),
    "NaN among targets": ((X, np.where(Y == 3, np.nan, Y)), {}, "y must be finite numbers, got nan at [3, 0]: say mis"),
    "a list of y for an array x": ((X, [[1.0], [1.0, 2.0]]), {}, "y must be an array, or a list of sequences as x is:"),
    "text": ((np.full((5, 20, 2), "a"), Y), {}, "x must be numbers, got <U1"),
    "labels that are floats": ((X, Y), {"loss": "cross_entropy"}, "y must be labels for loss='cross_entropy', whole "
                               "numbers from 0, got float64: give y.astype(int)"),
    "labels below 0": ((X, Y.astype(int) - 1), {"loss": "cross_entropy"}, "whole numbers from 0 to 65535, got -1"),
    "labels one-hot": ((X, np.eye(20, dtype=int)), {"loss": "cross_entropy"}, "one each, got an axis of 20"),
    "bits of 2": ((X, Y), {"loss": "bernoulli"}, "y must be 0 or 1 for loss='bernoulli', got 2"),
    "a loss that is unknown": ((X, Y), {"loss": "nll"}, "loss must be one of mse, mae, cross_entropy, bernoulli"),
    "no valid split": ((X, Y), {"valid": 0.0}, "valid must be a share above 0 and below 1, got 0.0"),
    "no training split": ((X, Y), {"valid": 0.5, "test": 0.5}, "20 sequences are too few to hold out 10 for valid"),
    "a given split without test": ((X, Y), {"split": ["train"] * 10 + ["valid"] * 10}, "no sequence with a target for "
                                   "'test'"),
    "another word for a split": ((X, Y), {"split": ["tests"] * 20}, "got 'tests'; did you mean 'test'?"),
    "too few groups": ((X, Y), {"groups": [0] * 10 + [1] * 10}, "2 groups are too few to hold out 1 for valid and 1"),
    "groups of others": ((X, Y), {"groups": [0] * 5}, "groups must be [20], one of each sequence of x, got [5]"),
    "tokens that are floats": ((X[..., 0], Y), {"tokens": 3}, "x must be whole numbers, got float64"),
    "tokens out of range": ((X[..., 0].astype(int) + 3, Y), {"tokens": 3}, "x must be tokens from 0 to 2, got 3"),
}  # fmt: skip
SERIES = {
    "a horizon longer than the series": (WAVE, {"horizon": 200}, "window and horizon together must be at most the 80 "
                                         "steps of train (of 100 in all), got 48 + 200"),
    "a horizon longer than a split": (WAVE, {"window": 20, "horizon": 11}, "horizon must be at most the 10 steps of"),
    "a split that leaves nothing": (WAVE, {"test": 0.0}, "test must be a share above 0 and below 1, got 0.0"),
    "NaN": (np.where(np.arange(100) == 7, np.nan, WAVE), {}, "values must be finite numbers, got nan at [7, 0] (row, "
            "column): fill it in, or missing='mask'"),
    "three axes": (X, {}, "values must be numbers [t, d] or [t], got float64 [5, 20, 2]"),
    "times that are fewer": (WAVE, {"time": DAYS[:5]}, "time must be [100], one of each row of values, got [5]"),
    "times that occur twice": (WAVE, {"time": DAYS[[0, *range(99)]]}, "time: 2020-01-01 00:00:00 occurs twice"),
    "times with a gap": (WAVE, {"time": DAYS.delete(50).append(DAYS[-1:] + pd.Timedelta("1D"))}, "time: steps are irre"
                         "gular: from 2020-02-19 00:00:00 to 2020-02-21 00:00:00 it is 2 days"),
    "numbers with a gap": (WAVE, {"time": np.r_[np.arange(50), np.arange(51, 101)]}, "from 49 to 51 it is 2, else"),
    "no times": (WAVE, {"time": ["noon"] * 100}, "holds no times"),
    "a column of text": (pd.DataFrame({"a": WAVE, "b": ["x"] * 100}), {}, "columns: column 'b' holds text, such as"),
    "a column of datetimes": (pd.DataFrame({"a": WAVE, "day": DAYS}), {}, "columns: column 'day' holds datetimes, such "
                              "as '2020-01-01 00:00:00': leave it out of the columns, or name it as the time"),
    "a column that is not there": (pd.DataFrame({"a": WAVE}), {"columns": ["b"]}, "columns: there is no column 'b'"),
    "a time that is not there": (pd.DataFrame({"a": WAVE}), {"time": "day"}, "time: there is no column 'day'"),
    "nothing but a time": (pd.DataFrame({"day": DAYS}), {"time": "day"}, "columns: the table has none but the time"),
    "a column without values": (pd.DataFrame({"a": WAVE, "b": np.nan}), {"missing": "mask", "horizon": 9}, "columns: "
                                "'b' has no value in the training split"),
}  # fmt: skip


@pytest.mark.parametrize("what", ARRAYS)
def test_arrays_in_memory(store, what):
    (x, y), options, message = ARRAYS[what]
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        from_arrays(x, y, **options)
    assert "\n" not in str(caught.value)
    assert not store.exists()


@pytest.mark.parametrize("what", SERIES)
def test_series_in_memory(store, what):
    values, options, message = SERIES[what]
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        from_series(values, **options)
    assert "\n" not in str(caught.value)
    assert not store.exists()


def table(**columns):
    rows = {"id": np.repeat(np.arange(20), 5), "at": np.tile(np.arange(5), 20), "a": 0.5, "y": 1.5}
    return pd.DataFrame(rows | columns)


TABLES = {
    "no sequence": (
        table(),
        {"sequence": ""},
        "sequence: name the column that tells the sequences apart, of id, at, a",
    ),
    "a text column": (table(word="up"), {}, "x: column 'word' holds text, such as 'up': leave it out of the inputs"),
    "a text target": (table(y="up"), {}, "y: column 'y' holds text, such as 'up': labels are whole numbers from 0"),
    "labels that are floats": (table(), {"loss": "cross_entropy"}, "y: column 'y' must hold whole numbers, got 1.5"),
    "a column that is not there": (table(), {"y": ["why"]}, "y: there is no column 'why'; did you mean 'y'?"),
    "no inputs": (table()[["id", "at", "y"]], {}, "x: no column is left for the inputs"),
    "a time that occurs twice": (table(at=0), {}, "time: 0 occurs twice in sequence 0"),
    "a time that is missing": (table(at=np.nan), {}, "time: column 'at' is missing in row 0"),
    "an id that is missing": (table(id=np.nan), {}, "sequence: column 'id' is missing in row 0"),
    "groups that change": (table(group=np.arange(100)), {"groups": "group"}, "column 'group' must be the same in all"),
    "targets that change": (table(y=np.arange(100)), {"per_step": False}, "must be the same in all of its rows"),
    "NaN": (table(a=np.nan), {}, "x must be finite numbers, got nan in sequence 0, step 0, feature 0"),
    "no rows": (table()[:0], {}, "own.csv has no rows"),
}


@pytest.mark.parametrize("what", TABLES)
def test_tables(tmp_path, what):
    rows, options, message = TABLES[what]
    rows.to_csv(tmp_path / "own.csv", index=False)
    task = component("arrays", path=str(tmp_path / "own.csv"), **({"sequence": "id", "time": "at"} | options))
    with pytest.raises(ConfigError, match=f"config.task.*{re.escape(message)}") as caught:
        build_task(resolve({"task": task}).task)
    assert "\n" not in str(caught.value)


def write(folder: Path) -> None:
    np.savez(folder / "half.npz", x=X)
    np.savez(folder / "offsets.npz", x=X[:, 0], y=Y, offsets=[0, 3, 5])
    (folder / "empty.csv").write_text("")
    (folder / "broken.npz").write_bytes(b"PK\x03\x04")
    (folder / "broken.parquet").write_bytes(b"PAR1")
    (folder / "folder").mkdir()
    np.save(folder / "folder" / "x.npy", X)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("half.npz", "has no array 'y'; there is x"),
        ("offsets.npz", "y must be [2] or [2, k], got [20]"),
        ("empty.csv", "cannot be read: No columns to parse from file"),
        ("broken.npz", "is not an npz file"),
        ("broken.parquet", "cannot be read:"),
        ("folder", "has no y.npy; there is x"),
        ("folder/x.npy", "is one array: give the folder that holds x.npy and y.npy"),
        ("other.npz", "does not exist"),
    ],
)
def test_files(tmp_path, name, message):
    write(tmp_path)
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        build_task(component("arrays", path=str(tmp_path / name)))
    assert "\n" not in str(caught.value)


def test_parquet_without_its_reader(tmp_path, monkeypatch):
    table().to_parquet(tmp_path / "own.parquet")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r"Parquet is read by pyarrow, which is not installed: pip install pyarrow"):
        build_task(component("arrays", path=str(tmp_path / "own.parquet"), sequence="id"))


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ({"name": "arrays", "kwargs": {"path": "{}/own.csv"}}, "sequence: name the column"),
        ({"name": "series", "kwargs": {"path": "{}/own.csv"}}, "columns: column 'word' holds text, such as 'up'"),
        ({"name": "series", "kwargs": {"path": "{}/a.npy", "horizon": 99}}, "window and horizon together must be at"),
    ],
)
def test_the_command_says_the_same_in_a_line_and_writes_nothing(tmp_path, capsys, task, message):
    table(word="up").to_csv(tmp_path / "own.csv", index=False)
    np.save(tmp_path / "a.npy", WAVE)
    task["kwargs"]["path"] = task["kwargs"]["path"].format(tmp_path)
    (tmp_path / "c.py").write_text(
        "from rnngen.config import base_config\n\ndef get_config():\n    config = base_config()\n"
        f"    config.task = {task!r}\n    return config\n"
    )
    assert main(["train", f"--config={tmp_path / 'c.py'}", f"--workdir={tmp_path / 'run'}"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert message in said
    assert not (tmp_path / "run").exists()


def test_a_mask_ends_where_padding_begins(store):
    """NaN in the padding is no missing value."""
    made = from_arrays(padded(LIST), Y, lengths=[len(one) for one in LIST])
    assert build_task(made).interface["kwargs"]["missing"] is False
