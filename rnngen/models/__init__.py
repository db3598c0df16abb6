"""Models: layers of cells with a head. `build_model` makes one; `vrnn` holds the latent-variable models."""

from rnngen.models.stack import Model, build_model, count_params

__all__ = ["Model", "build_model", "count_params"]
