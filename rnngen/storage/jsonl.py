"""JSON files: written atomically, with non-finite numbers as "nan", "inf" and "-inf".

Text that reads like one of them gets an apostrophe in front, as does text with that apostrophe: "'inf" is the text.

Files are validated against a shape: None is anything; `str`, `bool`, `int`, `float` (any number), `dict` and `list` are
values of that type, `NoneType` is null; a tuple is one of several shapes; `[shape]` is a list; a dict has a shape for
each key, "key?" for an optional one and `...` for all others; a function returns what is wrong, or "".
"""

import contextlib
import json
import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import NoneType
from typing import Any, BinaryIO

from rnngen.registry import one_line


class DamagedFile(ValueError):  # noqa: N818, the name states the finding
    """A file of records is damaged; the message is one line that names it."""

    def __init__(self, message: str):
        super().__init__(one_line(message))


_NOT_JSON = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
_LARGEST = 2**53  # no larger whole number is written, since most programs that read JSON would round it
_WORDS = {str: "text", bool: "true or false", int: "a whole number", float: "a number", dict: "an object"}
_WORDS |= {list: "a list", NoneType: "null"}


def read_json(path: Path, shape: Any = None) -> Any:
    """Read the file's value; None if there is no file. Raises DamagedFile where it does not have the shape."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    return parse(raw, path, shape)


def write_json(path: Path, value: Any) -> None:
    """Write the file atomically: to a temporary file, synced and renamed."""
    replace(path, dumps(value, indent=1) + "\n")


def read_rows(path: Path, shape: Any = dict) -> list[dict]:
    """Read the rows of a JSON-lines file, [] if there is none; an incomplete last line is skipped.

    Raises DamagedFile naming the line that does not have the shape.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    # Every complete row ends in a newline, so anything after the last one was cut short.
    return [parse(line, f"{path}, line {number}", shape) for number, line in enumerate(lines[:-1], start=1)]


def parse(raw: bytes, place: str | Path, shape: Any = None) -> Any:
    """Parse JSON. Raises DamagedFile, naming the place, where it is not JSON or does not have the shape."""
    try:
        value = decode(json.loads(raw.decode()))
    except RecursionError:
        raise DamagedFile(f"{place}: is nested too deeply") from None
    except ValueError as error:  # in the encoding, the syntax, or a number
        raise DamagedFile(f"{place}: is not the JSON that was written there: {error}") from error
    wrong = misfit(value, shape)
    if wrong:
        raise DamagedFile(f"{place}: {wrong.lstrip('. ')}")
    return value


def misfit(value: Any, shape: Any) -> str:
    """Return the place and the reason where a value does not have a shape; "" if it has it."""
    if shape is None or type(value) is shape or (shape is float and type(value) is int):
        return ""
    if isinstance(shape, dict) and isinstance(value, dict):
        return _misfit_of_keys(value, shape)
    if isinstance(shape, list) and isinstance(value, list):
        found = ((number, misfit(inside, shape[0])) for number, inside in enumerate(value))
        return next((f"[{number}]{wrong}" for number, wrong in found if wrong), "")
    if isinstance(shape, tuple):
        wrongs = [misfit(value, one) for one in shape]
        return "" if "" in wrongs else wrongs[0]
    if not isinstance(shape, type | dict | list):
        return shape(value)
    kind = type(shape) if isinstance(shape, dict | list) else shape
    return f" must be {_WORDS[kind]}, got {json.dumps(value)[:80]}"


def _misfit_of_keys(value: dict, shape: dict) -> str:
    for key in shape:
        if isinstance(key, str) and key[-1] != "?" and key not in value:
            return f" has no {key}"
    others = shape.get(...)
    for key, inside in value.items():
        wrong = misfit(inside, shape.get(key, shape.get(f"{key}?", others)))
        if wrong:
            return f".{key}{wrong}"
    return ""


def one_of(*known: str) -> Callable[[Any], str]:
    """Make the shape of one of some words."""
    return lambda value: "" if value in known else f" must be one of {', '.join(known)}, got {json.dumps(value)[:80]}"


def append_row(path: Path, row: dict) -> None:
    """Append a row to a JSON-lines file, in place of an incomplete last line."""
    with _named(path), open(path, "ab+") as file:
        _drop_torn(file)
        file.write(dumps(row).encode() + b"\n")


def _drop_torn(file: BinaryIO) -> None:
    end = file.seek(0, os.SEEK_END)
    if not end:
        return
    file.seek(end - 1)
    if file.read(1) != b"\n":
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)


def dumps(value: Any, indent: int | None = None) -> str:
    """Encode JSON with non-finite numbers as strings."""
    return json.dumps(encode(value), indent=indent, allow_nan=False)


def loads(text: str) -> Any:
    """Invert `dumps`, except that tuples become lists."""
    return decode(json.loads(text))


def replace(path: Path, text: str) -> None:
    """Write the file atomically."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with _named(path), open(temporary, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """Add the file to write errors, such as a full disk's."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def tidy(folder: Path) -> None:
    """Delete temporary files of `replace` in processes that died; only for the single writer of a folder."""
    for file in folder.glob(".*.*"):
        if file.name.rsplit(".", 1)[-1].isdigit():
            file.unlink(missing_ok=True)


def encode(value: Any) -> Any:
    """Encode the non-finite numbers of a value for JSON."""
    if isinstance(value, dict):
        return {key: encode(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [encode(v) for v in value]
    if isinstance(value, str) and value.lstrip("'") in _NOT_JSON:
        return f"'{value}"
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def decode(value: Any) -> Any:
    """Decode the non-finite numbers of a JSON value. Raises ValueError for a number that `encode` never writes."""
    if isinstance(value, dict):
        return {_text(key): decode(v) for key, v in value.items()}
    if isinstance(value, list):
        return [decode(v) for v in value]
    if isinstance(value, str):
        marked = value.startswith("'") and value.lstrip("'") in _NOT_JSON
        return _NOT_JSON.get(value) or _text(value[1:] if marked else value)
    if isinstance(value, int) and abs(value) > _LARGEST:
        raise ValueError("a whole number above 2^53")
    return value


def _text(value: str) -> str:
    """Replace half a surrogate pair, which has no UTF-8, by a question mark."""
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


def _is_folder(name: Any) -> str:
    """Check the name of a direct subfolder."""
    plain = isinstance(name, str) and name not in ("", ".", "..") and not set(name) & set("/\\\0")
    return "" if plain else f" must be the name of a folder, got {name!r:.80}"


def _is_place(numbers: Any) -> str:
    """Check a proposal's numbers: at least one."""
    return "" if isinstance(numbers, list) and numbers and all(type(n) is int for n in numbers) else " must be places"


def _are_trials(trials: Any) -> str:
    """Check a list of trials without duplicates."""
    wrong = misfit(trials, [_TRIAL])
    double = None if wrong else repeated(trial["id"] for trial in trials)
    return wrong if double is None else f": trial {double!r} is there twice"


def repeated(names: Iterable[str]) -> str | None:
    """Return the first name that occurs more than once."""
    return next((name for name, times in Counter(names).items() if times > 1), None)


# The shapes of the files of a run's and of a sweep's folder, see `rnngen.runs.records`.
_NUMBERS, _COMPONENT = {...: float}, {"name": str, "kwargs?": dict}
CONFIG = {"cell?": _COMPONENT, "task?": _COMPONENT}
CODEC = (_COMPONENT | {"kwargs": dict, "length?": int}, NoneType)
INTERFACE = (_COMPONENT | {"kwargs": dict}, NoneType)
RESULT = {
    "status": one_of("finished", "diverged", "pruned", "failed"),
    "step?": int,
    "metrics?": {...: _NUMBERS},
    "baseline?": float,
    "solved?": bool,
    "half_life?": _NUMBERS,
    "train_seconds?": float,
    "compile_seconds?": float,
    "layers_by?": str,
    "reason?": str,
}
_VERSIONS, _STEPS = {...: (str, NoneType)}, {"steps": int}
ROWS: dict[str, dict] = {
    "metrics": {"step": int, "split": str, ...: float},
    "diagnoses": {"step": int, "what": str},
    "provenance": {
        "seed?": int,
        "time?": str,
        "versions?": _VERSIONS,
        "git_commit?": (str, NoneType),
        "longer?": _STEPS,
    },
}
_LABELS = {...: (str, float)}  # older folders did not distinguish the label "inf" from the number, see `records`
_TRIAL = {"id": _is_folder, "overrides": dict, "labels?": _LABELS, "left_out?": bool, "numbers?": _is_place}
_SEARCH = {"method": str, "metric": str, "mode": one_of("min", "max"), "trials": int}
SWEEP = {"config": dict, "trials": _are_trials, "search?": _SEARCH}
PROPOSAL = {"numbers": _is_place, "overrides": dict, "labels": _LABELS, "params": dict}
EXPORTED_SWEEP = {"sweep": (SWEEP, NoneType)}
EXPORTED_RUN = {"trial": _is_folder, "config": (CONFIG, NoneType), "result": (RESULT, NoneType)}
EXPORTED_RUN |= {table: [shape] for table, shape in ROWS.items()}
