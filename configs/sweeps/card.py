"""The card of a cell: adding at nine learning rates, then copying, state tracking and recall at four; three seeds.

All cells have 32 units, and every setting was fixed before any result was seen. `rnngen card` runs this for a cell of
one's own and sets it beside the records of the five cells below: 63 trials a cell, of at most 2,000 updates. `--quick`
has short sequences, 300 updates, three rates and one seed: 12 trials a cell.
"""

from rnngen.config import base_config, component
from rnngen.sweep import axis, chain, product

WIDTH = 32
RATES = tuple(float(f"{10 ** (-3.5 + 3.5 * place / 8):.2g}") for place in range(9))  # 0.00032 to 1
CELLS = {"RNN": "rnn", "GRU": "gru", "LSTM": "lstm", "minGRU": "mingru", "delta rule": "deltarule"}
STOP_AT = 0.995


def get_config():
    config = base_config()
    config.cell = component("gru", hidden_dim=WIDTH)
    config.task = component("adding", length=50)
    config.train.update({"steps": 2000, "batch_size": 32, "log_every": 100, "eval_every": 100, "save_every": 0})
    config.train.update({"stop_metric": "accuracy", "stop_at": STOP_AT})
    config.diagnose.examples = 32
    return config


def tasks(quick):
    """Return each task with the metric that ends its training, and whether gradients are diagnosed."""
    size = {"eval_size": 200 if quick else 500}
    if quick:
        copying = component("copy_memory", length=5, vocabulary=4, count=3, **size)
        parity = component("parity", length=8, eval_length=(9, 24), **size)
        return {
            "adding": (component("adding", length=20, **size), "accuracy"),
            "copying": (copying, "sequence_accuracy"),
            "state tracking": (parity, "accuracy"),
            "recall": (component("associative_recall", length=5, pairs=2, vocabulary=8, **size), "accuracy"),
        }
    copying = component("copy_memory", length=30, vocabulary=4, count=3, **size)
    parity = component("parity", length=20, eval_length=(21, 100), **size)
    return {
        "adding": (component("adding", length=50, **size), "accuracy"),
        "copying": (copying, "sequence_accuracy"),
        "state tracking": (parity, "accuracy"),
        "recall": (component("mqar", length=32, pairs=4, vocabulary=32, noise=False, **size), "accuracy"),
    }


def get_sweep(cells=None, quick=False):
    """Return the trials of the cells, by label; None: those that a card sets a cell beside."""
    less = {"train.steps": 300, "train.eval_every": 50} if quick else {}
    cells = cells or {label: component(name, hidden_dim=WIDTH) for label, name in CELLS.items()}
    seeds = axis("seed", range(1 if quick else 3))
    made = []
    for name, (task, metric) in tasks(quick).items():
        rates = RATES[2:8:2] if quick else RATES if name == "adding" else RATES[1::2]
        watched = {"train.stop_metric": metric, "diagnose.what": ("gradient_flow",) if name == "adding" else ()}
        settings = product(axis("task", {name: task}), [watched | less])
        made.append(product(settings, axis("cell", cells), axis("optim.learning_rate", rates), seeds))
    return chain(*made)
