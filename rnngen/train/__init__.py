"""Training: the update, the state, checkpoints and the loop."""

from rnngen.train.diagnose import Diagnose
from rnngen.train.experiment import Experiment, Schedule
from rnngen.train.loop import fit, fit_pack
from rnngen.train.optim import OPTIMIZERS, SCHEDULES, Optimizer, build_optimizer
from rnngen.train.programs import alike
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
    "alike",
    "build_optimizer",
    "fit",
    "fit_pack",
    "init_state",
]
