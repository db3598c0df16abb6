"""Recurrent cells as pure functions. `CELLS` is every built-in, by the name a config gives it."""

from collections.abc import Callable

from rnngen.cells.activations import ACTIVATIONS, get_activation
from rnngen.cells.cell import Affine, Backward, Cell, Gated, affine_cell, gated_cell, initial_state, project_input
from rnngen.cells.gru import gru
from rnngen.cells.initializers import INITIALIZERS, gate_params, get_initializer
from rnngen.cells.lstm import lstm
from rnngen.cells.mingru import mingru
from rnngen.cells.rnn import rnn

CELLS: dict[str, Callable[..., Cell]] = {"gru": gru, "lstm": lstm, "mingru": mingru, "rnn": rnn}

__all__ = [
    "ACTIVATIONS",
    "CELLS",
    "INITIALIZERS",
    "Affine",
    "Backward",
    "Cell",
    "Gated",
    "affine_cell",
    "gate_params",
    "gated_cell",
    "get_activation",
    "get_initializer",
    "gru",
    "initial_state",
    "lstm",
    "mingru",
    "project_input",
    "rnn",
]
