"""The config in a run's folder: its model without the task's data, and the trust in the modules that it names."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rnngen.config.build import credited_cell, make_model
from rnngen.config.check import ConfigError
from rnngen.config.resolve import check_components, complete
from rnngen.config.run_config import RunConfig
from rnngen.heads import Head
from rnngen.models.stack import Model
from rnngen.storage.trust import is_own, named_modules
from rnngen.types import InputSpec


def model_for(config: Mapping, spec: InputSpec, head: Head, loss: Callable) -> Model:
    """Make the model of a stored config for a task of this input, head and loss; the task itself is not needed.

    Args:
      config: a resolved config.
      spec: the input.
      head: the output distribution.
      loss: the task's (outputs, batch) -> (scalar, sums).

    Returns:
      The model.

    Raises:
      ConfigError: the parts of the model are not those of a resolved config.
    """
    resolved = complete(config)
    of_model = [f"model.{part}" for part in ("head_init", "engine", "latent", "block")]
    check_components(resolved, ("cell", *of_model, "train.credit"))
    resolved |= {"task": {"name": "", "kwargs": {}}, "optim": resolved["optim"] | {"kwargs": {}}}
    resolved["diagnose"] = resolved["diagnose"] | {"what": []}
    frozen = RunConfig.from_dict(resolved)
    return make_model(
        credited_cell(frozen.cell, frozen.credit, frozen.model), frozen.model, frozen.dtype, spec, head, loss
    )


def check_trust(folder: Path, config: Any, trust: bool) -> None:
    """Check that the modules which a folder's config names may be imported.

    Args:
      folder: of the run.
      config: its config, or another of its files.
      trust: they may.

    Raises:
      ConfigError: the folder was not made by this user.
    """
    modules = named_modules(config)
    if modules and not trust and not is_own(folder):
        raise ConfigError(
            f"{folder}: was not made here, and would import {', '.join(modules)}: say --trust (or trust=True) if you "
            "trust it"
        )
