"""A trained run as a generator of sequences: its model read from its folder alone, without its training data."""

import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from rnngen.config.check import ConfigError, error_at
from rnngen.datasets import Codec
from rnngen.generation.generate import generate, score, stream
from rnngen.models import StepModel, stepwise
from rnngen.runs.restore import codec_of, instead, restore
from rnngen.storage.folder import RunFolder
from rnngen.types import Params

LENGTH = 1000  # steps of a sequence, unless its codec says


class Generator(NamedTuple):
    """A trained model and its codec.

    Prompts are given as `codec.read` takes them; "" or None: no prompt. Methods raise ValueError for a prompt that
    cannot be read, and as `generate`, which takes `how`.

    Attributes:
      model, params: the trained model.
      codec: of its sequences.
      length: steps of a sequence, where none is asked for.
    """

    model: StepModel
    params: Params
    codec: Codec
    length: int

    def read(self, prompt: str | None) -> np.ndarray | None:
        """Read a prompt.

        Args:
          prompt: see `Generator`.

        Returns:
          Its values, `[t, ...]`.
        """
        return self._read(prompt) if prompt else None

    def pieces(self, prompt: str | None = None, length: int = 0, seed: int = 0, **how: Any) -> Iterator[np.ndarray]:
        """Yield the values that follow the prompt, as they are drawn.

        Args:
          prompt: see `Generator`.
          length: steps; 0: the usual length.
          seed: of the draws.
          **how: as in `generate`.

        Returns:
          An iterator of values, `[t, ...]` at a time.
        """
        key, length = jax.random.key(seed), length or self.length
        return stream(self.model, self.params, key, length, prompt=self.read(prompt), **how)

    def sequences(
        self, count: int, prompt: str | None = None, length: int = 0, seed: int = 0, **how: Any
    ) -> list[np.ndarray]:
        """Draw several sequences.

        Args:
          count: how many.
          prompt: see `Generator`.
          length: steps of each; 0: the usual length.
          seed: of the draws.
          **how: as in `generate`.

        Returns:
          The sequences, each with its prompt before it.
        """
        before, key = self.read(prompt), jax.random.key(seed)
        drawn = generate(self.model, self.params, key, length or self.length, prompt=before, batch=count, **how)
        each = [drawn[:, i] for i in range(count)]
        return each if before is None else [np.concatenate([before, one]) for one in each]

    def score(self, given: str) -> tuple[float, int]:
        """Compute the log-likelihood of a sequence.

        Args:
          given: the sequence, as a prompt is given.

        Returns:
          (nats, steps).
        """
        return score(self.model, self.params, self._read(given))

    def _read(self, given: str) -> np.ndarray:
        return self.codec.read(given if self.codec.show else os.path.expanduser(given))


def load_generator(folder: str | os.PathLike, trust: bool = False) -> Generator:
    """Return the model of a run's folder, as it is judged by, and its codec.

    Args:
      folder: of a run whose task makes sequences.
      trust: see `restore`.

    Returns:
      The generator.

    Raises:
      ConfigError: the folder holds no run, one that makes no sequences, does not step, or has saved nothing.
    """
    run = RunFolder(folder)
    if run.config() is None:
        raise ConfigError(f"{folder}: {instead(run.path)}")
    codec = codec_of(run, trust)
    if codec is None:
        meant = "rnngen.generation.analysis.load_subject gives its model, parameters and examples"
        raise ConfigError(f"{folder}: its task makes no sequences; {meant}")
    model, params = restore(run, trust=trust)
    with error_at(os.fspath(folder)):
        stepping = stepwise(model)
    return Generator(stepping, params, codec, (run.codec() or {}).get("length", LENGTH))
