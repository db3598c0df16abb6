"""Pure diagnoses of gradients and dynamics of a cell or model, and `DIAGNOSES`, those that a config can name.

A name with `log` means natural logarithms. Arrays are indexed by the step t from the first, but `lag_norms` by the lag,
0 at the step of the loss, which is what `half_life` takes: of `log_gradient_norms`, `norms[::-1]`.

Records, in `diagnoses.jsonl`, have logarithms to base ten by lag: the `curves` of `gradient_flow`, and every name with
`log10_`. The `curves` of `carry_norms` are norms themselves, by t.
"""

import importlib
import pkgutil
from collections.abc import Callable

from rnngen.diagnostics.activations import Activations, activations
from rnngen.diagnostics.carry_norms import carry_norms
from rnngen.diagnostics.diagnosis import Diagnosis, Kind
from rnngen.diagnostics.eigenvalues import recurrent_eigenvalues
from rnngen.diagnostics.gates import gate_statistics
from rnngen.diagnostics.gradient_flow import carry_gradients, gradient_flow
from rnngen.diagnostics.half_life import HalfLife, half_life
from rnngen.diagnostics.horizon import flow_record, lag_norms, memory_horizon
from rnngen.diagnostics.jacobian_products import jacobian_products
from rnngen.diagnostics.log_norms import log_gradient_norms
from rnngen.diagnostics.lyapunov import lyapunov_spectrum
from rnngen.diagnostics.memory import Memory, capacity, memory
from rnngen.diagnostics.parameter_gradient import LagShares, parameter_gradient_by_lag, parameter_gradients
from rnngen.diagnostics.reaches import Reaches, judge, three_reaches
from rnngen.diagnostics.rule_credit import RuleCredit, rule_credit
from rnngen.diagnostics.sensitivity import Sensitivity, parameter_sensitivity
from rnngen.diagnostics.use import Use, use, use_record
from rnngen.plotting.figure import DrawnFigure


def _kinds() -> dict[str, Kind]:
    """Return every `DIAGNOSIS` that a file of this package declares, by name; its file alone makes a new one."""
    modules = (importlib.import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__))
    kinds = [module.DIAGNOSIS for module in modules if hasattr(module, "DIAGNOSIS")]
    return {kind.name: kind for kind in sorted(kinds, key=lambda kind: kind.name)}


__all__ = [
    "DIAGNOSES",
    "FIGURES",
    "Activations",
    "Diagnosis",
    "HalfLife",
    "LagShares",
    "Memory",
    "Reaches",
    "RuleCredit",
    "Sensitivity",
    "Use",
    "activations",
    "capacity",
    "carry_gradients",
    "carry_norms",
    "flow_record",
    "gate_statistics",
    "gradient_flow",
    "half_life",
    "jacobian_products",
    "judge",
    "lag_norms",
    "log_gradient_norms",
    "lyapunov_spectrum",
    "memory",
    "memory_horizon",
    "parameter_gradient_by_lag",
    "parameter_gradients",
    "parameter_sensitivity",
    "recurrent_eigenvalues",
    "rule_credit",
    "three_reaches",
    "use",
    "use_record",
]

_KINDS = _kinds()
DIAGNOSES: dict[str, Callable[..., Diagnosis]] = {name: kind.make for name, kind in _KINDS.items()}
FIGURES: dict[str, DrawnFigure] = {name: kind.plot for name, kind in _KINDS.items() if kind.plot}
