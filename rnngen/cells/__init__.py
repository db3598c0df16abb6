"""Recurrent cells as pure functions. `CELLS` is every built-in, by the name a config gives it."""

from rnngen.cells.activations import ACTIVATIONS, get_activation
from rnngen.cells.cell import (
    Affine,
    Backward,
    Cell,
    Chunked,
    Gated,
    affine_cell,
    gated_cell,
    initial_state,
    project_input,
)
from rnngen.cells.cornn import cornn
from rnngen.cells.deltaproduct import deltaproduct
from rnngen.cells.deltarule import deltarule
from rnngen.cells.exprnn import exprnn
from rnngen.cells.gated_deltarule import gated_deltarule
from rnngen.cells.gru import gru
from rnngen.cells.indrnn import indrnn
from rnngen.cells.initializers import INITIALIZERS, gate_params, get_initializer
from rnngen.cells.lem import lem
from rnngen.cells.lru import lru
from rnngen.cells.lstm import lstm
from rnngen.cells.mgu import mgu
from rnngen.cells.mingru import mingru
from rnngen.cells.minlstm import minlstm
from rnngen.cells.mlstm import mlstm
from rnngen.cells.rglru import rglru
from rnngen.cells.rnn import rnn
from rnngen.cells.rwkv7 import rwkv7
from rnngen.cells.s4d import s4d
from rnngen.cells.s6 import s6
from rnngen.cells.slstm import slstm
from rnngen.cells.table import PLAIN
from rnngen.cells.wrappers import WRAPPERS, residual, variational_dropout, zoneout

CELLS = dict(sorted((PLAIN | WRAPPERS).items()))

__all__ = [
    "ACTIVATIONS",
    "CELLS",
    "INITIALIZERS",
    "Affine",
    "Backward",
    "Cell",
    "Chunked",
    "Gated",
    "affine_cell",
    "cornn",
    "deltaproduct",
    "deltarule",
    "exprnn",
    "gate_params",
    "gated_cell",
    "gated_deltarule",
    "get_activation",
    "get_initializer",
    "gru",
    "indrnn",
    "initial_state",
    "lem",
    "lru",
    "lstm",
    "mgu",
    "mingru",
    "minlstm",
    "mlstm",
    "project_input",
    "residual",
    "rglru",
    "rnn",
    "rwkv7",
    "s4d",
    "s6",
    "slstm",
    "variational_dropout",
    "zoneout",
]
