"""The card of a cell: one page of what a cell does, beside RNN, GRU, LSTM and two linear cells.

Checks of the contract, speed, reach of the gradient, the window of learning rates, copying, state tracking and recall.
The trials are those of the config `sweeps/card`, which `rnngen.card` runs; the others' records come with rnngen, made
with the same config.
"""

from pathlib import Path
from typing import NamedTuple

import pandas as pd

from rnngen.diagnostics import FIGURES
from rnngen.plotting.style import save
from rnngen.report import markup
from rnngen.report.columns import Column
from rnngen.report.experiment import spread
from rnngen.report.metadata import metadata
from rnngen.report.page import Drawn, picture
from rnngen.report.windows import RATE, learning_rate_window, learning_rate_windows
from rnngen.runs import open_sweep
from rnngen.runs.sweep import Sweep

RECORDS = Path(__file__).parent / "cards"
TASKS = ("adding", "copying", "state tracking", "recall")
PAGE = "card.html"
NOTES = (
    "parameters, and state: the numbers in the carry of one sequence, both on adding.",
    "Each number is at the best of the learning rates, by the share of seeds that solved the task, then by the loss: "
    "the median over seeds, with [least, greatest] where there are several.",
    "solved: the share of seeds that solved adding. window: the decades of learning rates, around the best, in which "
    "at least half of the seeds did; a dash: none.",
    "half-life: of the gradient's norm on adding, in steps, before and after training.",
    "copying: the share of sequences that come back whole. parity: the share of right answers over the last updates of "
    "training, in which it may still be learned, and on longer sequences after it. recall: the share of right answers.",
)


class Card(NamedTuple):
    """What a card shows.

    Attributes:
      page: the file.
      table: a row a cell, one's own the first.
    """

    page: Path
    table: pd.DataFrame


def write(own: Sweep, label: str, checks: list[str], facts: list[str], quick: bool) -> Card:
    """Write the page of a cell whose trials were run.

    Args:
      own: its trials.
      label: its name.
      checks: a line a check.
      facts: lines about its structure and speed.
      quick: the size of the trials.

    Returns:
      The card.
    """
    together = beside(own, RECORDS / ("quick" if quick else "full"))
    rows, adding = table(together), only(together, "adding")
    # Of one seed there is no share to draw.
    figures = {"gradient_norms": FIGURES["gradient_flow"]} | ({} if quick else {"window": learning_rate_window})
    drawn = [
        Drawn(name, draw.caption, save(draw(adding), own.path / "figures" / name)) for name, draw in figures.items()
    ]
    page = markup.render(
        "card.html",
        name=label,
        metadata=metadata(own),
        results=_columns(rows),
        notes=NOTES,
        figures=[picture(figure) for figure in drawn],
        checks=checks,
        facts=facts,
        config="--quick" if quick else "the default size",
    )
    (own.path / PAGE).write_text(page, encoding="utf-8")
    return Card(own.path / PAGE, rows)


def beside(own: Sweep, records: Path) -> Sweep:
    """Return a sweep of one's own trials and of those that come with rnngen, where they are of other cells."""
    others = open_sweep(records)
    assert own.plan
    assert others.plan
    mine = {trial["id"] for trial in own.plan["trials"]}
    theirs = [trial for trial in others.plan["trials"] if trial["id"] not in mine]
    plan = own.plan | {"trials": [*own.plan["trials"], *theirs]}
    return Sweep(own.path, plan, [*own.runs, *(run for run in others.runs if run.name not in mine)])


def only(sweep: Sweep, task: str) -> Sweep:
    """Return the trials of one task."""
    assert sweep.plan
    trials = [trial for trial in sweep.plan["trials"] if trial["labels"].get("task") == task]
    kept = {trial["id"] for trial in trials}
    return Sweep(sweep.path, sweep.plan | {"trials": trials}, [run for run in sweep.runs if run.name in kept])


def table(sweep: Sweep) -> pd.DataFrame:
    """Make the table of a card.

    Args:
      sweep: the trials of some cells.

    Returns:
      A row a cell.
    """
    best = {task: _at_best_rate(only(sweep, task)) for task in TASKS}
    rows = []
    for cell in dict.fromkeys(sweep.axes["cell"]):
        of = {task: rows[rows["cell"] == cell] for task, rows in best.items()}
        adding = of["adding"]
        rows.append(
            {
                "cell": cell,
                "parameters": _spread(adding["parameters"], 0),
                "state": _spread(adding["state"], 0),
                "half-life before": _spread(adding["half_life.initial"], 1),
                "half-life after": _spread(adding["half_life.final"], 1),
                "adding solved": _spread(adding["best_share"], 2),
                "window (decades)": _decades(adding),
                "copying": _spread(of["copying"]["metrics.test.sequence_accuracy"], 2),
                "parity in training": _spread(of["state tracking"]["metrics.train.accuracy"], 2),
                "parity, longer": _spread(of["state tracking"]["metrics.test.accuracy"], 2),
                "recall": _spread(of["recall"]["metrics.test.accuracy"], 2),
            }
        )
    return pd.DataFrame(rows)


def _at_best_rate(sweep: Sweep) -> pd.DataFrame:
    """Return the trials of one task at the best rate of each cell, with that cell's window."""
    windows = learning_rate_windows(sweep).rename(columns={"curve": "cell", "best_rate": RATE})
    rows = sweep.results.join(sweep.axes[["cell", RATE]], on="trial")
    return rows.merge(windows[["cell", RATE, "best_share", "decades", "within"]], on=["cell", RATE])


def _decades(rows: pd.DataFrame) -> str:
    """Return the width of a cell's window; a dash where there is none, or no trial came to an end."""
    found = _spread(rows["decades"], 1)
    return found if found == "-" or rows["within"].all() else f"{found}+"


def _spread(values: pd.Series, digits: int) -> str:
    """Return `median [least, greatest]`; one number where all are the same; a dash for none."""
    values = pd.to_numeric(values, errors="coerce").dropna()
    if values.empty:
        return "-"
    middle, told = f"{values.median():.{digits}f}", spread(values, digits)
    return middle if told == f"{middle} [{middle}, {middle}]" else told


def _columns(rows: pd.DataFrame) -> tuple[list[Column], str]:
    return [Column(name, list(rows[name]), None) for name in rows], "The cell, and those that come with rnngen."
