"""Sound, a sample at a time, in mu-law levels."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np

from rnngen.data.companding import inverse_mu_law, mu_law
from rnngen.data.wav import read_wav, write_wav
from rnngen.heads import logistic_mixture
from rnngen.media.feeds import level_feed
from rnngen.media.files import numbered
from rnngen.media.medium import Medium
from rnngen.types import InputSpec, check_positive


def audio(rate: int = 8000, levels: int = 256, components: int = 10) -> Medium:
    """Mono sound of `rate` samples a second. Values: mu-law levels (`rnngen.data.companding`), ints `[t]`.

    A prompt is a WAV file of the same rate, and so is what is written. A sequence begins as if after silence.
    components: of the mixture that a level is drawn from.

    Raises ValueError where an argument is out of range.
    """
    check_positive(rate=rate)

    def read(prompt: str) -> np.ndarray:
        samples, found = read_wav(prompt)
        if found != rate:
            raise ValueError(f"{prompt} has {found} samples a second, the model's sound {rate}")
        return mu_law(samples, levels).astype(np.int32)

    def write(sequences: list[np.ndarray], path: Path) -> list[Path]:
        files = numbered(path, len(sequences), ".wav")
        for file, values in zip(files, sequences, strict=True):
            write_wav(inverse_mu_law(values, levels), file, rate)
        return files

    feed = level_feed(levels)
    silence = np.asarray(feed(jnp.asarray(mu_law(np.zeros(()), levels))))
    spec = InputSpec(1, feed=feed, start=silence)
    return Medium(spec, logistic_mixture(components, levels), read, write)
