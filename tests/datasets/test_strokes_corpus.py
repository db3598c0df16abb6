"""Pen strokes: scaled by the training movements alone, and never from a pickle."""

import numpy as np
import pytest
from real_data import error_line, needs_data

from rnngen.datasets.strokes import load_strokes

SPLITS = ("train", "valid", "test")


def write(path, dtype=np.int16, **changes):
    rng, arrays = np.random.RandomState(0), {}
    for split, lengths in zip(SPLITS, ([40, 1, 60], [20, 10], [30]), strict=True):
        moves = rng.normal(scale=50 if split == "train" else 500, size=(sum(lengths), 2))
        pen = rng.randint(0, 2, size=(sum(lengths), 1))
        arrays |= {f"{split}_strokes": np.concatenate([moves, pen], axis=1).astype(dtype)}
        arrays |= {f"{split}_lengths": np.array(lengths)}
    arrays |= changes
    np.savez(path, **arrays)
    return arrays


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_movements_are_divided_by_the_deviation_of_train(tmp_path, dtype):
    raw = write(tmp_path / "own.npz", dtype)
    corpus = load_strokes(str(tmp_path / "own.npz"))
    scale = corpus.facts["scale"]
    assert corpus.values["train"][:, :2].std() == pytest.approx(1, rel=1e-5)
    for split in SPLITS:
        assert corpus.values[split].dtype == np.float32
        np.testing.assert_allclose(corpus.values[split] * [scale, scale, 1], raw[f"{split}_strokes"], rtol=1e-6)
        np.testing.assert_array_equal(corpus.lengths[split], raw[f"{split}_lengths"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"valid_strokes": np.full((30, 3), 2)}, "valid has a pen, the third number, that is not 0 or 1"),
        ({"train_lengths": np.array([40, 0, 61])}, "train: sequence 1 has length 0, and 1 is the least"),
        ({"test_strokes": np.zeros((30, 5))}, "test: values must have the shape [n, 3], got [30, 5]"),
        ({"train_strokes": np.zeros((101, 3))}, "the movements of train have the standard deviation 0.0"),
        ({"test_lengths": np.array([None, 30])}, "array 'test_lengths' cannot be read"),
    ],
)
def test_bad_strokes(tmp_path, changes, message):
    write(tmp_path / "own.npz", **changes)
    line = error_line(load_strokes, str(tmp_path / "own.npz"))
    assert message in line
    assert "own.npz" in line


def test_the_original_pickles_are_not_loaded(tmp_path):
    drawings = np.empty(2, object)
    drawings[:] = [np.zeros((3, 3)), np.zeros((4, 3))]
    np.savez(tmp_path / "original.npz", train=drawings, valid=drawings, test=drawings)
    line = error_line(load_strokes, str(tmp_path / "original.npz"))
    assert "original.npz has no array 'train_strokes'" in line


def test_a_set_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv("RNNGEN_DATA", str(tmp_path))
    (tmp_path / "strokes").mkdir()
    write(tmp_path / "strokes" / "sheep.npz")
    assert load_strokes(name="sheep").facts["scale"] > 0
    line = error_line(load_strokes, name="sheeep")
    assert "no public address" in line
    assert "which holds sheep.npz" in line


@needs_data
def test_the_real_kanji():
    corpus = load_strokes()
    assert [len(corpus.lengths[split]) for split in SPLITS] == [10000, 600, 500]
    assert len(corpus.values["train"]) == 406111
    assert corpus.lengths["train"].max() == 88
    assert corpus.facts["scale"] == pytest.approx(99.71, abs=5e-3)
