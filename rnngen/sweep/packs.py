"""Grouping of trials into jobs: trials of one program may be trained together."""

import itertools

from rnngen.config import RunConfig
from rnngen.config.fingerprint import program
from rnngen.sweep.executors import Executor
from rnngen.sweep.plan import Trial

MOST = 256  # trials trained together on a GPU


def deal(trials: list[Trial], pack: str, executor: Executor) -> list[list[Trial]]:
    """Group the trials into packs.

    pack: "off", a number, or "auto": one by one on a CPU, where packing does not pay, and on a GPU evenly among the
    workers.
    """
    if pack == "off" or (pack == "auto" and not executor.accelerated):
        return [[trial] for trial in trials]
    return group(trials, min(MOST, -(-len(trials) // executor.slots)) if pack == "auto" else int(pack))


def group(trials: list[Trial], size: int) -> list[list[Trial]]:
    """Group trials into even packs of one program, of at most `size`, in the order of each pack's first trial."""
    by_program: dict[RunConfig, list[Trial]] = {}
    for trial in trials:
        by_program.setdefault(program(trial.config), []).append(trial)
    packs = [pack for alike in by_program.values() for pack in _evenly(alike, size)]
    order = {trial.id: place for place, trial in enumerate(trials)}
    return sorted(packs, key=lambda pack: order[pack[0].id])


def _evenly(trials: list[Trial], size: int) -> list[list[Trial]]:
    count = -(-len(trials) // size)
    bounds = [len(trials) * i // count for i in range(count + 1)]
    return [trials[a:b] for a, b in itertools.pairwise(bounds)]
