"""Forecasts of a series by a trained run: paths drawn from its model, their means and prediction intervals."""

import os
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from rnngen.config.check import ConfigError
from rnngen.datasets.interface import check_finite
from rnngen.datasets.scaling import Scaling
from rnngen.datasets.series_values import of_memory
from rnngen.generation.generate import PIECE, stream
from rnngen.generation.generator import load_generator
from rnngen.runs import Run
from rnngen.storage.folder import RunFolder
from rnngen.types import check_positive

if TYPE_CHECKING:
    import pandas as pd


class Forecast(NamedTuple):
    """Drawn continuations of a series, in the data's own units.

    Attributes:
      paths: `[t, n, d]`, n of them.
      columns: the names of the d columns.
    """

    paths: np.ndarray
    columns: tuple[str, ...]

    @property
    def mean(self) -> np.ndarray:
        """The mean of the paths, `[t, d]`."""
        return self.paths.mean(axis=1)

    def quantile(self, share: float) -> np.ndarray:
        """Compute the values below which a share of the paths lies.

        Args:
          share: from 0 to 1; 0.5 is the median.

        Returns:
          The values, `[t, d]`.

        Raises:
          ValueError: share is out of range.
        """
        if not 0 <= share <= 1:
            raise ValueError(f"share must be from 0 to 1, got {share}")
        return np.quantile(self.paths, share, axis=1)

    def interval(self, share: float = 0.9) -> tuple[np.ndarray, np.ndarray]:
        """Compute the central interval that holds a share of the paths at each step.

        Args:
          share: from 0 to 1.

        Returns:
          Its lower and upper ends, `[t, d]` each.

        Raises:
          ValueError: share is out of range.
        """
        return self.quantile((1 - share) / 2), self.quantile((1 + share) / 2)

    def table(self, share: float = 0.9) -> "pd.DataFrame":
        """Arrange means and intervals in a table.

        Args:
          share: of the interval.

        Returns:
          A row each step ahead, from 1, and three columns, mean, low and high, for each column of the series.

        Raises:
          ValueError: share is out of range.
        """
        import pandas as pd

        low, high = self.interval(share)
        found = {"mean": self.mean, "low": low, "high": high}
        numbers = {(name, what): of[:, i] for i, name in enumerate(self.columns) for what, of in found.items()}
        return pd.DataFrame(numbers, index=pd.RangeIndex(1, len(self.paths) + 1, name="steps ahead"))


def forecast(
    run: Run | str | os.PathLike,
    values: Any,
    horizon: int = 0,
    *,
    paths: int = 200,
    seed: int = 0,
    temperature: float = 1.0,
    trust: bool = False,
) -> Forecast:
    """Forecast what follows some values of a series; the data that the run was trained on are not needed.

    Each path is drawn step by step: what is drawn at one step is the input of the next.

    Args:
      run: a run of the task `series`, or its folder.
      values: `[t, d]` (or `[t]`) in the data's own units, in order of time, or a DataFrame with the run's columns.
      horizon: steps to forecast; 0: that of the task.
      paths: number of continuations that are drawn.
      seed: of the draws.
      temperature: 1 draws from the model's distribution, a smaller one nearer to its mode.
      trust: see `Run.restore`.

    Returns:
      The paths, with their means, quantiles and intervals.

    Raises:
      ConfigError: the run's task is not `series`, or it has saved nothing.
      ValueError: the values are not those of the run's columns.
    """
    folder = RunFolder(run.path if isinstance(run, Run) else run)
    described = folder.codec() or {}
    if described.get("name") != "series":
        raise ConfigError(f"{folder.path}: forecasts are of runs of the task 'series'")
    generator = load_generator(folder.path, trust)
    kwargs, steps = described["kwargs"], horizon or generator.length
    check_positive(horizon=steps, paths=paths)
    columns = tuple(kwargs["columns"])
    given = of_memory(values, columns, None).values
    check_finite("values", given, kwargs["missing"], " (row, column)")
    scaling = Scaling.of(kwargs["mean"], kwargs["scale"], len(columns))
    drawn = stream(
        generator.model,
        generator.params,
        jax.random.key(seed),
        steps,
        prompt=scaling.scaled(given),
        batch=paths,
        piece=min(PIECE, steps),
        temperature=temperature,
    )
    return Forecast(scaling.unscaled(np.concatenate(list(drawn))), columns)
