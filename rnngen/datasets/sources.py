"""Files of sequences with targets: npz, a folder of npy files, or a long table; and what splits them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rnngen.datasets import tables
from rnngen.datasets.examples import Examples, gather, joined
from rnngen.datasets.formats.arrays import open_npy, open_npz
from rnngen.registry import nearest

if TYPE_CHECKING:
    import pandas as pd

MOST_WHOLE = 2**53  # above it floats have gaps
PADDING = ("mask", "lengths", "offsets")


class Columns(NamedTuple):
    """The names of a source's arrays, or of a table's columns; see `arrays`."""

    x: tuple[str, ...] = ()
    y: tuple[str, ...] = ("y",)
    sequence: str = ""
    time: str = ""
    groups: str = ""
    split: str = ""


class Source(NamedTuple):
    """Examples, and of each sequence the group or the split that it is in, `[n]`; None: neither is named."""

    examples: Examples
    groups: np.ndarray | None = None
    split: np.ndarray | None = None

    @classmethod
    def of(cls, examples: Examples, groups: np.ndarray | None = None, split: np.ndarray | None = None) -> "Source":
        """Make a source; raises ValueError naming groups or split where it is not `[n]`."""
        n = len(examples.lengths)
        for name, given in (("groups", groups), ("split", split)):
            if given is not None and given.shape != (n,):
                raise ValueError(f"{name} must be [{n}], one of each sequence of x, got {list(given.shape)}")
        return cls(examples, groups, split)


def read_source(place: Path, names: Columns, tokens: int, per_step: bool | None, loss: str) -> Source:
    """Read a file, or a folder of npy files. Raises ValueError naming the file, and the array or column."""
    if tables.is_table(place):
        return _of_table(tables.read(place), names, tokens, per_step, loss)
    for name in ("sequence", "time"):
        if getattr(names, name):
            raise ValueError(f"{name} is a column of a table, and {place} is neither *.csv nor *.parquet")
    return _of_arrays(_read_arrays(place, names), names, tokens, per_step)


def _read_arrays(place: Path, names: Columns) -> dict[str, np.ndarray]:
    if len(names.x) > 1 or len(names.y) != 1:
        raise ValueError(f"x and y must each name one array of {place}, got {list(names.x)} and {list(names.y)}")
    needed = [(names.x or ("x",))[0], names.y[0], *filter(None, [names.groups, names.split])]
    if place.is_dir():
        files = sorted(path.stem for path in place.glob("*.npy"))
        for name in needed:
            if name not in files:
                raise ValueError(f"{place} has no {name}.npy{nearest(name, files)}")
        wanted = [*needed, *(name for name in PADDING if name in files)]
        return {name: open_npy(place / f"{name}.npy") for name in wanted}
    if place.suffix.lower() == ".npy":
        raise ValueError(f"{place} is one array: give the folder that holds {needed[0]}.npy and {needed[1]}.npy")
    return open_npz(place, tuple(needed), PADDING)


def _of_arrays(found: dict[str, np.ndarray], names: Columns, tokens: int, per_step: bool | None) -> Source:
    x, y = found[(names.x or ("x",))[0]], found[names.y[0]]
    if "offsets" in found:
        examples = joined(x, y, found["offsets"], tokens, bool(per_step))
    else:
        padding = {name: found[name] for name in ("mask", "lengths") if name in found}
        examples = gather(x, y, **padding, tokens=tokens, per_step=per_step)  # type: ignore[arg-type]
    return Source.of(examples, *(found[name] if name else None for name in (names.groups, names.split)))


def _of_table(frame: "pd.DataFrame", names: Columns, tokens: int, per_step: bool | None, loss: str) -> Source:
    if not names.sequence:
        raise ValueError(f"sequence: name the column that tells the sequences apart, of {', '.join(frame.columns)}")
    roles = [name for name in names[2:] if name]
    for argument in ("y", "sequence", "time", "groups", "split"):
        given = getattr(names, argument)
        tables.check_columns(frame, filter(None, (given,) if isinstance(given, str) else given), argument)
    columns = names.x or tuple(name for name in frame.columns if name not in (*names.y, *roles))
    if not columns:
        raise ValueError("x: no column is left for the inputs")
    codes, order = tables.ordered(frame, names.sequence, names.time)
    lengths = np.bincount(codes)
    x, y = (tables.numbers(frame, of, what)[order] for of, what in ((columns, "x"), (names.y, "y")))
    starts = np.cumsum(lengths) - lengths
    if tokens:
        x = _whole("x", columns, x)[:, 0]
    if loss == "cross_entropy":
        y = _whole("y", names.y, y)[:, 0]
    elif len(names.y) == 1:
        y = y[:, 0]
    constant = _is_constant(y, np.repeat(starts, lengths))
    each = not constant if per_step is None else per_step
    if not each and not constant:
        raise ValueError("y: a target of a sequence must be the same in all of its rows: say per_step=True")
    apart = (_one_a_sequence(frame, name, order, starts, lengths) for name in (names.groups, names.split))
    return Source.of(Examples(x, y if each else y[starts], lengths, each), *apart)


def _whole(argument: str, columns: tuple[str, ...], values: np.ndarray) -> np.ndarray:
    """Return a column of whole numbers as int64, -1 where one is missing."""
    if len(columns) != 1:
        raise ValueError(f"{argument} must be one column of whole numbers, got {', '.join(columns)}")
    there = values[~np.isnan(values)]
    wrong = there[(np.abs(there) > MOST_WHOLE) | (there != np.floor(there))]
    if len(wrong):
        raise ValueError(f"{argument}: column {columns[0]!r} must hold whole numbers, got {wrong[0]:g}")
    return np.where(np.isnan(values), -1, values).astype(np.int64)


def _is_constant(values: np.ndarray, first: np.ndarray) -> bool:
    """Return True where every row has the value of the row `first` of its sequence."""
    return np.array_equal(values, values[first], equal_nan=values.dtype.kind == "f")


def _one_a_sequence(
    frame: "pd.DataFrame", name: str, order: np.ndarray, starts: np.ndarray, lengths: np.ndarray
) -> Any:
    if not name:
        return None
    values = frame[name].to_numpy()[order]
    differs = np.flatnonzero(values != values[np.repeat(starts, lengths)])
    if len(differs):
        raise ValueError(f"column {name!r} must be the same in all rows of a sequence, and is not in one")
    return values[starts]
