"""Does what was learned at some lengths hold at others, as Pascanu et al. 2013 ask of 50 to 200 against 5000?"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from rnngen.models.stack import Model
from rnngen.tasks import Task
from rnngen.types import Array, Params


def evaluate_lengths(
    model: Model,
    params: Params,
    make_task: Callable[[int], Task],
    lengths: tuple[int, ...],
    examples: int = 1000,
    at_once: int = 100,
) -> dict[str, Array]:
    """Metrics of the test split at other lengths: name -> `[lengths]`, each the mean over `examples` sequences.

    make_task: (length) -> Task. at_once: how many sequences run together, since their outputs must fit the memory.
    """

    def at(length: int) -> dict[str, Array]:
        task = make_task(length)

        def part(number):
            batch = task.sample("test", jax.random.key(0), number, at_once)
            outputs = model.apply(params, batch.inputs, mask=batch.mask, resets=batch.resets)[1]
            return task.loss(outputs, batch)[1]

        sums = jax.lax.map(part, jnp.arange(-(-examples // at_once)))
        return {name: jnp.sum(total) / jnp.sum(count) for name, (total, count) in sums.items()}

    found = [at(length) for length in lengths]
    return {name: jnp.stack([metrics[name] for metrics in found]) for name in found[0]}
