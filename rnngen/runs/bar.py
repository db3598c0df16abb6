"""Progress bars on a terminal and in a notebook: what a training and a sweep share, and the bar of a training."""

import time
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn

REDRAW_EVERY = 0.1  # seconds between pictures that are sent to a notebook


class Display:
    """One progress bar, where somebody can see it: on a terminal, or in a notebook. Elsewhere nothing is shown.

    In a notebook it is one output of the cell that is replaced in place, so that it needs no widgets, and a saved
    notebook shows how it ended.

    Attributes:
      console: of rich; it prints above the bar.
      shown: somebody can see the bar, and wants to.
    """

    def __init__(self, *columns: ProgressColumn, total: float, wanted: bool = True, **task: Any):
        self.console = Console()
        self._in_notebook = wanted and self.console.is_jupyter
        self.shown = self._in_notebook or (wanted and self.console.is_terminal)
        self._bars = Progress(*columns, console=self.console, disable=not (wanted and self.console.is_terminal))
        self._task = self._bars.add_task(total=total, **task)
        self._output: Any = None
        self._drawn = 0.0

    @property
    def task(self) -> Task:
        """The state of the bar: `description`, `completed` and `fields`."""
        return self._bars.tasks[0]

    def start(self) -> None:
        """Show the bar."""
        self._bars.start()
        if self._in_notebook:
            from IPython.display import display

            self._output = display(self._bars, display_id=True)

    def update(self, restart: bool = False, **task: Any) -> None:
        """Change the bar as `update` of rich's `Progress` does, or with `restart` as its `reset`: the clock starts."""
        (self._bars.reset if restart else self._bars.update)(self._task, **task)
        if self._output is not None and time.monotonic() - self._drawn > REDRAW_EVERY:
            self._draw()

    def stop(self) -> None:
        """Leave the bar as it is."""
        self._bars.stop()
        if self._output is not None:
            self._draw()
            self._output = None

    def _draw(self) -> None:
        self._output.update(self._bars)
        self._drawn = time.monotonic()


class TrainingBar:
    """The bar of a training: steps, the time left, and the newest loss of the valid split."""

    def __init__(self, steps: int, wanted: bool = True):
        count = TextColumn("{task.completed:.0f}/{task.total:.0f} steps")
        columns = [TextColumn("{task.description}"), BarColumn(), count, TimeRemainingColumn()]
        columns.append(TextColumn("{task.fields[note]}"))
        self.display = Display(*columns, total=steps, wanted=wanted, description="compiling", note="")
        self._training = False

    def __enter__(self) -> "TrainingBar":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.display.stop()

    def begin(self) -> None:
        """Show that programs are being compiled, until the first row."""
        self.display.start()

    def row(self, row: dict) -> None:
        """Move on to a row of the metrics."""
        if row.get("split") == "train":
            # The clock starts at the first row: before it came the compilation, or the steps of an earlier start.
            if self._training:
                self.display.update(completed=row["step"])
            else:
                self.display.update(restart=True, completed=row["step"], description="training")
            self._training = True
        elif row.get("split") == "valid":
            self.display.update(note=self.note(row))

    def note(self, row: dict) -> str:
        """Describe a row of the valid split, beside the bar."""
        return f"valid loss {row['loss']:.4g}"
