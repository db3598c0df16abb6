"""The vanilla recurrent network of Elman 1990: `h' = f(x W + h U + b)`."""

import jax.numpy as jnp

from rnngen.cells.activations import get_activation
from rnngen.cells.cell import Backward, Cell, Gated, gated_cell, initial_state, project_input
from rnngen.cells.initializers import gate_params, get_initializer
from rnngen.types import check_positive


def rnn(
    hidden_dim: int,
    *,
    activation="tanh",
    kernel_init="glorot",
    recurrent_init="orthogonal",
    learned_carry: bool = False,
) -> Cell:
    """A vanilla RNN. Carry: `h [*b, h]`; output: the new `h`.

    Parameters: `kernel [d, h]`, `recurrent_kernel [h, h]`, `bias [h]`, and with `learned_carry`
    `initial_carry.h [h]`.

    IRNN (Le et al. 2015) is `activation="relu", recurrent_init="identity"` with
    `kernel_init={"name": "normal", "kwargs": {"stddev": 0.001}}`. Pascanu et al. 2013 start from
    `normal` of 0.01 with sigmoid units, `normal` of 0.1 with tanh, or `sparse` with tanh.

    Args:
      hidden_dim: h, the number of units.
      activation: the name of a function in `ACTIVATIONS`, or the function.
      kernel_init: initialiser of the kernel, as `get_initializer` takes it.
      recurrent_init: initialiser of the recurrent kernel, likewise.
      learned_carry: the initial carry is a parameter, which starts at 0; else it is 0.

    Returns:
      The cell.

    Raises:
      ValueError: the size is not positive, or an activation or initialiser is unknown.
    """
    check_positive(hidden_dim=hidden_dim)
    activate = get_activation(activation)
    inits = {"kernel_init": get_initializer(kernel_init), "recurrent_init": get_initializer(recurrent_init)}
    learned = ("h",) if learned_carry else ()

    def init(key, input_dim):
        return gate_params(key, input_dim, hidden_dim, 1, learned=learned, **inits)

    def init_carry(params, batch_shape):
        return initial_state(params, batch_shape, hidden_dim)

    def combine(params, h, u, a):
        h = activate(u + a)
        return h, h

    backward = Backward(_keep, _local, _pull, _inputs) if activate is jnp.tanh else None
    structure = Gated(hidden=lambda h: h, combine=combine, backward=backward)
    return gated_cell(
        init=init, init_carry=init_carry, structure=structure, output_dim=hidden_dim, project=project_input
    )


# The reverse pass for tanh units, whose derivative can be read off their output.


def _keep(params, h, u, a):
    new = jnp.tanh(u + a)
    return new, new, None


def _local(params, h, new, residuals):
    return 1 - new**2


def _pull(local, dh, dy, through):
    dz = (dh + dy) * local
    return through(dz), dz, None


def _inputs(local, dz, _):
    return dz, {}
