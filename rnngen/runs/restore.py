"""The trained model of a run, from its folder alone: data are read only where the task is not known without them."""

from pathlib import Path
from typing import Any

import jax

from rnngen.config import build, model_for, resolve
from rnngen.config.check import ConfigError, check_kwargs, error_at
from rnngen.datasets import CODECS, Codec
from rnngen.datasets.generative import nll_loss
from rnngen.models import Model
from rnngen.registry import find
from rnngen.storage.folder import RunFolder
from rnngen.storage.trust import is_own, named_modules
from rnngen.training import checkpoint
from rnngen.types import Params


def restore(run: RunFolder, step: int | None = None, trust: bool = False) -> tuple[Model, Params]:
    """Return the model of a run, and the parameters that it is judged by.

    Args:
      run: its folder.
      step: of the checkpoint; default: the newest that is good.
      trust: import the modules that the config names, also where another user made the folder.

    Raises:
      ConfigError: the folder holds no run, no such checkpoint, or a module that must be trusted first.
    """
    model = model_of(run, trust)
    return model, trained_params(run, model, step)


def model_of(run: RunFolder, trust: bool = False) -> Model:
    """Return the model that a run trains; one that makes sequences needs no data."""
    config = config_of(run, trust)
    codec = codec_of(run, trust)
    if codec is None:
        return build(resolve(config)).model
    return model_for(config, codec.input_spec, codec.head, nll_loss(codec.head))


def config_of(run: RunFolder, trust: bool = False) -> dict:
    """Return the config of a run; raise ConfigError where the folder holds no run, or one to be trusted first."""
    config = run.config()
    if config is None:
        raise ConfigError(f"{run.path}: {instead(run.path)}")
    check_trust(run.path, config, trust)
    return config


def codec_of(run: RunFolder, trust: bool = False) -> Codec | None:
    """Return the codec of the sequences that a run makes, None where it makes none; see `restore`."""
    described = run.codec()
    if described is None:
        return None
    check_trust(run.path, described, trust)
    return make_codec(f"{run.path}/medium.json", described["name"], described["kwargs"])


def make_codec(where: str, name: str, kwargs: dict) -> Codec:
    """Return the codec of a name; raise ConfigError that begins with `where` for an unknown name or argument."""
    with error_at(where):
        factory = find(CODECS, name, "codec")
    checked = check_kwargs(where, name, factory, kwargs, ())
    with error_at(where):
        return factory(**checked)


def trained_params(run: RunFolder, model: Model, step: int | None = None) -> Params:
    """Return the parameters that a run is judged by, of its newest checkpoint that is good or of that at `step`.

    Raises:
      ConfigError: there is no such checkpoint, or it is another model's.
    """
    if step is None:
        step, wrong = checkpoint.newest(run.checkpoints)
        if step is None:
            raise ConfigError(wrong[0] if wrong else f"{run.path}: has no checkpoint yet")
    elif step not in (saved := checkpoint.steps(run.checkpoints)):
        there = ", ".join(map(str, saved)) or "none"
        raise ConfigError(f"{run.path}: has no checkpoint of step {step}; there is {there}")
    elif wrong := checkpoint.damages(run.checkpoints, step):
        raise ConfigError(wrong[0])
    like = jax.eval_shape(model.init, jax.random.key(0))
    at = step
    with error_at(str(run.path)):
        return checkpoint.load_params(run.checkpoints, at, like)


def check_trust(folder: Path, config: Any, trust: bool) -> None:
    """Raise ConfigError where a config names modules, and the folder was not made by this user."""
    modules = named_modules(config)
    if modules and not trust and not is_own(folder):
        raise ConfigError(
            f"{folder}: was not made here, and would import {', '.join(modules)}: say --trust (or trust=True) if you "
            "trust it"
        )


def instead(path: Path) -> str:
    """Describe the contents of a folder that is not a run's."""
    if not path.is_dir():
        return "no such folder"
    trials = sorted(path.glob("trials/*/config.json"))
    return (
        f"holds a sweep: give one of its trials, such as {trials[0].parent}" if trials else "holds no run (config.json)"
    )
