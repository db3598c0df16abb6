"""Sequences with targets, made of a user's arrays: checked, and without padding."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from rnngen.datasets.interface import check_finite
from rnngen.datasets.sequences import places
from rnngen.datasets.supervised import NUMBERS
from rnngen.types import InputSpec

MOST_CLASSES = 2**16


class Examples(NamedTuple):
    """Sequences, all steps one after another.

    Attributes:
      x: `[steps, d]` numbers, or `[steps]` tokens.
      y: `[n, ...]`, a target each sequence, or `[steps, ...]`.
      lengths: int `[n]`.
      per_step: y has a target each step.
    """

    x: np.ndarray
    y: np.ndarray
    lengths: np.ndarray
    per_step: bool

    def places(self, chosen: np.ndarray) -> np.ndarray:
        """Return the places in `y` of the sequences with these numbers."""
        return self.steps(chosen) if self.per_step else chosen

    def steps(self, chosen: np.ndarray) -> np.ndarray:
        """Return the places in `x` of the sequences with these numbers."""
        return places(self.lengths, chosen)


def gather(
    x: Any, y: Any, *, mask: Any = None, lengths: Any = None, tokens: int = 0, per_step: bool | None = None
) -> Examples:
    """Make examples of arrays in memory.

    Args:
      x: `[t, n, d]` (tokens: `[t, n]`), or a list of n arrays `[t_i, d]` (tokens: `[t_i]`).
      y: a target each sequence, `[n]` or `[n, k]`, or each step, `[t, n]` or `[t, n, k]`, or a list like x.
      mask: bool `[t, n]`, False at padding.
      lengths: int `[n]`, in place of a mask: the steps before the padding.
      tokens: the number of tokens; 0: x has features.
      per_step: y has a target each step; None: as its shape says.

    Raises:
      ValueError: the arrays do not fit each other; the message names the argument.
    """
    if isinstance(x, list | tuple):
        sequences = [as_array("x", one) for one in x]
        for name, given in (("mask", mask), ("lengths", lengths)):
            if given is not None:
                raise ValueError(f"{name} is for x [t, n, d]; a list of sequences needs none")
        there = None
    else:
        whole = _array(x, tokens)
        there = _mask(mask, lengths, whole.shape[:2])
        sequences = _cut(whole, there)
    _check_sequences(sequences, tokens)
    sizes = np.array([len(one) for one in sequences], np.int64)
    targets, each = _targets(y, sizes, there, per_step)
    return Examples(np.concatenate(sequences), targets, sizes, each)


def joined(x: np.ndarray, y: np.ndarray, offsets: np.ndarray, tokens: int, per_step: bool) -> Examples:
    """Make examples of sequences one after another.

    Args:
      x: `[steps, d]`, or tokens `[steps]`.
      y: `[n, ...]`, or with `per_step` `[steps, ...]`.
      offsets: int `[n + 1]`, the ends of the sequences, from 0 on.
      tokens, per_step: see `gather`.

    Raises:
      ValueError: the arrays do not fit each other; the message names the argument.
    """
    if offsets.ndim != 1 or len(offsets) < 2 or offsets.dtype.kind not in "iu":
        raise ValueError(f"offsets must be n + 1 whole numbers, got {offsets.dtype} {list(offsets.shape)}")
    _check_sequences([x], tokens)
    ends = offsets.astype(np.int64)
    lengths = np.diff(ends)
    if ends[0] != 0 or ends[-1] != len(x) or lengths.min() < 1:
        raise ValueError(f"offsets must rise from 0 to the {len(x)} steps of x")
    count = len(x) if per_step else len(lengths)
    if y.ndim not in (1, 2) or len(y) != count:
        raise ValueError(f"y must be [{count}] or [{count}, k], got {list(y.shape)}")
    return Examples(x, y, lengths, per_step)


def as_array(name: str, given: Any) -> np.ndarray:
    """Return an array of numbers or text, never of objects; raise ValueError naming an argument that is neither."""
    try:
        array = np.asarray(given)
    except ValueError as error:  # lists of several lengths
        raise ValueError(f"{name} must be an array, or a list of sequences as x is: {error}") from error
    return array.astype(str) if array.dtype == object else array


def _array(x: Any, tokens: int) -> np.ndarray:
    whole, axes = as_array("x", x), "[t, n]" if tokens else "[t, n, d]"
    if whole.ndim != (2 if tokens else 3):
        hint = "" if tokens else "; one feature has an axis too: x[..., None]"
        raise ValueError(f"x must be {axes}, time first, or a list of n sequences, got {list(whole.shape)}{hint}")
    return whole


def _mask(mask: Any, lengths: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return which steps are there, `[t, n]`."""
    if mask is not None and lengths is not None:
        raise ValueError("give mask or lengths, not both")
    if mask is not None:
        mask = np.asarray(mask)
        if mask.shape != shape or mask.dtype != bool:
            raise ValueError(f"mask must be bool {list(shape)} as x is, got {mask.dtype} {list(mask.shape)}")
        return mask
    if lengths is None:
        return np.ones(shape, bool)
    lengths = np.asarray(lengths)
    if lengths.shape != shape[1:] or lengths.dtype.kind not in "iu":
        raise ValueError(
            f"lengths must be {shape[1]} whole numbers, one each sequence of x {list(shape)}, got {lengths.dtype} "
            f"{list(lengths.shape)}"
        )
    if (lengths > shape[0]).any():
        raise ValueError(f"lengths must be at most the {shape[0]} steps of x, got {lengths.max()}")
    return np.arange(shape[0])[:, None] < lengths


def _cut(whole: np.ndarray, there: np.ndarray) -> list[np.ndarray]:
    """Return the sequences of `[t, n, ...]`, each without the steps that are not there."""
    return [whole[there[:, i], i] for i in range(whole.shape[1])]


def _check_sequences(sequences: Sequence[np.ndarray], tokens: int) -> None:
    if not sequences:
        raise ValueError("x has no sequence")
    first = sequences[0]
    for number, one in enumerate(sequences):
        if one.ndim != (1 if tokens else 2) or one.shape[1:] != first.shape[1:]:
            axes = "[t_i]" if tokens else f"[t_i, {first.shape[1] if first.ndim == 2 else 'd'}]"
            raise ValueError(f"x[{number}] must be {axes}, got {list(one.shape)}")
        if not one.size:
            raise ValueError(f"x: sequence {number} has no step")
        if one.dtype.kind not in ("iu" if tokens else "biuf"):
            raise ValueError(f"x must be {'whole numbers' if tokens else 'numbers'}, got {one.dtype}")


def _targets(y: Any, lengths: np.ndarray, there: np.ndarray | None, per_step: bool | None) -> tuple[np.ndarray, bool]:
    """Return (`[n, ...]` or `[steps, ...]`, whether each step has one)."""
    if there is None and isinstance(y, list | tuple) and len(y) and np.ndim(y[0]):
        return _listed(y, lengths, per_step)
    y, n = as_array("y", y), len(lengths)
    of_sequences = y.ndim in (1, 2) and len(y) == n
    of_steps = there is not None and y.ndim in (2, 3) and y.shape[:2] == there.shape
    if of_sequences and of_steps and per_step is None:
        raise ValueError(f"y {list(y.shape)} may be targets of sequences or of steps: say per_step=True or False")
    if per_step if of_steps and of_sequences else of_steps and per_step is not False:
        assert there is not None
        return np.concatenate(_cut(y, there)), True
    if of_sequences and not per_step:
        return y, False
    raise ValueError(_misfit(y, n, there, per_step))


def _listed(y: Sequence, lengths: np.ndarray, per_step: bool | None) -> tuple[np.ndarray, bool]:
    each = [as_array("y", one) for one in y]
    if len(each) != len(lengths):
        raise ValueError(f"y must be of the {len(lengths)} sequences of x, got {len(each)}")
    of_steps = [len(one) for one in each] == lengths.tolist()
    same = len({one.shape for one in each}) == 1 and each[0].ndim == 1
    if of_steps and same and per_step is None:
        raise ValueError(f"y[0] {list(each[0].shape)} may be one target or one a step: say per_step=True or False")
    if of_steps and per_step is not False:
        return np.concatenate(each), True
    if same and not per_step:
        return np.stack(each), False
    wrong = next((i for i, one in enumerate(each) if len(one) != lengths[i]), 0)
    raise ValueError(f"y[{wrong}] must have the {lengths[wrong]} steps of x[{wrong}], got {list(each[wrong].shape)}")


def _misfit(y: np.ndarray, n: int, there: np.ndarray | None, per_step: bool | None) -> str:
    shapes = [] if per_step else [f"one target a sequence, [{n}] or [{n}, k]"]
    shapes += [f"one a step, [{len(there)}, {n}] or [{len(there)}, {n}, k]"] if there is not None else []
    hint = ""
    if there is not None and y.ndim and len(y) == len(there):
        hint = "; x is [t, n, d], time first: where its first axis is the sequences, give list(x)"
    return f"y must be {', or '.join(shapes) or f'a list of {n} arrays like x'}, got {list(y.shape)}{hint}"


def checked_x(examples: Examples, tokens: int, missing: bool) -> np.ndarray:
    """Return the inputs `[steps, ...]`; raise ValueError where they are not tokens below `tokens`, or not finite."""
    x = examples.x
    if tokens:
        InputSpec(tokens, True).check("x", x)
        return x.astype(np.int32)
    values = x.astype(np.float64)
    wrong = np.argwhere(np.isinf(values) if missing else ~np.isfinite(values))
    if len(wrong):
        place, feature = wrong[0]
        sequence = int(np.searchsorted(np.cumsum(examples.lengths), place, "right"))
        step = place - examples.lengths[:sequence].sum()
        hint = "" if np.isinf(values[place, feature]) else ": give a mask or lengths of padding, or missing='mask'"
        at = f"in sequence {sequence}, step {step}, feature {feature}"
        raise ValueError(f"x must be finite numbers, got {values[place, feature]} {at}{hint}")
    return values


def checked_y(y: np.ndarray, loss: str, missing: bool, what: str = "y") -> np.ndarray:
    """Return the targets of a loss: labels `[...]` int32, -1 where missing, or numbers `[..., k]` float64."""
    if loss == "cross_entropy":
        return _labels(y, missing, what)
    if y.dtype.kind not in "biuf":
        raise ValueError(f"{what} must be numbers for loss={loss!r}, got {y.dtype}")
    values = y.astype(np.float64)
    values = values[:, None] if values.ndim == 1 else values
    check_finite(what, values, missing, "" if missing else ": say missing='mask' to leave it out")
    if loss not in NUMBERS and not np.isin(values[~np.isnan(values)], (0, 1)).all():
        wrong = values[~np.isnan(values) & (values != 0) & (values != 1)][0]
        raise ValueError(f"{what} must be 0 or 1 for loss='bernoulli', got {wrong:g}")
    return values


def _labels(y: np.ndarray, missing: bool, what: str) -> np.ndarray:
    wanted = f"{what} must be labels for loss='cross_entropy', whole numbers from 0"
    if y.ndim != 1:
        raise ValueError(f"{wanted}, one each, got an axis of {y.shape[1]}")
    if y.dtype.kind not in "biu":
        hint = ": give y.astype(int), or loss='mse' for numbers" if y.dtype.kind == "f" else ""
        raise ValueError(f"{wanted}, got {y.dtype}{hint}")
    y = y.astype(np.int64)
    least = -1 if missing else 0
    wrong = y[(y < least) | (y >= MOST_CLASSES)]
    if len(wrong):
        raise ValueError(f"{wanted} to {MOST_CLASSES - 1}{' (-1: missing)' if missing else ''}, got {wrong[0]}")
    return y.astype(np.int32)
