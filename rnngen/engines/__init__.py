"""Engines that run a cell through time. `unroll` calls them; `ENGINES` lists them by name."""

from rnngen.engines.table import ENGINES, get_engine
from rnngen.engines.unroll import batch_shape, cast_params, prepare_unroll, unroll

__all__ = ["ENGINES", "batch_shape", "cast_params", "get_engine", "prepare_unroll", "unroll"]
