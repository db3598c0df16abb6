"""Credit, memory and use at one lag, and a verdict: three ways in which the past may not be reached.

The thresholds:

- *credit*: the median norm of the loss's gradient in the carry that leaves the step of this lag, by which what entered
  there is learned, is at least `CREDIT` (1 %) of that in the carry that enters the step of the loss. Where the cell's
  credit is changed (`cells.credit`), this is the gradient that it learns by. A loss of exactly 0 gives no credit.
- *memory*: a readout of the carry predicts at least `MEMORY` (5 %) of the variance of the input at this lag, and more
  than of the inputs of other examples. Of a task that knows which inputs it needs, these are read.
- *use*: with the past of another sequence, from this lag on, the loss rises by more than `ERRORS` (2) standard errors,
  and by at least `USE` (5 %) of the largest mean absolute change of the loss at any lag. What is used is remembered,
  read by a line or not.

Between lags that were measured, all curves are interpolated.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from rnngen.diagnostics.horizon import flow_record, lag_norms
from rnngen.diagnostics.memory import SHAPE as MEMORY_SHAPE
from rnngen.diagnostics.memory import memory_diagnosis
from rnngen.diagnostics.use import SHAPE as USE_SHAPE
from rnngen.diagnostics.use import use_diagnosis
from rnngen.models import Model
from rnngen.plotting.figure import Look, NothingToDraw, check_readable, figure
from rnngen.plotting.records import CURVE, diagnosed
from rnngen.tasks import Task
from rnngen.types import Batch, Params

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CREDIT, MEMORY, USE, ERRORS = 0.01, 0.05, 0.05, 2.0
NO_CREDIT, NO_MEMORY, NO_USE, ALL = "no credit", "credit but no memory", "memory but no use", "all three"


class Reaches(NamedTuple):
    """What reaches back to one lag.

    Attributes:
      lag: in steps.
      credit, memory, use: True where each does, by the thresholds of this module.
      verdict: "no credit", "credit but no memory", "memory but no use" or "all three"; the first that fails.
      curves: the records of `gradient_flow`, `memory` and `use`, by these names.
    """

    lag: float
    credit: bool
    memory: bool
    use: bool
    verdict: str
    curves: dict[str, Any]


def three_reaches(
    model: Model, params: Params, batch: Batch, task: Task, lag: float | None = None, *, num_sources: int = 1
) -> Reaches:
    """Measure credit, memory and use of a model, and judge them at one lag.

    Args:
      model, params, batch: a model that runs step by step, its parameters, and a batch `[t, b]` of many examples.
      task: whose loss is read.
      lag: in steps; default: the one that the task needs.
      num_sources: steps with weight, of each example, at which the loss is read.

    Returns:
      The verdict, with the curves that it is read from.

    Raises:
      ValueError: there is no lag, or it lies beyond the sequence.
    """
    kinds = {"memory": memory_diagnosis(), "use": use_diagnosis(sources=num_sources)}

    @jax.jit
    def measured(params):
        flow = lag_norms(model, params, batch, task, num_sources)
        return flow, {name: kind.measure(model, params, batch, task) for name, kind in kinds.items()}

    flow, others = jax.device_get(measured(params))
    records = {name: kind.record(others[name]) for name, kind in kinds.items()}
    return judge(flow_record(flow), records["memory"], records["use"], lag)


def judge(flow: Mapping, memory: Mapping, use: Mapping, lag: float | None = None) -> Reaches:
    """Judge the records of three diagnoses at one lag.

    Args:
      flow, memory, use: records of `gradient_flow`, `memory` and `use`.
      lag: in steps; default: the one that the task needs.

    Returns:
      The verdict.

    Raises:
      ValueError: there is no lag, or it lies beyond the sequence.
    """
    needed = _needed(memory)
    if lag is None:
        if needed is None:
            raise ValueError("lag: the task does not say which lag it needs, so give one")
        lag = float(needed["lag"])
    last = max([0, *use["lags"]])
    if not 0 <= lag <= last:
        raise ValueError(f"lag must lie within 0 to {last}, the lags that were measured, got {lag:g}")
    found = _credit(flow, lag), _memory(needed or memory, lag), _use(use, lag)
    credit, memorised, used = found[0], found[1] or found[2], found[2]
    verdict = NO_CREDIT if not credit else NO_MEMORY if not memorised else NO_USE if not used else ALL
    return Reaches(lag, credit, memorised, used, verdict, {"gradient_flow": flow, "memory": memory, "use": use})


def relative_credit(flow: Mapping, leaf: str = "all") -> np.ndarray:
    """Return the median norm in the carry that leaves the step of each lag, over that at the loss, as log10 `[k]`.

    The carry that leaves a step enters the next, so this is a record of `gradient_flow`, one lag on.
    """
    curve = np.asarray(flow["curves"].get(leaf, flow["curves"]["all"])["median"], float)
    if not len(curve) or not np.isfinite(curve[0]):
        return np.full(len(curve), -np.inf)
    return np.append(0.0, curve - curve[0])


def _credit(flow: Mapping, lag: float) -> bool:
    share = relative_credit(flow)
    if lag > len(share) - 1:
        return False
    low, high = int(np.floor(lag)), int(np.ceil(lag))
    # Not interpolated as it is: beside an exact zero, whose logarithm is -inf, there is no line.
    return bool(min(share[low], share[high]) >= np.log10(CREDIT))


def _memory(memory: Mapping, lag: float) -> bool:
    if not memory["lags"] or lag > max(memory["lags"]):
        return False
    r2, floor = (float(np.interp(lag, memory["lags"], memory[name])) for name in ("r2", "floor"))
    return r2 > floor and r2 >= MEMORY


def _use(use: Mapping, lag: float) -> bool:
    rise, error = (float(np.interp(lag, use["lags"], use["carry"][name])) for name in ("rise", "error"))
    return rise > ERRORS * error and rise >= USE * max(use["carry"]["change"])


KINDS: dict[str, Mapping[str, Any]] = {
    "gradient_flow": {"curves": {"all": CURVE}},
    "memory": MEMORY_SHAPE,
    "use": USE_SHAPE,
}
_ROWS = {
    "gradient_flow": "credit: norm of dL / d carry\nover that at the loss",
    "memory": "memory: R$^2$ of the input",
    "use": "use: rise of the loss",
}


@figure(
    "Three reaches",
    "Credit, memory and use on one axis of lags, after training: the norm of the loss's gradient in the carry, the "
    "share of an input's variance that is read from the carry, and the rise of the loss where the past is another's. "
    "The dotted line marks the lag that the task needs, at which the verdicts are given. Lines are medians over seeds, "
    "bands reach from the least to the greatest seed.",
    name="three_reaches",
)
def plot_three_reaches(sweep: Any, look: Look, *, lag: float | None = None, moment: str = "after training") -> "Figure":
    """Draw credit, memory and use against lag, one above the other, with a verdict on each curve.

    A verdict is the most frequent over seeds, with their number where they differ; see `diagnostics.reaches` for its
    thresholds. Of a task that knows which inputs it needs, memory is of these.

    Args:
      lag: to be judged at; None: that which the task needs, and no verdict where it does not know.
      moment: "after training" or "at initialisation".
    """
    if moment not in ("after training", "at initialisation"):
        raise ValueError(f"moment must be 'after training' or 'at initialisation', got {moment!r}")
    rows = _together(sweep, moment)
    panels = list(dict.fromkeys(rows["panel"]))
    rows, colour = look.curves(rows)
    check_readable(len(panels), len(colour))
    figure, grid = look.panels(len(_ROWS), len(panels), width=3.6, height=2.0, sharex="col")
    for number, panel in enumerate(panels):
        _draw_panel(grid[:, number], rows[rows["panel"] == panel], colour, lag, panel)
    for axes, label in zip(grid[:, 0], _ROWS.values(), strict=True):
        axes.set_ylabel(label)
    look.legend(figure)
    return figure


def _together(sweep: Any, moment: str) -> "pd.DataFrame":
    """Return a row a trial, with columns `gradient_flow`, `memory` and `use` of their records at a moment."""
    joined = None
    for what, shape in KINDS.items():
        rows = sweep.moments(diagnosed(sweep, what, shape))[moment]
        records = rows.apply(lambda row: row.to_dict(), axis=1) if len(rows) else []
        one = rows[["trial", "curve", "panel"]].assign(**{what: records})
        joined = one if joined is None else joined.merge(one[["trial", what]], on="trial")
    if joined is None or joined.empty:
        raise NothingToDraw(f"{sweep.path} has no records of {', '.join(KINDS)} {moment}")
    return joined


def _draw_panel(column: Any, rows: "pd.DataFrame", colour: Mapping[str, str], lag: float | None, panel: str) -> None:
    from rnngen.plotting.style import literal

    credit, memory, use = column
    verdicts, marked = [], set()
    for label, group in rows.groupby("curve", sort=False):
        shade = colour[str(label)]
        flows = [relative_credit(flow) for flow in group["gradient_flow"]]
        known = [_needed(of) or of for of in group["memory"]]
        _draw(credit, str(label), shade, [dict(enumerate(flow)) for flow in flows])
        _draw(memory, str(label), shade, [dict(zip(of["lags"], of["r2"], strict=True)) for of in known])
        _draw(use, str(label), shade, [dict(zip(of["lags"], of["carry"]["rise"], strict=True)) for of in group["use"]])
        found = [_judged(row, lag) for row in group.to_dict("records")]
        verdicts += _in_words(literal(str(label)), [one for one in found if one])
        marked |= {one.lag for one in found if one}
    _decorate(column, marked, "\n".join([*([literal(panel)] if panel else []), *verdicts]))


def _draw(axes: "Axes", label: str, colour: str, curves: list[dict[float, float]]) -> None:
    import pandas as pd

    from rnngen.plotting.style import band

    seeds = pd.DataFrame(curves).T.astype(float).replace([np.inf, -np.inf], np.nan).sort_index()
    band(axes, label, colour, seeds.median(axis=1), seeds.min(axis=1), seeds.max(axis=1))


def _decorate(column: Any, marked: set[float], title: str) -> None:
    from matplotlib.ticker import ScalarFormatter

    from rnngen.plotting.style import powers_of_ten

    column[0].set_title(title, fontsize="small")
    powers_of_ten(column[0])
    column[0].axhline(np.log10(CREDIT), color="0.6", linewidth=0.8)
    column[1].axhline(MEMORY, color="0.6", linewidth=0.8)
    column[2].axhline(0, color="0.6", linewidth=0.8)
    for axes in column:
        axes.set_xscale("symlog", linthresh=1)
        axes.set_xlim(left=0)
        axes.xaxis.set_major_formatter(ScalarFormatter())
        for at in marked:
            axes.axvline(at, color="0.3", linestyle=":", linewidth=1)
    column[-1].set_xlabel("lag: steps back from the loss")


def _needed(memory: Mapping) -> Mapping | None:
    needed = memory.get("needed")
    return needed if isinstance(needed, Mapping) else None


def _judged(row: Mapping, lag: float | None) -> Reaches | None:
    """Return the verdict on a trial, None where no lag is known to be needed."""
    if lag is None and _needed(row["memory"]) is None:
        return None
    return judge(row["gradient_flow"], row["memory"], row["use"], lag)


def _in_words(label: str, found: list[Reaches]) -> list[str]:
    if not found:
        return []
    words = [one.verdict for one in found]
    most = max(words, key=words.count)
    share = "" if words.count(most) == len(words) else f" ({words.count(most)} of {len(words)})"
    return [f"{label}: {most}{share}"]
