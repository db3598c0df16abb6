"""From a config to objects, strictly. Nothing below this package sees a ConfigDict."""

from rnngen.config.build import build, build_cell, complete, model_for, plain, resolve, takes_hidden_dim
from rnngen.config.defaults import base_config, component

__all__ = [
    "base_config",
    "build",
    "build_cell",
    "complete",
    "component",
    "model_for",
    "plain",
    "resolve",
    "takes_hidden_dim",
]
