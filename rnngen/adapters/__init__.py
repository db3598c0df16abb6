"""Adapters: Flax's cells in both directions, Equinox's as cells of rnngen, torch's weights in both directions, files.

In a config: `component("rnngen.adapters:nnx_cell", hidden_dim=64, cell="GRUCell")`.
"""

from rnngen.adapters.equinox_cells import equinox_cell, from_equinox
from rnngen.adapters.flax_cells import LinenCell, NnxCell, from_linen, from_nnx, linen_cell, nnx_cell
from rnngen.adapters.torch_weights import Imported, from_torch, to_torch
from rnngen.adapters.weight_files import load_params, load_weights, save_params, save_weights

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
    "load_params",
    "load_weights",
    "nnx_cell",
    "save_params",
    "save_weights",
    "to_torch",
]
