"""Output distributions. `HEADS` lists the built-in ones by name."""

from collections.abc import Callable

from rnngen.heads.bernoulli import bernoulli
from rnngen.heads.categorical import categorical, check_sampling
from rnngen.heads.gaussian import gaussian
from rnngen.heads.gaussian_mixture import gaussian_mixture
from rnngen.heads.head import Head
from rnngen.heads.laplace import laplace
from rnngen.heads.logistic_mixture import logistic_mixture
from rnngen.heads.mixture_density import mixture_density

HEADS: dict[str, Callable[..., Head]] = {
    "bernoulli": bernoulli,
    "categorical": categorical,
    "gaussian": gaussian,
    "gaussian_mixture": gaussian_mixture,
    "laplace": laplace,
    "logistic_mixture": logistic_mixture,
    "mixture_density": mixture_density,
}

__all__ = [
    "HEADS",
    "Head",
    "bernoulli",
    "categorical",
    "check_sampling",
    "gaussian",
    "gaussian_mixture",
    "laplace",
    "logistic_mixture",
    "mixture_density",
]
