"""What a person sees while a sweep runs: trials done, running, failed, and the time left."""

import threading
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bars

from rnngen.records import describe, short
from rnngen.sweep.driver import Trial


class Progress:
    """A live line on a terminal, else a line for each trial that ends. `event` may be called from any thread."""

    def __init__(self, total: int, done: int):
        self._total, self._done_before, self._lock = total, done, threading.Lock()
        self._counts = {"running": 0, "finished": 0, "diverged": 0, "failed": 0}
        self._console = Console()
        self._bars = Bars(
            TextColumn("trials"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[state]}"),
            console=self._console, disable=not self._console.is_terminal,
        )  # fmt: skip
        self._task = self._bars.add_task("trials", total=total, completed=done, state="")
        self._began = time.monotonic()

    def __enter__(self) -> "Progress":
        self._bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bars.stop()

    def event(self, status: str, trial: Trial) -> None:
        """A trial started ("start"), or ended with a status."""
        with self._lock:
            self._counts["running"] += 1 if status == "start" else -1
            if status in self._counts:
                self._counts[status] += 1
            state = self._state()
            self._bars.update(self._task, completed=self._completed(), state=state)
            if status in ("diverged", "failed") or (status == "finished" and not self._console.is_terminal):
                changes = ", ".join(
                    f"{short(k)}={trial.labels.get(k, describe(v))}" for k, v in trial.overrides.items()
                )
                self._console.print(
                    f"{self._completed()}/{self._total}  {status}  {trial.id}  {changes}  ({state})",
                    soft_wrap=True, highlight=False, markup=False,
                )  # fmt: skip

    def _completed(self) -> int:
        return self._done_before + sum(n for status, n in self._counts.items() if status != "running")

    def _state(self) -> str:
        done = self._completed() - self._done_before
        left = (time.monotonic() - self._began) / done * (self._total - self._completed()) if done else None
        time_left = "time left unknown" if left is None else f"about {left:.0f} s left"
        return f"{self._counts['running']} running, {self._counts['failed']} failed, {time_left}"
