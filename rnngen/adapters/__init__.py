"""Other libraries' cells and weights: Flax's cells both ways, Equinox's as cells here, torch's weights both ways.

In a config: `component("rnngen.adapters:nnx_cell", hidden_dim=64, cell="GRUCell")`.
"""

from rnngen.adapters.equinox_cells import equinox_cell, from_equinox
from rnngen.adapters.flax_cells import LinenCell, NnxCell, from_linen, from_nnx, linen_cell, nnx_cell
from rnngen.adapters.torch_weights import Imported, from_torch, load_weights, save_weights, to_torch

__all__ = [
    "Imported",
    "LinenCell",
    "NnxCell",
    "equinox_cell",
    "from_equinox",
    "from_linen",
    "from_nnx",
    "from_torch",
    "linen_cell",
    "load_weights",
    "nnx_cell",
    "save_weights",
    "to_torch",
]
