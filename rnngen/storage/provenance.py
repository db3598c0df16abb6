"""The provenance of a record: code and machine."""

import functools
import hashlib
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

_PACKAGES = ("rnngen", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "ml_collections", "numpy")


def provenance() -> dict[str, Any]:
    """Return versions, git commit and state of the tree, command line, machine and flags."""
    now = {"time": datetime.now(UTC).isoformat(timespec="seconds"), "command": [*sys.argv]}
    return now | _code() | {"xla_flags": os.environ.get("XLA_FLAGS", "")}


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@functools.cache
def _code() -> dict[str, Any]:
    """Return versions and commit; cached, since a later commit does not change the code of a running process."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {name: _version(name) for name in _PACKAGES},
        "git_commit": _git("rev-parse", "HEAD"),
        "git_dirty": None if (status := _git("status", "--porcelain")) is None else bool(status),
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _git(*arguments: str) -> str | None:
    here = Path(__file__).parent
    try:
        done = subprocess.run(["git", *arguments], cwd=here, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
