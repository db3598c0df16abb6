"""Updates within a sequence, by rules that go forward."""

from collections.abc import Callable
from typing import Any

import jax

from rnngen.engines import trees
from rnngen.rules.local import Stepping
from rnngen.rules.rule import Rule, folded
from rnngen.types import Array, Key, Params, PyTree, is_whole


def check_every(update_every: int) -> None:
    """Raise ValueError unless it is a number of steps, or 0."""
    if not is_whole(update_every) or update_every < 0:
        raise ValueError(f"update_every must be a number of steps, or 0 for once a sequence, got {update_every!r}")


def online(
    rule: Rule,
    model: Stepping,
    params: Params,
    xs: PyTree,
    given: PyTree,
    loss: Callable[[PyTree, PyTree], Any],
    update: Callable[[Params, Any, Params], tuple[Params, Any, Any]],
    state: Any,
    *,
    mask: Array | None = None,
    resets: Array | None = None,
    key: Key | None = None,
) -> tuple[Params, Any, Any]:
    """Update the parameters within a sequence, every `rule.update_every` steps and at its end.

    Carry and influence go on across the updates, so that the influence is of parameters that have moved since.

    Args:
      rule: one that goes forward.
      model, params, xs, mask, resets, key: as in `Rule.gradient`.
      given: what the loss needs of each step, `[t, ...]` on each leaf.
      loss: (ys `[n, *b, ...]`, given `[n, ...]`) -> (scalar, sums), of some steps.
      update: (params, state, gradient) -> (params, state, sums).
      state: of the updates.

    Returns:
      (params, state, (sums of the losses, sums of the updates)), each added up over the sequence.
    """
    forward, inputs, running = rule.begin(model, params, xs, mask=mask, resets=resets, key=key)
    steps = trees.length(inputs)
    every = min(rule.update_every, steps)

    def segment(before, part):
        params, state, running, number = before
        inputs, given = part
        gradient, running, sums = forward.segment(
            params, running, inputs, lambda ys: loss(ys, given), folded(key, 1 + number)
        )
        params, state, more = update(params, state, gradient)
        return (params, state, running, number + 1), (sums, more)

    whole, rest = trees.chunked((inputs, given), every)
    after, sums = jax.lax.scan(segment, (params, state, running, 0), whole)
    sums = jax.tree.map(lambda x: x.sum(axis=0), sums)
    if rest is not None:
        after, last = segment(after, rest)
        sums = jax.tree.map(lambda a, b: a + b, sums, last)
    return after[0], after[1], sums
