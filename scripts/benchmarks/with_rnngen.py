"""rnngen's own layers and training steps."""

from collections.abc import Mapping
from operator import itemgetter
from typing import Any

import jax
import jax.numpy as jnp
import optax

from rnngen import unroll
from rnngen.cells import Cell
from rnngen.models import Model
from rnngen.training import Optimizer
from rnngen.training.sharding import loss_and_gradient, mesh_of
from rnngen.types import Batch

from .contenders import Layer, Trainer, compiled_layer
from .sharding import place, split_forward, split_gradient


def layer(name: str, cell: Cell, params: Any, xs: Any, engine: str | Mapping, count: int = 1) -> Layer:
    """Return the cell over xs `[t, b, d]`, b split over `count` devices."""

    def run(params, xs):
        return unroll(cell, params, xs, engine=engine)[1]

    def loss(params, xs):
        return jnp.mean(run(params, xs) ** 2)

    both, kernel = split_gradient(loss, count), itemgetter("recurrent_kernel")
    return compiled_layer(name, split_forward(run, count), both, place(params, xs, count), kernel, devices=count)


def trainer(name: str, model: Model, optimizer: Optimizer, params: Any, batch: Batch, count: int = 1) -> Trainer:
    """Return steps of the model on one batch, split over `count` devices."""
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
