"""Drawings, pen movement by pen movement (Graves 2013, section 4; Ha and Eck 2017)."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from rnngen.datasets.codec import Codec
from rnngen.datasets.corpus import SPLITS, Corpus
from rnngen.datasets.feeds import float_feed
from rnngen.datasets.formats.arrays import check_sequences, open_npz
from rnngen.datasets.formats.svg import write_svg
from rnngen.datasets.formats.text_files import read_table, write_table, writer
from rnngen.datasets.generative import gaussian_baseline, generative, marginal_baseline
from rnngen.datasets.paths import find_files
from rnngen.heads import mixture_density
from rnngen.storage.provenance import sha256_of
from rnngen.tasks.task import Task
from rnngen.types import InputSpec


def load_strokes(path: str = "", name: str = "kanji_short") -> Corpus:
    """Load pen movements. Values: float32 `[n, 3]`: dx, dy, and 1 if the pen is lifted after the movement, else 0.

    dx and dy are divided by their common standard deviation in train, facts["scale"]. The nats of a density depend on
    it: in the file's units they are higher by 2 ln scale per movement.

    Args:
      path: an npz with `train_strokes` `[n, 3]`, `train_lengths` and so on; "": the set `strokes`, which has no public
        address: the originals are pickles, which are never loaded.
      name: of the file of the set, without `.npz`.

    Returns:
      The sequences of each split, and metadata.

    Raises:
      ValueError: the file is invalid.
    """
    (file,) = find_files("strokes", path, (f"{name}.npz",))
    arrays = open_npz(file, tuple(f"{split}_{what}" for split in SPLITS for what in ("strokes", "lengths")))
    values, lengths = ({split: arrays[f"{split}_{what}"] for split in SPLITS} for what in ("strokes", "lengths"))
    for split in SPLITS:
        check_sequences(f"{file}: {split}", values[split], lengths[split], 3)
        if not ((values[split][:, 2] == 0) | (values[split][:, 2] == 1)).all():
            raise ValueError(f"{file}: {split} has a pen, the third number, that is not 0 or 1")
    scale = float(values["train"][:, :2].std(dtype=np.float64))
    if not 0 < scale < np.inf:
        raise ValueError(f"{file}: the movements of train have the standard deviation {scale}")
    facts: dict[str, Any] = {"files": {file.name: sha256_of(file)}, "split": "the set's own", "scale": scale}
    return Corpus({s: (v / (scale, scale, 1)).astype(np.float32) for s, v in values.items()}, lengths, facts)


WIDTH = 0.015


def stroke_codec(scale: float = 1.0, components: int = 20) -> Codec:
    """Make the codec of pen movements. Values: float32 `[t, 3]`: dx / scale, dy / scale, and 1 for a lift after it.

    A prompt is a text file with one movement per line, `dx dy lifted` in the data's units; a sequence is written as
    such a file and as an SVG in the same units, y downwards. The first input of a sequence is a lifted pen that does
    not move, so its first movement is not drawn, like any after a lift.

    Args:
      scale: of an offset, in the data's units.
      components: of the mixture that a movement is drawn from.

    Returns:
      The codec.

    Raises:
      ValueError: an argument is not positive.
    """
    if not (math.isfinite(scale) and scale > 0):
        raise ValueError(f"scale must be positive, got {scale}")
    units = np.array([scale, scale, 1.0])

    def read(prompt: str) -> np.ndarray:
        values = read_table(prompt, 3, None)
        wrong = ~np.isin(values[:, 2], (0, 1))
        if wrong.any():
            at = int(wrong.argmax())
            raise ValueError(f"{prompt}: the third number of movement {at + 1} must be 0 or 1, got {values[at, 2]:g}")
        return (values / units).astype(np.float32)

    def write(values: np.ndarray, picture: Path, table: Path) -> None:
        movements = values * units
        write_table(table, movements, " ")
        lines = pen_lines(movements)
        write_svg(picture, lines, np.full(len(lines), WIDTH))

    spec = InputSpec(3, feed=float_feed, start=np.array([0, 0, 1], np.float32))
    return Codec(spec, mixture_density(components), read, writer(write, ".svg", ".txt"))


def pen_lines(movements: np.ndarray) -> list[np.ndarray]:
    """Return the lines that movements `[t, 3]` draw between lifts of the pen, each as points `[n, 2]`."""
    points = np.cumsum(movements[:, :2], axis=0)
    ends = np.flatnonzero(movements[:, 2]) + 1
    return [line for line in np.split(points, ends) if len(line)]


def strokes(path: str = "", name: str = "kanji_short", *, chunk: int = 100, components: int = 20) -> Task:
    """Predict each movement of a pen, and whether it is lifted then, from those before it. Inputs `[t, b, 3]`.

    Loss: nats per movement, of offsets in units of their standard deviation. Baseline: independent Gaussians, and the
    frequency of lifts. The literature has no threshold for these files.

    Args:
      path, name: see `load_strokes`.
      chunk: steps of a chunk of a stream, between which the carry goes on and the gradient does not; 0: whole
        sequences.
      components: of the mixture of Gaussians.

    Returns:
      The task.
    """
    corpus = load_strokes(path, name)
    train, test = corpus.values["train"], corpus.values["test"]
    baseline = gaussian_baseline(train[:, :2], test[:, :2]) + marginal_baseline(train[:, 2:], test[:, 2:])
    kwargs = {"scale": corpus.facts["scale"], "components": components}
    return generative("strokes", stroke_codec, kwargs, corpus, chunk=chunk, baseline=baseline)
