"""Writes torch_reference.json: what torch computes with two layers of each of its cells, in double precision.

Run where torch is installed, from this folder: python torch_reference.py
"""

import json
from pathlib import Path

FILE = Path(__file__).with_suffix(".json")
D, H, T, B, LAYERS = 2, 3, 4, 2, 2
KINDS = {"rnn": "RNN", "gru": "GRU", "lstm": "LSTM", "bidirectional lstm": "LSTM"}


def compute() -> dict:
    """Of each cell: weights, inputs `[t, b, d]`, outputs `[t, b, h]`, and gradients of sum(sin(outputs)), by name."""
    import torch

    found = {"torch": torch.__version__.split("+")[0]}
    for name, kind in KINDS.items():
        torch.manual_seed(0)
        module = getattr(torch.nn, kind)(D, H, num_layers=LAYERS, bidirectional=" " in name, dtype=torch.float64)
        xs = torch.randn(T, B, D, dtype=torch.float64, requires_grad=True)
        ys = module(xs)[0]
        torch.sum(torch.sin(ys)).backward()
        weights = dict(module.named_parameters())
        found[name] = {
            "weights": {key: value.detach().tolist() for key, value in weights.items()},
            "xs": xs.detach().tolist(),
            "ys": ys.detach().tolist(),
            "gradients": {key: value.grad.tolist() for key, value in weights.items()} | {"xs": xs.grad.tolist()},
        }
    return found


if __name__ == "__main__":
    FILE.write_text(json.dumps(compute()) + "\n")
