"""The user's store of arrays: files whose name is the checksum of their content.

So a config that names one names its content: the same arrays have the same name on any machine.
"""

import os
import tempfile
from pathlib import Path

import numpy as np
import platformdirs

from rnngen.storage.provenance import sha256_of

SCHEME = "sha256:"
DIGITS = 16  # of the checksum, in hex


def store_folder() -> Path:
    """Return the folder of stored arrays, in the user's data folder, such as ~/.local/share/rnngen/arrays."""
    return Path(platformdirs.user_data_dir("rnngen")) / "arrays"


def store(arrays: dict[str, np.ndarray], folder: str | os.PathLike | None = None) -> str:
    """Write arrays to an npz file, once, and return its path as a config names it.

    Args:
      arrays: by name; no objects.
      folder: of the file; default: `store_folder`, and the path is `sha256:<checksum>`.

    Raises:
      OSError: the file cannot be written; the error names the folder.
    """
    place = store_folder() if folder is None else Path(folder).expanduser().absolute()
    place.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(".npz", ".", place)
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, allow_pickle=False, **arrays)  # without times, so that the same arrays are the same bytes
        name = sha256_of(Path(temporary))[:DIGITS]
        os.replace(temporary, place / f"{name}.npz")
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(place)) from error
    finally:
        Path(temporary).unlink(missing_ok=True)
    return f"{SCHEME}{name}" if folder is None else str(place / f"{name}.npz")


def stored(path: str) -> Path:
    """Return the file that a path `sha256:<checksum>` names.

    Raises:
      ValueError: it is not here, or is damaged.
    """
    name = path.removeprefix(SCHEME)
    file = store_folder() / f"{name}.npz"
    if len(name) != DIGITS or set(name) - set("0123456789abcdef"):
        raise ValueError(f"{path!r} is not {SCHEME} and {DIGITS} hexadecimal digits")
    if not file.is_file():
        raise ValueError(f"{path} is not in {file.parent}: give the arrays again, or copy {file.name} there")
    if not sha256_of(file).startswith(name):
        raise ValueError(f"{file} is damaged: give the arrays again")
    return file
