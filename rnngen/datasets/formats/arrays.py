"""Files of arrays: npz without pickles, and MATLAB's; every error is one line that names file and array."""

import subprocess
import sys
import tempfile
import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np

from rnngen.registry import nearest, one_line

# Errors of a damaged file, beside those of a format's own reader.
_OF_PYTHON = (OSError, EOFError, ValueError, NotImplementedError, RuntimeError, MemoryError, OverflowError)
_OF_HEADERS = (SyntaxError, tokenize.TokenError)  # which NumPy reads as Python's literals
_BROKEN = (*_OF_PYTHON, *_OF_HEADERS, zipfile.BadZipFile, zlib.error)


def open_npz(path: Path, names: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
    """Read the named arrays of an npz file, and those of `optional` that it holds.

    Raises ValueError where it is not an npz file, lacks an array, or holds one of Python objects: those are pickles,
    which can run any code, and are never loaded.
    """
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path} is not an npz file")
    with open(path, "rb") as file:
        try:
            arrays = np.load(file, allow_pickle=False)
        except _BROKEN as error:
            raise ValueError(f"{path} is a damaged npz file: {one_line(str(error), 200)}") from error
        if not isinstance(arrays, np.lib.npyio.NpzFile):
            raise ValueError(f"{path} is not an npz file")
        there = tuple(name for name in optional if name in arrays.files)
        return {name: _array(path, arrays, name) for name in (*names, *there)}


def open_npy(path: Path) -> np.ndarray:
    """Read an npy file; raises ValueError as `open_npz` does."""
    try:
        array = np.load(path, allow_pickle=False)
    except _BROKEN as error:
        why = one_line(str(error), 200)
        raise ValueError(f"{path} cannot be read: {why}; pickled objects are never loaded") from error
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{path} is not an npy file")
    return array


def _array(path: Path, arrays, name: str) -> np.ndarray:
    if name not in arrays.files:
        raise ValueError(one_line(f"{path} has no array {name!r}{nearest(name, arrays.files)}"))
    try:
        array = arrays[name]
    except _BROKEN as error:
        why = one_line(str(error), 200)
        raise ValueError(f"{path}: array {name!r} cannot be read: {why}; pickled objects are never loaded") from error
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{path}: {name!r} is no array")
    return array


LARGEST = float(np.finfo(np.float32).max)
# Arrays unchanged, and a cell as its shape and its arrays by number; without pickles, so that neither side runs code.
_READ_MAT = """
import sys
import numpy as np
from scipy import io
path, out, *names = sys.argv[1:]
found = io.loadmat(path, variable_names=names)
there = [name for name in names if name in found]
arrays = {"there": there or [n for n, *_ in io.whosmat(path)], "whole": len(there) == len(names)}
for name in there:
    cells = found[name].ravel() if found[name].dtype == object else [found[name]]
    arrays[f"{name}/shape"] = np.array(found[name].shape if found[name].dtype == object else (), int)
    arrays |= {f"{name}/{number}": cell for number, cell in enumerate(cells)}
np.savez(out, allow_pickle=False, **arrays)
"""


def open_mat(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Read the named variables of a MATLAB file up to version 7. Raises ValueError as `open_npz` does.

    scipy runs in a separate process, since a damaged file can crash it.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "arrays.npz"
        command = [sys.executable, "-P", "-c", _READ_MAT, str(path), str(out), *names]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        if done.returncode:
            why = (done.stderr.strip().splitlines() or [f"its reader ended with {done.returncode}"])[-1]
            raise ValueError(f"{path} is not a MATLAB file that can be read: {why[:200]}")
        with np.load(out, allow_pickle=False) as arrays:
            there = arrays["there"].tolist()
            for name in () if arrays["whole"] else names:
                if name not in there:
                    raise ValueError(f"{path} has no variable {name!r}{nearest(name, there)}")
            return {name: _cells(arrays, name) for name in names}


def _cells(arrays, name: str) -> np.ndarray:
    shape = tuple(arrays[f"{name}/shape"].tolist())
    if not shape:
        return arrays[f"{name}/0"]
    cells = np.empty(shape, object)
    for number in range(cells.size):
        cells.flat[number] = arrays[f"{name}/{number}"]
    return cells


def check_sequences(what: str, values: np.ndarray, lengths: np.ndarray, features: int = 0, shortest: int = 1) -> None:
    """Raise ValueError naming `what` unless `lengths` cut `values` `[n]`, or `[n, features]`, into sequences."""
    if not values.ndim or values.shape[1:] != ((features,) if features else ()):
        wanted = f"[n, {features}]" if features else "[n]"
        raise ValueError(f"{what}: values must have the shape {wanted}, got {list(values.shape)}")
    if values.dtype.kind not in "biuf" or (values.dtype.kind == "f" and not (np.abs(values) <= LARGEST).all()):
        raise ValueError(f"{what}: values must be finite numbers of float32, got {values.dtype}")
    if lengths.ndim != 1 or not len(lengths) or lengths.dtype.kind not in "iu":
        raise ValueError(f"{what}: lengths must be a row of whole numbers, got {lengths.dtype} {list(lengths.shape)}")
    if lengths.min() < shortest:
        raise ValueError(f"{what}: sequence {lengths.argmin()} has length {lengths.min()}, and {shortest} is the least")
    if (total := sum(lengths.tolist())) != len(values):  # as Python's numbers, which do not overflow
        raise ValueError(f"{what}: lengths sum to {total}, but there are {len(values)} values")
