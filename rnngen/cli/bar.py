"""The terminal's view of a training: its rows, and below them a progress bar with the time left."""

from rnngen.runs.bar import TrainingBar


class Bar(TrainingBar):
    """Prints rows, with a progress bar on a terminal."""

    def begin(self) -> None:
        """Say or show that programs are being compiled, until the first row."""
        super().begin()
        if not self.display.console.is_terminal:
            self._say("compiling")

    def row(self, row: dict) -> None:
        """Print a row of the metrics or diagnoses."""
        self._say(_line(row))
        super().row(row)

    def note(self, row: dict) -> str:
        """Describe nothing beside the bar: the row stands above it."""
        return ""

    def _say(self, line: str) -> None:
        if self.display.console.is_terminal:
            self.display.console.print(line, soft_wrap=True, highlight=False, markup=False)
        else:
            print(line, flush=True)


def _line(row: dict) -> str:
    if "what" in row:
        found = f": half-life {row['half_life']['all']['steps']:.3g} steps" if "half_life" in row else " recorded"
        return f"{row['step']:>8}  {row['what']}{found}"
    shown = {k: v for k, v in row.items() if k not in ("step", "split", "seconds")}
    return f"{row['step']:>8}  {row['split']:<6}" + "".join(f"  {k} {v:.4g}" for k, v in shown.items())
