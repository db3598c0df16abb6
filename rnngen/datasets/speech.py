"""Sound, sample by sample: spoken digits, or your own wav files."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np

from rnngen.datasets.codec import Codec
from rnngen.datasets.corpus import Corpus
from rnngen.datasets.feeds import level_feed
from rnngen.datasets.folders import load_folder
from rnngen.datasets.formats.archives import is_archive
from rnngen.datasets.formats.arrays import check_sequences, open_npz
from rnngen.datasets.formats.companding import inverse_mu_law, mu_law
from rnngen.datasets.formats.text_files import writer
from rnngen.datasets.formats.wav import read_wav, write_wav
from rnngen.datasets.generative import bits, generative, marginal_baseline
from rnngen.datasets.paths import existing, find_files
from rnngen.datasets.sequences import select
from rnngen.heads import logistic_mixture
from rnngen.storage.provenance import sha256_of
from rnngen.tasks.task import Task
from rnngen.types import InputSpec, check_positive

FILE = "fsdd.npz"
VALID = range(5, 10)  # takes; the set has no valid split, and takes 0 to 4 of a speaker's 50 per digit are test


def load_speech(path: str = "", levels: int = 256) -> Corpus:
    """Load sound. Values: mu-law levels `[n]`, uint8, or uint16 above 256; facts["rate"]: samples per second.

    In the set, clips with `is_test` are test, and those of the others with index 5 to 9 are valid.

    Args:
      path: `fsdd.npz` (int16 `samples`, `lengths`, `index`, `is_test`, `sample_rate`), or a folder or an archive of wav
        files, split as in `rnngen.datasets.folders`; "": the set `speech`, which has no public address as one file.
      levels: number of levels, see `rnngen.datasets.formats.companding`.

    Returns:
      The sequences of each split, and metadata.

    Raises:
      ValueError: a file is invalid, or wav files have different sampling rates.
    """
    place = existing(path) if path else None
    if place and (is_archive(place) or (place.is_dir() and not (place / FILE).exists())):
        return _wavs(place, levels)
    (file,) = find_files("speech", path, (FILE,))
    return _set(file, levels)


def _set(file: Path, levels: int) -> Corpus:
    arrays = open_npz(file, ("samples", "lengths", "index", "is_test", "sample_rate"))
    samples, lengths, index, test = (arrays[name] for name in ("samples", "lengths", "index", "is_test"))
    check_sequences(str(file), samples, lengths)
    kinds = samples.dtype == np.int16 and test.dtype == bool and index.dtype.kind in "iu"
    if not kinds or not test.shape == index.shape == lengths.shape:
        raise ValueError(
            f"{file}: samples must be int16, is_test bool, index whole numbers, the latter two as many as lengths"
        )
    rate = arrays["sample_rate"]
    if rate.size != 1 or rate.dtype.kind not in "iu" or not 0 < rate.item() < 2**31:
        raise ValueError(f"{file}: sample_rate must be one positive whole number, got {rate.dtype} {list(rate.shape)}")
    table = mu_law(np.arange(-32768, 32768) / 32768, levels)  # far fewer logarithms than samples
    values = table[samples.astype(np.int32) + 32768]
    valid = ~test & np.isin(index, VALID)
    chosen = {"train": ~test & ~valid, "valid": valid, "test": test}
    if not all(which.any() for which in chosen.values()):
        raise ValueError(f"{file} has no clip for one of train, valid and test")
    parts = {split: select(values, lengths, np.flatnonzero(which)) for split, which in chosen.items()}
    rule = "test the set's own; of the others index 5 to 9 is valid"
    facts = {"files": {file.name: sha256_of(file)}, "split": rule, "rate": rate.item(), "levels": levels}
    return Corpus.of(parts, facts)


def _wavs(place: Path, levels: int) -> Corpus:
    from rnngen.datasets.formats.wav import read_wav

    rates: dict[int, Path] = {}

    def read(file: Path) -> np.ndarray:
        samples, rate = read_wav(file)
        rates.setdefault(rate, file)
        if len(rates) > 1:
            first, at = next(iter(rates.items()))
            raise ValueError(f"{file} has {rate} samples a second, but {at} has {first}: give files of one rate")
        return mu_law(samples, levels)

    corpus = load_folder(place, (".wav",), lambda files: map(read, files))
    return corpus._replace(facts=corpus.facts | {"rate": next(iter(rates)), "levels": levels})


def audio_codec(rate: int = 8000, levels: int = 256, components: int = 10) -> Codec:
    """Make the codec of mono sound. Values: mu-law levels (`rnngen.datasets.formats.companding`), ints `[t]`.

    Prompts and written files are WAV files of `rate` samples per second. The first input of a sequence is silence.

    Args:
      rate: samples a second.
      levels: of the mu-law.
      components: of the mixture that a level is drawn from.

    Returns:
      The codec.

    Raises:
      ValueError: an argument is out of range.
    """
    check_positive(rate=rate)

    def read(prompt: str) -> np.ndarray:
        samples, found = read_wav(prompt)
        if found != rate:
            raise ValueError(f"{prompt} has {found} samples a second, the model's sound {rate}")
        return mu_law(samples, levels).astype(np.int32)

    def write(values: np.ndarray, file: Path) -> None:
        write_wav(inverse_mu_law(values, levels), file, rate)

    feed = level_feed(levels)
    silence = np.asarray(feed(jnp.asarray(mu_law(np.zeros(()), levels))))
    spec = InputSpec(1, feed=feed, start=silence)
    return Codec(spec, logistic_mixture(components, levels), read, writer(write, ".wav"))


def speech(path: str = "", *, chunk: int = 256, levels: int = 256, components: int = 10) -> Task:
    """Predict each mu-law level of a recording from those before it. Inputs `[t, b, 1]`, targets `[t, b]`.

    Loss: nats per sample; `bits` likewise. Baseline: each level's frequency. The literature has no threshold for this
    set.

    Args:
      path, levels: see `load_speech`.
      chunk: steps of a chunk of a stream, between which the carry goes on and the gradient does not; 0: whole
        sequences.
      components: of the mixture of logistics.

    Returns:
      The task.
    """
    corpus = load_speech(path, levels)
    baseline = marginal_baseline(corpus.values["train"], corpus.values["test"], levels)
    kwargs = {"rate": corpus.facts["rate"], "levels": levels, "components": components}
    return generative("audio", audio_codec, kwargs, corpus, chunk=chunk, baseline=baseline, more_metrics=bits)
