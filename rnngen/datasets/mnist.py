"""MNIST pixel by pixel: classification (Le et al. 2015) and generation (Larochelle and Murray 2011) of digits."""

import gzip
import math
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from rnngen.datasets.corpus import SPLITS, Corpus
from rnngen.datasets.formats.arrays import open_mat, open_npz
from rnngen.datasets.generative import generative, marginal_baseline
from rnngen.datasets.image_codec import pixel_codec
from rnngen.datasets.paths import find_files
from rnngen.heads import categorical
from rnngen.storage.provenance import sha256_of
from rnngen.tasks.losses import classification_loss, mean_loss
from rnngen.tasks.sampling import finite_indices
from rnngen.tasks.task import Objective, Task, TaskData
from rnngen.types import Batch, InputSpec

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

    pixels: split -> uint8 `[n, 784]`. labels: split -> uint8 `[n]`; {} if the set has none. facts: as in `Corpus`.
    """

    pixels: dict[str, np.ndarray]
    labels: dict[str, np.ndarray]
    facts: dict[str, Any]


def load_mnist(path: str = "") -> Images:
    """Load pixels from 0 to 255: 55,000 train, 5,000 valid (the last of the 60,000 training images), 10,000 test.

    Args:
      path: the folder of the four gzipped idx files; "": the set `mnist`.

    Returns:
      The images of each split, and their labels.

    Raises:
      ValueError: a file is invalid.
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
    """Read a gzipped idx file of uint8: bytes 0, 0, 8 (the type) and the number of axes; their sizes; the values."""
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
    """Load pixels 0 or 1, of a fixed draw: 50,000 train, 10,000 valid, 10,000 test.

    The test images are sorted by digit, so the first few do not represent the set.

    Args:
      path: `binarized_mnist_packed.npz` (train, valid and test, packed bits, uint8 `[n, 98]`), or the folder of the
        three MATLAB files; "": the set `binarized_mnist`.

    Returns:
      The images of each split, without labels.

    Raises:
      ValueError: a file is invalid.
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


# Test accuracy of the GRU of Bai et al. 2018, Table 1.
SOLVED = {False: 0.962, True: 0.873}


def mnist(path: str = "", *, permuted: bool = False, permutation_seed: int = 0, pixels_per_step: int = 1) -> Task:
    """Classify a digit after reading its 784 pixels one after another. Inputs `[784, b, 1]` in [0, 1].

    Loss: cross-entropy at the last step. Baseline: ln 10. Solved at the accuracy of a GRU in Bai et al. 2018.

    Args:
      path: see `load_mnist`.
      permuted: put the pixels in one fixed random order, the same for every image.
      permutation_seed: of that order.
      pixels_per_step: number of pixels read at a time; 28 reads row by row.

    Returns:
      The task.

    Raises:
      ValueError: the pixels do not divide into steps.
    """
    if pixels_per_step < 1 or PIXELS % pixels_per_step:
        raise ValueError(f"pixels_per_step must divide {PIXELS}, got {pixels_per_step}")
    images, steps = load_mnist(path), PIXELS // pixels_per_step
    order = np.random.RandomState(permutation_seed).permutation(PIXELS) if permuted else np.arange(PIXELS)
    head = categorical(10)

    def sample(split, key, step, batch_size):
        index, real = finite_indices(split, key, step, batch_size, len(images.labels[split]), np)
        return images.pixels[split][index][:, order], images.labels[split][index], real

    def finish(drawn):
        pixels, labels, real = (jnp.asarray(x) for x in drawn)
        inputs = pixels.T.reshape(steps, pixels_per_step, -1).transpose(0, 2, 1).astype(jnp.float32) / 255
        targets = jnp.broadcast_to(labels.astype(jnp.int32), (steps, len(labels)))
        return Batch(inputs, targets, weights=jnp.zeros((steps, len(labels))).at[-1].set(real))

    return Task(
        data=TaskData(
            sample=sample,
            sizes={split: len(labels) for split, labels in images.labels.items()},
            on_device=False,
            input_spec=InputSpec(pixels_per_step),
            lengths=dict.fromkeys(images.labels, (steps, steps)),
            finish=finish,
            facts=images.facts,
        ),
        objective=Objective(
            head=head,
            loss=classification_loss(head),
            baseline=lambda length: math.log(10),
            solved=lambda metrics: metrics["accuracy"] >= SOLVED[permuted],
        ),
        interface={
            "name": "supervised",
            "kwargs": {"features": pixels_per_step, "outputs": 10, "loss": "cross_entropy"},
        },
    )


def binarised_mnist(path: str = "", *, chunk: int = 0) -> Task:
    """Predict each of the 784 black or white pixels of a digit from those before it. Inputs and targets `[784, b, 1]`.

    Loss: nats per pixel; `nats_per_image` is the published measure. Baseline: the overall frequency of white pixels in
    training. Solved at 84 nats per image, about that of NADE and similar models.

    Args:
      path: see `load_binarised_mnist`; "": the set `binarized_mnist`.
      chunk: steps of a chunk of a stream, between which the carry goes on and the gradient does not; 0: whole
        sequences.

    Returns:
      The task.
    """
    images = load_binarised_mnist(path)
    corpus = Corpus(
        {split: pixels.reshape(-1, 1) for split, pixels in images.pixels.items()},
        {split: np.full(len(pixels), PIXELS) for split, pixels in images.pixels.items()},
        images.facts,
    )

    def per_image(nll, batch):
        _, (total, count) = mean_loss(nll, batch.weights)
        return {"nats_per_image": (total * PIXELS, count)}

    baseline = marginal_baseline(corpus.values["train"], corpus.values["test"])
    return generative(
        "pixels",
        pixel_codec,
        {},
        corpus,
        chunk=chunk,
        baseline=baseline,
        solved_below=84 / PIXELS,
        more_metrics=per_image,
    )
