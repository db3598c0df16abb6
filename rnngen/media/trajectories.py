"""Continuous movements, such as those of a pen that writes a letter, as velocities."""

import math
from pathlib import Path

import numpy as np

from rnngen.heads import gaussian
from rnngen.media.feeds import float_feed
from rnngen.media.files import numbered, read_table, write_table
from rnngen.media.medium import Medium
from rnngen.media.svg import write_svg
from rnngen.types import InputSpec, check_positive

THIN, THICK = 0.006, 0.03


def trajectories(channels: int = 3, rate: float = 200.0) -> Medium:
    """Velocities, `rate` a second. Values: float32 `[t, channels]`, the first two along x to the right and y upwards.

    A prompt is a CSV file without a header, a line a step; a sequence is written as such a file and as an SVG of the
    way it goes from (0, 0). A third channel is the change of the force on the pen's tip (all channels of UCI's
    Character Trajectories are derivatives), and the line is wide where its sum is high. A sequence begins as if after
    standing still.

    Raises ValueError where there are fewer than two channels or the rate is not positive.
    """
    check_positive(channels=channels)
    if channels < 2:
        raise ValueError(f"channels must be at least 2, x and y, got {channels}")
    if not (math.isfinite(rate) and rate > 0):
        raise ValueError(f"rate must be positive, got {rate}")

    def read(prompt: str) -> np.ndarray:
        return read_table(prompt, channels, ",").astype(np.float32)

    def write(sequences: list[np.ndarray], path: Path) -> list[Path]:
        pictures, tables = (numbered(path, len(sequences), suffix) for suffix in (".svg", ".csv"))
        for picture, table, values in zip(pictures, tables, sequences, strict=True):
            write_table(table, values, ",")
            write_svg(picture, *_segments(np.cumsum(values, axis=0, dtype=np.float64) / rate))
        return pictures + tables

    spec = InputSpec(channels, feed=float_feed, start=np.zeros(channels, np.float32))
    return Medium(spec, gaussian(channels, learned=True), read, write)


def _segments(way: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Lines between neighbouring points of positions `[t, channels]`, and how wide they are."""
    way = np.concatenate([np.zeros_like(way[:1]), way])
    points = way[:, :2] * (1, -1)
    lines = [points[i : i + 2] for i in range(len(points) - 1)]
    if way.shape[1] < 3:
        return lines, np.full(len(lines), (THIN + THICK) / 2)
    force = way[1:, 2]
    return lines, np.interp(force, (force.min(initial=0), force.max(initial=0)), (THIN, THICK))
