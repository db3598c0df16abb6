"""Models: layers of cells with a head. `build_model` makes one; `vrnn` holds the latent-variable models."""

from rnngen.models.export import export_apply, export_step
from rnngen.models.model import LayerModel, Model, StepModel, stepwise
from rnngen.models.stack import build_model, count_params

__all__ = [
    "LayerModel",
    "Model",
    "StepModel",
    "build_model",
    "count_params",
    "export_apply",
    "export_step",
    "stepwise",
]
