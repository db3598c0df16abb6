"""Does reach cost parallelism? Newton's iterations and time along training, beside exponents and half-lives.

Ten cells of 16 units are trained on adding at T = 100 by the engine `newton`, which runs all steps at once and counts
the iterations that it takes (at most 50, after which it falls back to a scan). Every 100 updates the Lyapunov spectrum
and the half-life of the gradient are measured. 30 trials of 500 updates of 16 sequences.
"""

from rnngen.config import base_config, component
from rnngen.sweep import axis, product


def get_config():
    config = base_config()
    config.cell = component("gru", hidden_dim=16)
    config.task = component("adding", length=100, eval_size=250)
    config.model.engine = component("newton")
    config.optim.learning_rate = 3e-3
    config.train.update({"steps": 500, "batch_size": 16, "log_every": 100, "eval_every": 100, "save_every": 0})
    config.diagnose.update({"every": 100, "examples": 16})
    config.diagnose.what = ("gradient_flow", component("lyapunov_spectrum"))
    return config


def cells():
    def cell(name, **kwargs):
        return component(name, hidden_dim=16, **kwargs)

    wild = {"name": "gaussian", "kwargs": {"gain": 1.5}}
    return {
        "RNN": cell("rnn"),
        "RNN, gain 1.5": cell("rnn", recurrent_init=wild),
        "IndRNN": cell("indrnn", longest=100),
        "expRNN": cell("exprnn"),
        "coRNN": cell("cornn"),
        "GRU": cell("gru"),
        "MGU": cell("mgu"),
        "LSTM": cell("lstm"),
        "LEM": cell("lem"),
        "minGRU": cell("mingru"),
    }


def get_sweep():
    return product(axis("cell", cells()), axis("seed", range(3)))
