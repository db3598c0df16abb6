"""Conversion of weights of torch's `nn.RNN`, `nn.GRU` and `nn.LSTM` to parameters of the same cells, and back.

Weights are arrays by torch's names, as `weight_files` reads and writes them. torch itself is not needed.
"""

import re
import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from rnngen.registry import nearest
from rnngen.types import Params

CELLS = {1: "rnn", 3: "gru", 4: "lstm"}  # by the number of blocks side by side in a recurrent kernel
FORWARD, BACKWARD, REVERSE = "forward", "backward", "_reverse"
NAME = re.compile(r"(weight|bias)_(ih|hh|hr)_l(\d+)(_reverse)?")
NONLINEARITIES = ("tanh", "relu")  # of an `nn.RNN`


class Imported(NamedTuple):
    """Imported weights; `CELLS[cell](hidden_dim, **kwargs)` computes the same as torch.

    Attributes:
      cell: the built-in's name.
      hidden_dim: of all layers.
      layers: `{"layer_0": parameters, ...}`, as in a model.
      kwargs: the cell's other arguments.
    """

    cell: str
    hidden_dim: int
    layers: dict[str, Params]
    kwargs: dict[str, Any]


def from_torch(weights: Any, prefix: str = "", nonlinearity: str = "") -> Imported:
    """Convert the weights of an `nn.RNN`, `nn.GRU` or `nn.LSTM`.

    Arrays may be NumPy's or tensors on any device, with or without gradients; those below 32 bits become float32.
    torch's two biases are added where one is enough. A layer of a bidirectional module is `{"forward": parameters,
    "backward": parameters}`, as in a model.

    Args:
      weights: a module, its state dict or its named parameters.
      prefix: take only names with this prefix, such as `"rnn."`.
      nonlinearity: of an `nn.RNN`, "tanh" or "relu"; "": the module's own, or tanh with a warning for weights alone.

    Returns:
      The name of the cell, its arguments, and the parameters of each layer.

    Raises:
      ValueError: names or shapes are not those of such a module without projection, or another nonlinearity is given.
    """
    if nonlinearity and nonlinearity not in NONLINEARITIES:
        close = nearest(nonlinearity, NONLINEARITIES)
        raise ValueError(f"nonlinearity must be {' or '.join(NONLINEARITIES)}, got {nonlinearity!r}{close}")
    if hasattr(weights, "state_dict"):
        module = weights.get_submodule(prefix.rstrip("."))
        nonlinearity = nonlinearity or getattr(module, "nonlinearity", "")
        weights = weights.state_dict()
    found: dict[int, dict[str, dict[str, np.ndarray]]] = {}
    for name, value in weights.items():
        match = NAME.fullmatch(name.removeprefix(prefix)) if name.startswith(prefix) else None
        if match and match[2] == "hr":
            raise ValueError(f"{name}: layers with projections are not imported")
        if match:
            ways = found.setdefault(int(match[3]), {})
            ways.setdefault(match[4] or "", {})[f"{match[1]}_{match[2]}"] = _array(value)
    if sorted(found) != list(range(max(found, default=0) + 1)):
        there = ", ".join(sorted(weights)[:8]) or "nothing"
        raise ValueError(f"expected {prefix}weight_ih_l0, {prefix}weight_hh_l0 and so on, got {there}")
    layers, first = {}, np.zeros(0)
    for number, ways in sorted(found.items()):
        made = {way: _layer(f"{number}{way}", ways.get(way, {})) for way in sorted({"", *ways})}
        layers[f"layer_{number}"] = {FORWARD: made[""], BACKWARD: made[REVERSE]} if REVERSE in made else made[""]
        first = first if first.size else made[""]["recurrent_kernel"]
    cell = CELLS[_gates("weight_hh_l0", first)]
    return Imported(cell, len(first), layers, _activation(nonlinearity) if cell == "rnn" else {})


def _activation(nonlinearity: str) -> dict[str, str]:
    if not nonlinearity:
        line = 'weights of an nn.RNN do not say whether it is of tanh or relu: taken for tanh; give nonlinearity="tanh"'
        warnings.warn(f'{line} or "relu"', stacklevel=3)
    return {"activation": nonlinearity} if nonlinearity == "relu" else {}


def _array(value: Any) -> np.ndarray:
    """Convert to NumPy, with at least 32 bits: NumPy has no bfloat16, and parameters are never narrower."""
    if hasattr(value, "detach"):  # a tensor
        value = value.detach().cpu()
        value = value.float() if value.dtype.itemsize < 4 else value
    array = np.asarray(value)
    return array.astype(np.float32) if array.dtype.itemsize < 4 else array


def _layer(number: str, arrays: dict[str, np.ndarray]) -> Params:
    if not {"weight_ih", "weight_hh"} <= set(arrays):
        raise ValueError(
            f"layer {number} has {', '.join(sorted(arrays)) or 'nothing'}, and needs weight_ih and weight_hh"
        )
    kernel, recurrent = arrays["weight_ih"].T, arrays["weight_hh"].T
    gates = _gates(f"weight_hh_l{number}", recurrent)
    none = np.zeros(kernel.shape[1], kernel.dtype)
    given, recurrent_bias = arrays.get("bias_ih", none), arrays.get("bias_hh", none)
    params = {"kernel": kernel, "recurrent_kernel": recurrent, "bias": given + recurrent_bias}
    if CELLS[gates] != "gru":
        return params
    # A GRU's last block has a bias inside the product with the reset gate, which stays separate.
    last = 2 * len(recurrent)
    return params | {"bias": np.append(params["bias"][:last], given[last:]), "recurrent_bias": recurrent_bias[last:]}


def _gates(name: str, recurrent: np.ndarray) -> int:
    """Return the number g of blocks of a recurrent kernel `[h, g*h]`."""
    rows, columns = recurrent.shape if recurrent.ndim == 2 else (0, 0)
    if not rows or columns % rows or columns // rows not in CELLS:
        raise ValueError(f"{name}: expected 1, 3 or 4 blocks of [h, h], got {list(recurrent.T.shape)}")
    return columns // rows


def to_torch(layers: Mapping[str, Params], prefix: str = "", head: str = "", embed: str = "") -> dict[str, np.ndarray]:
    """Convert the parameters of a model whose layers are an rnn, gru or lstm to a state dict's arrays.

    The activation of an rnn is not among its parameters: the torch module must have the same `nonlinearity`. Biases go
    to `bias_ih`, except where they must be in `bias_hh`.

    Args:
      layers: `{"layer_0": parameters, ...}`, as `Run.restore` returns them or `from_torch` its `layers`.
      prefix: of the recurrent module's names, such as `"rnn."`.
      head: name of the `nn.Linear` that gets the model's head, such as `"head"`; default: the head is left out.
      embed: name of the `nn.Embedding` that gets the model's embedding; default: it is left out.

    Returns:
      Arrays for `load_state_dict`, once they are tensors.

    Raises:
      ValueError: a cell that torch does not have, such as one with peepholes or a learned carry; or a head or an
        embedding that the model does not have.
    """
    names = [name for name in layers if re.fullmatch(r"layer_\d+", name)]
    if not names:
        raise ValueError(f"expected layer_0 and so on, got {', '.join(layers) or 'nothing'}")
    weights: dict[str, np.ndarray] = {}
    for name in names:
        number = name.removeprefix("layer_")
        ways = {"": layers[name]}
        if BACKWARD in layers[name]:
            ways = {"": layers[name][FORWARD], REVERSE: layers[name][BACKWARD]}
        for way, params in ways.items():
            state = _state(name, params)
            weights |= {f"{prefix}{what}_l{number}{way}": value for what, value in state.items()}
    return weights | _ends(layers, head, embed)


def _ends(params: Mapping[str, Params], head: str, embed: str) -> dict[str, np.ndarray]:
    """Return the weights of a linear head and of an embedding, each where it has a name."""
    for argument, name in {"head": head, "embed": embed}.items():
        if name and argument not in params:
            raise ValueError(f"{argument}: these parameters have no {argument!r}, but {', '.join(params)}")
    weights: dict[str, np.ndarray] = {}
    if head:
        kernel, bias = (np.asarray(params["head"][what]) for what in ("kernel", "bias"))
        weights |= {f"{head}.weight": np.ascontiguousarray(kernel.T), f"{head}.bias": bias}
    if embed:
        weights[f"{embed}.weight"] = np.asarray(params["embed"]["embedding"])
    return weights


def _state(name: str, params: Params) -> dict[str, np.ndarray]:
    arrays = {what: np.asarray(value) for what, value in params.items() if not isinstance(value, Mapping)}
    needed = {"kernel", "recurrent_kernel", "bias"}
    if len(arrays) < len(params) or not needed <= set(arrays):
        raise ValueError(f"{name}: torch has no cell with the parameters {', '.join(params)}")
    gru = CELLS[_gates(name, arrays["recurrent_kernel"])] == "gru"
    if set(arrays) != needed | ({"recurrent_bias"} if gru else set()):
        raise ValueError(f"{name}: torch has no cell with the parameters {', '.join(params)}")
    recurrent_bias = np.zeros_like(arrays["bias"])
    if gru:
        recurrent_bias[-len(arrays["recurrent_bias"]) :] = arrays["recurrent_bias"]
    return {
        "weight_ih": np.ascontiguousarray(arrays["kernel"].T),
        "weight_hh": np.ascontiguousarray(arrays["recurrent_kernel"].T),
        "bias_ih": arrays["bias"],
        "bias_hh": recurrent_bias,
    }
