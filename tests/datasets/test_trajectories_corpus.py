"""Pen velocities from both of their forms, and which of the training half is held out."""

import numpy as np
from real_data import error_line, needs_data, sequences
from scipy import io

from rnngen.datasets.sequences import join
from rnngen.datasets.trajectories import load_trajectories

RNG = np.random.RandomState(0)
TRAIN, TEST = ([RNG.normal(size=(n, 3)).astype(np.float32) for n in RNG.randint(3, 9, size=k)] for k in (20, 4))


def write_npz(path, **changes):
    arrays = {}
    for part, made in (("train", TRAIN), ("test", TEST)):
        arrays[f"{part}_x"], arrays[f"{part}_lengths"] = join(made)
    np.savez(path, **(arrays | changes))
    return str(path)


def write_mat(folder):
    for file, name, made in (("trajectories_train", "xtrain", TRAIN), ("trajectories_xtest", "xtest", TEST)):
        cells = np.empty((1, len(made)), object)
        cells[0] = [sequence.T.astype(float) for sequence in made]
        io.savemat(folder / f"{file}.mat", {name: cells})
    return str(folder)


def test_both_forms_hold_the_same(tmp_path):
    from_npz, from_mat = load_trajectories(write_npz(tmp_path / "own.npz")), load_trajectories(write_mat(tmp_path))
    for split in ("train", "valid", "test"):
        assert sequences(from_npz, split) == sequences(from_mat, split)
        assert from_mat.values[split].dtype == np.float32
    assert sequences(from_mat, "test") == [s.tolist() for s in TEST]
    assert len(from_mat.facts["files"]) == 2


def test_a_fixed_tenth_of_the_training_half_is_valid(tmp_path):
    corpus = load_trajectories(write_npz(tmp_path / "own.npz"))
    order = np.random.RandomState(0).permutation(20)
    assert sequences(corpus, "train") == [TRAIN[i].tolist() for i in order[:18]]
    assert sequences(corpus, "valid") == [TRAIN[i].tolist() for i in order[18:]]
    assert len(load_trajectories(str(tmp_path / "own.npz"), valid=0.5).lengths["valid"]) == 10
    for share in (0, 1.0, -0.1):
        assert "valid must be a share between 0 and 1" in error_line(
            load_trajectories, str(tmp_path / "own.npz"), valid=share
        )


def test_bad_files(tmp_path):
    bad = write_npz(tmp_path / "own.npz", test_x=np.zeros((5, 3), np.float32))
    assert "own.npz: test: lengths sum to" in error_line(load_trajectories, bad)
    write_mat(tmp_path)
    io.savemat(tmp_path / "trajectories_xtest.mat", {"xtest": np.zeros((3, 5))})
    assert "xtest must be cells with a matrix each" in error_line(load_trajectories, str(tmp_path))
    assert "give the folder that holds them" in error_line(load_trajectories, str(tmp_path / "trajectories_train.mat"))


@needs_data
def test_the_real_trajectories():
    corpus = load_trajectories()
    assert len(corpus.values["train"]) + len(corpus.values["valid"]) == 244253
    assert len(corpus.values["test"]) == 243024
    assert [len(n) for n in corpus.lengths.values()] == [1286, 143, 1429]
    lengths = np.concatenate(list(corpus.lengths.values()))
    assert (lengths.min(), lengths.max()) == (109, 205)
