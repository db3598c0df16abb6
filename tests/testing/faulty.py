"""Cells with one planted fault each, and the law that the fault breaks."""

import jax
import jax.numpy as jnp
import numpy as np
from my_lab import leaky

from rnngen.cells import Affine, Cell, Gated, affine_cell, gated_cell, mingru, rnn

H = 4


def _with_step(step) -> Cell:
    base = leaky(H)
    return base._replace(step=lambda params, carry, u: step(base.step, params, carry, u))


def leaks_the_future() -> Cell:
    return leaky(H)._replace(project=lambda params, xs, key=None: jnp.roll(xs, -1, axis=0))


def ignores_the_mask() -> Cell:
    """Decays by the number of the step, counted over the sequence as it comes, holes and all."""
    base = leaky(H)

    def project(params, xs, key=None):
        count = jnp.cumsum(jnp.ones_like(xs[..., :1]), axis=0) if xs.ndim > 1 else jnp.ones_like(xs[..., :1])
        return xs / count

    return base._replace(project=project)


def drops_part_of_the_carry() -> Cell:
    start = lambda params, batch: {"h": leaky(H).init_carry(params, batch), "m": jnp.zeros((*batch, H))}  # noqa: E731

    def step(params, carry, x):
        h, y = leaky(H).step(params, carry["h"], x)
        return {"h": h}, y

    return leaky(H)._replace(init_carry=start, step=step)


def claims_pointwise() -> Cell:
    plain = rnn(H)

    def combine(params, carry, u, a):
        h = jnp.tanh(u + a)
        h = h / jnp.sqrt(1 + jnp.mean(carry**2, axis=-1, keepdims=True))
        return h, h

    return gated_cell(
        init=plain.init,
        init_carry=plain.init_carry,
        structure=Gated(lambda carry: carry, combine),
        output_dim=H,
        project=plain.project,
    )


def claims_a_product() -> Cell:
    """Its combine reads the kernel once more."""
    plain = rnn(H)
    combine = lambda p, c, u, a: (2 * (jnp.tanh(u + a) + c @ p["recurrent_kernel"]),) * 2  # noqa: E731
    return plain._replace(structure=Gated(lambda carry: carry, combine), step=plain.step)


def claims_diagonal() -> Cell:
    return rnn(H)._replace(diagonal=True)


def composes_the_wrong_way_round() -> Cell:
    base = mingru(H)

    def compose(later, earlier):
        return later[0] * earlier[0], later[0] * later[1] + earlier[1]

    structure = Affine(base.structure.terms, base.structure.readout, compose)
    return affine_cell(
        init=base.init, init_carry=base.init_carry, structure=structure, output_dim=H, project=base.project
    )


def casts_to_float32() -> Cell:
    def step(original, params, h, x):
        new = original(params, h, x)[0]
        new = new.astype(jnp.float32).astype(h.dtype)
        return new, new

    return _with_step(step)


def keeps_state_in_python() -> Cell:
    calls = []

    def step(original, params, h, x):
        calls.append(1)
        new, y = original(params, h * (1 - 1 / (1 + len(calls))), x)
        return new, y

    return _with_step(step)


def mixes_the_batch() -> Cell:
    def step(original, params, h, x):
        new, y = original(params, h, x)
        return new - jnp.mean(new, axis=tuple(range(new.ndim - 1)), keepdims=True) / 2, y

    return _with_step(step)


def counts_without_batch_axes() -> Cell:
    base = leaky(H)
    start = lambda params, batch: (base.init_carry(params, batch), jnp.zeros((), jnp.int32))  # noqa: E731

    def step(params, carry, x):
        h, y = base.step(params, carry[0], x)
        return (h, carry[1] + 1), y

    return base._replace(init_carry=start, step=step)


def goes_back_wrongly() -> Cell:
    """A reverse pass by hand that forgets the derivative of tanh."""
    base = rnn(H)
    backward = base.structure.backward
    local = lambda params, carry, new, kept: jax.tree.map(jnp.ones_like, backward.local(params, carry, new, kept))  # noqa: E731
    return base._replace(structure=base.structure._replace(backward=backward._replace(local=local)))


def grows() -> Cell:
    """Doubles its state at each step: infinite after 130 of them."""

    def step(original, params, h, x):
        new = 2 * h + x @ params["kernel"]
        return new, new

    return _with_step(step)


def has_no_derivative() -> Cell:
    """A norm whose gradient at zero, where a sequence begins, is no number."""

    def step(original, params, h, x):
        new, y = original(params, h / (1 + jnp.sqrt(jnp.sum(h**2, axis=-1, keepdims=True))), x)
        return new, y

    return _with_step(step)


def draws_its_own_numbers() -> Cell:
    draw = lambda key, d: {"kernel": jnp.asarray(np.random.normal(size=(d, H)), jnp.float32)}  # noqa: E731
    return leaky(H)._replace(init=draw)


def starts_weakly_typed() -> Cell:
    """A counter that is of a weak type until its first step, which another compilation then follows."""
    base = leaky(H)
    start = lambda params, batch: (base.init_carry(params, batch), jnp.full(batch, 0))  # noqa: E731

    def step(params, carry, x):
        h, y = base.step(params, carry[0], x)
        return (h, carry[1] + jnp.ones(carry[1].shape, int)), y

    return base._replace(init_carry=start, step=step)


def is_wider_than_it_says() -> Cell:
    return leaky(H)._replace(output_dim=H + 1)


def starts_in_float32() -> Cell:
    return leaky(H)._replace(
        init_carry=lambda params, batch: jnp.zeros((*batch, H), jnp.float32),
        step=lambda params, h, x: ((h + jnp.tanh(x @ params["kernel"]).astype(jnp.float32)),) * 2,
    )


def raises() -> Cell:
    def step(original, params, h, x):
        raise RuntimeError("this cell cannot step")

    return _with_step(step)


def cannot_be_made() -> Cell:
    raise KeyError("no such gate")


FAULTS = {
    leaks_the_future: "causal",
    ignores_the_mask: "mask",
    drops_part_of_the_carry: "step",
    claims_pointwise: "pointwise",
    claims_a_product: "gated",
    claims_diagonal: "diagonal",
    composes_the_wrong_way_round: "affine",
    casts_to_float32: "dtypes",
    keeps_state_in_python: "pure",
    mixes_the_batch: "batch",
    counts_without_batch_axes: "init_carry",
    goes_back_wrongly: "engines",
    grows: "long",
    has_no_derivative: "long",
    draws_its_own_numbers: "init",
    starts_weakly_typed: "compiles_once",
    is_wider_than_it_says: "output",
    starts_in_float32: "dtypes",
    raises: "step",
}
