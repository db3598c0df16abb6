"""The common part of tasks on real sequences: predict each value from those before it, for any codec."""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnngen.datasets.codec import Codec
from rnngen.datasets.corpus import SPLITS, Corpus
from rnngen.datasets.windows import Window, chunks_of, stream_sample, warmup_of, whole_sample
from rnngen.heads import Head
from rnngen.tasks.losses import mean_loss, nll_loss
from rnngen.tasks.sampling import epoch_order, finite_indices
from rnngen.tasks.task import Objective, Task, TaskData
from rnngen.types import Batch

LONGEST_CHUNK = 10_000  # steps, however short the data are
ON_DEVICE = 2**22  # bytes of a corpus that become constants of the training program; larger ones are fed from the host


def generative(
    name: str,
    codec: Callable[..., Codec],
    codec_kwargs: dict,
    corpus: Corpus,
    *,
    chunk: int,
    baseline: float,
    solved_below: float = -math.inf,
    first_counts: bool = True,
    more_metrics: Callable = lambda nll, batch: {},
    on_device: bool | None = None,
) -> Task:
    """Predict every value of a corpus from those before it in its sequence.

    Loss: nats per step. Solved where it is at most `solved_below`.

    Args:
      name: of the codec in `CODECS`.
      chunk: steps in a chunk of the training streams (truncated back-propagation through time); 0: whole sequences,
        padded.
      solved_below: the literature's threshold.
      first_counts: evaluation scores the first value of a sequence too.
      more_metrics: (nll `[t, *b]`, batch) -> {metric: (sum, count)}.
      on_device: sample on the device; default: by the size of the corpus.

    Raises:
      ValueError: chunk is negative, or longer than 10,000 steps and the training split; or a split is empty.
    """
    if chunk < 0:
        raise ValueError(f"chunk must be positive, or 0 for whole sequences, got {chunk}")
    for split in SPLITS:
        if not len(corpus.values[split]):
            raise ValueError(f"the {split} split is empty")
    steps = max(LONGEST_CHUNK, len(corpus.values["train"]))
    if chunk > steps:  # rows of evaluation are padded to whole chunks
        raise ValueError(f"chunk must be at most {steps}, got {chunk}")
    made = codec(**codec_kwargs)
    small = max(corpus.values[split].nbytes for split in SPLITS) <= ON_DEVICE
    here = small if on_device is None else on_device
    sizes: dict[str, int | None] = {split: len(corpus.lengths[split]) for split in SPLITS}
    longest = {split: int(corpus.lengths[split].max()) for split in SPLITS}
    return Task(
        data=TaskData(
            sample=_sample(corpus, chunk, here, first_counts),
            sizes=sizes,
            on_device=here,
            input_spec=made.input_spec,
            lengths={split: (chunk or steps, chunk or steps) for split, steps in longest.items()},
            finish=functools.partial(to_batch, made),
            chunks=chunks_of(corpus, chunk) if chunk else None,
            **({"warmup": warmup_of(corpus, chunk)} if chunk else {}),
            facts=corpus.facts,
        ),
        objective=Objective(
            head=made.head,
            loss=nll_loss(made.head, more_metrics),
            baseline=lambda length: baseline,
            solved=lambda metrics: metrics["loss"] <= solved_below,
        ),
        codec={"name": name, "kwargs": codec_kwargs} | _usual_length(corpus),
    )


def bits(nll: jax.Array, batch: Batch) -> dict:
    """Return the loss in bits per step."""
    _, (total, count) = mean_loss(nll, batch.weights)
    return {"bits": (total / float(np.log(2)), count)}


def to_batch(codec: Codec, window: Window) -> Batch:
    """Make the batch of inputs and targets of a window."""
    spec = codec.input_spec
    assert spec.feed is not None, "codecs generate"
    values, previous = (_as_drawn(codec.head, jnp.asarray(x)) for x in (window.values, window.previous))
    fed = spec.feed(previous)
    begins = window.begins.reshape(*window.begins.shape, *[1] * (fed.ndim - window.begins.ndim))
    inputs = jnp.where(begins, jnp.asarray(spec.start, fed.dtype), fed)
    return Batch(inputs, values, jnp.asarray(window.counts), window.exists, window.resets)


def _as_drawn(head: Head, values: jax.Array) -> jax.Array:
    """Cast values to the type of the head's samples."""
    outputs = jax.ShapeDtypeStruct((head.num_params,), jnp.float32)
    return values.astype(jax.eval_shape(lambda key, x: head.sample(key, x), jax.random.key(0), outputs).dtype)


def marginal_baseline(values: np.ndarray, test: np.ndarray, classes: int = 0) -> float:
    """Return the memoryless baseline: nats per step of the test values under add-one frequencies in training.

    classes: the number of possible values; 0: `[n, d]` independent bits.
    """
    if classes:
        counts = np.bincount(values, minlength=classes) + 1
        return float(-np.mean(np.log(counts / counts.sum())[test]))
    on = (np.sum(values, axis=0, dtype=np.int64) + 1) / (len(values) + 2)
    share = np.mean(test, axis=0)
    return float(-np.sum(share * np.log(on) + (1 - share) * np.log1p(-on)))


def scored(corpus: Corpus, split: str, first_counts: bool = True) -> np.ndarray:
    """Return the values of a split that evaluation scores: all, or all but the first of each sequence."""
    if first_counts:
        return corpus.values[split]
    starts = np.cumsum(corpus.lengths[split]) - corpus.lengths[split]
    return np.delete(corpus.values[split], starts, axis=0)


def gaussian_baseline(values: np.ndarray, test: np.ndarray) -> float:
    """Return nats per step of the test values `[n, d]` under independent Gaussians fitted to the training values."""
    mean, variance = values.mean(axis=0, dtype=np.float64), values.var(axis=0, dtype=np.float64)
    return float(np.mean(np.sum(0.5 * (test - mean) ** 2 / variance + 0.5 * np.log(2 * np.pi * variance), axis=1)))


def _usual_length(corpus: Corpus) -> dict[str, int]:
    lengths = corpus.lengths["train"]
    return {} if len(lengths) == 1 else {"length": int(np.median(lengths))}


def _sample(corpus: Corpus, chunk: int, on_device: bool, first_counts: bool) -> Callable:
    xp: Any = jnp if on_device else np
    values = {split: jnp.asarray(x) for split, x in corpus.values.items()} if on_device else corpus.values
    if chunk:
        return stream_sample(xp, corpus, values, chunk, functools.partial(epoch_order, xp), first_counts)
    return whole_sample(xp, corpus, values, functools.partial(finite_indices, xp=xp), first_counts)
