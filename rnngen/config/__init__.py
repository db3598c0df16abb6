"""From a config to objects, strictly. Nothing below this package sees a ConfigDict."""

from rnngen.config.build import build, build_cell, build_cells, build_task, same_rates
from rnngen.config.defaults import base_config, component
from rnngen.config.files import load, shipped
from rnngen.config.fingerprint import fingerprint
from rnngen.config.resolve import complete, plain, resolve, takes_hidden_dim, usual_eval_every
from rnngen.config.run_config import Component, RunConfig
from rnngen.config.stored import model_for

__all__ = [
    "Component",
    "RunConfig",
    "base_config",
    "build",
    "build_cell",
    "build_cells",
    "build_task",
    "complete",
    "component",
    "fingerprint",
    "load",
    "model_for",
    "plain",
    "resolve",
    "same_rates",
    "shipped",
    "takes_hidden_dim",
    "usual_eval_every",
]
