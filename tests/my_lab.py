"""Cells, tasks, remedies, diagnoses and trackers from outside the repository, as a user would write them."""

import importlib
import math
import time

import jax
import jax.numpy as jnp
import optax

from rnngen.cells import Cell
from rnngen.diagnostics import Diagnosis
from rnngen.tasks import latch
from rnngen.training.regularizers import Regularizer


def leaky(hidden_dim: int, *, leak: float = 0.9) -> Cell:
    """h' = leak h + (1 - leak) tanh(x W)."""

    def step(params, h, x):
        h = leak * h + (1 - leak) * jnp.tanh(x @ params["kernel"])
        return h, h

    return Cell(
        init=lambda key, input_dim: {"kernel": jax.random.normal(key, (input_dim, hidden_dim))},
        init_carry=lambda params, batch_shape: jnp.zeros((*batch_shape, hidden_dim), params["kernel"].dtype),
        step=step,
        output_dim=hidden_dim,
    )


def running_sum(*, keep: float = 0.9) -> Cell:
    """h' = keep h + x_0: nothing in it is learned."""

    def step(params, h, x):
        h = keep * h + x[..., :1]
        return h, h

    return Cell(lambda key, input_dim: {}, lambda params, batch_shape: jnp.zeros((*batch_shape, 1)), step, 1)


def capped(hidden_dim: int, *, ceiling: float = math.inf, norm: str = "inf") -> Cell:
    """A leaky cell whose state is held below a ceiling; a number and a text that files must keep apart."""
    assert (type(ceiling), type(norm)) == (float, str)
    cell = leaky(hidden_dim)

    def step(params, h, x):
        h = jnp.minimum(cell.step(params, h, x)[0], ceiling)
        return h, h

    return cell._replace(step=step)


def short_latch(length: int = 6):
    """A latch with a small evaluation set."""
    return latch(length, eval_size=20)


def halves():
    """An initialiser that fills with 1/2."""
    return lambda key, shape, dtype: jnp.full(shape, 0.5, dtype)


def backwards(learning_rate: float, *, by: float = 1.0):
    """An optimiser that goes up."""
    return optax.scale(by * learning_rate)


def then_nothing(learning_rate: float, steps: int):
    """A schedule that ends halfway."""
    return lambda step: jnp.where(step < steps // 2, learning_rate, 0.0)


def weight_decay(weight: float = 0.1) -> Regularizer:
    """A regulariser: the squares of all parameters."""
    return Regularizer(lambda model, task, params, batch: weight * optax.tree.norm(params, squared=True))


def parameter_norm(squared: bool = False) -> Diagnosis:
    """A diagnosis that looks at no batch."""
    return Diagnosis(
        measure=lambda model, params, batch, task: optax.tree.norm(params, squared=squared),
        record=lambda found: {"norm": float(found)},
    )


def not_a_cell(hidden_dim: int):
    """What a mistake looks like."""
    return hidden_dim


def exploding(hidden_dim: int) -> Cell:
    """Fails when it is traced, after its config was found good."""

    def step(params, h, x):
        raise RuntimeError("this cell cannot step")

    return leaky(hidden_dim)._replace(step=step)


def deadly(hidden_dim: int) -> Cell:
    """Kills its process, as an out-of-memory killer would."""

    def step(params, h, x):
        import os
        import signal

        os.kill(os.getpid(), signal.SIGKILL)

    return leaky(hidden_dim)._replace(step=step)


def collecting(folder, config):
    """A tracker that writes what it is told to a file, and says when it is closed."""

    class Tracker:
        def __call__(self, row):
            self.write(f"{row['step']} {row.get('split', row.get('what'))}")

        def close(self):
            self.write("closed")

        def write(self, line):
            with open(folder / "collected.txt", "a") as file:
                file.write(line + "\n")

    return Tracker()


def failing(folder, config):
    """A tracker whose server is gone."""

    def track(row):
        raise ConnectionError("no route to host")

    return track


def plateau(learning_rate: float, steps: int, until_the_end: bool = False):
    """A schedule: half the rate after three steps, or after half of the run."""
    return lambda step: jnp.where(step < (steps // 2 if until_the_end else 3), learning_rate, learning_rate / 2)


def serve_in_need(pipe, slot):
    """A worker of a sweep that has grown after each job."""
    local = importlib.import_module("rnngen.sweep.executors.local")
    local.GROWN = 0.5
    local._serve(pipe, slot)


def slow_tracker(folder, config):
    """A tracker that takes its time for each row."""

    def track(row):
        time.sleep(0.1)
        with open(folder / "seen.txt", "a") as file:
            file.write(str(row["step"]))

    return track
