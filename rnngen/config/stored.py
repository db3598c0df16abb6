"""The model of a config in a run's folder, without the task's data."""

from collections.abc import Callable, Mapping

from rnngen.config.build import build_cell, make_model
from rnngen.config.resolve import check_components, complete
from rnngen.config.run_config import RunConfig
from rnngen.heads import Head
from rnngen.models.stack import Model
from rnngen.types import InputSpec


def model_for(config: Mapping, spec: InputSpec, head: Head, loss: Callable) -> Model:
    """Make the model of a stored config for a task of this input, head and loss; the task itself is not needed.

    Raises:
      ConfigError: the parts of the model are not those of a resolved config.
    """
    resolved = complete(config)
    check_components(resolved, ("cell", "model.head_init", "model.engine", "model.latent"))
    resolved |= {"task": {"name": "", "kwargs": {}}, "optim": resolved["optim"] | {"kwargs": {}}}
    resolved["diagnose"] = resolved["diagnose"] | {"what": []}
    frozen = RunConfig.from_dict(resolved)
    return make_model(build_cell(frozen.cell), frozen.model, frozen.dtype, spec, head, loss)
