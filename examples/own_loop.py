"""A training loop of one's own: a cell, a model, optax and `jax.jit`, without any config.

The adding problem (Hochreiter and Schmidhuber 1997): of a sequence of random numbers two are marked, and the target is
their sum. A predictor without memory has a loss of 1/6.
"""

import jax
import jax.numpy as jnp
import optax

import rnngen

STEPS, LENGTH, BATCH = 400, 20, 64


def draw(key, length=LENGTH, batch=BATCH):
    """Return inputs `[t, b, 2]`, numbers and marks, and targets `[b, 1]`."""
    key_numbers, key_marks = jax.random.split(key)
    numbers = jax.random.uniform(key_numbers, (length, batch))
    halves = jax.random.randint(key_marks, (2, batch), 0, length // 2) + jnp.array([[0], [length // 2]])
    marks = jax.nn.one_hot(halves, length, axis=0).sum(axis=1)
    return jnp.stack([numbers, marks], axis=-1), (numbers * marks).sum(axis=0)[:, None]


model = rnngen.models.build_model(rnngen.cells.gru(32), 2, rnngen.heads.gaussian(1))
params = model.init(jax.random.key(0))
optimizer = optax.adam(1e-2)
state = optimizer.init(params)


def loss(params, xs, ys):
    """Return the mean squared error of the outputs at the last step."""
    _, outputs = model.apply(params, xs)
    return jnp.mean((outputs[-1] - ys) ** 2)


@jax.jit
def update(params, state, key):
    """Take one step on a new batch: (params, state, key) -> (params, state, loss)."""
    value, gradients = jax.value_and_grad(loss)(params, *draw(key))
    updates, state = optimizer.update(gradients, state, params)
    return optax.apply_updates(params, updates), state, value


for step, key in enumerate(jax.random.split(jax.random.key(1), STEPS), start=1):
    params, state, value = update(params, state, key)
    if step % 100 == 0:
        print(f"step {step}: loss {value:.4f}")

test_loss = float(loss(params, *draw(jax.random.key(2), batch=1000)))
print(f"test loss {test_loss:.4f}; without memory it would be {1 / 6:.4f}")
