"""The checks of `rnngen doctor`: an installation, or a run's or a sweep's folder and what the next start would do."""

import functools
import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import jax

from rnngen import runtime
from rnngen.cells import CELLS
from rnngen.config.check import ConfigError
from rnngen.engines.cpu import calibration
from rnngen.engines.cpu.build import LINEAR
from rnngen.engines.cpu.calibration import LOOPS, Found
from rnngen.engines.fused import ready
from rnngen.runs.export import read_folder
from rnngen.storage import locks
from rnngen.storage.folder import OVER, TABLES, RunFolder
from rnngen.storage.jsonl import DamagedFile
from rnngen.storage.provenance import provenance
from rnngen.training import checkpoint

GIGABYTE = 2**30
# The layers whose loops are timed where they have not been yet.
USUAL, SHOWN = ("gru", "lstm", "rnn"), (128, 512)


class Finding(NamedTuple):
    """One line of the report; `good` is False where there is something to do about it."""

    good: bool
    line: str


def check_installation() -> Iterator[Finding]:
    """Check versions, devices, folders and disk space."""
    facts = provenance()
    yield Finding(sys.version_info >= (3, 11), f"Python {facts['python']} on {facts['platform']}")
    missing = [name for name, version in facts["versions"].items() if version is None]
    shown = ", ".join(f"{name} {version}" for name, version in facts["versions"].items() if version is not None)
    yield Finding(not missing, shown + (f"; missing: {', '.join(missing)}" if missing else ""))
    devices = jax.devices()
    yield Finding(True, f"{len(devices)} {devices[0].platform} devices: {devices[0].device_kind}")
    yield Finding(True, "freed memory is kept" if runtime.keep_memory() else "no allocator that keeps freed memory")
    yield from _cache()
    yield from _loops()
    data = os.environ.get("RNNGEN_DATA")
    yield Finding(data is None or Path(data).is_dir(), f"RNNGEN_DATA: {data or 'not set, sets are downloaded'}")
    yield from _space(Path.cwd())


def _cache() -> Iterator[Finding]:
    own = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    folder = Path(own) if own else runtime.program_folder()
    if folder is None:
        yield Finding(False, "no folder for compiled programs that is yours alone: workers compile anew each time")
    else:
        yield Finding(not _open_to_others(folder), f"compiled programs in {folder}")


def _loops() -> Iterator[Finding]:
    """Say how recurrent layers run; without compiled loops they are right and slower, so nothing is bad."""
    if jax.default_backend() != "cpu":
        yield Finding(True, "compiled loops of recurrent layers: for a CPU only")
        return
    usual = [found for name in USUAL for units in SHOWN if (found := ready(CELLS[name](units)))]
    usual += [calibration.find(LINEAR, units) for units in SHOWN]
    for why_not in sorted({found.why_not or "" for found in usual if not found.record}):
        yield Finding(True, f"no compiled loops of recurrent layers: {why_not}")
    for name, sizes in calibration.kept().items():
        yield Finding(True, f"compiled loops {name}: {_said(sizes)}")


def _said(sizes: Mapping[int, Found]) -> str:
    """Describe the timings of a library by the number of units."""
    failed = next((found for found in sizes.values() if found.why_not is not None), None)
    if failed is not None:
        return f"none, {failed.why_not} (delete {failed.record} to try again)"
    shown = [f"{_ratio(f.forward)} and {_ratio(f.both)} at {units} units" for units, f in sizes.items()]
    return f"time over JAX's on one core, forward and with gradients: {', '.join(shown)}"


def _ratio(seconds: dict[str, float]) -> str:
    """Return the loops' time over that of the fastest engine in JAX; above 1, JAX runs such layers."""
    others = [spent for way, spent in seconds.items() if way != LOOPS]
    return f"{seconds[LOOPS] / min(others):.2f}" if LOOPS in seconds and others else "not known"


def _space(folder: Path) -> Iterator[Finding]:
    """Check that records can be written to a folder."""
    free = shutil.disk_usage(folder).free / GIGABYTE
    yield Finding(free > 1, f"{free:.1f} GB free in {folder}")
    if not os.access(folder, os.W_OK):
        yield Finding(False, f"{folder} cannot be written")


def _open_to_others(folder: Path) -> bool:
    return folder.exists() and bool(folder.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH))


def check_folder(folder: Path) -> Iterator[Finding]:
    """Check a run's or a sweep's folder.

    Raises:
      ConfigError: the folder holds neither.
    """
    try:
        plan, found = read_folder(folder, all=True)
    except FileNotFoundError as error:
        raise ConfigError(str(error)) from error
    yield from _space(folder)
    if _open_to_others(folder / "slurm"):
        yield Finding(False, f"{folder / 'slurm'} can be written by others, and SLURM's workers run what lies there")
    if plan is not None:
        yield from _lock(folder)
        whole = [run for run in found if isinstance(run, RunFolder) and run.path.is_dir()]
        yield Finding(True, f"a sweep of {len(found)} trials, {len(whole)} of them begun")
        for run in whole:
            yield from (finding for finding in _run(run) if not finding.good)
    else:
        yield from _run(RunFolder(folder))


def _run(run: RunFolder) -> Iterator[Finding]:
    yield from _lock(run.path)
    yield from _records(run)
    saved = checkpoint.steps(run.checkpoints)
    _, wrong = checkpoint.newest(run.checkpoints)
    for line in wrong:
        yield Finding(False, line)
    for litter in checkpoint.litter(run.checkpoints):
        yield Finding(False, f"{litter}: left by a process that died; the next start deletes it")
    yield Finding(True, f"{run.path}: {len(saved)} checkpoints; {_next(run)}")


def _lock(folder: Path) -> Iterator[Finding]:
    owner = locks.owner(folder)
    if owner is not None and locks.alive(folder):
        yield Finding(True, f"{folder}: in use by {locks.describe(owner)}")
    elif owner is not None:
        yield Finding(False, f"{folder}: left by {locks.describe(owner)}, which is gone; the next start follows it")


def _records(run: RunFolder) -> Iterator[Finding]:
    tables = [functools.partial(run.rows, table) for table in TABLES]
    readers: list[Callable[[], object]] = [run.config, run.result, run.codec, *tables]
    for read in readers:
        try:
            read()
        except DamagedFile as error:
            yield Finding(False, f"{error}; put back a copy, or delete the run's folder to train it again")


def _next(run: RunFolder) -> str:
    """Say what the command that made the run would do now."""
    try:
        result = run.result()
    except DamagedFile:
        return "the same command is refused as long as its result cannot be read"
    if result is not None and result["status"] in OVER:
        return f"{result['status']}, nothing is left to do"
    if result is not None:
        return f"failed: {result.get('reason', '')}; --retry_failed goes on with it"
    step, _ = checkpoint.newest(run.checkpoints)
    return "the same command starts again" if step is None else f"the same command goes on from step {step}"
