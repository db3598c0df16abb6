"""Nested configs and results as flat ones with dotted names."""

from typing import Any


def describe(value: Any) -> Any:
    """A value of a config as a table shows it: components as `adding(length=100)`, lists as text."""
    if isinstance(value, dict) and "name" in value and isinstance(value.get("kwargs", {}), dict):
        arguments = ", ".join(f"{k}={v}" for k, v in flatten(value.get("kwargs", {})).items())
        return f"{value['name']}({arguments})" if arguments else value["name"]
    return str(value) if isinstance(value, list | dict) else value


def short(name: str) -> str:
    """How a dotted name is called on screen: cell.name is cell, task.kwargs.length is length."""
    parts = name.split(".")
    return parts[-2] if parts[-1] == "name" and len(parts) > 1 else parts[-1]


def flatten(tree: dict, prefix: str = "") -> dict[str, Any]:
    """Nested dicts to one dict with dotted names."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
