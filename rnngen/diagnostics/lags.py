"""Lags of a diagnosis, and the examples that stand in for others."""

import numpy as np

from rnngen.types import check_positive, is_whole

MOST_LAGS = 24


def log_lags(length: int, lags: tuple[int, ...] | None = None) -> np.ndarray:
    """Return lags on a logarithmic grid from 0 to `length` - 1, or those given, in order.

    Raises:
      ValueError: a lag that is given does not lie within the sequence.
    """
    if lags is None:
        grid = np.geomspace(1, max(length - 1, 1), MOST_LAGS)
        return np.unique(np.minimum(np.append(0, np.round(grid)), length - 1)).astype(np.int32)
    check_given(lags, length)
    return np.unique(np.asarray(lags, np.int32))


def check_given(lags: tuple[int, ...] | None, length: int) -> None:
    """Raise ValueError unless lags, where they are given, are whole numbers within a sequence of `length` steps."""
    if lags is None:
        return
    if not len(lags) or not all(is_whole(lag) and 0 <= lag < length for lag in lags):
        raise ValueError(f"lags must be whole numbers from 0 to {length - 1}, the last step, got {tuple(lags)}")


def check_examples(name: str, count: int) -> None:
    """Raise ValueError where there is no second example to take inputs from."""
    check_positive(examples=count)
    if count < 2:
        raise ValueError(f"{name} compares examples and needs at least 2, got {count}")
