"""How media name the files they write, and tables of numbers as text."""

from pathlib import Path

import numpy as np

from rnngen.datasets.formats.symbols import decoded

LARGEST = float(np.finfo(np.float32).max)


def numbered(path: Path, count: int, suffix: str) -> list[Path]:
    """One name a sequence: `<path>_0<suffix>` and on, or `<path><suffix>` for a single one."""
    names = [path.name] if count == 1 else [f"{path.name}_{i}" for i in range(count)]
    return [path.with_name(name + suffix) for name in names]


def write_table(path: Path, values: np.ndarray, separator: str) -> None:
    """One line a row of values `[t, n]`, with the nine digits that tell any two float32 numbers apart."""
    lines = (separator.join(f"{x:.9g}" for x in row) for row in values.tolist())
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def read_table(name: str, columns: int, separator: str | None) -> np.ndarray:
    """float64 `[t, columns]` from lines of numbers; empty lines are passed over.

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
    """[] where one of them is not a finite number of float32."""
    try:
        row = [float(word) for word in line.split(separator)]
    except ValueError:
        return []
    return row if all(abs(x) <= LARGEST for x in row) else []
