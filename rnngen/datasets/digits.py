"""Scanned digits read pixel by pixel: a small version of sequential (and permuted) MNIST (Le et al. 2015)."""

import math

import jax.numpy as jnp
import numpy as np

from rnngen.heads import categorical
from rnngen.tasks.losses import classification_loss
from rnngen.tasks.sampling import finite_indices
from rnngen.tasks.task import Objective, Task, TaskData
from rnngen.types import Batch, InputSpec

SPLIT_SIZES = {"train": 1297, "valid": 250, "test": 250}


def load_digits() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return split -> (pixels in [0, 1] `[n, 64]` float32, classes `[n]` int32).

    The split is fixed: one shuffle by `RandomState(0)`, whose stream NumPy never changes; then the first 1297 images
    are train, the next 250 valid, the last 250 test.
    """
    from sklearn import datasets  # here, since only this needs it and the import takes half a second

    digits = datasets.load_digits()
    order = np.random.RandomState(0).permutation(len(digits.target))
    pixels = (digits.data[order] / 16).astype(np.float32)
    classes = digits.target[order].astype(np.int32)
    ends = np.cumsum(list(SPLIT_SIZES.values()))[:-1]
    parts = zip(np.split(pixels, ends), np.split(classes, ends), strict=True)
    return dict(zip(SPLIT_SIZES, parts, strict=True))


STEPS = 64


def digits(*, permuted: bool = False, permutation_seed: int = 0) -> Task:
    """Classify an 8x8 image after reading its 64 pixels one at a time. Inputs `[64, b, 1]` in [0, 1].

    Splits are fixed: 1297 train, 250 valid, 250 test (see `load_digits`). Loss: cross-entropy at the last step.
    Baseline: ln 10. Solved at 95 % accuracy, about that of a linear classifier of the whole image; the literature has
    no threshold for this set.

    Args:
      permuted: put the pixels in one fixed random order, the same for every image.
      permutation_seed: of that order.

    Returns:
      The task.
    """
    order = np.random.RandomState(permutation_seed).permutation(STEPS) if permuted else np.arange(STEPS)
    data = {split: (jnp.asarray(x[:, order]), jnp.asarray(y)) for split, (x, y) in load_digits().items()}
    sizes: dict[str, int | None] = {split: len(y) for split, (_, y) in data.items()}
    head = categorical(10)

    def sample(split, key, step, batch_size):
        pixels, classes = data[split]
        index, real = finite_indices(split, key, step, batch_size, len(classes))
        last = jnp.zeros((STEPS, batch_size)).at[-1].set(real)
        targets = jnp.broadcast_to(classes[index], (STEPS, batch_size))
        return Batch(pixels[index].T[..., None], targets, weights=last)

    return Task(
        data=TaskData(
            sample=sample,
            sizes=sizes,
            input_spec=InputSpec(1),
            lengths=dict.fromkeys(sizes, (STEPS, STEPS)),
        ),
        objective=Objective(
            head=head,
            loss=classification_loss(head),
            baseline=lambda length: math.log(10),
            solved=lambda metrics: metrics["accuracy"] >= 0.95,
        ),
        interface={"name": "supervised", "kwargs": {"features": 1, "outputs": 10, "loss": "cross_entropy"}},
    )
