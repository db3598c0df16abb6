"""Files of arrays: npz without pickles, and MATLAB's, with every failure one line that names file and array."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from rnngen.lookup import nearest

_BROKEN = (OSError, EOFError, zipfile.BadZipFile, zlib.error)


def open_npz(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The named arrays of an npz file.

    Raises ValueError where it is no such file, lacks an array, or holds one of Python objects: those are pickles, which
    run whatever code their writer put there, and are never loaded.
    """
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path} is not an npz file")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: _array(path, arrays, name) for name in names}
    except _BROKEN as error:
        raise ValueError(f"{path} is a damaged npz file: {error}") from error


def _array(path: Path, arrays, name: str) -> np.ndarray:
    if name not in arrays.files:
        raise ValueError(f"{path} has no array {name!r}{nearest(name, arrays.files)}")
    try:
        return arrays[name]
    except ValueError as error:
        raise ValueError(f"{path}: array {name!r} cannot be read: {error}; pickled objects are never loaded") from error


def open_mat(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The named variables of a MATLAB file up to version 7. Raises ValueError as `open_npz` does."""
    from scipy import io  # here: only the original files of a few sets need it

    try:
        variables = io.loadmat(str(path), variable_names=names)
    except Exception as error:  # scipy's reader fails in a dozen ways on a file that is not MATLAB's
        raise ValueError(f"{path} is not a MATLAB file that can be read: {error}") from error
    for name in names:
        if name not in variables:
            raise ValueError(f"{path} has no variable {name!r}{nearest(name, [n for n, *_ in io.whosmat(str(path))])}")
    return {name: variables[name] for name in names}


def check_sequences(what: str, values: np.ndarray, lengths: np.ndarray, features: int = 0, shortest: int = 1) -> None:
    """Raise ValueError naming `what` unless `lengths` cut `values` `[n]`, or `[n, features]`, into sequences."""
    if values.shape[1:] != ((features,) if features else ()):
        wanted = f"[n, {features}]" if features else "[n]"
        raise ValueError(f"{what}: values must have the shape {wanted}, got {list(values.shape)}")
    if lengths.ndim != 1 or not len(lengths) or lengths.dtype.kind not in "iu":
        raise ValueError(f"{what}: lengths must be a row of whole numbers, got {lengths.dtype} {list(lengths.shape)}")
    if lengths.min() < shortest:
        raise ValueError(f"{what}: sequence {lengths.argmin()} has length {lengths.min()}, and {shortest} is the least")
    if lengths.sum() != len(values):
        raise ValueError(f"{what}: lengths sum to {lengths.sum()}, but there are {len(values)} values")
