"""Files of arrays, `.safetensors` (extra `safetensors`) and `.npz`: of a model's parameters, or of weights by name.

Neither can hold code, and pickles are never opened.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rnngen.types import Params, named

SEPARATOR = "/"  # a dot is in the names of some cells' parameters
_SAVE = "save it with safetensors.torch.save_file(module.state_dict(), 'weights.safetensors')"


def save_params(params: Params, path: str | Path) -> None:
    """Write parameters to a `.safetensors` or `.npz` file, as arrays with names such as `layer_0/kernel`.

    Args:
      params: nested dicts of arrays.
      path: of the file.

    Raises:
      ValueError: another kind of file, or safetensors is not installed.
    """
    save_weights({name: np.asarray(leaf) for name, leaf in named(params)}, path)


def load_params(path: str | Path) -> Params:
    """Read the parameters that `save_params` wrote.

    Args:
      path: of the file.

    Returns:
      Nested dicts of NumPy arrays, which a model takes.

    Raises:
      ValueError: another kind of file, or safetensors is not installed.
    """
    params: dict[str, Any] = {}
    for name, array in load_weights(path).items():
        *parents, last = name.split(SEPARATOR)
        part = params
        for parent in parents:
            part = part.setdefault(parent, {})
        part[last] = array
    return params


def save_weights(weights: Mapping[str, np.ndarray], path: str | Path) -> None:
    """Write arrays to a `.safetensors` or `.npz` file.

    Args:
      weights: arrays by name.
      path: of the file.

    Raises:
      ValueError: another kind of file, or safetensors is not installed.
    """
    file = Path(path)
    if file.suffix == ".npz":
        np.savez(file, allow_pickle=False, **weights)
    elif file.suffix == ".safetensors":
        _safetensors().save_file(dict(weights), file)
    else:
        raise ValueError(f"{path}: give it the ending .safetensors or .npz")


def load_weights(path: str | Path) -> dict[str, np.ndarray]:
    """Load the arrays of a `.safetensors` or `.npz` file.

    Args:
      path: of the file.

    Returns:
      The arrays by name.

    Raises:
      ValueError: another kind of file, or safetensors is not installed.
    """
    file = Path(path)
    if file.suffix == ".npz":
        with np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    if file.suffix == ".safetensors":
        return _safetensors().load_file(file)
    raise ValueError(f"{path}: a {file.suffix or 'file without ending'} may run code when it is opened; {_SAVE}")


def _safetensors():
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ValueError("safetensors is not installed: pip install 'rnngen[safetensors]'") from error
    return safetensors.numpy
