"""What two resolved configs have in common: all, a program, a structure, or else where they differ."""

import hashlib
import json
from typing import Any

from rnngen.storage.dotted import flatten
from rnngen.storage.jsonl import encode


def config_id(resolved: dict) -> str:
    """A stable short name for a resolved config: the same config, the same name, on any machine."""
    return hashlib.sha256(_canonical(resolved).encode()).hexdigest()[:12]


def program(resolved: dict) -> str:
    """Equal where two resolved configs train by the same program: where only seeds and numbers that are data differ.

    Those are the optimiser's, which are in its state, unless a schedule computes with them.
    """
    optim = resolved["optim"]
    clips = {name: bool(optim[name]) for name in ("clip_norm", "clip_value")}
    rate = {"learning_rate": 0} if optim["schedule"]["name"] == "constant" else {}
    optim = optim | clips | rate | {"kwargs": _without_fractions(optim["kwargs"])}
    return _canonical(resolved | {"seed": 0, "optim": optim})


def structure(resolved: dict) -> str:
    """Equal where two resolved configs may train by the same program: the fractional numbers of cells may differ too.

    Those of initialisers are in the parameters, and those of a step are not: the programs themselves tell.
    """
    head = _without_fractions(resolved["model"]["head_init"])
    alike = {"cell": _without_fractions(resolved["cell"]), "model": resolved["model"] | {"head_init": head}}
    return program(resolved | alike)


def difference(there: dict, here: dict) -> str:
    """What differs between two resolved configs, in one line."""
    old, new = flatten(there), flatten(here)
    keys = [k for k in sorted(old | new) if old.get(k) != new.get(k)]
    shown = [f"{k} is {old.get(k)!r:.80} there, {new.get(k)!r:.80} here" for k in keys[:3]]
    return "; ".join(shown) + (f"; and {len(keys) - 3} more" if len(keys) > 3 else "")


def _canonical(resolved: dict) -> str:
    return json.dumps(encode(resolved), sort_keys=True, separators=(",", ":"))


def _without_fractions(value: Any) -> Any:
    """With every fractional number masked; whole ones are shapes and counts, and stay."""
    if isinstance(value, dict):
        return {key: _without_fractions(v) for key, v in value.items()}
    return 0.0 if isinstance(value, float) else value
