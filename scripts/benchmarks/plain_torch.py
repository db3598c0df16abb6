"""The same trainings as one would write them in PyTorch: one process, one after another. Prints the test losses."""

import json
import os

import torch

SIZE = json.loads(os.environ["RNNGEN_BENCH_SWEEP"])
LAYERS = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}


def sample(length: int, batch: int, generator: torch.Generator):
    """Draw the adding problem: inputs `[t, b, 2]`, a number and a mark; targets `[b, 1]`."""
    numbers = torch.rand(length, batch, generator=generator)
    first = torch.randint(0, length // 2, (batch,), generator=generator)
    second = torch.randint(length // 2, length, (batch,), generator=generator)
    marks = torch.zeros(length, batch)
    each = torch.arange(batch)
    marks[first, each] = marks[second, each] = 1.0
    return torch.stack([numbers, marks], -1), (numbers[first, each] + numbers[second, each])[:, None]


def train(cell: str, seed: int) -> float:
    """Train, and return the loss on 1000 sequences."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    layer, head = LAYERS[cell](2, SIZE["hidden_dim"]), torch.nn.Linear(SIZE["hidden_dim"], 1)
    weights = [*layer.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(weights, lr=1e-3)
    for _ in range(SIZE["steps"]):
        inputs, targets = sample(SIZE["length"], SIZE["batch_size"], generator)
        optimizer.zero_grad()
        loss = ((head(layer(inputs)[0][-1]) - targets) ** 2).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
    with torch.no_grad():
        inputs, targets = sample(SIZE["length"], 1000, generator)
        return ((head(layer(inputs)[0][-1]) - targets) ** 2).mean().item()


if __name__ == "__main__":
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    print(json.dumps({f"{cell} {seed}": train(cell, seed) for cell in SIZE["cells"] for seed in range(SIZE["seeds"])}))
