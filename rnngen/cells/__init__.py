"""Recurrent cells as pure functions. `CELLS` is every built-in, by the name a config gives it."""

from collections.abc import Callable

from rnngen.cells.activations import ACTIVATIONS, get_activation
from rnngen.cells.cell import Cell, Gated, gated_cell, initial_state, project_input
from rnngen.cells.gru import gru
from rnngen.cells.initializers import INITIALIZERS, gate_params, get_initializer
from rnngen.cells.lstm import lstm
from rnngen.cells.rnn import rnn

CELLS: dict[str, Callable[..., Cell]] = {"gru": gru, "lstm": lstm, "rnn": rnn}

__all__ = [
    "ACTIVATIONS",
    "CELLS",
    "INITIALIZERS",
    "Cell",
    "Gated",
    "gate_params",
    "gated_cell",
    "get_activation",
    "get_initializer",
    "gru",
    "initial_state",
    "lstm",
    "project_input",
    "rnn",
]
