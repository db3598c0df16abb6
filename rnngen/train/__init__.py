"""Training: the update, the state, checkpoints and the loop."""

from rnngen.train.diagnose import Diagnose
from rnngen.train.loop import Experiment, Schedule, fit
from rnngen.train.optim import OPTIMIZERS, SCHEDULES, Optimizer, build_optimizer
from rnngen.train.regularizers import REGULARIZERS, Regularizer
from rnngen.train.state import TrainState, init_state

__all__ = [
    "OPTIMIZERS",
    "REGULARIZERS",
    "SCHEDULES",
    "Diagnose",
    "Experiment",
    "Optimizer",
    "Regularizer",
    "Schedule",
    "TrainState",
    "build_optimizer",
    "fit",
    "init_state",
]
