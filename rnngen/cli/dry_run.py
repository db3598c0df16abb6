"""What a sweep would do: its trials, their parameters, and an estimate of its time. Nothing is written."""

from pathlib import Path
from typing import Any

from rnngen.cells.cell import Cell
from rnngen.config import RunConfig, build, build_cells
from rnngen.models import count_params
from rnngen.storage.dotted import describe, short
from rnngen.sweep import campaign, plan, study
from rnngen.sweep.estimate import Estimate, estimate, kind
from rnngen.sweep.executors.local import Local, local
from rnngen.sweep.plan import Trial
from rnngen.sweep.progress import duration
from rnngen.sweep.ranges import Search

FIRST = 8  # proposals of a search by results that are shown, and stand for all


def show(folder: Path | None, base: dict, space: Any, launch: dict) -> int:
    """Print the trials and the estimate.

    Args:
      folder: of the sweep, None for one that has none yet.
      base: complete base config.
      space: of the file's `get_sweep()`.
      launch: resolved.
    """
    trials, total, left = _planned(folder, base, space)
    print(f"{total} trials, {left} of them to train")
    _print_trials(folder, trials)
    if len(trials) < total:
        print(f"  and {total - len(trials)} more, which follow from the results")
    todo = [trial for trial in trials if _status(folder, trial) not in ("finished", "diverged", "pruned")]
    if not (todo and left):
        return 0
    executor = _workers(launch)
    try:
        executor.build_loops(_cells(todo))
        found = estimate(todo, executor)
    finally:
        executor.shutdown()
    _print_estimate(found, left / len(todo), executor.slots, launch)
    return 0


def _planned(folder: Path | None, base: dict, space: Any) -> tuple[list[Trial], int, int]:
    """Return the trials, of a search by results its first ones, the number of all, and of those that are left."""
    if isinstance(space, Search):
        trials = study.planned(base, space)
        if trials is None:
            if folder is not None:
                plan.check_search(folder, base, space.record())
            over = 0 if folder is None else campaign.over(folder, space.trials, retry_failed=False)
            return study.first(base, space, FIRST), space.trials, space.trials - over
    else:
        trials = plan.plan(base, space)
    if folder is not None:
        trials, _, _ = plan.compare(folder, base, trials)
        return trials, len(trials), len(plan.pending(folder, trials, retry_failed=False))
    return trials, len(trials), len(trials)


def _status(folder: Path | None, trial: Trial) -> str:
    return "" if folder is None else plan.status_of(folder, trial).replace("unfinished", "")


def _print_trials(folder: Path | None, trials: list[Trial]) -> None:
    counts: dict[RunConfig, int] = {}
    print(f"  {'trial':<12}  {'parameters':>10}  {'steps':>9}  settings")
    for trial in trials:
        of = kind(trial.config)
        if of not in counts:
            counts[of] = count_params(build(trial.config).model)
        changes = [f"{short(k)}={trial.labels.get(k, describe(v))}" for k, v in trial.overrides.items()]
        said = ", ".join(changes + list(filter(None, [_status(folder, trial)])))
        print(f"  {trial.id:<12}  {counts[of]:>10,}  {trial.config.train.steps:>9,}  {said}")


def _workers(launch: dict) -> Local:
    """Return workers of this machine, as many as the launch has."""
    return local(Path(), launch["executor"]["kwargs"].get("workers", 0))


def _cells(trials: list[Trial]) -> list[Cell]:
    return build_cells({str(trial.config.cell): trial.config.cell for trial in trials}.values())


def _print_estimate(found: Estimate, more: float, workers: int, launch: dict) -> None:
    """Print the time of all trials. more: trials that are left over those that are estimated."""
    timings = list(found.timed.values())
    steps, compiles = ([t.step * 1000 for t in timings], [t.compile for t in timings])
    at_once = f"{workers} worker{'s' if workers > 1 else ''}"
    print(
        f"timed with {at_once} of this machine, the first steps of a trial of {len(timings)} of {found.programs} "
        f"programs: {_range(steps)} ms a step, {_range(compiles)} s to compile"
    )
    seconds = found.seconds * more
    name = launch["executor"]["name"]
    elsewhere = "" if name == "local" else f"; {name} may be faster or slower"
    print(f"about {duration(seconds / workers)} with {at_once}, {duration(seconds)} of one worker's time{elsewhere}")


def _range(values: list[float]) -> str:
    least, most = min(values), max(values)
    return f"{least:.3g}" if f"{least:.3g}" == f"{most:.3g}" else f"{least:.3g} to {most:.3g}"
