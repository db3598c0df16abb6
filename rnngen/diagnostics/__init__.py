"""Pure diagnoses of how a cell or model carries gradients through time."""

from rnngen.diagnostics.gradient_flow import carry_gradients, gradient_flow
from rnngen.diagnostics.horizon import HalfLife, flow_record, half_life, lag_norms
from rnngen.diagnostics.log_norms import log_gradient_norms

__all__ = [
    "HalfLife",
    "carry_gradients",
    "flow_record",
    "gradient_flow",
    "half_life",
    "lag_norms",
    "log_gradient_norms",
]
