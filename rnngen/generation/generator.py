"""What a trained run makes: its model read from its folder alone, without the data it was trained on."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from rnngen.config import model_for
from rnngen.config.check import ConfigError, at_place, check_kwargs
from rnngen.datasets import CODECS, Codec
from rnngen.datasets.generative import nll_loss
from rnngen.generation.generate import generate, score, stream
from rnngen.models.stack import Model
from rnngen.registry import find
from rnngen.storage.folder import RunFolder
from rnngen.training import checkpoint
from rnngen.types import Params

LENGTH = 1000  # steps of a sequence, unless its codec says


class Generator(NamedTuple):
    """A trained model and its codec; length: of a usual sequence.

    Prompts are given as `codec.read` takes them; none: "" or None. Its methods raise ValueError for a prompt that
    cannot be read, and as `generate` does; how: what that takes.
    """

    model: Model
    params: Params
    codec: Codec
    length: int

    def read(self, prompt: str | None) -> np.ndarray | None:
        """A prompt as values."""
        return self._read(prompt) if prompt else None

    def pieces(self, prompt: str | None = None, length: int = 0, seed: int = 0, **how: Any) -> Iterator[np.ndarray]:
        """What follows the prompt, `[t, ...]` at a time, as it is drawn; length 0: the usual one."""
        key, length = jax.random.key(seed), length or self.length
        return stream(self.model, self.params, key, length, prompt=self.read(prompt), **how)

    def sequences(
        self, count: int, prompt: str | None = None, length: int = 0, seed: int = 0, **how: Any
    ) -> list[np.ndarray]:
        """`count` sequences, each with its prompt before it."""
        before, key = self.read(prompt), jax.random.key(seed)
        drawn = generate(self.model, self.params, key, length or self.length, prompt=before, batch=count, **how)
        each = [drawn[:, i] for i in range(count)]
        return each if before is None else [np.concatenate([before, one]) for one in each]

    def score(self, given: str) -> tuple[float, int]:
        """(nats, steps) of what is given as a prompt would be."""
        return score(self.model, self.params, self._read(given))

    def _read(self, given: str) -> np.ndarray:
        """Text itself, or what a file of this name holds."""
        return self.codec.read(given if self.codec.show else os.path.expanduser(given))


def load_generator(folder: str | os.PathLike) -> Generator:
    """The model of a run's folder, as it is judged by, and its codec.

    Raises ConfigError where the folder holds no run, one that makes no sequences, or none that has saved anything.
    """
    run = RunFolder(folder)
    config, described = run.config(), run.codec()
    if config is None:
        raise ConfigError(f"{folder}: {instead(run.path)}")
    if described is None:
        meant = "rnngen.generation.analysis.load_subject gives its model, parameters and examples"
        raise ConfigError(f"{folder}: its task makes no sequences; {meant}")
    codec = make_codec(f"{folder}/medium.json", described["name"], described["kwargs"])
    model = model_for(config, codec.input_spec, codec.head, nll_loss(codec.head))
    return Generator(model, trained_params(run, model), codec, described.get("length", LENGTH))


def trained_params(run: RunFolder, model: Model) -> Params:
    """The parameters that a run is judged by, of its newest checkpoint that is good.

    Raises ConfigError where there is none, or one of another model.
    """
    step, wrong = checkpoint.newest(run.checkpoints)
    if step is None:
        raise ConfigError(wrong[0] if wrong else f"{run.path}: has no checkpoint yet")
    like = jax.eval_shape(model.init, jax.random.key(0))
    return at_place(str(run.path), lambda: checkpoint.load_params(run.checkpoints, step, like))


def make_codec(where: str, name: str, kwargs: dict) -> Codec:
    """The codec of a name. Raises ConfigError headed by `where` for a name or arguments that there are not."""
    factory = at_place(where, lambda: find(CODECS, name, "medium"))
    checked = check_kwargs(where, name, factory, kwargs, ())
    return at_place(where, lambda: factory(**checked))


def instead(path: Path) -> str:
    """What there is in the place of a run."""
    if not path.is_dir():
        return "no such folder"
    trials = sorted(path.glob("trials/*/config.json"))
    return (
        f"holds a sweep: give one of its trials, such as {trials[0].parent}" if trials else "holds no run (config.json)"
    )
