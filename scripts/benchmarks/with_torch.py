"""PyTorch: `nn.LSTM`, `nn.GRU`, `nn.RNN`, on all cores and on one.

The same mathematics as rnngen's, with gates in the same order. torch has two biases a gate; the second is at zero but
for the one within the GRU's reset product. Threads that wait for each other at every step
gain where a layer is large and the cores are free; where not, one thread is the stronger opponent.
"""

from typing import Any

import numpy as np

from rnngen.runtime import count_cores

from .contenders import Layer, Trainer

ONE_THREAD = "torch, 1 thread"


def layers(cell: str, params: dict[str, np.ndarray], xs: np.ndarray) -> list[Layer]:
    """Return the cell over xs `[t, b, d]` with rnngen's parameters."""
    return [_layer(name, threads, cell, params, xs) for name, threads in thread_counts().items()]


def trainers(cell: str, params: dict[str, Any], inputs: np.ndarray, targets: np.ndarray, rate: float) -> list[Trainer]:
    """Return clipped Adam on the last step's squared error: inputs `[t, b, d]`, targets `[b, 1]`."""
    arguments = (cell, params, inputs, targets, rate)
    return [_trainer(name, threads, *arguments) for name, threads in thread_counts().items()]


def thread_counts() -> dict[str, int]:
    """Return contender's name -> its number of threads."""
    cores = count_cores()
    return {"torch": cores} | ({ONE_THREAD: 1} if cores > 1 else {})


def _layer(name: str, threads: int, cell: str, params: dict[str, np.ndarray], xs: np.ndarray) -> Layer:
    import torch

    module, inputs = _module(cell, params), torch.tensor(xs)
    weights = list(module.parameters())

    def forward():
        torch.set_num_threads(threads)
        with torch.no_grad():
            return module(inputs)[0]

    def both():
        torch.set_num_threads(threads)
        loss = (module(inputs)[0] ** 2).mean()
        return loss.detach(), torch.autograd.grad(loss, weights)

    index = [name for name, _ in module.named_parameters()].index("weight_hh_l0")
    return Layer(name, forward, both, lambda result: (result[0].item(), result[1][index].numpy().T), devices=0)


def _trainer(name: str, threads: int, cell: str, params: dict[str, Any], inputs, targets, rate: float) -> Trainer:
    import torch

    module, head = _module(cell, params["layer_0"]), torch.nn.Linear(*params["head"]["kernel"].shape)
    _copy(head.weight, params["head"]["kernel"].T)
    _copy(head.bias, params["head"]["bias"])
    weights = [*module.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(weights, lr=rate)
    xs, ys = torch.tensor(inputs), torch.tensor(targets)

    def step():
        torch.set_num_threads(threads)
        optimizer.zero_grad()
        loss = ((head(module(xs)[0][-1]) - ys) ** 2).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        return loss.detach()

    return Trainer(name, step, devices=0)


def _module(cell: str, params: dict[str, np.ndarray]):
    import torch

    kernel, recurrent = params["kernel"], params["recurrent_kernel"]
    module = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}[cell](
        kernel.shape[0], recurrent.shape[0]
    )
    second = np.zeros_like(params["bias"])
    if cell == "gru":
        second[-recurrent.shape[0] :] = params["recurrent_bias"]
    _copy(module.weight_ih_l0, kernel.T)
    _copy(module.weight_hh_l0, recurrent.T)
    _copy(module.bias_ih_l0, params["bias"])
    _copy(module.bias_hh_l0, second)
    return module


def _copy(weight: Any, values: np.ndarray) -> None:
    import torch

    with torch.no_grad():
        weight.copy_(torch.tensor(np.array(values, order="C")))
