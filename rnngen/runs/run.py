"""One run, read once from its folder or from an export."""

import functools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnngen.runs.export import ExportedRun
from rnngen.storage.folder import RunFolder

if TYPE_CHECKING:
    import pandas as pd

    from rnngen.models import Model
    from rnngen.runs.sweep import Sweep
    from rnngen.types import Params


class Run:
    """One trained or half-trained run.

    Every file is read on first use, and cached; reading raises DamagedFile for a file that rnngen did not write.
    """

    def __init__(self, source: RunFolder | ExportedRun):
        self._source = source

    @property
    def path(self) -> Path:
        """The folder."""
        return self._source.path

    @property
    def name(self) -> str:
        """The folder's name: of a trial its id."""
        return self._source.name

    @functools.cached_property
    def config(self) -> dict | None:
        """The resolved config, None for a folder that has none yet."""
        return self._source.config()

    @functools.cached_property
    def result(self) -> dict | None:
        """The final result, None while the run is not over."""
        return self._source.result()

    @property
    def status(self) -> str:
        """One of "finished", "diverged", "pruned", "failed" and "unfinished"."""
        return self.result["status"] if self.result else "unfinished"

    def rows(self, table: str) -> list[dict]:
        """Read the rows of "metrics", "diagnoses" or "provenance" as they stand in the file, each time anew."""
        return self._source.rows(table)

    @functools.cached_property
    def metrics(self) -> "pd.DataFrame":
        """A row a logged interval and evaluation: `step`, `split`, `loss` and the other metrics of the task."""
        return self._table("metrics")

    @functools.cached_property
    def diagnoses(self) -> "pd.DataFrame":
        """A row a diagnosis: `step`, `what`, and what it records."""
        return self._table("diagnoses")

    @functools.cached_property
    def provenance(self) -> "pd.DataFrame":
        """A row a start: time, seed, versions, device."""
        return self._table("provenance")

    def _table(self, table: str) -> "pd.DataFrame":
        import pandas as pd  # here, since loading it takes as long as a small run's start

        return pd.DataFrame(self.rows(table))

    def restore(self, step: int | None = None, trust: bool = False) -> "tuple[Model, Params]":
        """Return the trained model and the parameters that it is judged by.

        Args:
          step: of another checkpoint than the newest.
          trust: import the modules that the config names, also where another user made the folder.

        Raises:
          ConfigError: there is no such checkpoint, or a module must be trusted first.
        """
        from rnngen.runs.restore import restore  # here, since reading records needs no JAX

        return restore(RunFolder(self.path), step, trust)

    def predict(self, xs: Any, mask: Any = None, step: int | None = None, trust: bool = False) -> Any:
        """Return the trained model's outputs for a batch of sequences.

        Args:
          xs: inputs as the task feeds them, `[t, *b, d]` floats or `[t, *b]` tokens.
          mask: bool `[t, *b]`, False at padding; default: no padding.
          step, trust: see `restore`.

        Returns:
          The outputs, `[t, *b, ...]`: logits, means or other parameters of the task's head.

        Raises:
          ValueError: the inputs do not fit the model.
        """
        model, params = self.restore(step, trust)
        return model.apply(params, xs, mask=mask)[1]

    def as_sweep(self) -> "Sweep":
        """Return the run as a sweep of one, of which tables and figures are made."""
        return self._as_sweep

    @functools.cached_property
    def _as_sweep(self) -> "Sweep":
        from rnngen.runs.sweep import Sweep

        return Sweep(self.path, None, [self])

    def __repr__(self) -> str:
        cell, task = (_name(self.config, part) for part in ("cell", "task"))
        return f"Run({os.fspath(self.path)!r}: {cell} on {task}, {self.status})"


def _name(config: Mapping[str, Any] | None, part: str) -> str:
    return (config or {}).get(part, {}).get("name", "?")
