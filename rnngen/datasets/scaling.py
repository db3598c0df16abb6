"""Standardisation: to mean 0 and standard deviation 1, by what the training split says."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rnngen.types import Array


class Scaling(NamedTuple):
    """The mean and the scale of each feature, `[d]`: scaled values are (values - mean) / scale."""

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, mean: Sequence[float], scale: Sequence[float], features: int, what: str = "") -> "Scaling":
        """Make the scaling that a run's folder holds; no numbers at all leave values as they are.

        Raises ValueError where these are not `features` finite numbers each, and positive scales.
        """
        if not mean and not scale:
            return cls.none(features)
        for name, given in ((f"{what}mean", mean), (f"{what}scale", scale)):
            if len(given) != features or not all(isinstance(x, int | float) and math.isfinite(x) for x in given):
                raise ValueError(f"{name} must be {features} finite numbers, got {list(given)[:8]}")
        if min(scale) <= 0:
            raise ValueError(f"{what}scale must be positive, got {min(scale)}")
        return cls(np.asarray(mean, np.float64), np.asarray(scale, np.float64))

    @classmethod
    def none(cls, features: int) -> "Scaling":
        """Return the scaling that changes nothing."""
        return cls(np.zeros(features), np.ones(features))

    @classmethod
    def fit(cls, values: np.ndarray, what: str, names: Sequence[str] = ()) -> "Scaling":
        """Fit to values `[n, d]`; NaN does not count, and a constant feature keeps its scale.

        Raises ValueError naming the first feature without a value, by `names` if they are given.
        """
        empty = np.flatnonzero(np.isnan(values).all(axis=0))
        if len(empty):
            name = repr(names[empty[0]]) if names else f"feature {empty[0]}"
            raise ValueError(f"{what}: {name} has no value in the training split")
        with np.errstate(over="ignore"):  # a square beyond float64 is refused below
            mean, scale = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
        constant = np.nanmax(values, axis=0) == np.nanmin(values, axis=0)
        found = cls(mean, np.where(constant | (scale == 0), 1.0, scale))
        if not (np.isfinite(found.mean).all() and np.isfinite(found.scale).all()):
            raise ValueError(f"{what}: its values are too large to be standardised")
        return found

    def scaled(self, values: np.ndarray) -> np.ndarray:
        """Scale values `[..., d]` to float32. Raises ValueError where one is out of its range."""
        with np.errstate(over="ignore"):
            found = ((np.asarray(values, np.float64) - self.mean) / self.scale).astype(np.float32)
        if np.isinf(found).any():
            at = np.argwhere(np.isinf(found))[0]
            raise ValueError(f"{np.asarray(values)[tuple(at)]} at {at.tolist()} is too far from the training split's")
        return found

    def unscaled(self, values: Array | np.ndarray) -> np.ndarray:
        """Return scaled values `[..., d]` in the data's own units, in float64."""
        return np.asarray(values, np.float64) * self.scale + self.mean

    def kwargs(self, what: str = "") -> dict[str, list[float]]:
        """Return the arguments of `of`, as JSON has them."""
        return {f"{what}mean": self.mean.tolist(), f"{what}scale": self.scale.tolist()}
