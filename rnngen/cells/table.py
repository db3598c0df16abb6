"""Every built-in cell but the wrappers, by the name that a config gives it."""

from collections.abc import Callable

from rnngen.cells.cell import Cell
from rnngen.cells.cornn import cornn
from rnngen.cells.deltarule import deltarule
from rnngen.cells.exprnn import exprnn
from rnngen.cells.gru import gru
from rnngen.cells.indrnn import indrnn
from rnngen.cells.lem import lem
from rnngen.cells.lru import lru
from rnngen.cells.lstm import lstm
from rnngen.cells.mgu import mgu
from rnngen.cells.mingru import mingru
from rnngen.cells.minlstm import minlstm
from rnngen.cells.rnn import rnn
from rnngen.cells.slstm import slstm

PLAIN: dict[str, Callable[..., Cell]] = {
    "cornn": cornn,
    "deltarule": deltarule,
    "exprnn": exprnn,
    "gru": gru,
    "indrnn": indrnn,
    "lem": lem,
    "lru": lru,
    "lstm": lstm,
    "mgu": mgu,
    "mingru": mingru,
    "minlstm": minlstm,
    "rnn": rnn,
    "slstm": slstm,
}
