"""Sequences joined one after another: joining, choosing some, and splitting by a fixed shuffle."""

from collections.abc import Sequence

import numpy as np

from rnngen.datasets.corpus import SPLITS


def join(sequences: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(values `[sum of lengths, ...]`, lengths `[sequences]`) of at least one sequence."""
    return np.concatenate(sequences), np.array([len(s) for s in sequences])


def select(values: np.ndarray, lengths: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(values, lengths) of the sequences numbered `chosen`, in that order."""
    lengths = lengths.astype(np.int64)
    taken = lengths[chosen]
    # Where each chosen sequence begins, less where it will begin, is what to add to the place of each of its values.
    shift = (np.cumsum(lengths) - lengths)[chosen] - (np.cumsum(taken) - taken)
    return values[np.arange(taken.sum()) + np.repeat(shift, taken)], taken


def split_indices(count: int, valid: float, test: float, seed: int, what: str = "sequences") -> dict[str, np.ndarray]:
    """split -> which of `count`: one shuffle by `RandomState(seed)`, whose stream NumPy keeps for ever; train is first.

    A share above 0 gets at least one. Raises ValueError where a share is no share or nothing is left to train on.
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
