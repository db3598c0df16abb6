"""The trained model of a run, from its folder alone: the task is made only where the folder does not describe it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rnngen.config import build, model_for, resolve
from rnngen.config.check import ConfigError, check_kwargs, error_at
from rnngen.config.stored import check_trust
from rnngen.datasets import CODECS, INTERFACES, Codec, Interface
from rnngen.datasets.interface import SIZES_ALONE, plain_interface
from rnngen.models import Model
from rnngen.registry import find
from rnngen.storage.folder import RunFolder
from rnngen.tasks.losses import nll_loss
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


def predict(run: RunFolder, xs: Any, mask: Any = None, step: int | None = None, trust: bool = False) -> Any:
    """Return predictions of a run's model for arrays in the data's own units; see `Run.predict`."""
    model, params = restore(run, step, trust)
    interface = interface_of(run, trust) or plain_interface(model.input_spec, model.head, model.loss)
    if isinstance(xs, list | tuple):
        return _predict_each(model, params, interface, [np.asarray(one) for one in xs])
    return _predict(model, params, interface, np.asarray(xs), mask)


def _predict_each(model: Model, params: Params, interface: Interface, xs: list[np.ndarray]) -> Any:
    """Return a prediction `[t_i, ...]` for each of several sequences `[t_i, ...]`, or all of them, `[n, ...]`."""
    if not xs or len({one.shape[1:] for one in xs}) > 1 or not all(one.ndim and len(one) for one in xs):
        shapes = ", ".join(str(list(one.shape)) for one in xs[:4])
        raise ValueError(f"xs must be sequences [t, d] of one d and a step at least, got {shapes or 'none'}")
    lengths = np.array([len(one) for one in xs])
    mask = np.arange(lengths.max())[:, None] < lengths
    padded = np.zeros((*mask.shape, *xs[0].shape[1:]), np.result_type(*xs))
    for number, one in enumerate(xs):
        padded[: len(one), number] = one
    found = _predict(model, params, interface, padded, mask)
    return [found[:length, number] for number, length in enumerate(lengths)] if interface.per_step else found


def _predict(model: Model, params: Params, interface: Interface, xs: np.ndarray, mask: Any) -> np.ndarray:
    if mask is not None:
        mask = np.asarray(mask)
        wanted = xs.shape if interface.input_spec.tokens else xs.shape[:-1]
        if mask.shape != wanted or mask.dtype != bool:
            raise ValueError(f"mask must be bool {list(wanted)}, got {mask.dtype} {list(mask.shape)}")
        xs = np.where(mask.reshape(*wanted, *[1] * (xs.ndim - mask.ndim)), xs, np.zeros((), xs.dtype))
    outputs = model.apply(params, interface.encode(xs), mask=mask)[1]
    if not interface.per_step:
        outputs = outputs[-1] if mask is None else _last(np.asarray(outputs), mask)
    return np.asarray(interface.decode(outputs))


def _last(outputs: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return the outputs `[t, *b, ...]` of the last step that is there, `[*b, ...]`."""
    last = len(mask) - 1 - np.argmax(mask[::-1], axis=0)
    return np.take_along_axis(outputs, last[None, ..., None], axis=0)[0]


def model_of(run: RunFolder, trust: bool = False) -> Model:
    """Return the model that a run trains; where its folder has no interface or codec, the task is made for it.

    Where that fails, as its data or its module are gone, the model has no loss and draws nothing, but it runs.
    """
    config, interface = config_of(run, trust), interface_of(run, trust)
    if interface is None:
        try:
            return build(resolve(config)).model
        except ConfigError:
            if (described := run.interface()) is None:
                raise
            interface = _part(run.path, "interface.json", INTERFACES, "interface", described, trust)
    return model_for(config, interface.input_spec, interface.head, interface.loss)


def interface_of(run: RunFolder, trust: bool = False) -> Interface | None:
    """Return the interface of a run's folder, or that of its codec; None where it has sizes alone, or neither."""
    described = run.interface()
    if described is not None and described["name"] != SIZES_ALONE:
        return _part(run.path, "interface.json", INTERFACES, "interface", described, trust)
    codec = codec_of(run, trust)
    return None if codec is None else plain_interface(codec.input_spec, codec.head, nll_loss(codec.head))


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
    return None if described is None else _part(run.path, "medium.json", CODECS, "codec", described, trust)


def _part(folder: Path, file: str, table: Mapping[str, Callable], what: str, described: dict, trust: bool) -> Any:
    """Make what a file of a run's folder describes; raise ConfigError naming it for an unknown name or argument."""
    check_trust(folder, described, trust)
    where, name = f"{folder}/{file}", described["name"]
    with error_at(where):
        factory = find(table, name, what)
    checked = check_kwargs(where, name, factory, described["kwargs"], ())
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
            raise ConfigError(wrong[0] if wrong else f"{run.path}: has saved no checkpoint yet: train it first")
    elif step not in (saved := checkpoint.steps(run.checkpoints)):
        there = ", ".join(map(str, saved)) or "none"
        raise ConfigError(f"{run.path}: has no checkpoint of step {step}; there is {there}")
    elif wrong := checkpoint.damages(run.checkpoints, step):
        raise ConfigError(wrong[0])
    with error_at(str(run.path)):
        return checkpoint.load_params(run.checkpoints, step, model.param_shapes)


def instead(path: Path) -> str:
    """Describe the contents of a folder that is not a run's."""
    if not path.is_dir():
        return "no such folder"
    trials = sorted(path.glob("trials/*/config.json"))
    return (
        f"holds a sweep: give one of its trials, such as {trials[0].parent}" if trials else "holds no run (config.json)"
    )
