"""The bare minimum of a sweep: import, compile the training steps of some cells, run them, one seed after another.

Arguments: a core, and the cells. Prints the loss of the last steps of each training. No evaluation, folder or record.
"""

import functools
import json
import os
import sys

import jax

from rnngen.config import base_config, build, component, resolve
from rnngen.runtime import prepare_worker
from rnngen.training.sharding import mesh_of
from rnngen.training.state import TrainState, init_params, init_state, train_steps


def compiled_steps(cell: str, size: dict) -> tuple[jax.stages.Compiled, TrainState]:
    """Return (all training steps of a trial as one program for one device, its initial state)."""
    config = base_config()
    config.task = component("adding", length=size["length"])
    config.cell = component(cell, hidden_dim=size["hidden_dim"])
    parts = build(resolve(config))
    steps = train_steps(parts.model, parts.task, parts.optimizer, size["batch_size"], size["steps"], mesh_of(1))
    state = init_state(parts.model, parts.optimizer, 0, jax.jit(functools.partial(init_params, parts.model)))
    return jax.jit(steps).lower(state).compile(), state


def main(cells: list[str], size: dict) -> list[float]:
    """Return the mean training loss of each trial."""
    losses = []
    for cell in cells:
        compiled, state = compiled_steps(cell, size)
        for _ in range(size["seeds"]):
            total, count = compiled(state)[1]["loss"]
            losses.append(float(total) / float(count))
    return losses


if __name__ == "__main__":
    prepare_worker([int(sys.argv[1])], devices=1)
    print(json.dumps(main(sys.argv[2:], json.loads(os.environ["RNNGEN_BENCH_SWEEP"]))))
