"""Images, a pixel at a time, row by row."""

from pathlib import Path

import numpy as np
from PIL import Image

from rnngen.heads import bernoulli, logistic_mixture
from rnngen.media.feeds import float_feed, level_feed
from rnngen.media.medium import Medium
from rnngen.types import InputSpec, check_positive

ZOOM = 3
BORDER = 2
BACKGROUND = 96  # neither black nor white: what was not drawn shows as such


def pixels(side: int = 28, levels: int = 2) -> Medium:
    """Square images of grey levels. Values: 0 and 1, float32 `[t, 1]`; of more than 2 levels, ints `[t]`.

    A prompt is a PNG file of the image's upper rows, `side` pixels wide; for 2 levels half is where white begins.
    All sequences are written as one PNG sheet. A sequence begins as if after an input of 0: black, or of more than 2
    levels the middle grey.

    Raises ValueError where side is not positive, or levels is not from 2 to 256.
    """
    check_positive(side=side, levels=levels)
    if not 2 <= levels <= 256:
        raise ValueError(f"levels must be from 2 to 256, got {levels}")

    def read(prompt: str) -> np.ndarray:
        grey = _grey(prompt)
        rows, columns = grey.shape
        if columns != side or rows > side:
            raise ValueError(f"{prompt} has {columns} x {rows} pixels: give {side} across and at most {side} down")
        values = np.rint(grey.ravel() * ((levels - 1) / 255)).astype(np.int32)
        return values[:, None].astype(np.float32) if levels == 2 else values

    def write(sequences: list[np.ndarray], path: Path) -> list[Path]:
        images = [_rows(np.ravel(values) * (255 / (levels - 1)), side) for values in sequences]
        file = path.with_name(path.name + ".png")
        Image.fromarray(_sheet(images)).save(file)
        return [file]

    head = bernoulli(1) if levels == 2 else logistic_mixture(levels=levels)
    feed = float_feed if levels == 2 else level_feed(levels)
    return Medium(InputSpec(1, feed=feed, start=np.zeros(1, np.float32)), head, read, write)


def _grey(name: str) -> np.ndarray:
    """uint8 `[rows, columns]`."""
    try:
        with Image.open(name) as image:
            if image.mode not in ("1", "L", "LA", "P", "RGB", "RGBA"):
                raise ValueError(f"its kind {image.mode!r} has no 8 bits a pixel and colour")
            return np.asarray(image.convert("L"))
    except FileNotFoundError as error:
        raise ValueError(f"{name} cannot be read: {error.strerror}") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"{name} is not an image that can be read: {error}") from error


def _rows(grey: np.ndarray, side: int) -> np.ndarray:
    """uint8 `[rows, side]` from `[t]`: `side` rows, or more where there are more pixels; the missing ones are grey."""
    rows = max(side, -(-len(grey) // side))
    image = np.full(rows * side, BACKGROUND, np.uint8)
    image[: len(grey)] = np.rint(grey)
    return image.reshape(rows, side)


def _sheet(images: list[np.ndarray]) -> np.ndarray:
    """All images on one, in rows about as many as columns, each pixel a square of ZOOM, a border around each image."""
    columns = int(np.ceil(len(images) ** 0.5))
    height, width = (ZOOM * max(image.shape[axis] for image in images) + BORDER for axis in (0, 1))
    sheet = np.full((-(-len(images) // columns) * height + BORDER, columns * width + BORDER), BACKGROUND, np.uint8)
    for i, image in enumerate(images):
        large = image.repeat(ZOOM, axis=0).repeat(ZOOM, axis=1)
        top, left = i // columns * height + BORDER, i % columns * width + BORDER
        sheet[top : top + large.shape[0], left : left + large.shape[1]] = large
    return sheet
