"""Checks of a diagnosis' arguments against the carry's `size` and a sequence's `length`; each raises ValueError."""

import numpy as np

from rnngen.types import is_whole


def check_axes(name: str, array: np.ndarray, axes: str, hint: str = "") -> None:
    """Check that an array has the axes in `axes`, such as "lags, examples"."""
    if array.ndim != len(axes.split(", ")):
        raise ValueError(f"{name} must be [{axes}], got an array of shape {list(array.shape)}{hint}")


def check_carry(size: int) -> None:
    """Check that there is a carry, which a control has not."""
    if not size:
        raise ValueError("is of the carry, and this model has none: leave it out of diagnose.what")


def check_count(count: int | None, size: int) -> int:
    """Return a number of directions of the carry; None: all of them."""
    count = size if count is None else count
    if not is_whole(count) or not 1 <= count <= size:
        raise ValueError(f"the carry has {size} numbers, so 1 to {size} of them, got {count}")
    return count


def check_lags(lags: tuple[int, ...], length: int) -> None:
    """Check that lags lie within the sequence."""
    if not lags or not all(is_whole(lag) and 1 <= lag <= length for lag in lags):
        raise ValueError(f"lags must lie within 1 to {length}, the steps of the sequence, got {lags}")


def check_steps(steps: tuple[int, ...], length: int) -> None:
    """Check that steps, counted from 0, lie within the sequence."""
    if not steps or not all(is_whole(step) and 0 <= step < length for step in steps):
        raise ValueError(f"steps must lie within 0 to {length - 1}, got {steps}")


def check_warmup(warmup: int, length: int) -> None:
    """Check that steps are left after the warm-up."""
    if not 0 <= warmup < length:
        raise ValueError(f"warmup must leave a step of the {length}, got {warmup}")
