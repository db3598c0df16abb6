"""The codec of a series' values, and the interface of the models that forecast them."""

from collections.abc import Callable
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from rnngen.datasets import tables
from rnngen.datasets.codec import Codec
from rnngen.datasets.formats.text_files import writer
from rnngen.datasets.interface import Interface, check_finite, check_values
from rnngen.datasets.paths import naming
from rnngen.datasets.scaling import Scaling
from rnngen.datasets.supervised import encoded
from rnngen.heads import Head, gaussian_mixture
from rnngen.tasks.losses import RootMean, mean_loss
from rnngen.types import Array, InputSpec, check_positive


def series_codec(
    columns: tuple = ("value0",),
    mean: tuple = (),
    scale: tuple = (),
    persistence: tuple = (),
    components: int = 1,
    missing: bool = False,
) -> Codec:
    """Make the codec of a series. Values: float32 `[t, d]`, scaled; with `missing` they may be NaN.

    A prompt is a CSV file with these columns, in any order and among others, in the data's own units; a sequence is
    written as such a file. The first input of a sequence is 0, the columns' means.

    Args:
      columns: their names.
      mean, scale: of each column, see `Scaling`.
      persistence: the mean absolute change of each column, see `series_interface`.
      components: of the mixture that values are drawn from.
      missing: inputs have a feature more for each column, 1 where it is missing.

    Returns:
      The codec.

    Raises:
      ValueError: an argument is out of range.
    """
    count = len(columns)
    check_positive(columns=count, components=components)
    scaling = Scaling.of(mean, scale, count)

    def read(prompt: str) -> np.ndarray:
        with naming(Path(prompt)):
            values = tables.numbers(tables.read(Path(prompt), ".csv"), columns, "columns")
            check_finite("values", values, missing, " (row, column)")
            return scaling.scaled(values)

    def write(values: np.ndarray, table: Path) -> None:
        import pandas as pd

        pd.DataFrame(scaling.unscaled(values), columns=list(columns)).to_csv(table, index=False, float_format="%.9g")

    def feed(values: Array) -> Array:
        values = jnp.asarray(values).astype(jnp.float32)
        gone = jnp.isnan(values)
        there = jnp.where(gone, 0, values)
        return jnp.concatenate([there, gone.astype(jnp.float32)], axis=-1) if missing else there

    start = np.concatenate([np.zeros(count), np.ones(count if missing else 0)]).astype(np.float32)
    spec = InputSpec(len(start), feed=feed, start=start)
    return Codec(spec, gaussian_mixture(count, components), read, writer(write, ".csv"))


def series_interface(
    columns: tuple = ("value0",),
    mean: tuple = (),
    scale: tuple = (),
    persistence: tuple = (),
    components: int = 1,
    missing: bool = False,
) -> Interface:
    """Make the interface of a series: each step's values are predicted, by their mean, from those of the steps before.

    Args:
      columns, mean, scale, components, missing: see `series_codec`.
      persistence: the mean absolute change of each column from step to step, in the data's own units.

    Raises:
      ValueError: an argument is out of range.
    """
    made = series_codec(columns, mean, scale, persistence, components, missing)
    scaling = Scaling.of(mean, scale, len(columns))
    changes = Scaling.of([0.0] * len(persistence), persistence, len(columns), "persistence: ").scale

    def encode(values: np.ndarray) -> np.ndarray:
        check_values(values, len(columns), missing=missing)
        inputs = encoded(values, scaling, missing)
        first = np.broadcast_to(np.asarray(made.input_spec.start), inputs[:1].shape)
        return np.concatenate([first, inputs[:-1]])

    def decode(outputs: Array) -> np.ndarray:
        return scaling.unscaled(made.head.mean(outputs))

    return Interface(made.input_spec, made.head, _loss(made.head, scaling.scale, changes), encode, decode)


def _loss(head: Head, scale: np.ndarray, changes: np.ndarray) -> Callable:
    """Return the negative log-likelihood, with the errors of the mean in the data's own units."""
    own, naive = jnp.asarray(scale, jnp.float32), jnp.asarray(changes, jnp.float32)

    def loss(outputs, batch):
        batch = batch.counted()
        scalar, nats = mean_loss(-head.log_prob(outputs, batch.targets), batch.weights)
        observed = ~jnp.isnan(batch.targets)
        error = own * jnp.abs(head.mean(outputs) - jnp.where(observed, batch.targets, 0))
        weights = jnp.where(observed, batch.weights[..., None], 0)
        of_mean = {"rmse": error**2, "mae": error, "mase": error / naive}
        sums = {name: mean_loss(values, weights)[1] for name, values in of_mean.items()}
        return scalar, {"loss": nats} | sums | {"rmse": RootMean(*sums["rmse"])}

    return loss
