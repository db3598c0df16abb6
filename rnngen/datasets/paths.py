"""Look-up of a data set's files: by a path, in a folder of sets, or at a public address."""

import contextlib
import difflib
import os
from collections.abc import Iterator
from pathlib import Path

from rnngen.datasets.fetch import ADDRESSES, fetch
from rnngen.registry import nearest

Choice = tuple[str, ...]


def find_files(name: str, path: str, *choices: Choice) -> list[Path]:
    """Find the files of the set `name`, for the first of `choices`, each the names of all files of one format.

    They are looked for in this order:

    1. `path`, if given: a folder that holds them, or the file itself for a set of one file.
    2. `<RNNGEN_DATA>/<name>/`, if that environment variable names a folder of sets.
    3. The public address, if `rnngen.datasets.fetch` has one.

    Raises ValueError where none of these has them, `path` is wrong, or a file is empty.
    """
    files = _given(existing(path), choices) if path else _in_data_folder(name, choices) or _fetched(name, choices)
    for file in files:
        if file.stat().st_size == 0:
            raise ValueError(f"{file} is empty")
    return files


def existing(path: str) -> Path:
    """Return the path if it exists. Raises ValueError with the nearest existing name."""
    place = Path(path).expanduser()
    if place.exists():
        return place
    if not place.parent.is_dir():
        raise ValueError(f"{path} does not exist: {place.parent} is not a folder")
    raise ValueError(f"{path} does not exist{_near(place.name, place.parent)}")


def _near(name: str, folder: Path, few: int = 8) -> str:
    """Name the nearest names in a folder, or all of a small one."""
    names = sorted(os.listdir(folder))
    return nearest(name, names if len(names) <= few else difflib.get_close_matches(name, names))


def _whole(folder: Path, choices: tuple[Choice, ...]) -> list[Path]:
    for choice in choices:
        if all((folder / file).is_file() for file in choice):
            return [folder / file for file in choice]
    return []


def _words(choices: tuple[Choice, ...]) -> str:
    return " or ".join(" and ".join(choice) for choice in choices)


def _given(place: Path, choices: tuple[Choice, ...]) -> list[Path]:
    if place.is_dir():
        files = _whole(place, choices)
        if not files:
            raise ValueError(f"{place} does not hold {_words(choices)}{_near(choices[0][0], place)}")
        return files
    if place.name in {file for choice in choices if len(choice) > 1 for file in choice} or min(map(len, choices)) > 1:
        raise ValueError(f"{place} is not all of {_words(choices)}: give the folder that holds them")
    return [place]


def _in_data_folder(name: str, choices: tuple[Choice, ...]) -> list[Path]:
    folder = data_folder()
    return _whole(folder / name, choices) if folder else []


def data_folder() -> Path | None:
    """Return RNNGEN_DATA, or None if it is not set. Raises ValueError where it is not a folder."""
    value = os.environ.get("RNNGEN_DATA")
    if not value:
        return None
    folder = Path(value).expanduser()
    if not folder.is_dir():
        raise ValueError(f"RNNGEN_DATA is {value!r}, which is not a folder")
    return folder


def _fetched(name: str, choices: tuple[Choice, ...]) -> list[Path]:
    others = f"give its place as `path`, or {_data_place(name, choices)}"
    for choice in choices:
        if all(file in ADDRESSES.get(name, {}) for file in choice):
            try:
                return [fetch(name, file) for file in choice]
            except ValueError as error:
                raise ValueError(f"{error}; or {others}") from error
    raise ValueError(f"no {_words(choices)} of the set {name!r}, which has no public address: {others}")


def _data_place(name: str, choices: tuple[Choice, ...]) -> str:
    folder = data_folder()
    if folder is None:
        return f"set RNNGEN_DATA to a folder that holds {name}/{choices[0][0]}"
    kinds = {Path(file).suffix for choice in choices for file in choice}
    held = sorted(path.name for kind in kinds for path in (folder / name).glob(f"*{kind}"))
    return f"put it into {folder / name}" + (f", which holds {', '.join(held)}" if held else "")


@contextlib.contextmanager
def naming(place: Path) -> Iterator[None]:
    """Let each ValueError begin with a path, unless it names it."""
    try:
        yield
    except ValueError as error:
        raise error if str(place) in str(error) else ValueError(f"{place}: {error}") from error
