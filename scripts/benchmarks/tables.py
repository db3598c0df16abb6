"""Plain-text tables."""

from collections.abc import Callable, Mapping, Sequence

from .protocol import Row


def table(rows: Sequence[Row], columns: Mapping[str, Callable[[Row], str]]) -> str:
    """Format rows under headers, the first column flush left, the others flush right."""
    cells = [list(columns)] + [[show(row) for show in columns.values()] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(_line(line, widths) for line in cells)


def _line(line: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = (
        text.rjust(width) if i else text.ljust(width) for i, (text, width) in enumerate(zip(line, widths, strict=True))
    )
    return "  ".join([first, *others]).rstrip()


def text(field: str) -> Callable[[Row], str]:
    """Return a formatter of a field as it is, "" where a row has none."""
    return lambda row: str(row.get(field, ""))


def number(field: str, digits: int = 2, scale: float = 1.0) -> Callable[[Row], str]:
    """Return a formatter of a field times `scale`; a dash where a row has none."""
    return lambda row: "-" if row.get(field) is None else f"{scale * row[field]:.{digits}f}"


def milliseconds(field: str = "seconds") -> Callable[[Row], str]:
    """Return a formatter of seconds as milliseconds."""
    return number(field, 3, 1e3)


def interval(field: str) -> Callable[[Row], str]:
    """Return a formatter of a field with its 95 % interval."""

    def show(row: Row) -> str:
        if row.get(field) is None:
            return "-"
        low, high = row[f"{field}_interval"]
        return f"{row[field]:.2f} [{low:.2f}, {high:.2f}]"

    return show
