"""What the records of the built-in diagnoses hold, as far as figures are drawn of it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from rnngen.storage.dotted import flatten
from rnngen.storage.jsonl import DamagedFile, misfit


def _is_numbers(value: Any) -> str:
    """The shape of numbers in lists, to any depth but the same everywhere."""
    try:
        return "" if np.asarray(value, float).ndim else " must be a list of numbers"
    except (TypeError, ValueError):
        return " must be a list of numbers"


def _are_pairs(first: str, second: str, inside: Any, count: Callable[[Any], int]) -> Any:
    """The shape of two values that belong together, each of the shape `inside` and as many as `count` says."""

    def wrong(value: Any) -> str:
        missed = misfit(value, {first: inside, second: inside})
        return missed or ("" if count(value[first]) == count(value[second]) else f" needs as many {first} as {second}")

    return wrong


_CURVE = {"median": [float]}
SHAPES: dict[str, dict] = {
    "carry_norms": {"curves": {"norm": {...: _CURVE}, "to_last": {...: _CURVE}}},
    "gate_statistics": {"gates": {...: _are_pairs("left", "right", [float], len)}},
    "gradient_flow": {"curves": {...: _CURVE}},
    "jacobian_products": {"lags": [float], "log10_condition": _CURVE},
    "length_generalisation": {"lengths": [float], "metrics": {"accuracy": [float]}},
    "lyapunov_spectrum": {"exponents": _CURVE},
    "recurrent_eigenvalues": {"jacobian": [_are_pairs("real", "imag", _is_numbers, np.size)]},
}

# Lists that are drawn against each other.
_AGAINST = {
    "jacobian_products": ("lags", "log10_condition.median"),
    "length_generalisation": ("lengths", "metrics.accuracy"),
}


def check_rows(what: str, rows: pd.DataFrame) -> None:
    """Raise DamagedFile naming the first row of a diagnosis that is not as that makes it."""
    shape = SHAPES[what]
    if rows.empty:
        return
    for row in rows[["trial", "step", *(name for name in shape if name in rows)]].to_dict("records"):
        wrong = misfit(row, shape) or _unequal(row, *_AGAINST.get(what, ()))
        if wrong:
            raise DamagedFile(f"{row['trial']}/diagnoses.jsonl: {what} at step {row['step']}: {wrong.lstrip('. ')}")


def _unequal(row: dict, *names: str) -> str:
    """What is wrong with lists that should be as long as each other."""
    flat = flatten(row)
    return "" if len({len(flat[name]) for name in names}) < 2 else f" needs as many {names[0]} as {names[1]}"
