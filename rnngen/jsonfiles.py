"""JSON files: written whole or not at all, with the numbers that JSON does not have as "nan", "inf" and "-inf"."""

import json
import math
import os
from pathlib import Path
from typing import Any

_NOT_JSON = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def read_json(path: Path) -> Any:
    """The file's value, None where there is no file."""
    try:
        return decode(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def write_json(path: Path, value: Any) -> None:
    """Write the file whole or not at all: a temporary beside it, synced, renamed over it."""
    replace(path, dumps(value, indent=1) + "\n")


def read_rows(path: Path) -> list[dict]:
    """The rows of a JSON-lines file, [] where there is none; a torn last line is passed over."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")
    # Every whole row ends in a newline, so what follows the last one was cut short.
    return [decode(json.loads(line)) for line in lines[:-1]]


def dumps(value: Any, indent: int | None = None) -> str:
    """JSON with non-finite numbers as strings."""
    return json.dumps(_encode(value), indent=indent, allow_nan=False)


def replace(path: Path, text: str) -> None:
    """Write the file whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def _encode(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _encode(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_encode(v) for v in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def decode(value: Any) -> Any:
    """A value of JSON with its non-finite numbers as such."""
    if isinstance(value, dict):
        return {key: decode(v) for key, v in value.items()}
    if isinstance(value, list):
        return [decode(v) for v in value]
    return _NOT_JSON.get(value, value) if isinstance(value, str) else value
