"""Every built-in cell but the wrappers, by the name that a config gives it."""

from collections.abc import Callable

from rnngen.cells.cell import Cell
from rnngen.cells.cornn import cornn
from rnngen.cells.deltaproduct import deltaproduct
from rnngen.cells.deltarule import deltarule
from rnngen.cells.exprnn import exprnn
from rnngen.cells.gated_deltarule import gated_deltarule
from rnngen.cells.gru import gru
from rnngen.cells.indrnn import indrnn
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

PLAIN: dict[str, Callable[..., Cell]] = {
    "cornn": cornn,
    "deltaproduct": deltaproduct,
    "deltarule": deltarule,
    "exprnn": exprnn,
    "gated_deltarule": gated_deltarule,
    "gru": gru,
    "indrnn": indrnn,
    "lem": lem,
    "lru": lru,
    "lstm": lstm,
    "mgu": mgu,
    "mingru": mingru,
    "minlstm": minlstm,
    "mlstm": mlstm,
    "rglru": rglru,
    "rnn": rnn,
    "rwkv7": rwkv7,
    "s4d": s4d,
    "s6": s6,
    "slstm": slstm,
}
