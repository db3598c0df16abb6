"""Where rows go beside the run folder, while a run trains: TensorBoard, or a hook of one's own.

A hook is `factory(folder, config) -> sink`, named as "package.module:factory"; the sink is called with each row of the
metrics (it has `step`, `split` and numbers) and of the diagnoses (it has `step` and `what`), and if it has a `close`,
that is called at the end. W&B and MLflow take three lines each. A sink that raises is dropped with one line, since the
run folder has it all.
"""

import functools
import importlib.util
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rnngen.registry import find

Sink = Callable[[dict], Any]
Factory = Callable[[Path, dict], Sink]


def tensorboard(folder: Path, config: dict) -> Sink:
    """Numbers of the metrics as scalars in `folder/tensorboard`, named `loss/valid` and so on."""
    from tensorboardX import SummaryWriter

    writer = SummaryWriter(str(folder / "tensorboard"))

    def sink(row: dict) -> None:
        for name, value in row.items():
            if "split" in row and name not in ("step", "split", "seconds") and math.isfinite(value):
                writer.add_scalar(f"{name}/{row['split']}", value, row["step"])
        writer.flush()

    sink.close = writer.close  # type: ignore[attr-defined]
    return sink


TRACKERS: Mapping[str, Factory] = {"tensorboard": tensorboard}
NEEDS = {"tensorboard": ("tensorboardX", "tensorboard")}  # sink -> the module it imports, the extra that brings it


def check(names: Sequence[str]) -> None:
    """Raise ValueError where a name finds no factory, or what it needs is not installed."""
    for name in names:
        find(TRACKERS, name, "sink")
        module, extra = NEEDS.get(name, (None, None))
        if module is not None and importlib.util.find_spec(module) is None:
            raise ValueError(f"{module} is not installed: pip install 'rnngen[{extra}]'")


class Trackers:
    """The sinks of one run, as one that never raises."""

    def __init__(self, names: Sequence[str], folder: Path, config: dict):
        """Open them. Raises ValueError for a name that finds nothing."""
        self._open: dict[str, Sink] = {}
        for name in names:
            self._guard(name, functools.partial(self._add, name, find(TRACKERS, name, "sink"), folder, config))

    def __call__(self, row: dict) -> None:
        for name, sink in list(self._open.items()):
            self._guard(name, functools.partial(sink, row))

    def close(self) -> None:
        """Close those that can be."""
        for name, sink in list(self._open.items()):
            self._guard(name, getattr(sink, "close", lambda: None))
        self._open = {}

    def _add(self, name: str, factory: Factory, folder: Path, config: dict) -> None:
        self._open[name] = factory(folder, config)

    def _guard(self, name: str, action: Callable[[], Any]) -> None:
        try:
            action()
        except Exception as error:
            self._open.pop(name, None)
            print(f"rnngen: sink {name} dropped: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
