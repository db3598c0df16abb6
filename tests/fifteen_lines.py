import jax.numpy as jnp
import numpy as np

import rnngen
from rnngen.config import component


def leaky(hidden_dim):
    plain = rnngen.cells.rnn(hidden_dim)  # its parameters, its first carry, and its projection u = x W + b

    def step(params, h, u):
        h = 0.9 * h + 0.1 * jnp.tanh(u + h @ params["recurrent_kernel"])
        return h, h

    return rnngen.cells.Cell(plain.init, plain.init_carry, step, hidden_dim, plain.project)


x = np.random.RandomState(0).normal(size=(50, 600, 2))  # time, sequences, features
y = x[:10, :, 0].sum(axis=0)  # a number each sequence
config = {"cell": component(leaky, hidden_dim=32), "task": rnngen.tasks.from_arrays(x, y)}
run = rnngen.train(config, "runs/mine")
figure = rnngen.report.gradient_norms(run)
