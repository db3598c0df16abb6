"""The interface between `scripts/bench.py` and its benches."""

from collections.abc import Callable
from typing import Any, NamedTuple

Row = dict[str, Any]


class BenchError(Exception):
    """A contender computes something else, so its time would say nothing."""


class Options(NamedTuple):
    """The command line's options. repeats and longest: None leaves the choice to the bench."""

    repeats: int | None = None
    devices: int = 1
    quick: bool = False
    longest: int | None = None

    def repeats_or(self, default: int) -> int:
        """Return the number of repeats asked for, else two for a quick bench, else `default`."""
        return self.repeats or (2 if self.quick else default)


class Bench(NamedTuple):
    """One bench: cases by name, each measured on its own.

    Attributes:
      cases: (options) -> {name: case}.
      measure: (case, options) -> rows, one a measurement, with at least contender, seconds (the median), times
        (of all repeats, in seconds), repeats, ratio and ratio_interval.
      columns: header -> (row -> text), the table of a case.
      summarise: (all rows) -> rows of the summary.
      summary_columns: as columns.
      notes: (options) -> lines on the contenders that are left out, and why.
    """

    cases: Callable[[Options], dict[str, Any]]
    measure: Callable[[Any, Options], list[Row]]
    columns: dict[str, Callable[[Row], str]]
    summarise: Callable[[list[Row]], list[Row]] = lambda rows: []
    summary_columns: dict[str, Callable[[Row], str]] = {}  # noqa: RUF012
    notes: Callable[[Options], list[str]] = lambda options: []
