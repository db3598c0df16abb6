"""Scanned digits read pixel by pixel: sequential (and permuted) MNIST in small (Le et al. 2015)."""

import math

import jax.numpy as jnp
import numpy as np

from rnngen.data import load_digits
from rnngen.heads import categorical
from rnngen.tasks.task import Task, classification_loss, finite_indices
from rnngen.types import Batch, InputSpec

STEPS = 64


def digits(*, permuted: bool = False, permutation_seed: int = 0) -> Task:
    """Classify an 8x8 image after reading its 64 pixels one at a time. Inputs `[64, b, 1]` in [0, 1].

    permuted: put the pixels in one fixed random order, the same for every image.
    Splits are fixed: 1297 train, 250 valid, 250 test (see `rnngen.data.digits`).

    Loss: cross-entropy at the last step. Baseline: ln 10. Solved at 95 % accuracy, about what a linear
    classifier of the whole image reaches; the literature has no threshold for this set.
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
        sample=sample,
        sizes=sizes,
        on_device=True,
        head=head,
        loss=classification_loss(head),
        input_spec=InputSpec(1),
        lengths=dict.fromkeys(sizes, (STEPS, STEPS)),
        baseline=lambda length: math.log(10),
        solved=lambda metrics: metrics["accuracy"] >= 0.95,
    )
