"""Penalties that keep gradients from vanishing or exploding, one file each; `REGULARIZERS` lists them by name."""

from collections.abc import Callable

from rnngen.training.regularizers.flossing import flossing
from rnngen.training.regularizers.omega import omega
from rnngen.training.regularizers.regularizer import Regularizer, none

__all__ = ["REGULARIZERS", "Regularizer", "flossing", "none", "omega"]

REGULARIZERS: dict[str, Callable[..., Regularizer]] = {"none": none, "omega": omega, "flossing": flossing}
