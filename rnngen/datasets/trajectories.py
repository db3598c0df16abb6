"""Handwritten letters as a pen's velocity and change of force (Williams, Toussaint and Storkey 2006)."""

import math
from pathlib import Path

import numpy as np

from rnngen.datasets.codec import Codec
from rnngen.datasets.corpus import Corpus
from rnngen.datasets.feeds import float_feed
from rnngen.datasets.formats.arrays import check_sequences, open_mat, open_npz
from rnngen.datasets.formats.svg import write_svg
from rnngen.datasets.formats.text_files import read_table, write_table, writer
from rnngen.datasets.generative import gaussian_baseline, generative
from rnngen.datasets.paths import find_files
from rnngen.datasets.sequences import join, select, split_indices
from rnngen.heads import gaussian
from rnngen.storage.provenance import sha256_of
from rnngen.tasks.task import Task
from rnngen.types import InputSpec, check_positive

ORIGINALS = ("trajectories_train.mat", "trajectories_xtest.mat")
Sequences = tuple[np.ndarray, np.ndarray]


def load_trajectories(path: str = "", valid: float = 0.1) -> Corpus:
    """Load pen velocities. Values: float32 `[n, 3]`: the changes of x, of y and of the force on the pen's tip.

    According to UCI's page, x, y and force were differentiated numerically, smoothed by a Gaussian (sigma 2) and
    normalised, at 200 samples per second.

    Args:
      path: an npz with `train_x` `[n, 3]`, `train_lengths`, `test_x`, `test_lengths`, or the folder of the two original
        .mat; "": the set `trajectories`.
      valid: the share of the set's training half that is held out.

    Returns:
      The sequences of each split, and metadata.

    Raises:
      ValueError: a file is invalid, or `valid` is not a share above 0.
    """
    if not 0 < valid < 1:
        raise ValueError(f"valid must be a share between 0 and 1, got {valid!r}")
    files = find_files("trajectories", path, ("chartraj.npz",), ORIGINALS)
    train, test = _npz(files[0]) if len(files) == 1 else (_mat(files[0], "xtrain"), _mat(files[1], "xtest"))
    chosen = split_indices(len(train[1]), valid, 0.0, seed=0)
    parts = {split: select(*train, indices) for split, indices in chosen.items() if split != "test"} | {"test": test}
    rule = f"test the set's own; of the rest, shuffled by RandomState(0), {valid:g} is valid"
    facts = {"files": {file.name: sha256_of(file) for file in files}, "split": rule}
    return Corpus.of({split: (values.astype(np.float32), n) for split, (values, n) in parts.items()}, facts)


def _npz(file: Path) -> tuple[Sequences, Sequences]:
    arrays = open_npz(file, ("train_x", "train_lengths", "test_x", "test_lengths"))
    train, test = ((arrays[f"{part}_x"], arrays[f"{part}_lengths"]) for part in ("train", "test"))
    for part, sequences in (("train", train), ("test", test)):
        check_sequences(f"{file}: {part}", *sequences, features=3)
    return train, test


def _mat(file: Path, name: str) -> Sequences:
    """Read MATLAB's cells, each of which holds one sequence `[3, t]`."""
    cells = open_mat(file, (name,))[name].ravel()
    if cells.dtype != object or any(cell.ndim != 2 for cell in cells):
        raise ValueError(f"{file}: {name} must be cells with a matrix each")
    sequences = join([cell.T for cell in cells])
    check_sequences(f"{file}: {name}", *sequences, features=3)
    return sequences


THIN, THICK = 0.006, 0.03


def trajectory_codec(channels: int = 3, rate: float = 200.0) -> Codec:
    """Make the codec of velocities at `rate` per second. Values: float32 `[t, channels]`; x is to the right, y upwards.

    A prompt is a CSV file without a header, one line per step; a sequence is written as such a file and as an SVG of
    its path from (0, 0). A third channel is the change of the force on the pen's tip (all channels of UCI's Character
    Trajectories are derivatives), and the line is wide where its sum is large. The first input of a sequence is 0.

    Args:
      channels: numbers a step, at least two.
      rate: steps a second.

    Returns:
      The codec.

    Raises:
      ValueError: there are fewer than two channels, or the rate is not positive.
    """
    check_positive(channels=channels)
    if channels < 2:
        raise ValueError(f"channels must be at least 2, x and y, got {channels}")
    if not (math.isfinite(rate) and rate > 0):
        raise ValueError(f"rate must be positive, got {rate}")

    def read(prompt: str) -> np.ndarray:
        return read_table(prompt, channels, ",").astype(np.float32)

    def write(values: np.ndarray, picture: Path, table: Path) -> None:
        write_table(table, values, ",")
        write_svg(picture, *_segments(np.cumsum(values, axis=0, dtype=np.float64) / rate))

    spec = InputSpec(channels, feed=float_feed, start=np.zeros(channels, np.float32))
    return Codec(spec, gaussian(channels, learned=True), read, writer(write, ".svg", ".csv"))


def _segments(way: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Return the lines between neighbouring positions `[t, channels]`, and their widths."""
    way = np.concatenate([np.zeros_like(way[:1]), way])
    points = way[:, :2] * (1, -1)
    lines = [points[i : i + 2] for i in range(len(points) - 1)]
    if way.shape[1] < 3:
        return lines, np.full(len(lines), (THIN + THICK) / 2)
    force = way[1:, 2]
    return lines, np.interp(force, (force.min(initial=0), force.max(initial=0)), (THIN, THICK))


def trajectories(path: str = "", *, chunk: int = 100, valid: float = 0.1) -> Task:
    """Predict the changes of a pen's x, y and force from those before. Inputs and targets `[t, b, 3]`.

    Loss: nats per step, of a density, so it may be negative. Baseline: independent Gaussians. The literature has no
    threshold for this.

    Args:
      path, valid: see `load_trajectories`.
      chunk: steps of a chunk of a stream, between which the carry goes on and the gradient does not; 0: whole
        sequences.

    Returns:
      The task.
    """
    corpus = load_trajectories(path, valid)
    baseline = gaussian_baseline(corpus.values["train"], corpus.values["test"])
    return generative("trajectories", trajectory_codec, {}, corpus, chunk=chunk, baseline=baseline)
