"""One run, read once from its folder or from an export."""

import functools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnngen.runs.export import ExportedRun
from rnngen.runs.notebook import run_html
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
        """Read the rows of a table as they stand in the file, each time anew.

        Args:
          table: "metrics", "diagnoses" or "provenance".

        Returns:
          The rows.
        """
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
        """Return the trained model and the parameters that it is judged by; the data are not needed.

        Args:
          step: of another checkpoint than the newest.
          trust: import the modules that the config names, also where another user made the folder.

        Returns:
          `(model, params)`; see `Model` for what it does.

        Raises:
          ConfigError: the run has saved no checkpoint, or not this one, or a module must be trusted first.
        """
        from rnngen.runs.restore import restore  # here, since reading records needs no JAX

        return restore(RunFolder(self.path), step, trust)

    def predict(self, xs: Any, mask: Any = None, step: int | None = None, trust: bool = False) -> Any:
        """Predict from arrays in the data's own units; the data that the run was trained on are not needed.

        Scaling is that of the training. Predictions are what the head expects: probabilities of classes `[..., v]` or
        of bits, else numbers: means, or medians where the loss is "mae".

        Args:
          xs: `[t, *b, d]` numbers or `[t, *b]` tokens, time first; or a list of sequences `[t_i, d]` or `[t_i]`.
          mask: bool `[t, *b]`, False at padding; default: no padding.
          step: of another checkpoint than the newest.
          trust: import the modules that the config names, also where another user made the folder.

        Returns:
          Of the task `arrays`, in the shape of its targets: a prediction for each sequence, `[*b, ...]`, or for each
          step, `[t, *b, ...]`. Of `series`, the mean of each step's values given those of the steps before,
          `[t, *b, d]`. Of every other task, what the head expects at each step, `[t, *b, ...]`; `model.apply` of
          `restore` gives the outputs as they are. Of a list, a list, or an array with a row each sequence.

        Raises:
          ValueError: xs does not fit the model; the message has what was expected and what was found.
          ConfigError: as in `restore`.
        """
        from rnngen.runs.restore import predict  # here, since reading records needs no JAX

        return predict(RunFolder(self.path), xs, mask, step, trust)

    def as_sweep(self) -> "Sweep":
        """View the run as a sweep of one, of which tables and figures are made.

        Returns:
          The sweep.
        """
        return self._as_sweep

    @functools.cached_property
    def _as_sweep(self) -> "Sweep":
        from rnngen.runs.sweep import Sweep

        return Sweep(self.path, None, [self])

    def __repr__(self) -> str:
        cell, task = (_name(self.config, part) for part in ("cell", "task"))
        return f"Run({os.fspath(self.path)!r}: {cell} on {task}, {self.status})"

    def _repr_html_(self) -> str:
        return run_html(self)


def _name(config: Mapping[str, Any] | None, part: str) -> str:
    return (config or {}).get(part, {}).get("name", "?")
