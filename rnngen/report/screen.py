"""The summary table on a terminal."""

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rnngen.report.columns import is_numeric, number

_HEADINGS = {"success_rate": "solved", "baseline": "memoryless", "half_life_initial": "half-life before",
             "half_life_final": "after"}  # fmt: skip
_ONLY_IF_ANY = ("diverged", "failed")
_INTERVAL = ("success_low", "success_high")
_ONE_LINE = 140  # columns that medians and ranges side by side take


def show(summary: pd.DataFrame, console: Console | None = None) -> None:
    """Print the table of `summary`: over seeds `median [least, greatest]`, and success with its 95 % interval."""
    console = console or Console()
    if not console.is_terminal:
        console.width = 160  # a file or a pipe has no width of its own
    spreads = [c.removesuffix("_median") for c in summary if c.endswith("_median")]
    of_spreads = {f"{spread}_{key}" for spread in spreads for key in ("median", "min", "max")} | set(_INTERVAL)
    hidden = {c for c in _ONLY_IF_ANY if not summary[c].any()}
    hidden |= {"finished"} if summary["finished"].equals(summary["trials"]) else set()
    plain = [c for c in summary if c not in of_spreads | hidden]
    between = " " if console.width >= _ONE_LINE else "\n"
    table = Table(box=None, pad_edge=False)
    for name in [*plain, *spreads]:
        text = name in summary and not is_numeric(summary[name])
        table.add_column(_HEADINGS.get(name, name.replace("_", " ")), justify="left" if text else "right")
    for _, row in summary.iterrows():
        cells = [number(row[c]) + (_interval(row, between) if c == "success_rate" else "") for c in plain]
        cells += [_spread(row, spread, between) for spread in spreads]
        table.add_row(*map(escape, cells))  # or Rich would read [inf, inf] as markup
    console.print(table)


def _interval(row: pd.Series, between: str) -> str:
    low, high = (number(row[name]) for name in _INTERVAL)
    return f"{between}[{low}, {high}]"


def _spread(row: pd.Series, name: str, between: str) -> str:
    median, low, high = (number(row[f"{name}_{key}"]) for key in ("median", "min", "max"))
    return f"{median}{between}[{low}, {high}]"
