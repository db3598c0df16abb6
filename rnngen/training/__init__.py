"""Training: the update, the state, checkpoints and the loop."""

from rnngen.training.compiled import alike
from rnngen.training.diagnose import DiagnosticsConfig
from rnngen.training.experiment import Experiment, TrainConfig
from rnngen.training.loop import fit, fit_pack
from rnngen.training.optim import OPTIMIZERS, SCHEDULES, Optimizer, build_optimizer
from rnngen.training.regularizers import REGULARIZERS, Regularizer
from rnngen.training.state import TrainState, init_state

__all__ = [
    "OPTIMIZERS",
    "REGULARIZERS",
    "SCHEDULES",
    "DiagnosticsConfig",
    "Experiment",
    "Optimizer",
    "Regularizer",
    "TrainConfig",
    "TrainState",
    "alike",
    "build_optimizer",
    "fit",
    "fit_pack",
    "init_state",
]
