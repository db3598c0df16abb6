"""A layer that one engine runs in inference, and another where its gradient is taken."""

from collections.abc import Callable, Mapping

import jax

from rnngen.engines.cpu.calibration import LOOPS, SCAN, Ways
from rnngen.engines.telling import tell
from rnngen.engines.trees import whole


def by_ways(ways: Ways, engines: Mapping[str, Callable]) -> Callable:
    """Return an engine that runs `ways.forward` without a gradient, and `ways.both` with one."""
    # A plain scan is not split: it supports forward-mode derivatives too.
    if ways.forward == ways.both or ways.both == SCAN:
        return engines[ways.both]
    return _split(engines[ways.forward], engines[ways.both], LOOPS if ways.both == LOOPS else "jax")


def _split(alone: Callable, both: Callable, said: str) -> Callable:
    def run(cell, params, carry, inputs):
        leaves, tree = jax.tree.flatten((params, carry, inputs))
        tell(said)

        @jax.custom_vjp
        def layer(leaves):
            return alone(cell, *jax.tree.unflatten(tree, leaves))[:2]

        def forward(leaves):
            # Arguments without a gradient, such as the data that the lowest layer reads, must not be given one.
            moving = [place for place, leaf in enumerate(leaves) if leaf.perturbed]
            values = [leaf.value for leaf in leaves]

            def of_moving(parts):
                now = dict(enumerate(values)) | dict(zip(moving, parts, strict=True))
                return both(cell, *jax.tree.unflatten(tree, now.values()))[:2]

            out, pull = jax.vjp(of_moving, [values[place] for place in moving])
            return out, (pull, dict.fromkeys(moving))

        def backward(residuals, gradients):
            pull, moving = residuals
            found = dict(zip(moving, pull(whole(gradients))[0], strict=True))
            return ([found.get(place) for place in range(len(leaves))],)

        layer.defvjp(forward, backward, symbolic_zeros=True)
        return *layer(leaves), {}

    return run
