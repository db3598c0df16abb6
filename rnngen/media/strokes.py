"""Drawings as the movements of a pen."""

import math
from pathlib import Path

import numpy as np

from rnngen.heads import mixture_density
from rnngen.media.feeds import float_feed
from rnngen.media.files import numbered, read_table, write_table
from rnngen.media.medium import Medium
from rnngen.media.svg import write_svg
from rnngen.types import InputSpec

WIDTH = 0.015


def strokes(scale: float = 1.0, components: int = 20) -> Medium:
    """Movements of a pen. Values: float32 `[t, 3]`: dx and dy, divided by `scale`, and 1 where the pen is then lifted.

    A prompt is a text file with a movement a line, `dx dy lifted` in the data's own units; a sequence is written as
    such a file and as an SVG in the same units, y downwards. A sequence begins as if after a lifted pen that did not
    move: its first movement is not drawn, as none is that follows a lift.
    components: of the mixture that a movement is drawn from.

    Raises ValueError where an argument is not positive.
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

    def write(sequences: list[np.ndarray], path: Path) -> list[Path]:
        pictures, tables = (numbered(path, len(sequences), suffix) for suffix in (".svg", ".txt"))
        for picture, table, values in zip(pictures, tables, sequences, strict=True):
            movements = values * units
            write_table(table, movements, " ")
            lines = pen_lines(movements)
            write_svg(picture, lines, np.full(len(lines), WIDTH))
        return pictures + tables

    start = np.array([0, 0, 1], np.float32)
    return Medium(InputSpec(3, feed=float_feed, start=start), mixture_density(components), read, write)


def pen_lines(movements: np.ndarray) -> list[np.ndarray]:
    """The lines that movements `[t, 3]` draw, from one lift of the pen to the next: points `[n, 2]` each."""
    points = np.cumsum(movements[:, :2], axis=0)
    ends = np.flatnonzero(movements[:, 2]) + 1
    return [line for line in np.split(points, ends) if len(line)]
