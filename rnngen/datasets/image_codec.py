"""The codec of square images: a prompt is an image's upper rows, and sequences are written as one sheet."""

from pathlib import Path

import numpy as np
from PIL import Image

from rnngen.datasets.codec import Codec
from rnngen.datasets.feeds import float_feed, level_feed
from rnngen.heads import bernoulli, logistic_mixture
from rnngen.types import InputSpec, check_positive

ZOOM = 3
BORDER = 2
BACKGROUND = 96  # grey, neither black nor white, for pixels that were not drawn


def pixel_codec(side: int = 28, levels: int = 2) -> Codec:
    """Make the codec of square images. Values: 0 and 1, float32 `[t, 1]`; for more than 2 levels, ints `[t]`.

    A prompt is a PNG file of the image's upper rows, `side` pixels wide; for 2 levels, white begins at half. All
    sequences are written as one PNG sheet. The first input of a sequence is 0: black, or for more than 2 levels the
    middle grey.

    Args:
      side: pixels of a row.
      levels: of grey.

    Returns:
      The codec.

    Raises:
      ValueError: side is not positive, or levels is not from 2 to 256.
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
    return Codec(InputSpec(1, feed=feed, start=np.zeros(1, np.float32)), head, read, write)


def _grey(name: str) -> np.ndarray:
    """Read an image as uint8 `[rows, columns]`."""
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
    """Reshape pixels `[t]` to uint8 `[rows, side]`, at least `side` rows; missing pixels are grey."""
    rows = max(side, -(-len(grey) // side))
    image = np.full(rows * side, BACKGROUND, np.uint8)
    image[: len(grey)] = np.rint(grey)
    return image.reshape(rows, side)


def _sheet(images: list[np.ndarray]) -> np.ndarray:
    """Arrange all images, each with a border, in a roughly square sheet with pixels of ZOOM x ZOOM."""
    columns = int(np.ceil(len(images) ** 0.5))
    height, width = (ZOOM * max(image.shape[axis] for image in images) + BORDER for axis in (0, 1))
    sheet = np.full((-(-len(images) // columns) * height + BORDER, columns * width + BORDER), BACKGROUND, np.uint8)
    for i, image in enumerate(images):
        large = image.repeat(ZOOM, axis=0).repeat(ZOOM, axis=1)
        top, left = i // columns * height + BORDER, i % columns * width + BORDER
        sheet[top : top + large.shape[0], left : left + large.shape[1]] = large
    return sheet
