"""`long_memory_adding.py` and a copy memory of T = 100 to 2000 with Bai et al.'s amount of training: 500,000 sequences.

Their scripts make ten passes over 50,000 sequences of adding, fifty over 10,000 of copy memory, in batches of 32.
Cost: 105 trials of 15,625 updates, some 500 core-hours on a CPU, so for a GPU or a cluster.
"""

from rnngen.config import component, shipped
from rnngen.sweep import axis, chain, product

_ADDING, _COPY = (shipped(f"sweeps/long_memory_{task}") for task in ("adding", "copy"))


def get_config():
    config = _ADDING.get_config()
    config.train.update({"steps": 15_600, "batch_size": 32, "stop_metric": ""})
    return config


def get_sweep():
    copies = [product(_task(length), _COPY.cells(length)) for length in _COPY.STEPS]
    return chain(_ADDING.get_sweep(), product(chain(*copies), axis("seed", range(5))))


def _task(length):
    return [{"task": component("copy_memory", length=length, variant="bai"), "model.param_budget": 16_000}]
