"""A lock on a folder that names its owner and ends with it.

    lock.json   host, process, start time, and a counter that increases while the owner lives

The kernel frees the lock when its owner dies, so an abandoned one is taken over at once. The only sign of life of an
owner on another host is the counter; it is watched, by a monotonic clock, for as long as the caller asks.
"""

import contextlib
import fcntl
import json
import os
import platform
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rnngen.storage import preemption

NAME = "lock.json"
BEAT = 10.0  # seconds between two increments of the counter
LEAST = 3 * BEAT  # shortest time to watch before an owner counts as dead
_SIZE = 512


class HeldError(ValueError):
    """Another process holds the folder; the message names it."""


@contextlib.contextmanager
def hold(folder: Path, take_over: float = 0.0, patience: float = 0.0) -> Iterator[None]:
    """Hold a folder, made if necessary, for this process alone.

    Args:
      take_over: above 0, seconds without a sign of life after which a lock of another host is taken over.
      patience: seconds to wait for an owner that is about to end.

    Raises:
      HeldError: another process holds the folder.
    """
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = _acquire(folder / NAME, take_over, time.monotonic() + patience)
    ended = threading.Event()
    beating = threading.Thread(target=_beat, args=(folder, descriptor, ended), name="lock", daemon=True)
    try:
        _write(descriptor, _me(), 0)
        beating.start()
        yield
    finally:
        ended.set()
        found = _read(folder / NAME)
        if found is None or _who(found) == _who(_me()):  # otherwise it was taken over
            (folder / NAME).unlink(missing_ok=True)
        os.close(descriptor)
        with contextlib.suppress(OSError):  # a folder that stayed empty
            for place in missing:
                place.rmdir()


def owner(folder: Path) -> dict | None:
    """Return the process that holds a folder, or held it when it died, or None."""
    return _read(folder / NAME)


def describe(found: dict) -> str:
    """Describe an owner in words."""
    return f"process {found.get('process')} on {found.get('host')} since {found.get('since')}"


def alive(folder: Path) -> bool:
    """Return True if the owner that a folder names still holds it, as far as this host can tell."""
    found = owner(folder)
    if found is None:
        return False
    if not _here(found):
        return True
    descriptor = os.open(folder / NAME, os.O_RDONLY)
    try:
        return not _locked(descriptor)
    finally:
        os.close(descriptor)


def _acquire(path: Path, take_over: float, until: float) -> int:
    """Lock the file for this process, and return its descriptor."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        mine = _locked(descriptor)
        if mine and not _same_file(descriptor, path):  # the owner has just deleted it
            os.close(descriptor)
            continue
        found = _read(path)
        if mine and (found is None or _here(found) or _silent(path, found, take_over)):
            return descriptor
        os.close(descriptor)
        if time.monotonic() > until:
            raise HeldError(_refusal(path, found, take_over))
        time.sleep(0.2)


def _refusal(path: Path, found: dict | None, take_over: float) -> str:
    who = describe(found) if found else "another process"
    line = f"{path.parent}: in use by {who}"
    if found is None or _here(found):
        return line
    if take_over:
        return f"{line}, which has given a sign of life"
    return f"{line}; if that is gone, --take_over=SECONDS watches it for so long and goes on (at least {LEAST:.0f})"


def _silent(path: Path, found: dict, seconds: float) -> bool:
    """Return True if an owner on another host gives no sign of life for this long."""
    if not seconds:
        return False
    until = time.monotonic() + max(seconds, LEAST)
    while time.monotonic() < until:
        time.sleep(min(1.0, seconds))
        if _read(path) != found:
            return False
    return True


def _beat(folder: Path, descriptor: int, ended: threading.Event) -> None:
    """Increase the counter, and end this process if another one took the folder over: both would write to it."""
    me, count = _me(), 0
    while not ended.wait(BEAT):
        found = _read(folder / NAME)
        if found is not None and _who(found) != _who(me) and not ended.is_set():
            preemption.end(f"{folder}: taken over by {describe(found)}")
        count += 1
        with contextlib.suppress(OSError):
            _write(descriptor, me, count)


def _me() -> dict[str, Any]:
    return {
        "host": platform.node(),
        "process": os.getpid(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
        "boot": _boot(),
    }


def _who(found: dict) -> tuple:
    return found.get("boot"), found.get("host"), found.get("process")


def _here(found: dict) -> bool:
    """Return True if the owner runs on this host, or did before its last boot."""
    return found.get("boot") == _boot() or found.get("host") == platform.node()


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return platform.node()


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _write(descriptor: int, who: dict, count: int) -> None:
    """Write in place, always the same length, at once: no reader sees a part, and a full disk does not matter."""
    os.pwrite(descriptor, json.dumps(who | {"count": count}).ljust(_SIZE - 1).encode() + b"\n", 0)


def _read(path: Path) -> dict | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
