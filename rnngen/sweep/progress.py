"""The progress of a sweep, on the terminal that runs it and from another one."""

import math
import threading
import time
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn

from rnngen.config.check import ConfigError
from rnngen.runs import open_sweep
from rnngen.runs.bar import Display
from rnngen.runs.sweep import Sweep
from rnngen.storage.dotted import describe, short
from rnngen.storage.folder import RunFolder
from rnngen.storage.jsonl import DamagedFile
from rnngen.storage.plan import left_out, read_plan
from rnngen.sweep.campaign import SweepRun
from rnngen.sweep.plan import Trial

STATUSES = ("finished", "pruned", "diverged", "failed")


class Progress:
    """A live line on a terminal or in a notebook, updated within trials too; elsewhere a line for each trial that ends.

    `over` may be called from any thread.

    Args:
      campaign: the sweep.
      wanted: show the live line, and what failed above it.
      lines: where there is no live line, show a line for each trial that ends.
    """

    def __init__(self, campaign: SweepRun, wanted: bool = True, lines: bool = True):
        self._campaign, self._lock = campaign, threading.Lock()
        self._counts = dict.fromkeys(STATUSES, 0)
        self._best: tuple[float, str] | None = None
        columns = (TextColumn("trials"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[state]}"))
        now = {"description": "trials", "completed": self._completed(), "state": ""}
        self._display, self._lines = Display(*columns, total=campaign.total, wanted=wanted, **now), lines
        self._began, self._ended, self._part = time.monotonic(), threading.Event(), Part(campaign.folder)
        self._watching = threading.Thread(target=self._watch, name="progress", daemon=True)

    def __enter__(self) -> "Progress":
        self._display.start()
        if self._display.shown:
            self._watching.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        if self._watching.is_alive():
            self._watching.join()
        self._display.stop()

    def _watch(self) -> None:
        while not self._ended.wait(1.0):
            self._watch_once()

    def _watch_once(self) -> None:
        part = self._part.trained()
        with self._lock:
            completed = min(self._completed() + (part or 0.0), self._campaign.total)
            self._display.update(completed=completed, state=self._state(part))

    def over(self, status: str, trial: Trial) -> None:
        """Show that a trial ended with a status."""
        with self._lock:
            self._counts[status] += 1
            self._best = better(self._best, self._campaign.score(trial), trial.id, self._campaign.mode)
            state = self._state()
            self._display.update(completed=self._completed(), state=state)
            if status in ("diverged", "failed") if self._display.shown else self._lines:
                changes = ", ".join(
                    f"{short(k)}={trial.labels.get(k, describe(v))}" for k, v in trial.overrides.items()
                )
                self._display.console.print(
                    f"{self._completed()}/{self._campaign.total}  {status}  {trial.id}  {changes}  ({state})",
                    soft_wrap=True, highlight=False, markup=False,
                )  # fmt: skip

    def _completed(self) -> int:
        return self._campaign.total - self._campaign.left + sum(self._counts.values())

    def _state(self, part: float | None = 0.0) -> str:
        """Describe the sweep. part: trained part of the running trials, in trials; None: they are being compiled."""
        done, left = sum(self._counts.values()) + (part or 0.0), self._campaign.total - self._completed()
        running = min(left, self._campaign.executor.slots)
        if not done:
            return f"{running} running" + (", compiling" if part is None else "")
        seconds = (time.monotonic() - self._began) / done * (left - (part or 0.0))
        counts = ", ".join(f"{n} {status}" for status, n in self._counts.items() if status != "finished" and n)
        best = f"best {self._campaign.metric} {self._best[0]:.3g} ({self._best[1]})" if self._best else ""
        return ", ".join(filter(None, [f"{running} running", counts, best, f"about {duration(seconds)} left"]))


class Part:
    """The trained part of a sweep's running trials, from its folder."""

    def __init__(self, folder: Path):
        self._folder, self._steps = folder / "trials", dict[str, int]()
        plan = read_plan(folder) or {"trials": []}
        self._over = {trial["id"] for trial in plan["trials"] if left_out(plan, trial)}

    def trained(self) -> float | None:
        """Return the trained part in units of trials; None where trials are running and none has a row yet."""
        begun = [path for path in self._folder.glob("*") if path.name not in self._over]
        shares = [self._share(RunFolder(path)) for path in begun]
        known = [share for share in shares if share is not None]
        return sum(known) if known or not shares else None

    def _share(self, run: RunFolder) -> float | None:
        name = run.name
        if (run.path / "result.json").exists():
            self._over.add(name)
            return 0.0
        try:
            if name not in self._steps:
                self._steps[name] = (run.config() or {})["train"]["steps"]
            step = run.last_step()
        except (OSError, DamagedFile, KeyError):  # just begun, or damaged, which its own process will report
            return None
        return None if step is None else step / self._steps[name]


def better(best: tuple[float, str] | None, score: float | None, trial: str, mode: str) -> tuple[float, str] | None:
    """Return the better of the best so far and a trial's score, which may be None or nan."""
    if score is None or math.isnan(score):
        return best
    sign = 1 if mode == "min" else -1
    return (score, trial) if best is None or sign * score < sign * best[0] else best


def duration(seconds: float) -> str:
    """Format seconds in a readable unit."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def status(folder: Path, now: float | None = None) -> list[str]:
    """Describe the progress of a sweep in lines, from its folder. Raises ConfigError where it holds none."""
    try:
        sweep = open_sweep(folder)
    except FileNotFoundError:
        sweep = None
    if sweep is None or sweep.plan is None:
        raise ConfigError(f"{folder}: holds no sweep")
    search = sweep.search or {"metric": "loss", "mode": "min", "trials": len(sweep)}
    results = sweep.outcomes
    counts = {name: sweep.status.get(name, 0) for name in STATUSES}
    under_way = _under_way(sweep, time.time() if now is None else now)
    total = max(search.get("trials", 0), len(sweep))
    lines = [f"{sum(counts.values())} of {total} trials over: " + ", ".join(f"{n} {s}" for s, n in counts.items())]
    lines += [f"{len(under_way)} begun and not over{''.join(under_way[:8])}"]
    lines += _best(sweep, search["metric"], search["mode"])
    spent = results[["train_seconds", "compile_seconds"]].sum().sum() if "train_seconds" in results else 0.0
    done, left = sum(counts.values()), total - sum(counts.values())
    if done and left:
        lines.append(f"about {duration(spent / done * left)} of one worker's time left")
    return lines


def _under_way(sweep: Sweep, now: float) -> list[str]:
    """Return a line for each trial that has begun and has no result: its last step, and how long ago that was."""
    lines = []
    for run in sweep:
        metrics = run.path / "metrics.jsonl"
        if run.result is None and metrics.exists():
            step = max((row["step"] for row in run.rows("metrics")), default=0)
            ago = duration(max(0.0, now - metrics.stat().st_mtime))
            lines.append(f"\n  {run.name}  step {step}, heard of {ago} ago")
    return lines


def _best(sweep: Sweep, metric: str, mode: str) -> list[str]:
    scores = sweep.scores(metric)
    if scores.empty:
        return []
    trial = sweep.best(metric, mode).name
    return [f"best {metric} on valid: {scores[trial]:.4g} ({trial})"]
