"""Names of the files that codecs write, and tables of numbers as text."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from rnngen.datasets.formats.symbols import decoded

LARGEST = float(np.finfo(np.float32).max)


def numbered(path: Path, count: int, suffix: str) -> list[Path]:
    """Return a path per sequence: `<path>_0<suffix>` and so on, or `<path><suffix>` for a single one."""
    names = [path.name] if count == 1 else [f"{path.name}_{i}" for i in range(count)]
    return [path.with_name(name + suffix) for name in names]


def writer(write: Callable[..., object], *suffixes: str) -> Callable[[list[np.ndarray], Path], list[Path]]:
    """Return the `write` of a codec: `write(values, *files)` writes one sequence into a file of each suffix."""

    def write_all(sequences: list[np.ndarray], path: Path) -> list[Path]:
        kinds = [numbered(path, len(sequences), suffix) for suffix in suffixes]
        for values, *files in zip(sequences, *kinds, strict=True):
            write(values, *files)
        return [file for files in kinds for file in files]

    return write_all


def write_table(path: Path, values: np.ndarray, separator: str) -> None:
    """Write one line per row of values `[t, n]`, with nine digits, enough for any float32."""
    lines = (separator.join(f"{x:.9g}" for x in row) for row in values.tolist())
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def read_table(name: str, columns: int, separator: str | None) -> np.ndarray:
    """Read float64 `[t, columns]` from lines of numbers; empty lines are skipped.

    separator: None is any white space. Raises ValueError naming the file, and the line that is not `columns` numbers.
    """
    rows = []
    for number, line in enumerate(_text(name).splitlines(), start=1):
        if line.strip():
            rows.append(_numbers(line, separator))
            if len(rows[-1]) != columns:
                raise ValueError(f"{name}, line {number}: must be {columns} numbers, got {line.strip()[:60]!r}")
    return np.array(rows, np.float64).reshape(-1, columns)


def _text(name: str) -> str:
    try:
        return decoded(Path(name).read_bytes(), name)
    except OSError as error:
        raise ValueError(f"{name} cannot be read: {error.strerror}") from error


def _numbers(line: str, separator: str | None) -> list[float]:
    """Parse a line; [] if something in it is not a finite float32."""
    try:
        row = [float(word) for word in line.split(separator)]
    except ValueError:
        return []
    return row if all(abs(x) <= LARGEST for x in row) else []
