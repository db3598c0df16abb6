"""Handwritten letters as the velocity of a pen: UCI's Character Trajectories (Williams, Toussaint and Storkey 2006)."""

from pathlib import Path

import numpy as np

from rnngen.data.arrays import check_sequences, open_mat, open_npz
from rnngen.data.corpus import SPLITS, Corpus
from rnngen.data.places import find_files
from rnngen.data.sequences import join, select, split_indices
from rnngen.provenance import sha256_of

ORIGINALS = ("trajectories_train.mat", "trajectories_xtest.mat")
Sequences = tuple[np.ndarray, np.ndarray]


def load_trajectories(path: str = "", valid: float = 0.1) -> Corpus:
    """Pen velocities. Values: float32 `[n, 3]`: the changes of x, of y and of the force on the pen's tip.

    All three are derivatives: UCI's page says that x, y and force were differentiated numerically, smoothed by a
    Gaussian (sigma 2) and normalised, at 200 samples a second.

    path: an npz with `train_x` `[n, 3]`, `train_lengths`, `test_x`, `test_lengths`, or the folder of the two
      original .mat; "": the set `trajectories`. valid: the share of the set's training half that is held out.

    Raises ValueError for a file that is not what it should be, or a valid that is no share above 0.
    """
    if not 0 < valid < 1:
        raise ValueError(f"valid must be a share between 0 and 1, got {valid!r}")
    files = find_files("trajectories", path, ("chartraj.npz",), ORIGINALS)
    train, test = _npz(files[0]) if len(files) == 1 else (_mat(files[0], "xtrain"), _mat(files[1], "xtest"))
    chosen = split_indices(len(train[1]), valid, 0.0, seed=0)
    parts = {split: select(*train, chosen[split]) for split in ("train", "valid")} | {"test": test}
    rule = f"test the set's own; of the rest, shuffled by RandomState(0), {valid:g} is valid"
    return Corpus(
        {split: parts[split][0].astype(np.float32) for split in SPLITS},
        {split: parts[split][1] for split in SPLITS},
        {"files": {file.name: sha256_of(file) for file in files}, "split": rule},
    )


def _npz(file: Path) -> tuple[Sequences, Sequences]:
    arrays = open_npz(file, ("train_x", "train_lengths", "test_x", "test_lengths"))
    train, test = ((arrays[f"{part}_x"], arrays[f"{part}_lengths"]) for part in ("train", "test"))
    for part, sequences in (("train", train), ("test", test)):
        check_sequences(f"{file}: {part}", *sequences, features=3)
    return train, test


def _mat(file: Path, name: str) -> Sequences:
    """MATLAB's cells hold one sequence each, `[3, t]`."""
    cells = open_mat(file, (name,))[name].ravel()
    if cells.dtype != object or any(cell.ndim != 2 for cell in cells):
        raise ValueError(f"{file}: {name} must be cells with a matrix each")
    sequences = join([cell.T for cell in cells])
    check_sequences(f"{file}: {name}", *sequences, features=3)
    return sequences
