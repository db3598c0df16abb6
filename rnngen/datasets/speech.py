"""Sound, a sample at a time: spoken digits, or wav files of one's own."""

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
from rnngen.datasets.formats.text_files import numbered
from rnngen.datasets.formats.wav import read_wav, write_wav
from rnngen.datasets.generative import bits, generative, marginal_baseline
from rnngen.datasets.paths import existing, find_files
from rnngen.datasets.sequences import select
from rnngen.heads import logistic_mixture
from rnngen.storage.provenance import sha256_of
from rnngen.tasks.task import Task
from rnngen.types import InputSpec, check_positive

FILE = "fsdd.npz"
VALID = range(5, 10)  # the set has no valid split: of a speaker's 50 takes of a digit 0 to 4 are test


def load_speech(path: str = "", levels: int = 256) -> Corpus:
    """Sound. Values: mu-law levels `[n]`, uint8, or uint16 above 256 levels; facts["rate"] is the samples a second.

    path: `fsdd.npz` (int16 `samples`, `lengths`, `index`, `is_test`, `sample_rate`), or a folder or an archive of wav
      files, split as `rnngen.datasets.folders` says; "": the set `speech`, which has no public address as one file.
    levels: how many; `rnngen.datasets.formats.companding` has the curve.

    In the set, clips with `is_test` are test, and of the others those with index 5 to 9 valid.
    Raises ValueError for a file that is not what it should be, and wav files of several sampling rates.
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
    table = mu_law(np.arange(-32768, 32768) / 32768, levels)  # far fewer logarithms than there are samples
    values = table[samples.astype(np.int32) + 32768]
    valid = ~test & np.isin(index, VALID)
    chosen = {"train": ~test & ~valid, "valid": valid, "test": test}
    if not all(which.any() for which in chosen.values()):
        raise ValueError(f"{file} has no clip for one of train, valid and test")
    parts = {split: select(values, lengths, np.flatnonzero(which)) for split, which in chosen.items()}
    return Corpus(
        {split: v for split, (v, _) in parts.items()},
        {split: n for split, (_, n) in parts.items()},
        {
            "files": {file.name: sha256_of(file)},
            "split": "test the set's own; of the others index 5 to 9 is valid",
            "rate": rate.item(),
            "levels": levels,
        },
    )


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
    """Mono sound of `rate` samples a second. Values: mu-law levels (`rnngen.datasets.formats.companding`), ints `[t]`.

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
    return Codec(spec, logistic_mixture(components, levels), read, write)


def speech(path: str = "", *, chunk: int = 256, levels: int = 256, components: int = 10) -> Task:
    """Predict each mu-law level of a recording from those before it. Inputs `[t, b, 1]`, targets `[t, b]`.

    path, levels: see `load_speech`. chunk: see `generative`. components: of the mixture of logistics.

    Loss: nats a sample; `bits` likewise. Baseline: each level's own frequency. The literature has no threshold for
    this set.
    """
    corpus = load_speech(path, levels)
    baseline = marginal_baseline(corpus.values["train"], corpus.values["test"], levels)
    kwargs = {"rate": corpus.facts["rate"], "levels": levels, "components": components}
    return generative("audio", audio_codec, kwargs, corpus, chunk=chunk, baseline=baseline, more_metrics=bits)
