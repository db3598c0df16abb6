"""Files of arrays: what is read, and one line for everything that is not as it should be."""

import numpy as np
import pytest
from real_data import error_line
from scipy import io

from rnngen.datasets.formats.arrays import check_sequences, open_mat, open_npz
from rnngen.datasets.sequences import join, select, split_indices


def test_npz_reads_what_is_asked_for(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.arange(3), y=np.ones(2))
    assert open_npz(tmp_path / "a.npz", ("x",)).keys() == {"x"}
    np.testing.assert_array_equal(open_npz(tmp_path / "a.npz", ("x",))["x"], [0, 1, 2])
    assert "a.npz has no array 'train'; there is x, y" in error_line(open_npz, tmp_path / "a.npz", ("train",))


def test_objects_are_pickles_and_never_loaded(tmp_path):
    """The object's own code must not run: unpickling it would write the file."""
    mark = tmp_path / "ran"

    class Evil:
        def __reduce__(self):
            return open, (str(mark), "w")

    np.savez(tmp_path / "evil.npz", x=np.array([Evil()], dtype=object))
    line = error_line(open_npz, tmp_path / "evil.npz", ("x",))
    assert "evil.npz: array 'x' cannot be read" in line
    assert "never loaded" in line
    np.save(tmp_path / "evil.npy", np.array([Evil()], dtype=object), allow_pickle=True)
    error_line(open_npz, tmp_path / "evil.npy", ("x",))
    assert not mark.exists()


def test_what_is_no_npz_or_half_of_one(tmp_path):
    (tmp_path / "text.npz").write_text("not an npz")
    assert error_line(open_npz, tmp_path / "text.npz", ("x",)).endswith("text.npz is not an npz file")
    np.savez_compressed(tmp_path / "whole.npz", x=np.random.RandomState(0).bytes(20000))
    whole = (tmp_path / "whole.npz").read_bytes()
    (tmp_path / "half.npz").write_bytes(whole[:10000])
    assert "half.npz is not an npz file" in error_line(open_npz, tmp_path / "half.npz", ("x",))
    (tmp_path / "flipped.npz").write_bytes(whole[:5000] + b"\0" * 100 + whole[5100:])
    assert "flipped.npz" in error_line(open_npz, tmp_path / "flipped.npz", ("x",))


@pytest.mark.slow
def test_mat_reads_what_is_asked_for(tmp_path):
    io.savemat(tmp_path / "a.mat", {"X": np.eye(2)})
    np.testing.assert_array_equal(open_mat(tmp_path / "a.mat", ("X",))["X"], np.eye(2))
    assert "a.mat has no variable 'Y'; there is X" in error_line(open_mat, tmp_path / "a.mat", ("Y",))
    for content in (b"", b"short", b"not a MATLAB file" * 100, (tmp_path / "a.mat").read_bytes()[:150]):
        (tmp_path / "b.mat").write_bytes(content)
        assert "b.mat" in error_line(open_mat, tmp_path / "b.mat", ("X",))


@pytest.mark.parametrize(
    ("values", "lengths", "message"),
    [
        (np.zeros((5, 3)), [2, 2], "lengths sum to 4, but there are 5 values"),
        (np.zeros((5, 3)), [4, 1], "sequence 1 has length 1, and 2 is the least"),
        (np.zeros((5, 3)), [7, -2], "sequence 1 has length -2"),
        (np.zeros((5, 2)), [5], r"values must have the shape [n, 3], got [5, 2]"),
        (np.zeros((5, 3)), [], "lengths must be a row of whole numbers"),
        (np.zeros((5, 3)), [5.0], "lengths must be a row of whole numbers"),
        (np.zeros((5, 3)), [[5]], "lengths must be a row of whole numbers"),
    ],
)
def test_lengths_must_cut_the_values(values, lengths, message):
    line = error_line(check_sequences, "file: train", values, np.array(lengths), 3, 2)
    assert line.startswith("file: train: ")
    assert message in line


def test_lengths_that_fit_pass():
    check_sequences("file", np.zeros((5, 3)), np.array([2, 3]), 3, 2)
    check_sequences("file", np.zeros(5), np.array([4, 1]))


def test_selected_sequences_are_those_of_a_list():
    rng = np.random.RandomState(0)
    parts = [rng.normal(size=(n, 2)) for n in (3, 1, 4, 2)]
    values, lengths = join(parts)
    chosen = np.array([2, 0, 3])
    picked, found = select(values, lengths.astype(np.uint8), chosen)
    np.testing.assert_array_equal(picked, np.concatenate([parts[i] for i in chosen]))
    np.testing.assert_array_equal(found, [4, 3, 2])


def test_a_split_has_each_once_and_its_shares_and_never_changes():
    splits = split_indices(100, 0.1, 0.2, seed=0)
    assert {split: len(indices) for split, indices in splits.items()} == {"train": 70, "valid": 10, "test": 20}
    assert sorted(np.concatenate(list(splits.values()))) == list(range(100))
    assert splits["train"][:5].tolist() == [26, 86, 2, 55, 75]
    assert len(split_indices(3, 0.1, 0.0, seed=0)["test"]) == 0
    assert "2 names are too few" in error_line(split_indices, 2, 0.1, 0.1, 0, "names")
    assert "valid must be a share" in error_line(split_indices, 20, 1.0, 0.1, 0)
    assert "test must be a share" in error_line(split_indices, 20, 0.1, -0.1, 0)
