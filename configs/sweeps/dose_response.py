"""What does the reach buy? Five cells whose gradient has an imposed half-life, on three tasks at two lags each.

The forward pass is the cell's own in all of them; only the gradient through the carry decays, by `train.credit`. Ten
doses from one step to all, and `renormalise`, which keeps the magnitude of the gradient at every step: if only that
had vanished, it would do. Every cell, task and dose has three learning rates, so that a rate can be chosen for the
cell alone, at the whole reach, or again for each dose. All settings were fixed before any was looked at.

4950 trials of at most 2000 updates of 32 sequences with 32 units, which end when the task is solved. Nothing is
diagnosed in them; that the effective half-life is the imposed one is measured by `dose_response_measured.py`.
"""

from rnngen.config import base_config, component
from rnngen.sweep import axis, chain, product

HALF_LIVES = (1, 2, 4, 8, 12, 16, 24, 32, 64)
RATES = (1e-3, 3e-3, 1e-2)
SEEDS = 5


def get_config():
    config = base_config()
    config.cell = component("lstm", hidden_dim=32)
    config.task = component("temporal_order", length=20, eval_size=500)
    config.train.update({"steps": 2000, "batch_size": 32, "log_every": 100, "eval_every": 100, "save_every": 0})
    config.train.update({"stop_metric": "accuracy", "stop_at": 0.995})
    config.diagnose.what = ()
    return config


def tasks():
    """Return each task at two lengths; the lag that it needs is in its records."""

    def settings(name, label, metric, **kwargs):
        of = {"train.stop_metric": metric}
        return product(axis("task", {label: component(name, eval_size=500, **kwargs)}), [of])

    short = {"vocabulary": 4, "count": 3}  # learned within the updates that there are
    return chain(
        *(settings("adding", f"adding, {n} steps", "accuracy", length=n) for n in (20, 40)),
        *(
            settings("copy_memory", f"copy memory, wait of {n}", "sequence_accuracy", length=n, **short)
            for n in (10, 30)
        ),
        *(settings("temporal_order", f"temporal order, {n} steps", "accuracy", length=n) for n in (20, 40)),
    )


def doses():
    imposed = {f"half-life {steps}": component("decay", half_life=float(steps)) for steps in HALF_LIVES}
    return imposed | {"all": component("none"), "renormalised": component("renormalise")}


def get_sweep():
    cells = {name: name.lower() for name in ("RNN", "GRU", "LSTM", "minGRU", "minLSTM")}
    return product(
        tasks(),
        axis("cell.name", cells),
        axis("train.credit", doses()),
        axis("optim.learning_rate", RATES),
        axis("seed", range(SEEDS)),
    )
