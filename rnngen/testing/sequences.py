"""Checks of sequences: results do not depend on how a sequence is split, padded or batched."""

import jax
import jax.numpy as jnp
import numpy as np

from rnngen.engines import unroll
from rnngen.testing.case import Broken, Case, noise, quick_jit, same


def causal(case: Case) -> None:
    """An output does not depend on later inputs."""
    ys = case.run()[1]
    for cut in range(1, case.sizes.steps):
        later = case.xs.at[cut:].set(noise(case.xs[cut:].shape, 3, jnp.float64))
        try:
            same("ys", case.run(later)[1][:cut], ys[:cut])
        except Broken as error:
            raise Broken(f"{error} when xs[{cut}:] are others") from None


def loop(case: Case) -> None:
    """unroll is a Python loop of steps."""
    carry, ys = case.cell.init_carry(case.prepared, case.sizes.batch), []
    one = quick_jit(lambda p, c, x: case.cell.step(p, c, case.cell.project(p, x)))
    for x in case.xs:
        carry, y = one(case.prepared, carry, x)
        ys.append(y)
    _same_run(case.run(), (carry, jnp.stack(ys)))


def split(case: Case) -> None:
    """A sequence in two halves, the carry passed on, is the whole sequence."""
    cut = case.sizes.steps // 2
    if cut:
        carry, first = case.run(case.xs[:cut])
        last, second = case.run(case.xs[cut:], carry)
        _same_run((last, jnp.concatenate([first, second])), case.run())


def batch(case: Case) -> None:
    """An example in a batch, or under vmap, is what it is alone."""
    if not case.sizes.batch:
        return
    alone = [case.run(case.xs[:, n]) for n in range(case.sizes.batch[0])]
    expected = jax.tree.map(lambda *c: jnp.stack(c), *[c for c, _ in alone]), jnp.stack([y for _, y in alone], axis=1)
    _same_run(case.run(), expected)
    mapped = jax.vmap(lambda p, x: unroll(case.cell, p, x, engine="scan"), (None, 1), (0, 1))
    _same_run(quick_jit(mapped)(case.params, case.xs), expected)


def mask(case: Case) -> None:
    """Steps that are masked out are as if they were not there: the carry stays, the output is zero."""
    there = np.arange(case.sizes.steps) % 3 != 0
    padded = case.xs.at[~there].set(jnp.nan)
    carry, ys = case.run(padded, mask=case.for_all(there))
    same("ys where masked", ys[~there], jnp.zeros_like(ys[~there]), 0.0)
    if there.any():
        _same_run((carry, ys[there]), case.run(case.xs[there]))


def resets(case: Case) -> None:
    """After a reset a sequence begins as one of its own."""
    cut = case.sizes.steps // 2
    carry, ys = case.run(resets=case.for_all(np.arange(case.sizes.steps) == cut))
    _same_run((carry, ys[cut:]), case.run(case.xs[cut:]))


def _same_run(got, expected) -> None:
    same("ys", got[1], expected[1])
    same("the last carry", got[0], expected[0])
