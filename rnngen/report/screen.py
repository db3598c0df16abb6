"""The summary table on a terminal."""

import pandas as pd
from rich.console import Console
from rich.table import Table


def show(summary: pd.DataFrame, console: Console | None = None) -> None:
    """Print the table of `summary`, each number as `median [least, greatest]` over seeds."""
    console = console or Console()
    spreads = [c.removesuffix("_median") for c in summary if c.endswith("_median")]
    hidden = {f"{s}_{k}" for s in spreads for k in ("median", "min", "max")}
    plain = [c for c in summary if c not in hidden and not (c in ("diverged", "failed") and not summary[c].any())]
    table = Table(box=None, pad_edge=False)
    for name in [*plain, *spreads]:
        table.add_column(name.replace("_", " "), justify="left" if summary.get(name, pd.Series(0.0)).dtype == object else "right")
    for _, row in summary.iterrows():
        cells = [_number(row[c]) for c in plain]
        cells += [f"{_number(row[f'{s}_median'])} [{_number(row[f'{s}_min'])}, {_number(row[f'{s}_max'])}]" for s in spreads]
        table.add_row(*cells)
    console.print(table)


def _number(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
