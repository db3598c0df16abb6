"""Pure diagnoses of how a cell or model carries gradients through time.

What a function calls `log` is a natural logarithm. Its arrays go by the step t, from the first; `lag_norms` goes by the
lag, 0 at the step of the loss, and that is what `half_life` takes: of `log_gradient_norms`, `norms[::-1]`.

Records, in `diagnoses.jsonl`, have logarithms to base ten by lag: the `curves` of `gradient_flow`, and all that is
called `log10_`. The `curves` of `carry_norms` are norms themselves, by t.
"""

from rnngen.diagnostics.carry_norms import carry_norms
from rnngen.diagnostics.eigenvalues import recurrent_eigenvalues
from rnngen.diagnostics.gates import gate_statistics
from rnngen.diagnostics.gradient_flow import carry_gradients, gradient_flow
from rnngen.diagnostics.horizon import HalfLife, flow_record, half_life, lag_norms, memory_horizon
from rnngen.diagnostics.jacobian_products import jacobian_products
from rnngen.diagnostics.log_norms import log_gradient_norms
from rnngen.diagnostics.lyapunov import lyapunov_spectrum

__all__ = [
    "HalfLife",
    "carry_gradients",
    "carry_norms",
    "flow_record",
    "gate_statistics",
    "gradient_flow",
    "half_life",
    "jacobian_products",
    "lag_norms",
    "log_gradient_norms",
    "lyapunov_spectrum",
    "memory_horizon",
    "recurrent_eigenvalues",
]
