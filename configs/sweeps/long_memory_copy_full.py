"""Copy memory at T = 100, 500 and 1000 with the training of Bai et al.: 500,000 sequences, three cells, five seeds.

The part of `long_memory_full.py` for a CPU: the cells and rates of `long_memory_copy.py`, about 16,000 parameters each;
45 trials of at most 15,625 updates of 32 sequences, which end when valid is copied.
"""

from rnngen.config import shipped
from rnngen.sweep import axis, chain, product

_COPY = shipped("sweeps/long_memory_copy")


def get_config():
    config = _COPY.get_config()
    config.train.update({"steps": 15_625, "batch_size": 32, "log_every": 625, "eval_every": 625, "save_every": 3125})
    return config


def get_sweep():
    spaces = (product(axis("task.kwargs.length", [length]), _COPY.cells(length)) for length in (100, 500, 1000))
    return product(chain(*spaces), axis("seed", range(5)))
