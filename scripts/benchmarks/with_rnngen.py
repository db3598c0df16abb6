"""rnngen's own layers and training steps."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from rnngen import unroll
from rnngen.cells import Cell
from rnngen.models import Model
from rnngen.training import Optimizer
from rnngen.training.sharding import loss_and_gradient, mesh_of
from rnngen.types import Batch

from .contenders import Layer, Trainer
from .sharding import place, split_forward, split_gradient


def layer(name: str, cell: Cell, params: Any, xs: Any, engine: str | Mapping, count: int = 1) -> Layer:
    """The cell over xs `[t, b, d]`, b split over `count` devices."""

    def run(params, xs):
        return unroll(cell, params, xs, engine=engine)[1]

    def loss(params, xs):
        return jnp.mean(run(params, xs) ** 2)

    params, xs = place(params, xs, count)
    forward, both = jax.jit(split_forward(run, count)), jax.jit(split_gradient(loss, count))
    return Layer(
        name,
        lambda: jax.block_until_ready(forward(params, xs)),
        lambda: jax.block_until_ready(both(params, xs)),
        lambda result: (float(result[0]), np.asarray(result[1]["recurrent_kernel"])),
        devices=count,
    )


def trainer(name: str, model: Model, optimizer: Optimizer, params: Any, batch: Batch, count: int = 1) -> Trainer:
    """Steps of the model on one batch, split over `count` devices."""
    gradient = loss_and_gradient(model, mesh_of(count))

    @jax.jit
    def update(state, batch):
        params, opt_state = state
        gradients, sums, _ = gradient(params, batch, jax.random.key(0))
        updates, opt_state, _ = optimizer.update(gradients, opt_state, params)
        total, weight = sums["loss"]
        return (optax.apply_updates(params, updates), opt_state), total / weight

    state, batch = place((params, optimizer.init(params)), batch, count)

    def step():
        nonlocal state
        state, value = jax.block_until_ready(update(state, batch))
        return value

    return Trainer(name, step, count)
