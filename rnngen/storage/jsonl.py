"""JSON files: written whole or not at all, with the numbers that JSON does not have as "nan", "inf" and "-inf".

Text that reads like one of them has an apostrophe before it, and so has text that reads like that: "'inf" is the text.

What is read is held to a shape: None is anything; `str`, `bool`, `int`, `float` (any number), `dict` and `list` are
values of that kind, `NoneType` is null; a tuple is one of several shapes; `[shape]` is a list of such; a dict has a
shape for each key, "key?" for one that may be missing and `...` for all others; a function gives what is wrong, or "".
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


class DamagedFile(ValueError):  # noqa: N818, what a person reads is what was found
    """A file of records is not what was written there; the message is one line that names it."""

    def __init__(self, message: str):
        super().__init__(one_line(message))


def one_line(message: str, most: int = 1000) -> str:
    """What it quotes may have several lines, or no end."""
    line = " ".join(message.splitlines())
    return line if len(line) <= most else f"{line[:most]}..."


_NOT_JSON = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
_LARGEST = 2**53  # larger whole numbers are not exact in most programs that read JSON, and none is written
_WORDS = {str: "text", bool: "true or false", int: "a whole number", float: "a number", dict: "an object"}
_WORDS |= {list: "a list", NoneType: "null"}


def read_json(path: Path, shape: Any = None) -> Any:
    """The file's value, None where there is no file. Raises DamagedFile where it has not the shape."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    return parse(raw, path, shape)


def write_json(path: Path, value: Any) -> None:
    """Write the file whole or not at all: a temporary beside it, synced, renamed over it."""
    replace(path, dumps(value, indent=1) + "\n")


def read_rows(path: Path, shape: Any = dict) -> list[dict]:
    """The rows of a JSON-lines file, [] where there is none; a torn last line is passed over.

    Raises DamagedFile naming the line that has not the shape.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    # Every whole row ends in a newline, so what follows the last one was cut short.
    return [parse(line, f"{path}, line {number}", shape) for number, line in enumerate(lines[:-1], start=1)]


def parse(raw: bytes, place: str | Path, shape: Any = None) -> Any:
    """The value of some JSON. Raises DamagedFile, naming the place, where it is not JSON or has not the shape."""
    try:
        value = decode(json.loads(raw.decode()))
    except RecursionError:
        raise DamagedFile(f"{place}: is nested too deeply") from None
    except ValueError as error:  # of the text, the syntax, or a number
        raise DamagedFile(f"{place}: is not the JSON that was written there: {error}") from error
    wrong = misfit(value, shape)
    if wrong:
        raise DamagedFile(f"{place}: {wrong.lstrip('. ')}")
    return value


def misfit(value: Any, shape: Any) -> str:
    """What keeps a value from having a shape, after the place in it; "" where it has it."""
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
    """The shape of one of some words."""
    return lambda value: "" if value in known else f" must be one of {', '.join(known)}, got {json.dumps(value)[:80]}"


def append_row(path: Path, row: dict) -> None:
    """Add a row to a JSON-lines file, in place of a last line that was cut short."""
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
    """JSON with non-finite numbers as strings."""
    return json.dumps(encode(value), indent=indent, allow_nan=False)


def loads(text: str) -> Any:
    """The value that `dumps` was given, its tuples as lists."""
    return decode(json.loads(text))


def replace(path: Path, text: str) -> None:
    """Write the file whole or not at all."""
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
    """Have errors of writing, as on a full disk, say in which file."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def tidy(folder: Path) -> None:
    """Delete what `replace` left in a folder whose processes died in the midst of it; for the only one that writes."""
    for file in folder.glob(".*.*"):
        if file.name.rsplit(".", 1)[-1].isdigit():
            file.unlink(missing_ok=True)


def encode(value: Any) -> Any:
    """A value with its non-finite numbers as JSON can have them."""
    if isinstance(value, dict):
        return {key: encode(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [encode(v) for v in value]
    if isinstance(value, str) and value.lstrip("'") in _NOT_JSON:
        return f"'{value}"
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def decode(value: Any) -> Any:
    """A value of JSON with its non-finite numbers as such. Raises ValueError for a number that was never written."""
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
    """Half a surrogate pair, which no page or table can hold, is shown as a question mark."""
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


def _is_folder(name: Any) -> str:
    """The shape of the name of a folder that stands right within another."""
    plain = isinstance(name, str) and name not in ("", ".", "..") and not set(name) & set("/\\\0")
    return "" if plain else f" must be the name of a folder, got {name!r:.80}"


def _is_place(numbers: Any) -> str:
    """The shape of a proposal's places among all: at least one."""
    return "" if isinstance(numbers, list) and numbers and all(type(n) is int for n in numbers) else " must be places"


def _are_trials(trials: Any) -> str:
    """The shape of a list of trials, none of them there twice."""
    wrong = misfit(trials, [_TRIAL])
    double = None if wrong else repeated(trial["id"] for trial in trials)
    return wrong if double is None else f": trial {double!r} is there twice"


def repeated(names: Iterable[str]) -> str | None:
    """The first name that is there more than once."""
    return next((name for name, times in Counter(names).items() if times > 1), None)


# What the files of a run's and of a sweep's folder hold, see `rnngen.runs.records`.
_NUMBERS, _COMPONENT = {...: float}, {"name": str, "kwargs?": dict}
CONFIG = {"cell?": _COMPONENT, "task?": _COMPONENT}
CODEC = (_COMPONENT | {"kwargs": dict, "length?": int}, NoneType)
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
ROWS: dict[str, dict] = {
    "metrics": {"step": int, "split": str, ...: float},
    "diagnoses": {"step": int, "what": str},
    "provenance": {"seed?": int, "time?": str, "versions?": {...: (str, NoneType)}, "git_commit?": (str, NoneType)},
}
_LABELS = {...: (str, float)}  # older folders did not tell the label "inf" from the number, see `records`
_TRIAL = {"id": _is_folder, "overrides": dict, "labels?": _LABELS}
_SEARCH = {"method": str, "metric": str, "mode": one_of("min", "max"), "trials": int}
SWEEP = {"config": dict, "trials": _are_trials, "search?": _SEARCH}
PROPOSAL = {"numbers": _is_place, "overrides": dict, "labels": _LABELS, "params": dict}
EXPORTED_SWEEP = {"sweep": (SWEEP, NoneType)}
EXPORTED_RUN = {"trial": _is_folder, "config": (CONFIG, NoneType), "result": (RESULT, NoneType)}
EXPORTED_RUN |= {table: [shape] for table, shape in ROWS.items()}
