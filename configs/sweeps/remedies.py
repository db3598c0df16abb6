"""What helps a recurrent network to remember: one remedy at a time, scored by memory horizon and by success.

The problem is Pascanu's temporal order at T = 50. The patient is a tanh RNN of 64 units with Gaussian weights of gain
1, trained by Adam without clipping; each remedy changes that in one place. Cost: 25 settings x 5 seeds of at most 3000
updates, about twenty minutes on two cores.
"""

from rnngen.config import base_config, component
from rnngen.sweep import axis, chain, product

STEPS = 3000


def get_config():
    config = base_config()
    config.cell = patient()
    config.task = component("temporal_order", length=50)
    config.optim.clip_norm = 0.0
    config.train.update({"steps": STEPS, "batch_size": 32, "eval_every": 100, "save_every": 0})
    config.train.update({"stop_metric": "accuracy", "stop_at": 0.995})
    return config


def patient(name="rnn", **kwargs):
    start = {"recurrent_init": "gaussian"} if name == "rnn" else {}
    return component(name, hidden_dim=64, **start | kwargs)


def cells():
    gaussian = {gain: {"name": "gaussian", "kwargs": {"gain": gain}} for gain in (0.5, 1.5)}
    half = {"name": "identity", "kwargs": {"scale": 0.5}}
    tiny = {"name": "normal", "kwargs": {"stddev": 0.001}}
    return {
        "none (tanh RNN, Adam)": patient(),
        "relu": patient(activation="relu"),
        "leaky relu": patient(activation="leaky_relu"),
        "Gaussian of gain 0.5": patient(recurrent_init=gaussian[0.5]),
        "Gaussian of gain 1.5": patient(recurrent_init=gaussian[1.5]),
        "orthogonal": patient(recurrent_init="orthogonal"),
        "identity": patient(recurrent_init="identity"),
        "half the identity": patient(recurrent_init=half),
        "IRNN": patient(activation="relu", recurrent_init="identity", kernel_init=tiny),
        "GRU": patient("gru"),
        "GRU, update bias 1": patient("gru", update_bias=1.0),
        "GRU, chrono": patient("gru", chrono=50),
        "LSTM, forget bias 0": patient("lstm", forget_bias=0.0),
        "LSTM, forget bias 1": patient("lstm"),
        "LSTM, forget bias 5": patient("lstm", forget_bias=5.0),
        "LSTM, chrono": patient("lstm", chrono=50),
    }


def optimizers():
    finite = component("temporal_order", length=50, train_size=256)
    full_batch = {"train.full_batch": True, "task": finite, "optim.learning_rate": 0.1}
    return chain(
        product(axis("optim.name", {"SGD at 0.01": "sgd"}), [{"optim.learning_rate": 0.01}]),
        product(axis("optim.name", {"SGD at 0.1": "sgd"}), [{"optim.learning_rate": 0.1}]),
        product(axis("optim.name", {"full-batch gradient descent": "sgd"}), [full_batch]),
        product(axis("optim.name", {"momentum at 0.01": "momentum"}), [{"optim.learning_rate": 0.01}]),
        axis("optim.name", {"RMSprop": "rmsprop"}),
    )


def get_sweep():
    flossing = component("flossing", exponents=48, before=200, until=200)
    settings = chain(
        axis("cell", cells()),
        axis("optim.clip_norm", {"clipped at norm 1": 1.0}),
        axis("optim.clip_value", {"clipped at value 0.1": 0.1}),
        axis("optim.regularizer", {"Omega": component("omega", weight=4.0), "flossing": flossing}),
        optimizers(),
    )
    return product(settings, axis("seed", range(5)))
