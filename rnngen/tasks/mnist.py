"""MNIST a pixel at a time: digits to tell apart (Le et al. 2015), binarised ones to make (Larochelle, Murray 2011)."""

import math

import jax.numpy as jnp
import numpy as np

from rnngen.data import load_binarised_mnist, load_mnist
from rnngen.data.corpus import Corpus
from rnngen.data.mnist import PIXELS
from rnngen.heads import categorical
from rnngen.tasks.generative import generative, marginal_baseline
from rnngen.tasks.task import Task, classification_loss, finite_indices, mean_loss
from rnngen.types import Batch, InputSpec

# Test accuracy of the GRU of Bai et al. 2018, Table 1.
SOLVED = {False: 0.962, True: 0.873}


def mnist(path: str = "", *, permuted: bool = False, permutation_seed: int = 0, pixels_per_step: int = 1) -> Task:
    """Classify a digit after reading its 784 pixels one after another. Inputs `[784, b, 1]` in [0, 1].

    path: see `rnngen.data.load_mnist`, which says how it is split. permuted: put the pixels in one fixed random order,
    the same for every image. pixels_per_step: how many are read at a time; 28 reads row by row.

    Loss: cross-entropy at the last step. Baseline: ln 10. Solved at the accuracy of a GRU in Bai et al. 2018.
    Raises ValueError where the pixels do not divide into steps.
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
        sample=sample,
        sizes={split: len(labels) for split, labels in images.labels.items()},
        on_device=False,
        head=head,
        loss=classification_loss(head),
        input_spec=InputSpec(pixels_per_step),
        lengths=dict.fromkeys(images.labels, (steps, steps)),
        baseline=lambda length: math.log(10),
        solved=lambda metrics: metrics["accuracy"] >= SOLVED[permuted],
        finish=finish,
        facts=images.facts,
    )


def binarised_mnist(path: str = "", *, chunk: int = 0) -> Task:
    """Predict each of the 784 black or white pixels of a digit from those before it. Inputs and targets `[784, b, 1]`.

    path: see `rnngen.data.load_binarised_mnist`. chunk: see `generative`; 0 reads whole images.

    Loss: nats a pixel; `nats_per_image` is the published measure. Baseline: each pixel's value as often as in training,
    wherever it stands. Solved at 84 nats an image, about what NADE and its kin reach.
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
        "pixels", {}, corpus, chunk=chunk, baseline=baseline, solved_below=84 / PIXELS, more_metrics=per_image
    )
