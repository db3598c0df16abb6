"""Tables of a user's: CSV and Parquet files, their columns, and their order in time. Errors name the column."""

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rnngen.registry import nearest, one_line

if TYPE_CHECKING:
    import pandas as pd

TABLES = (".csv", ".parquet")


def is_table(path: Path) -> bool:
    """Return True for a file that `read` takes."""
    return path.suffix.lower() in TABLES


def read(path: Path, kind: str = "") -> "pd.DataFrame":
    """Read a CSV file with a header, or a Parquet file.

    Args:
      path: of the file.
      kind: ".csv" or ".parquet"; "": as the file's name says.

    Returns:
      The table; names of columns are text.

    Raises:
      ValueError: the file cannot be read, has no rows, or its format needs pyarrow, which is not installed.
    """
    import pandas as pd

    is_csv = (kind or path.suffix.lower()) == ".csv"
    try:
        frame = pd.read_csv(path) if is_csv else pd.read_parquet(path, engine="pyarrow")
    except ImportError as error:
        raise ValueError(f"{path}: Parquet is read by pyarrow, which is not installed: pip install pyarrow") from error
    except Exception as error:  # each reader has errors of its own
        raise ValueError(one_line(f"{path} cannot be read: {error}", 300)) from error
    if frame.empty:
        raise ValueError(f"{path} has no rows")
    frame.columns = [str(name) for name in frame.columns]
    return frame


def check_columns(frame: "pd.DataFrame", names: Iterable[str], argument: str) -> None:
    """Raise ValueError naming the argument and the first of `names` that is not a column."""
    for name in names:
        if name not in frame:
            raise ValueError(one_line(f"{argument}: there is no column {name!r}{nearest(name, frame.columns)}", 500))


def numbers(frame: "pd.DataFrame", names: Sequence[str], argument: str) -> np.ndarray:
    """Return some columns as float64 `[rows, columns]`, NaN where a value is missing.

    Raises:
      ValueError: naming the argument and the first column of another kind.
    """
    check_columns(frame, names, argument)
    for name in names:
        _check_number(frame[name], argument)
    return np.stack([frame[name].to_numpy(np.float64, na_value=np.nan) for name in names], axis=1)


def _check_number(column: "pd.Series", argument: str) -> None:
    import pandas as pd

    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_complex_dtype(column):
        return
    kind = "datetimes" if pd.api.types.is_datetime64_any_dtype(column) else "text"
    shown = next((value for value in column if not pd.isna(value)), None)
    advice = "leave it out of the inputs, or say what it is: sequence, time, groups or split"
    if argument == "columns":
        advice = "leave it out of the columns, or name it as the time"
    elif argument == "y":
        advice = f"labels are whole numbers from 0, such as table[{column.name!r}].astype('category').cat.codes"
    raise ValueError(f"{argument}: column {column.name!r} holds {kind}, such as {str(shown)!r:.40}: {advice}")


def times(column: "pd.Series") -> Any:
    """Return a column of times: numbers, or datetimes, also written as text.

    Raises:
      ValueError: naming the column, where it is neither, or a time is missing.
    """
    import pandas as pd

    if column.isna().any():
        raise ValueError(f"time: column {column.name!r} is missing in row {int(column.isna().to_numpy().argmax())}")
    if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_any_dtype(column):
        return column
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a format that pandas does not know: each is read by itself
            return pd.to_datetime(column)
    except (ValueError, TypeError) as error:
        raise ValueError(one_line(f"time: column {column.name!r} holds no times: {error}", 200)) from error


def _calendar_has(index: "pd.DatetimeIndex") -> bool:
    """Return True where times are evenly spaced by the calendar, such as months or business days."""
    import pandas as pd

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the kind of its result will change
        return pd.infer_freq(index) is not None


def check_regular(sorted_times: Any) -> None:
    """Raise ValueError unless times, in order, are evenly spaced, or as a calendar has it, such as months.

    The message names the first step that is longer or shorter than most.
    """
    import pandas as pd

    if len(sorted_times) < 3:
        return
    index = pd.Index(sorted_times)
    steps = index[1:] - index[:-1]
    if isinstance(index, pd.DatetimeIndex):
        if len(steps.unique()) == 1 or _calendar_has(index):
            return
    elif np.allclose(steps, steps[0], rtol=1e-6, atol=0):
        return
    usual = pd.Series(steps).mode()[0]
    at = int(np.argmax(np.asarray(steps != usual)))
    raise ValueError(
        f"time: steps are irregular: from {index[at]} to {index[at + 1]} it is {steps[at]}, elsewhere {usual}; fill "
        "the gaps, or leave out time to take each row as a step"
    )


def ordered(frame: "pd.DataFrame", sequence: str, time: str) -> tuple[np.ndarray, np.ndarray]:
    """Return (the number of the sequence of each row, the rows in order), by sequence, and by time within one.

    Sequences are numbered as they first occur. Raises ValueError where an id or a time is missing, or a time occurs
    twice in a sequence.
    """
    import pandas as pd

    codes, ids = pd.factorize(frame[sequence])
    if (codes < 0).any():
        raise ValueError(f"sequence: column {sequence!r} is missing in row {int((codes < 0).argmax())}")
    if not time:
        order = np.argsort(codes, kind="stable")
        return codes[order], order
    when = pd.Index(times(frame[time]))
    order = np.lexsort((when.to_numpy(), codes))
    twice = np.flatnonzero((codes[order][1:] == codes[order][:-1]) & (when[order][1:] == when[order][:-1]))
    if len(twice):
        row = order[twice[0]]
        raise ValueError(f"time: {when[row]} occurs twice in sequence {ids[codes[row]]}")
    return codes[order], order
