"""Pen lines as SVG: black on white, in the data's units, cropped to the lines with a margin."""

from pathlib import Path

import numpy as np

LONGER = 400  # pixels of the longer side
MARGIN = 0.06  # of the longer side, as are the widths of lines


def write_svg(path: Path, lines: list[np.ndarray], widths: np.ndarray) -> None:
    """Write lines of points `[n, 2]`, x to the right and y downwards, each with a width; a single point is a dot."""
    points = np.concatenate([np.zeros((0, 2)), *lines])
    low, high = (points.min(axis=0), points.max(axis=0)) if len(points) else (np.zeros(2), np.zeros(2))
    longer = float(np.max(high - low)) or 1.0
    left, top = low - MARGIN * longer
    width, height = high - low + 2 * MARGIN * longer
    zoom = LONGER / max(width, height)
    drawn = "\n".join(_path(line, longer * w) for line, w in zip(lines, widths, strict=True))
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{left:.7g} {top:.7g} {width:.7g} {height:.7g}" '
        f'width="{zoom * width:.0f}" height="{zoom * height:.0f}">\n'
        f'<rect x="{left:.7g}" y="{top:.7g}" width="{width:.7g}" height="{height:.7g}" fill="white"/>\n'
        f'<g fill="none" stroke="black" stroke-linecap="round" stroke-linejoin="round">\n{drawn}\n</g>\n</svg>\n',
        encoding="utf-8",
    )


def _path(points: np.ndarray, width: float) -> str:
    # A path of length zero shows its round ends, but only if it has a second point.
    first, *others = [f"{x:.7g} {y:.7g}" for x, y in (points if len(points) > 1 else points.repeat(2, axis=0))]
    return f'<path stroke-width="{width:.4g}" d="M {first} L {" L ".join(others)}"/>'
