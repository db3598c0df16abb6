"""What does a learning rule learn, at which lag? Rules on four tasks whose lag is set, with the same budget for each.

A GRU of 16 units has one update a batch. Exact RTRL needs no trials of its own there: its gradient is that of
back-propagation, to rounding. A minGRU of 32 units, whose influence is diagonal and therefore cheap, is updated every
five steps within the sequence, by RTRL or by immediate derivatives, beside one update a batch. Of such updates it is
claimed (arXiv 2603.28750) that immediate derivatives with RMSprop do as well as RTRL. All have the same three rates.
All settings were fixed before any was looked at.

3600 trials of at most 1000 batches of 16 sequences, which end when the task is solved.
"""

from rnngen.config import base_config, component
from rnngen.sweep import axis, chain, product

LAGS = (5, 10, 25, 50, 100)
RATES = (1e-3, 3e-3, 1e-2)
SEEDS = 5


def get_config():
    config = base_config()
    config.cell = component("gru", hidden_dim=16)
    config.task = component("temporal_order", length=12, eval_size=500)
    config.train.update({"steps": 1000, "batch_size": 16, "log_every": 100, "eval_every": 100, "save_every": 0})
    config.train.update({"stop_metric": "accuracy", "stop_at": 0.995})
    config.diagnose.what = ()
    return config


def tasks():
    """Return each task at each lag, that of the first input that counts (on average, where it is drawn)."""
    made = {
        "adding": ("accuracy", lambda lag: component("adding", length=round(4 * lag / 3), eval_size=500)),
        "copy memory": (
            "sequence_accuracy",
            lambda lag: component("copy_memory", length=lag - 2, vocabulary=4, count=2, eval_size=500),
        ),
        "delayed XOR": ("accuracy", lambda lag: component("delayed_xor", length=2 * lag, delay=lag, eval_size=100)),
        # At least 10 steps, so that the shortest lag is 8.
        "temporal order": (
            "accuracy",
            lambda lag: component("temporal_order", length=max(10, 6 * lag // 5), eval_size=500),
        ),
    }
    return chain(
        *(
            product(axis("task", {f"{name}, lag {lag}": make(lag)}), [{"train.stop_metric": metric}])
            for name, (metric, make) in made.items()
            for lag in LAGS
        )
    )


def rules():
    """Return the rules that each cell is trained by, and the optimiser."""
    whole = {
        "BPTT": component("bptt"),
        "TBPTT, 10 steps": component("tbptt", steps=10),
        "SnAp-1": component("snap1"),
        "e-prop": component("eprop"),
        "UORO": component("uoro"),
        "immediate": component("immediate"),
        "random": component("random"),
    }
    normalised = {"BPTT, RMSprop": component("bptt"), "immediate, RMSprop": component("immediate")}
    within = {
        f"{label} every 5 steps, RMSprop": component(name, update_every=5)
        for label, name in {"RTRL": "rtrl", "immediate": "immediate"}.items()
    }
    within["BPTT, RMSprop"] = component("bptt")
    rmsprop = [{"optim.name": "rmsprop"}]
    small = [{"cell": component("mingru", hidden_dim=32), "optim.name": "rmsprop"}]
    return chain(
        axis("train.rule", whole),
        product(axis("train.rule", normalised), rmsprop),
        product(axis("train.rule", within), small),
    )


def get_sweep():
    return product(tasks(), rules(), axis("optim.learning_rate", RATES), axis("seed", range(SEEDS)))
