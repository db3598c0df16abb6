"""Concatenated sequences: joining, selecting, and splitting by a fixed shuffle."""

from collections.abc import Sequence

import numpy as np

from rnngen.datasets.corpus import SPLITS


def join(sequences: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Concatenate at least one sequence to (values `[sum of lengths, ...]`, lengths `[sequences]`)."""
    return np.concatenate(sequences), np.array([len(s) for s in sequences])


def select(values: np.ndarray, lengths: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (values, lengths) of the sequences with the numbers `chosen`, in that order."""
    lengths = lengths.astype(np.int64)
    return values[places(lengths, chosen)], lengths[chosen]


def places(lengths: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return the indices of the values of the sequences with the numbers `chosen`, in that order."""
    taken = lengths[chosen]
    # The index of each value moves by the old start of its sequence minus the new one.
    shift = (np.cumsum(lengths) - lengths)[chosen] - (np.cumsum(taken) - taken)
    return np.arange(taken.sum()) + np.repeat(shift, taken)


def split_indices(count: int, valid: float, test: float, seed: int, what: str = "sequences") -> dict[str, np.ndarray]:
    """Return split -> indices: one shuffle by `RandomState(seed)`, whose stream NumPy never changes; train is first.

    A share above 0 gets at least one. Raises ValueError where a share is out of range or no training data are left.
    """
    for name, share in {"valid": valid, "test": test}.items():
        if not 0 <= share < 1:
            raise ValueError(f"{name} must be a share from 0 to below 1, got {share!r}")
    held = [max(1, round(count * share)) if share else 0 for share in (valid, test)]
    if count <= sum(held):
        raise ValueError(f"{count} {what} are too few to hold out {held[0]} for valid and {held[1]} for test")
    order = np.random.RandomState(seed).permutation(count)
    ends = [count - sum(held), count - held[1]]
    return dict(zip(SPLITS, np.split(order, ends), strict=True))
