"""A multivariate series of one's own, to forecast: each step's values from those before it."""

import os
from typing import Any

import numpy as np

from rnngen.datasets.forecasting import forecasting_task
from rnngen.datasets.paths import existing, naming
from rnngen.datasets.series_codec import series_codec, series_interface
from rnngen.datasets.series_values import Series, of_memory, read_series
from rnngen.datasets.store import SCHEME, store, stored
from rnngen.datasets.supervised_task import MISSING
from rnngen.storage.provenance import sha256_of
from rnngen.tasks.task import Task
from rnngen.types import check_one_of

__all__ = ["from_series", "series", "series_codec", "series_interface"]


def series(
    path: str,
    *,
    columns: tuple = (),
    time: str = "",
    window: int = 48,
    horizon: int = 12,
    components: int = 1,
    valid: float = 0.1,
    test: float = 0.1,
    missing: str = "refuse",
) -> Task:
    """Forecast the values of a series from those before. Inputs and targets `[t, b, d]`, one column a feature.

    An example is a window of `window` steps and the `horizon` steps after it, each predicted from those before it in
    the example, as in DeepAR (Salinas et al. 2020, arXiv 1704.04110): together, their likelihood is that of the whole
    forecast. In training every step counts, in evaluation those of the horizon. The splits are in order: train, then
    valid, then test. No target of one is in another; the window before an evaluation's horizon may reach into the
    split before.

    Columns are scaled to mean 0 and standard deviation 1 on train; the model's distribution is of scaled values: a
    Gaussian, or a mixture of `components`, with independent columns. Loss: nats per step; in the data's own units it is
    higher by the sum of the columns' log scales. Metrics, of the mean: `rmse` and `mae` in the data's own units, and
    `mase`, the absolute error as a share of the persistence forecast's on train, of which each value is the one before
    (Hyndman and Koehler 2006): below 1 is better. Baseline: independent Gaussians fitted to train; the record of a run
    (`provenance.jsonl`) has both baselines, the persistence forecast's as Gaussians around the value before. A series
    with a trend is best given as its differences.

    Args:
      path: a CSV or Parquet file; an npy file `[t, d]` or `[t]`; an npz file with `values` `[t, d]`; or what
        `rnngen.tasks.from_series` returned.
      columns: of a table the columns to forecast, by default all but the time.
      time: the column that orders the rows; its steps must be even. It is no input. "": as they are.
      window: steps before a forecast.
      horizon: steps of a forecast.
      components: of the mixture; 1: a Gaussian.
      valid, test: shares of the steps.
      missing: "refuse" a NaN, or "mask" it: an input becomes 0 once it is scaled, and for each column there is one more
        that is 1 where it is missing; a target does not count.

    Returns:
      The task.

    Raises:
      ValueError: naming the file, column or argument that does not fit.
    """
    check_one_of(MISSING, missing=missing)
    place = stored(path) if path.startswith(SCHEME) else existing(path)
    facts = {"files": {place.name: sha256_of(place)}}
    how: dict[str, Any] = {"window": window, "horizon": horizon, "components": components}
    how |= {"valid": valid, "test": test, "missing": missing == "mask"}
    with naming(place):
        return forecasting_task(read_series(place, columns, time), **how, facts=facts)


def from_series(
    values: Any,
    *,
    columns: Any = (),
    time: Any = None,
    window: int = 48,
    horizon: int = 12,
    components: int = 1,
    valid: float = 0.1,
    test: float = 0.1,
    missing: str = "refuse",
    folder: str | os.PathLike | None = None,
) -> dict:
    """Make a task of a series in memory, as a config names it: `config.task = rnngen.tasks.from_series(table)`.

    The values are written once, to a file named by its checksum in the user's data folder (see `datasets.store`).

    Args:
      values: `[t, d]` or `[t]` numbers, or a DataFrame or Series of pandas, whose index is the time where it is of
        datetimes or periods.
      columns: of a DataFrame those to forecast, by default all but the time; of an array their names.
      time: `[t]` times, or the name of a DataFrame's column of times.
      folder: of the file; default: the user's data folder.
      window, horizon, components, valid, test, missing: see the task `series`.

    Returns:
      `{"name": "series", "kwargs": {...}}`.

    Raises:
      ValueError: naming the argument or column that does not fit.
    """
    check_one_of(MISSING, missing=missing)
    found: Series = of_memory(values, columns, time)
    kwargs: dict[str, Any] = {
        "window": window,
        "horizon": horizon,
        "components": components,
        "valid": valid,
        "test": test,
    }
    forecasting_task(found, **kwargs, missing=missing == "mask")  # refused before anything is written
    path = store({"values": found.values, "columns": np.array(found.columns)}, folder)
    return {"name": "series", "kwargs": {"path": path} | kwargs | {"missing": missing}}
