"""Nested configs and results as flat dicts with dotted names."""

from typing import Any


def describe(value: Any) -> Any:
    """Format a config's value for a table: components as `adding(length=100)`, lists as text."""
    if isinstance(value, dict) and "name" in value and isinstance(value.get("kwargs", {}), dict):
        arguments = ", ".join(f"{k}={v}" for k, v in flatten(value.get("kwargs", {})).items())
        return f"{value['name']}({arguments})" if arguments else value["name"]
    return str(value) if isinstance(value, list | dict) else value


def short(name: str) -> str:
    """Shorten a dotted name for the screen: cell.name to cell, task.kwargs.length to length."""
    parts = name.split(".")
    return parts[-2] if parts[-1] == "name" and len(parts) > 1 else parts[-1]


def flatten(tree: dict, prefix: str = "") -> dict[str, Any]:
    """Flatten nested dicts to one dict with dotted names."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def metric_place(metric: str) -> str:
    """Return the dotted name of a metric of the valid split in a trial's result."""
    return metric if "." in metric else f"metrics.valid.{metric}"


def lower_is_better(metric: str) -> bool:
    """Return True for the loss and the other metrics that are errors or code lengths, by their name."""
    name = metric.split(".")[-1]
    return name in ("loss", "bits", "rmse", "mae", "mase") or "nats" in name
