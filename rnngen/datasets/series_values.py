"""The values of a series, in order: read from a file, or taken from memory."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rnngen.datasets import tables
from rnngen.datasets.formats.arrays import open_npy, open_npz

if TYPE_CHECKING:
    import pandas as pd


class Series(NamedTuple):
    """The values of a series, `[t, d]` float64, NaN where one is missing, and the names of its columns."""

    values: np.ndarray
    columns: tuple[str, ...]


def read_series(place: Path, columns: Sequence[str], time: str) -> Series:
    """Read a series from a CSV, Parquet, npy or npz file. Raises ValueError naming the file, or the column."""
    if tables.is_table(place):
        return _of_table(tables.read(place), columns, time)
    if time:
        raise ValueError(f"time is a column of a table, and {place} is neither *.csv nor *.parquet")
    if place.suffix.lower() == ".npy":
        return of_array(open_npy(place), columns)
    found = open_npz(place, ("values",), ("columns",))
    names = found.get("columns", np.array([], str))
    return of_array(found["values"], columns or names.astype(str).tolist())


def of_memory(values: Any, columns: Any, time: Any) -> Series:
    """Take a series from an array, or from a DataFrame or Series of pandas; see `from_series`."""
    import pandas as pd

    if not isinstance(values, pd.DataFrame | pd.Series):
        return _in_time(of_array(values, columns), time)
    frame = values.to_frame() if isinstance(values, pd.Series) else values
    frame = frame.set_axis([str(name) for name in frame.columns], axis=1)
    if isinstance(time, str):
        return _of_table(frame, columns, time)
    if time is None and isinstance(frame.index, pd.DatetimeIndex | pd.PeriodIndex):
        time = frame.index
    return _in_time(_of_table(frame, columns, ""), time)


def of_array(values: Any, columns: Sequence[str] = ()) -> Series:
    """Take a series from an array `[t, d]` or `[t]`; raise ValueError for another, or for names that do not fit."""
    array = np.asarray(values)
    if array.ndim not in (1, 2) or array.dtype.kind not in "biuf" or not array.size:
        raise ValueError(f"values must be numbers [t, d] or [t], got {array.dtype} {list(array.shape)}")
    array = array.reshape(len(array), -1).astype(np.float64)
    names = tuple(map(str, columns)) or tuple(f"value{i}" for i in range(array.shape[1]))
    if len(names) != array.shape[1] or len(set(names)) != len(names):
        raise ValueError(f"columns must be {array.shape[1]} different names, got {list(names)}")
    return Series(array, names)


def _of_table(frame: "pd.DataFrame", columns: Sequence[str], time: str) -> Series:
    tables.check_columns(frame, [time] if time else [], "time")
    names = tuple(columns) or tuple(name for name in frame.columns if name != time)
    if not names:
        raise ValueError("columns: the table has none but the time")
    found = Series(tables.numbers(frame, names, "columns"), names)
    return _in_time(found, tables.times(frame[time]) if time else None)


def _in_time(found: Series, time: Any) -> Series:
    """Sort a series by its times. Raises ValueError where they are not `[t]`, occur twice, or are irregular."""
    if time is None:
        return found
    import pandas as pd

    index = pd.Index(time.to_timestamp() if isinstance(time, pd.PeriodIndex) else tables.times(pd.Series(time)))
    if len(index) != len(found.values):
        raise ValueError(f"time must be [{len(found.values)}], one of each row of values, got [{len(index)}]")
    if index.has_duplicates:
        raise ValueError(f"time: {index[index.duplicated()][0]} occurs twice")
    order = np.argsort(index.to_numpy(), kind="stable")
    tables.check_regular(index[order])
    return found._replace(values=found.values[order])
