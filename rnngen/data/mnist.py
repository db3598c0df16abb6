"""Handwritten digits, 28x28: MNIST (LeCun et al. 1998), and its fixed binarisation (Salakhutdinov and Murray 2008)."""

import gzip
import math
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rnngen.data.arrays import open_mat, open_npz
from rnngen.data.corpus import SPLITS
from rnngen.data.places import find_files
from rnngen.provenance import sha256_of

PIXELS = 784
MOST_BYTES = 2**30  # of one file, unpacked
VALID = 5000  # of the 60,000 images that MNIST has for training
IDX = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
PACKED = "binarized_mnist_packed.npz"
AMAT = tuple(f"binarized_mnist_{split}.amat" for split in SPLITS)


class Images(NamedTuple):
    """Images of 28x28 pixels, row by row.

    pixels: split -> uint8 `[n, 784]`. labels: split -> uint8 `[n]`; {} where the set has none.
    facts: what a record should say, as in `Corpus`.
    """

    pixels: dict[str, np.ndarray]
    labels: dict[str, np.ndarray]
    facts: dict[str, Any]


def load_mnist(path: str = "") -> Images:
    """Pixels from 0 to 255: 55,000 train, 5,000 valid (the last of the 60,000 training images), 10,000 test.

    path: the folder of the four gzipped idx files; "": the set `mnist`.
    Raises ValueError for a file that is not what it should be.
    """
    files = find_files("mnist", path, IDX)
    images, labels, test_images, test_labels = (_idx(file) for file in files)
    for file, part, classes in ((files[0], images, labels), (files[2], test_images, test_labels)):
        if part.shape != (len(classes), 28, 28):
            raise ValueError(f"{file}: images must have the shape {[len(classes), 28, 28]}, got {list(part.shape)}")
    if len(images) <= VALID:
        raise ValueError(f"{files[0]} has {len(images)} images, of which the last {VALID} are valid")
    flat = images.reshape(-1, PIXELS)
    pixels = {"train": flat[:-VALID], "valid": flat[-VALID:], "test": test_images.reshape(-1, PIXELS)}
    rule = f"valid is the last {VALID} of the training images, test the set's own"
    split_labels = {"train": labels[:-VALID], "valid": labels[-VALID:], "test": test_labels}
    return Images(pixels, split_labels, _facts(files, rule))


def _idx(file: Path) -> np.ndarray:
    """The uint8 array of a gzipped idx file: bytes 0, 0, 8 (the type), the number of axes; their sizes; the values."""
    try:
        with gzip.open(file) as opened:
            raw = opened.read(MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{file} is not a whole gzip file: {error}") from error
    if len(raw) > MOST_BYTES:
        raise ValueError(f"{file} holds more than {MOST_BYTES} bytes")
    axes = 3 if "idx3" in file.name else 1
    if raw[:4] != bytes((0, 0, 8, axes)):
        raise ValueError(f"{file} does not begin as an idx file of bytes with {axes} axes: {raw[:4].hex()}")
    if len(raw) < 4 + 4 * axes:
        raise ValueError(f"{file} ends within its header")
    shape = tuple(np.frombuffer(raw, ">u4", axes, 4).tolist())
    values = np.frombuffer(raw, np.uint8, offset=4 + 4 * axes)
    if len(values) != math.prod(shape):
        raise ValueError(f"{file} has {len(values)} values, but its header says {list(shape)}")
    return values.reshape(shape)


def load_binarised_mnist(path: str = "") -> Images:
    """Pixels 0 or 1, drawn once and for all: 50,000 train, 10,000 valid, 10,000 test, without labels.

    The test images are sorted by digit: never take the first few of them for the whole.
    path: `binarized_mnist_packed.npz` (train, valid and test, packed bits, uint8 `[n, 98]`), or the folder of the three
      MATLAB files; "": the set `binarized_mnist`.
    Raises ValueError for a file that is not what it should be.
    """
    files = find_files("binarized_mnist", path, (PACKED,), AMAT)
    pixels = _packed(files[0]) if len(files) == 1 else {s: _amat(f) for s, f in zip(SPLITS, files, strict=True)}
    return Images(pixels, {}, _facts(files, "the set's own"))


def _packed(file: Path) -> dict[str, np.ndarray]:
    arrays = open_npz(file, SPLITS)
    for split, array in arrays.items():
        if array.dtype != np.uint8 or array.shape[1:] != (PIXELS // 8,):
            raise ValueError(f"{file}: {split} must be uint8 [n, {PIXELS // 8}], got {array.dtype} {list(array.shape)}")
    return {split: np.unpackbits(array, axis=1) for split, array in arrays.items()}


def _amat(file: Path) -> np.ndarray:
    array = open_mat(file, ("X",))["X"]
    if array.ndim != 2 or PIXELS not in array.shape:
        raise ValueError(f"{file}: X must be [n, {PIXELS}], got {list(array.shape)}")
    array = array if array.shape[1] == PIXELS else array.T
    if not ((array == 0) | (array == 1)).all():
        raise ValueError(f"{file}: X has pixels that are not 0 or 1")
    return np.ascontiguousarray(array, np.uint8)


def _facts(files: list[Path], rule: str) -> dict[str, Any]:
    return {"files": {file.name: sha256_of(file) for file in files}, "split": rule}
