"""Signatures of run folders whose config imports modules.

A folder whose config names modules outside of rnngen is signed with this user's key, to distinguish it from one that
came from somebody else: such a folder is read, but the modules that it names are only imported on request.
"""

import hashlib
import hmac
import os
import secrets
from pathlib import Path
from typing import Any

from rnngen.storage.jsonl import replace

SIGNATURE = "signature"
# Modules of rnngen whose functions have no side effects.
HARMLESS = ("rnngen.adapters", "rnngen.cells")


def named_modules(config: Any) -> list[str]:
    """Return the modules of a config's components `"package.module:factory"`, except harmless ones."""
    if isinstance(config, dict):
        name = config.get("name")
        own = [name.partition(":")[0]] if isinstance(name, str) and ":" in name else []
        found = own + [module for value in config.values() for module in named_modules(value)]
    else:
        found = [module for value in config for module in named_modules(value)] if isinstance(config, list) else []
    return list(dict.fromkeys(module for module in found if module not in HARMLESS))


def sign(folder: Path, config: dict) -> None:
    """Sign a folder for this user if its config names modules; it stays unsigned if the key cannot be stored."""
    if named_modules(config):
        try:
            replace(folder / SIGNATURE, _digest(folder, _key(make=True)))
        except OSError:
            return


def is_own(folder: Path) -> bool:
    """Return True if this user has signed the folder with its present config."""
    try:
        signature = (folder / SIGNATURE).read_text(encoding="ascii")
        return hmac.compare_digest(signature, _digest(folder, _key(make=False)))
    except (OSError, ValueError):
        return False


def _digest(folder: Path, key: bytes) -> str:
    return hmac.new(key, (folder / "config.json").read_bytes(), hashlib.sha256).hexdigest()


def _key(make: bool) -> bytes:
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    path = state / "rnngen" / "key"
    if make and not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(secrets.token_bytes(32))
        except FileExistsError:  # another process was first
            pass
    key = path.read_bytes()
    if len(key) != 32:
        raise ValueError(f"{path} does not hold a key")
    return key
