"""What does the gradient's reach buy? Success against the half-life that is imposed on the gradient alone.

    rnngen sweep --config=configs/sweeps/dose_response.py --workdir=runs/doses
    rnngen sweep --config=configs/sweeps/dose_response_measured.py --workdir=runs/measured
    rnngen export runs/doses experiments/dose_response
    rnngen export runs/measured experiments/dose_response/measured
    python experiments/dose_response.py

What was found stands in README.md beside the records.
"""

from pathlib import Path

import jax
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rnngen.datasets import TASKS
from rnngen.plotting.figure import captioned
from rnngen.plotting.style import colours, legend, panels, save
from rnngen.report.experiment import at_best_rate, command, outcomes, present
from rnngen.report.windows import RATE
from rnngen.runs.sweep import Sweep

HERE = Path(__file__).with_suffix("")
KIND, HALF_LIFE = "config.train.credit.name", "config.train.credit.kwargs.half_life"
WHOLE, RENORMALISED = np.inf, -1.0
PLACES = {WHOLE: 160.0, RENORMALISED: 700.0}  # on the axis of half-lives, where those that have none are drawn


def main(folder: Path) -> None:
    """Draw the figure of the large sweep, which has the learning rates, and print the tables."""
    for sweep in present(folder, table):
        if RATE in sweep.axes:
            for path in save(doses(sweep), folder / "figures" / "doses"):
                print(path)


def trials(sweep: Sweep) -> pd.DataFrame:
    """A row a trial: task, cell, dose (a half-life in steps), rate, updates, whether solved, loss on valid."""
    frame = outcomes(sweep, "status", KIND, HALF_LIFE)
    frame = frame[frame["status"].isin(("finished", "diverged"))]
    kind, half_life = frame[KIND], frame[HALF_LIFE]
    imposed = half_life.astype(float).where(kind == "decay", WHOLE)
    frame["dose"] = imposed.where(kind != "renormalise", RENORMALISED)
    return frame.rename(columns={"cell.name": "cell"})


def chosen(frame: pd.DataFrame, *, each_dose: bool) -> pd.DataFrame:
    """The trials at the best rate of each task and cell: at the whole reach, or of each dose by itself."""
    if each_dose:
        return at_best_rate(frame, ["task", "cell", "dose"], RATE)
    return at_best_rate(frame, ["task", "cell"], RATE, frame[frame["dose"] == WHOLE])


def table(sweep: Sweep) -> pd.DataFrame:
    """The large sweep: a row a task and cell. The measured one: a row a cell and dose, with its half-lives."""
    return _responses(sweep) if RATE in sweep.axes else _measured(sweep)


def _responses(sweep: Sweep) -> pd.DataFrame:
    frame, rows = trials(sweep), []
    each, alone = chosen(frame, each_dose=True), chosen(frame, each_dose=False)
    lags = {task: _lag(sweep, task) for task in frame["task"].unique()}
    for (task, cell), group in each.groupby(["task", "cell"], sort=False):
        whole, kept = group[group["dose"] == WHOLE], group[group["dose"] == RENORMALISED]
        same = alone[(alone["task"] == task) & (alone["cell"] == cell)]
        rows.append(
            {
                "task": task,
                "lag": lags[task],
                "cell": cell,
                "solved with the whole reach": _share(whole),
                "in updates": _updates(whole),
                "shortest half-life that solves 4 of 5": _shortest(group),
                "in updates there": _updates(group[group["dose"] == _shortest(group)]),
                "the same, at the rate of the whole reach": _shortest(same),
                "renormalised": _share(kept),
            }
        )
    return pd.DataFrame(rows)


def _measured(sweep: Sweep) -> pd.DataFrame:
    """A row a cell: the half-life before training at each dose, median of two seeds."""
    results = sweep.results.set_index("trial")
    frame = sweep.axes.join(results["half_life.initial"].astype(float))
    wide = frame.pivot_table("half_life.initial", "cell.name", "train.credit", "median", sort=False)
    return wide.reset_index().rename(columns={"cell.name": "cell"})


def _shortest(group: pd.DataFrame) -> float | str:
    """The least dose at which four of five seeds solve it; "-" where there is none."""
    shares = group[group["dose"] > 0].groupby("dose")["solved"].mean()
    return float(shares.index[shares >= 0.8].min()) if (shares >= 0.8).any() else "-"


def _share(group: pd.DataFrame) -> str:
    return f"{int(group['solved'].sum())}/{len(group)}"


def _updates(group: pd.DataFrame) -> int | str:
    reached = group["updates"].dropna()
    return int(reached.median()) if len(reached) else "-"


def _lag(sweep: Sweep, task: str) -> float:
    """The longest lag that the task needs, median over 500 examples; by the task itself."""
    results = sweep.results[sweep.results["label.task"] == task].iloc[0]
    options = {name: results.get(f"config.task.kwargs.{name}") for name in ("length", "vocabulary", "count")}
    known = {name: int(value) for name, value in options.items() if pd.notna(value)}
    of = TASKS[results["config.task.name"]](**known, eval_size=500)
    needs_of = of.needs
    assert needs_of is not None
    needs = jax.jit(lambda key: needs_of(of.data.sample("valid", key, 0, 500)))(jax.random.key(0))
    return float(np.median(np.max(np.asarray(needs.reads - needs.sources), axis=0)))


@captioned(
    "Dose and response",
    "Share of five seeds that solved the task, and the median of updates that those took, against the half-life that "
    "is imposed on the gradient. Full lines: the best of three learning rates for each dose; dashed: the rate that is "
    "best at the whole reach. Dotted: the longest lag that the task needs, median over examples. Lines of equal "
    "shares are set a little apart.",
)
def doses(sweep: Sweep) -> Figure:
    """Success and updates against imposed half-life: a column a task, a line a cell."""
    frame = trials(sweep)
    tasks, shade = list(dict.fromkeys(frame["task"])), colours(list(dict.fromkeys(frame["cell"])))
    figure, grid = panels(2, len(tasks), width=2.1, height=1.9, sharex=True, sharey="row")
    for lines, each_dose in (("-", True), ("--", False)):
        best = chosen(frame, each_dose=each_dose)
        for (task, cell), group in best.groupby(["task", "cell"], sort=False):
            column, look = grid[:, tasks.index(task)], {"color": shade[cell], "label": cell if each_dose else None}
            # Lines that would lie on one another are set a little apart.
            lift = 0.014 * (len(shade) // 2 - list(shade).index(cell))
            _line(column[0], lift + group.groupby("dose")["solved"].mean(), lines, look)
            _line(column[1], group.groupby("dose")["updates"].median(), lines, look)
    for number, task in enumerate(tasks):
        _decorate(grid[:, number], task, _lag(sweep, task))
    grid[0, 0].set_ylabel("share of seeds\nthat solved it")
    grid[1, 0].set_ylabel("updates until then")
    grid[1, 0].set_yticks([100, 200, 500, 1000, 2000], ["100", "200", "500", "1000", "2000"])
    legend(grid[0, -1], loc="center left", bbox_to_anchor=(1.02, 0.5))
    return figure


def _line(axes: Axes, values: pd.Series, lines: str, look: dict) -> None:
    """Draw a curve over half-lives, and by itself the point of the renormalised gradient."""
    decayed = values[values.index > 0].sort_index()
    axes.plot([PLACES.get(at, at) for at in decayed.index], decayed, lines, marker="o", markersize=3, **look)
    if RENORMALISED in values.index and lines == "-":
        axes.plot(PLACES[RENORMALISED], values[RENORMALISED], "s", markersize=4, color=look["color"])


def _decorate(column: np.ndarray, task: str, lag: float) -> None:
    column[0].set(title=task, ylim=(-0.06, 1.06), xscale="log")
    column[1].set(yscale="log", xlabel="imposed half-life (steps)")
    for axes in column:
        axes.axvline(lag, color="0.3", linestyle=":", linewidth=1)
        axes.set_xticks([1, 4, 16, 64, *PLACES.values()], ["1", "4", "16", "64", "all", "norm\nkept"])
        axes.minorticks_off()


if __name__ == "__main__":
    command(__doc__, HERE, main)
