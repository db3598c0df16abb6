"""Experiment trackers, which get a run's rows while it trains: TensorBoard, or your own.

Your own is a `factory(folder, config) -> tracker`, named as "package.module:factory". The tracker is called with each
row of the metrics (with `step`, `split` and numbers) and of the diagnoses (with `step` and `what`), and its `close`, if
it has one, at the end. W&B and MLflow take three lines each. A tracker that raises is dropped with a line on stderr,
since the run folder has all rows.
"""

import functools
import importlib.util
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rnngen.registry import find

Tracker = Callable[[dict], Any]
Factory = Callable[[Path, dict], Tracker]


def tensorboard(folder: Path, config: dict) -> Tracker:
    """Write the metrics as scalars to `folder/tensorboard`, named `loss/valid` and so on."""
    from tensorboardX import SummaryWriter

    writer = SummaryWriter(str(folder / "tensorboard"))

    def track(row: dict) -> None:
        for name, value in row.items():
            if "split" in row and name not in ("step", "split", "seconds") and math.isfinite(value):
                writer.add_scalar(f"{name}/{row['split']}", value, row["step"])
        writer.flush()

    track.close = writer.close  # type: ignore[attr-defined]
    return track


TRACKERS: Mapping[str, Factory] = {"tensorboard": tensorboard}
NEEDS = {"tensorboard": ("tensorboardX", "tensorboard")}  # tracker -> (the module it imports, its extra)


def check(names: Sequence[str]) -> None:
    """Raise ValueError for an unknown name, or a tracker whose module is not installed."""
    for name in names:
        find(TRACKERS, name, "tracker")
        module, extra = NEEDS.get(name, (None, None))
        if module is not None and importlib.util.find_spec(module) is None:
            raise ValueError(f"{module} is not installed: pip install 'rnngen[{extra}]'")


class Trackers:
    """The trackers of one run as a single one, which never raises."""

    def __init__(self, names: Sequence[str], folder: Path, config: dict):
        """Open the trackers. Raises ValueError for an unknown name."""
        self._open: dict[str, Tracker] = {}
        for name in names:
            self._guard(name, functools.partial(self._add, name, find(TRACKERS, name, "tracker"), folder, config))

    def __call__(self, row: dict) -> None:
        for name, tracker in list(self._open.items()):
            self._guard(name, functools.partial(tracker, row))

    def close(self) -> None:
        """Close the trackers that have a `close`."""
        for name, tracker in list(self._open.items()):
            self._guard(name, getattr(tracker, "close", lambda: None))
        self._open = {}

    def _add(self, name: str, factory: Factory, folder: Path, config: dict) -> None:
        self._open[name] = factory(folder, config)

    def _guard(self, name: str, action: Callable[[], Any]) -> None:
        try:
            action()
        except Exception as error:
            self._open.pop(name, None)
            print(f"rnngen: tracker {name} dropped: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
