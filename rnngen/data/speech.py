"""Spoken digits (Jackson et al., the Free Spoken Digit Dataset), or recordings of one's own, in mu-law levels."""

from pathlib import Path

import numpy as np

from rnngen.data.archives import is_archive
from rnngen.data.arrays import check_sequences, open_npz
from rnngen.data.companding import mu_law
from rnngen.data.corpus import Corpus
from rnngen.data.folders import load_folder
from rnngen.data.places import existing, find_files
from rnngen.data.sequences import select
from rnngen.provenance import sha256_of

FILE = "fsdd.npz"
VALID = range(5, 10)  # the set has no valid split: of a speaker's 50 takes of a digit 0 to 4 are test


def load_speech(path: str = "", levels: int = 256) -> Corpus:
    """Sound. Values: mu-law levels `[n]`, uint8, or uint16 above 256 levels; facts["rate"] is the samples a second.

    path: `fsdd.npz` (int16 `samples`, `lengths`, `index`, `is_test`, `sample_rate`), or a folder or an archive of wav
      files, split as `rnngen.data.folders` says; "": the set `speech`, which has no public address as one file.
    levels: how many; `rnngen.data.companding` has the curve.

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
    from rnngen.data.wav import read_wav

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
