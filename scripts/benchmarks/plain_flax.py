"""One training as one would write it with Flax's `nnx.RNN`. Arguments: cell, seed. Prints the test loss."""

import json
import os
import sys

import jax
import jax.numpy as jnp
import optax
from flax import nnx

SIZE = json.loads(os.environ["RNNGEN_BENCH_SWEEP"])
CELLS = {"rnn": nnx.SimpleCell, "gru": nnx.GRUCell, "lstm": nnx.OptimizedLSTMCell}


class Regressor(nnx.Module):
    """A recurrent layer, and a linear head on its last step."""

    def __init__(self, cell: str, rngs: nnx.Rngs):
        self.layer = nnx.RNN(CELLS[cell](2, SIZE["hidden_dim"], rngs=rngs))
        self.head = nnx.Linear(SIZE["hidden_dim"], 1, rngs=rngs)

    def __call__(self, inputs):
        return self.head(self.layer(inputs)[:, -1])


def sample(key, batch: int):
    """Draw the adding problem: inputs `[b, t, 2]`, a number and a mark; targets `[b, 1]`."""
    length, keys = SIZE["length"], jax.random.split(key, 3)
    numbers = jax.random.uniform(keys[0], (batch, length))
    first = jax.random.randint(keys[1], (batch,), 0, length // 2)
    second = jax.random.randint(keys[2], (batch,), length // 2, length)
    marks = jax.nn.one_hot(first, length) + jax.nn.one_hot(second, length)
    return jnp.stack([numbers, marks], -1), jnp.sum(numbers * marks, 1)[:, None]


def loss_of(model, inputs, targets):
    """Compute the mean squared error."""
    return jnp.mean((model(inputs) - targets) ** 2)


@nnx.jit
def update(model, optimizer, key):
    """Take one step of clipped Adam."""
    inputs, targets = sample(key, SIZE["batch_size"])
    optimizer.update(model, nnx.grad(loss_of)(model, inputs, targets))


def main(cell: str, seed: int) -> float:
    """Train, and return the loss on 1000 sequences."""
    model, key = Regressor(cell, nnx.Rngs(seed)), jax.random.key(seed)
    rule = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3))
    optimizer = nnx.Optimizer(model, rule, wrt=nnx.Param)
    for step in range(SIZE["steps"]):
        update(model, optimizer, jax.random.fold_in(key, step))
    return float(nnx.jit(loss_of)(model, *sample(jax.random.fold_in(key, SIZE["steps"]), 1000)))


if __name__ == "__main__":
    print(main(sys.argv[1], int(sys.argv[2])))
