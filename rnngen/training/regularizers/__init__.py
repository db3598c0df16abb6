"""Terms that may join the training loss so that gradients last, one file each; `REGULARIZERS` has them by name."""

from collections.abc import Callable

from rnngen.training.regularizers.flossing import flossing
from rnngen.training.regularizers.omega import omega
from rnngen.training.regularizers.regularizer import Regularizer, none

__all__ = ["REGULARIZERS", "Regularizer", "flossing", "none", "omega"]

REGULARIZERS: dict[str, Callable[..., Regularizer]] = {"none": none, "omega": omega, "flossing": flossing}
