"""The sweep that `bench.py sweeps` times; its size comes as JSON in the environment, as for the plain scripts."""

import json
import os

from rnngen.config import base_config, component
from rnngen.sweep import axis, product

SIZE = json.loads(os.environ["RNNGEN_BENCH_SWEEP"])


def get_config():
    config = base_config()
    config.task = component("adding", length=SIZE["length"])
    config.cell = component("rnn", hidden_dim=SIZE["hidden_dim"])
    every = {"log_every": SIZE["steps"], "eval_every": 0, "save_every": 0}
    config.train.update({"steps": SIZE["steps"], "batch_size": SIZE["batch_size"], **every})
    config.diagnose.what = ()
    return config


def get_sweep():
    return product(axis("cell.name", SIZE["cells"]), axis("seed", range(SIZE["seeds"])))
