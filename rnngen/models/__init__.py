"""Models: layers of cells with a head. `build_model` makes one; `vrnn` holds the latent-variable models."""

from rnngen.models.export import export_apply, export_step
from rnngen.models.model import LayerModel, Model, StepModel, stepwise
from rnngen.models.sizes import count_params, count_state
from rnngen.models.stack import build_model

__all__ = [
    "LayerModel",
    "Model",
    "StepModel",
    "build_model",
    "count_params",
    "count_state",
    "export_apply",
    "export_step",
    "stepwise",
]
