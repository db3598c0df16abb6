"""Windows on a corpus: the values of a batch, in chunks of streams or in whole sequences.

A split is a concatenation of sequences. A stream reads them without gaps, in a new order every epoch; `resets` mark
where a sequence begins. `xp` is NumPy or JAX's NumPy.
"""

import functools
import heapq
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from rnngen.datasets.corpus import Corpus

# Steps that warm up the carry of a row that begins within a sequence. With them an LSTM of 128 units, trained on text,
# has the loss of a single row to 3e-6 nats per symbol, in 8 rows or 1000.
WARMUP = 256


class Window(NamedTuple):
    """Values of the corpus, before the device makes a batch of them; all `[t, b]` and more axes.

    Attributes:
      previous: the values one step before, meaningless where `begins`.
      values: the targets.
      begins: the first step of a sequence.
      resets: True where the carry is reset; None: nowhere.
      exists: False at padding; None: no padding.
      counts: weights of the steps.
    """

    previous: Any
    values: Any
    begins: Any
    resets: Any
    exists: Any
    counts: Any


def stream_steps(lengths: np.ndarray, batch_size: int, chunk: int) -> int:
    """Return the number of chunks in an epoch of `batch_size` streams. Raises ValueError where there is none."""
    chunks = int(np.sum(lengths)) // (batch_size * chunk)
    if chunks == 0:
        raise ValueError(
            f"{batch_size} streams with chunks of {chunk} steps need {batch_size * chunk} steps of data, "
            f"and there are {int(np.sum(lengths))}"
        )
    return chunks


def stream_places(xp, lengths: np.ndarray, order, batch_size: int, chunk: int, number):
    """Return (places in the corpus `[t, b]`, starts of sequences, starts of streams) of chunk `number`.

    order: of the sequences. Stream r reads the r-th of `batch_size` equal parts of the corpus.
    """
    chunks = stream_steps(lengths, batch_size, chunk)
    starts = _starts(lengths)
    ends = xp.cumsum(xp.asarray(lengths)[order])
    steps = number * chunk + xp.arange(chunk)[:, None] + xp.arange(batch_size)[None] * (chunks * chunk)
    sequence = xp.searchsorted(ends, steps, side="right")
    offset = steps - (ends[sequence] - xp.asarray(lengths)[order][sequence])
    opens = (number == 0) & (xp.arange(chunk)[:, None] == 0) & xp.ones((1, batch_size), bool)
    return xp.asarray(starts)[order][sequence] + offset, offset == 0, opens


class Rows(NamedTuple):
    """A split arranged in rows for evaluation: places `[t, b]` (-1: padding), and starts of sequences and rows.

    warmup: the number of initial steps that repeat the ones before a row, to warm up its carry.
    """

    places: np.ndarray
    begins: np.ndarray
    opens: np.ndarray
    warmup: int


def rows(lengths: np.ndarray, count: int, chunk: int) -> Rows:
    """Arrange every step of a split once, in `count` rows padded to a multiple of `chunk`.

    Whole sequences fill the rows evenly. A single sequence is cut into `count` parts, each after the `WARMUP` steps
    before it, or more to fill a chunk. Raises ValueError where there are more rows than steps.
    """
    if count > int(np.sum(lengths)):
        raise ValueError(
            f"{count} streams are too many for the {int(np.sum(lengths))} steps of data that are evaluated"
        )
    parts = _cut(int(lengths[0]), count) if len(lengths) == 1 else _deal_out(lengths, count)
    longest = max(sum(stop - start for start, stop in row) for row in parts)
    # At most the steps before the last part, and none for whole sequences, which begin with their rows.
    warmup = -(-min(WARMUP, parts[-1][0][0]) // chunk) * chunk if len(lengths) == 1 else 0
    steps = warmup - (-longest // chunk) * chunk
    places, opens = np.full((steps, count), -1), np.zeros((steps, count), bool)
    for column, row in enumerate(parts):
        before = np.arange(max(0, row[0][0] - warmup), row[0][0]) if warmup else np.zeros(0, int)
        filled = np.concatenate([before, *(np.arange(*part) for part in row)])
        first = warmup - len(before)
        places[first : first + len(filled), column] = filled
    opens[0] = True
    return Rows(places, np.isin(places, _starts(lengths)), opens, warmup)


def _cut(length: int, count: int) -> list[list[tuple[int, int]]]:
    return [[border] for border in itertools.pairwise(number * length // count for number in range(count + 1))]


def _deal_out(lengths: np.ndarray, count: int) -> list[list[tuple[int, int]]]:
    """Assign each sequence, the longest first, to the row with the fewest steps."""
    starts, dealt = _starts(lengths), [[] for _ in range(count)]  # type: ignore[var-annotated]
    heap = [(0, row) for row in range(count)]
    for sequence in np.argsort(-lengths, kind="stable"):
        filled, row = heapq.heappop(heap)
        start, length = int(starts[sequence]), int(lengths[sequence])
        dealt[row].append((start, start + length))
        heapq.heappush(heap, (filled + length, row))
    return dealt


def _starts(lengths: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths)[:-1]])


def window_at(xp, values, places, begins, resets=None, exists=None, first_counts: bool = True) -> Window:
    """Return the window on `values` at places `[t, b]`; first_counts: the first step of a sequence has weight."""
    within = xp.maximum(places, 0)
    counts = xp.ones(places.shape, np.float32) if exists is None else exists.astype(np.float32)
    if not first_counts:
        counts = xp.where(begins, xp.zeros((), np.float32), counts)
    return Window(values[xp.maximum(within - 1, 0)], values[within], begins, resets, exists, counts)


def stream_sample(xp, corpus: Corpus, values: dict, chunk: int, shuffle: Callable, first_counts: bool) -> Callable:
    """Return a `TaskData.sample` of chunks. shuffle: (key, epoch, count) -> an order of the training sequences."""
    laid_out = functools.lru_cache(maxsize=8)(lambda split, count: rows(corpus.lengths[split], count, chunk))

    def sample(split, key, step, batch_size):
        lengths = corpus.lengths[split]
        if split == "train":
            chunks = stream_steps(lengths, batch_size, chunk)
            order = shuffle(key, step // chunks, len(lengths)) if len(lengths) > 1 else np.zeros(1, int)
            places, begins, opens = stream_places(xp, lengths, order, batch_size, chunk, step % chunks)
            return window_at(xp, values[split], places, begins, begins | opens)
        table = laid_out(split, batch_size)
        start = table.warmup + step * chunk
        places, begins, opens = (_slice(xp, x, start, chunk) for x in table[:3])
        exists = None if (table.places >= 0).all() else places >= 0
        window = window_at(xp, values[split], places, begins, begins | opens, exists, first_counts)
        if not table.warmup:
            return window
        return window._replace(counts=xp.where(step >= 0, window.counts, xp.zeros((), np.float32)))

    return sample


def chunks_of(corpus: Corpus, chunk: int) -> Callable[[str, int], int]:
    """Return `TaskData.chunks` of such a sample."""

    @functools.cache
    def chunks(split, batch_size):
        if split == "train":
            return stream_steps(corpus.lengths[split], batch_size, chunk)
        table = rows(corpus.lengths[split], batch_size, chunk)
        return (len(table.places) - table.warmup) // chunk

    return chunks


def warmup_of(corpus: Corpus, chunk: int) -> Callable[[str, int], int]:
    """Return `TaskData.warmup` of such a sample."""
    return functools.cache(lambda split, batch_size: rows(corpus.lengths[split], batch_size, chunk).warmup // chunk)


def whole_sample(xp, corpus: Corpus, values: dict, indices: Callable, first_counts: bool) -> Callable:
    """Return a `TaskData.sample` of whole sequences, padded to the split's longest. indices: as `finite_indices`."""

    def sample(split, key, step, batch_size):
        lengths = corpus.lengths[split]
        index, real = indices(split, key, step, batch_size, len(lengths))
        offset = xp.arange(int(lengths.max()))[:, None]
        exists = offset < xp.asarray(lengths)[index][None]
        places = xp.asarray(_starts(lengths))[index][None] + xp.where(exists, offset, 0)
        begins = xp.broadcast_to(offset == 0, exists.shape)
        counts_first = first_counts or split == "train"
        same = bool((lengths == lengths[0]).all())
        window = window_at(xp, values[split], places, begins, None, None if same else exists, counts_first)
        return window._replace(counts=window.counts * real)

    return sample


def _slice(xp, table: np.ndarray, start, count: int):
    if xp is np:
        return table[start : start + count]
    return jax.lax.dynamic_slice_in_dim(xp.asarray(table), start, count)
