"""The terminal's view of a training: its rows, and below them a progress bar with the time left."""

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


class Bar:
    """Prints rows, with a progress bar on a terminal."""

    def __init__(self, steps: int):
        self._console, self._training = Console(), False
        count = TextColumn("{task.completed:.0f}/{task.total:.0f} steps")
        columns = [TextColumn("{task.description}"), BarColumn(), count, TimeRemainingColumn()]
        self._bars = Progress(*columns, console=self._console, disable=not self._console.is_terminal)
        self._task = self._bars.add_task("compiling", total=steps)

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bars.stop()

    def begin(self) -> None:
        """Show that programs are being compiled, until the first row."""
        self._bars.start()
        if not self._console.is_terminal:
            self._say("compiling")

    def row(self, row: dict) -> None:
        """Print a row of the metrics or diagnoses."""
        self._say(_line(row))
        if row.get("split") == "train" and not self._training:
            # The clock starts at the first row: before it came the compilation, or the steps of an earlier start.
            self._bars.reset(self._task, completed=row["step"], description="training")
            self._training = True
        elif row.get("split") == "train":
            self._bars.update(self._task, completed=row["step"])

    def _say(self, line: str) -> None:
        if self._console.is_terminal:
            self._console.print(line, soft_wrap=True, highlight=False, markup=False)
        else:
            print(line, flush=True)


def _line(row: dict) -> str:
    if "what" in row:
        found = f": half-life {row['half_life']['all']['steps']:.3g} steps" if "half_life" in row else " recorded"
        return f"{row['step']:>8}  {row['what']}{found}"
    shown = {k: v for k, v in row.items() if k not in ("step", "split", "seconds")}
    return f"{row['step']:>8}  {row['split']:<6}" + "".join(f"  {k} {v:.4g}" for k, v in shown.items())
