"""Pascanu, Mikolov and Bengio 2013, figure 7: success on temporal order against length, by training and initialisation.

Settings of the paper: 50 units, learning rate 0.01 without momentum, batch 20, five seeds, clipping at norm 1, Omega's
weight 4, success when under 1 % of 10,000 sequences are wrong. The paper allows 5 million updates; here the cap is
`STEPS`, and a run that meets it is censored, not failed. `pascanu2013_full.py` beside this file has the paper's cap.
"""

from rnngen.config import base_config, component
from rnngen.sweep import axis, chain, product, zipped

STEPS, LENGTHS = 20_000, (50, 100, 150, 200, 250)


def get_config():
    config = base_config()
    config.cell = component("rnn", hidden_dim=50)
    config.task = component("temporal_order", length=50, eval_size=10_000)
    config.optim.update({"name": "sgd", "learning_rate": 0.01, "clip_norm": 0.0})
    config.train.update({"steps": STEPS, "batch_size": 20, "log_every": 1000, "eval_every": 1000, "save_every": 0})
    config.train.update({"eval_batch_size": 1000, "stop_metric": "accuracy", "stop_at": 0.99})
    config.diagnose.what = ()
    return config


def starts():
    """The paper's three initialisations: cell and head."""
    small, basic = (component("normal", stddev=sd).to_dict() for sd in (0.01, 0.1))
    cells = {
        "smart tanh": component("rnn", hidden_dim=50, kernel_init=small, recurrent_init="sparse"),
        "basic tanh": component("rnn", hidden_dim=50, kernel_init=basic, recurrent_init=basic),
        "sigmoid": component("rnn", hidden_dim=50, activation="sigmoid", kernel_init=small, recurrent_init=small),
    }
    return zipped(axis("cell", cells), axis("model.head_init", [small, basic, small]))


def trainings():
    """Plain gradient descent, clipped, and clipped with Omega."""
    regularizers = [component("none"), component("none"), component("omega", weight=4.0)]
    clips = {"SGD": 0.0, "SGD + clip": 1.0, "SGD + clip + Omega": 1.0}
    return zipped(axis("optim.clip_norm", clips), axis("optim.regularizer", regularizers))


def gated():
    """The cells that came later or were left out, with Adam and clipping."""
    cells = {name: component(name.lower(), hidden_dim=50) for name in ("GRU", "LSTM")}
    adam = {"optim.name": "adam", "optim.learning_rate": 1e-3}
    clipped = axis("optim.clip_norm", {"Adam + clip": 1.0})
    return product(axis("cell", cells), clipped, [adam])


def get_sweep():
    papers = product(starts(), trainings())
    sigmoid = [setting for setting in papers if setting["cell"].label == "sigmoid"]
    tanh = [setting for setting in papers if setting["cell"].label != "sigmoid"]
    settings = []
    for length in LENGTHS:
        here = chain(tanh, gated()) if length <= 200 else tanh
        settings += product(here, axis("task.kwargs.length", [length]))
    # Last, since nothing is known to help them.
    settings += product(sigmoid, axis("task.kwargs.length", LENGTHS))
    return product(settings, axis("seed", range(5)))
