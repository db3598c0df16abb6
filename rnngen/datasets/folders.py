"""A corpus from a folder or an archive of files, each of them one sequence."""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from rnngen.datasets.corpus import SPLITS, Corpus
from rnngen.datasets.formats.archives import is_archive, unpacked
from rnngen.datasets.sequences import join, split_indices
from rnngen.storage.provenance import sha256_of

SHARE = 0.1


def load_folder(
    place: Path, suffixes: tuple[str, ...], read: Callable[[list[Path]], Iterable[np.ndarray]], shortest: int = 1
) -> Corpus:
    """Load every file under `place` whose name ends in one of `suffixes`.

    Where `place` has the folders train, valid and test, they are the splits. Otherwise the files, ordered by name, are
    shuffled by `RandomState(0)`; the last 20 % are valid and test, half each. The sha256 of a folder is that of the
    lines `<sha256> <name>` of its files.

    Args:
      read: (all files) -> `[n, ...]` of each.
      shortest: the smallest length of a sequence.

    Raises:
      ValueError: a split has no file, or a sequence is too short; the message names its file.
    """
    folder = _top(unpacked(place) if is_archive(place) else place)
    splits, rule = _split(place, folder, suffixes)
    files = [file for split in SPLITS for file in splits[split]]
    sequences = dict(zip(files, read(files), strict=True))
    for file, sequence in sequences.items():
        if len(sequence) < shortest:
            raise ValueError(f"{file} has length {len(sequence)}, and {shortest} is the least")
    parts = {split: join([sequences[file] for file in splits[split]]) for split in SPLITS}
    total = sha256_of(place) if place.is_file() else _digest(folder, files)
    return Corpus.of(parts, {"files": {place.name: total}, "split": rule})


def _top(folder: Path) -> Path:
    """Return the folder, or the only one in it: archives often hold a single folder."""
    inside = [path for path in folder.iterdir() if not path.name.startswith(".") and path.name != "__MACOSX"]
    return _top(inside[0]) if len(inside) == 1 and inside[0].is_dir() else folder


def _split(place: Path, folder: Path, suffixes: tuple[str, ...]) -> tuple[dict[str, list[Path]], str]:
    if all((folder / split).is_dir() for split in SPLITS):
        splits = {split: _files(folder / split, suffixes) for split in SPLITS}
        rule = "the folders train, valid and test"
    else:
        files = _files(folder, suffixes)
        if len(files) < len(SPLITS):
            raise ValueError(f"{place} holds {len(files)} files {_words(suffixes)}, and 3 are the least to split")
        chosen = split_indices(len(files), SHARE, SHARE, seed=0)
        splits = {split: [files[i] for i in indices] for split, indices in chosen.items()}
        rule = "files ordered by name, shuffled by RandomState(0): 80 % train, 10 % valid, 10 % test"
    for split, files in splits.items():
        if not files:
            raise ValueError(f"{place}: {split} holds no file {_words(suffixes)}")
    return splits, rule


def _words(suffixes: tuple[str, ...]) -> str:
    return "*" + " or *".join(suffixes)


def _files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """List the files, except those with a leading dot, which on macOS hold attributes of another file."""
    found = (path for path in folder.rglob("*") if path.name.lower().endswith(suffixes) and path.name[0] != ".")
    return sorted((path for path in found if path.is_file()), key=lambda path: path.relative_to(folder).as_posix())


def _digest(folder: Path, files: list[Path]) -> str:
    lines = sorted(f"{sha256_of(file)} {file.relative_to(folder).as_posix()}\n" for file in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
