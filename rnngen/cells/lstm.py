"""Long short-term memory with a forget gate (Hochreiter and Schmidhuber 1997; Gers et al. 2000).

i, f, o = sigmoid(x W_* + h U_* + b_*)
g       = tanh(x W_g + h U_g + b_g)
c'      = f * c + i * g
h'      = o * tanh(c')
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from rnngen.cells.cell import Backward, Cell, Gated, gated_cell, initial_state, project_input
from rnngen.cells.initializers import check_chrono, chrono_bias, gate_params, get_initializer
from rnngen.cells.lstm_variants import Variant, variant_cell
from rnngen.types import Array, check_positive


def lstm(
    hidden_dim: int,
    *,
    forget_bias: float = 1.0,
    chrono: int = 0,
    kernel_init="glorot",
    recurrent_init="orthogonal",
    learned_carry: bool = False,
    peepholes: bool = False,
    coupled: bool = False,
    layer_norm: bool = False,
) -> Cell:
    """An LSTM. Carry: `{"h": [*b, h], "c": [*b, h]}`; output: the new `h`.

    Parameters, gates in the order i, f, g, o: `kernel [d, 4h]`, `recurrent_kernel [h, 4h]`, `bias [4h]`
    with the forget block at `forget_bias` (1 after Jozefowicz et al. 2015), and with `learned_carry`
    `initial_carry.h [h]` and `initial_carry.c [h]`.

    Args:
      hidden_dim: h, the number of units.
      forget_bias: the forget block of `bias` at the start.
      chrono: the longest lag to expect, in steps: the forget block is then drawn by `chrono_bias`, and the input block
        is its negative (Tallec and Ollivier 2018); 0: neither.
      kernel_init: initialiser of the kernel, as `get_initializer` takes it.
      recurrent_init: initialiser of the recurrent kernel, likewise.
      learned_carry: the initial carry is a parameter, which starts at 0; else it is 0.
      peepholes: the gates read c.
      coupled: the forget gate is 1 - i, and there is no f block.
      layer_norm: the gates' sums are normalised. `lstm_variants.py` names the further parameters of these three.

    Returns:
      The cell.

    Raises:
      ValueError: the size is not positive, an initialiser is unknown, or chrono is 1 or negative.
    """
    check_positive(hidden_dim=hidden_dim)
    check_chrono(chrono)
    inits = {"kernel_init": get_initializer(kernel_init), "recurrent_init": get_initializer(recurrent_init)}
    learned = ("h", "c") if learned_carry else ()

    def init_carry(params, batch_shape):
        return {name: initial_state(params, batch_shape, hidden_dim, name) for name in ("h", "c")}

    variant = Variant(peepholes, coupled, layer_norm)
    if any(variant):
        return variant_cell(
            hidden_dim, variant, init_carry, forget_bias=forget_bias, chrono=chrono, learned=learned, **inits
        )

    def init(key, input_dim):
        key_weights, key_bias = jax.random.split(key) if chrono else (key, key)
        params = gate_params(key_weights, input_dim, hidden_dim, 4, learned=learned, **inits)
        forget = chrono_bias(key_bias, hidden_dim, chrono, forget_bias)
        bias = params["bias"].at[hidden_dim : 2 * hidden_dim].set(forget)
        return params | {"bias": bias.at[:hidden_dim].set(-forget) if chrono else bias}

    def prepare(params):
        # As in gru.py: halves folded into i, f and o, so that one tanh serves the whole gate block.
        scale = jnp.full(4 * hidden_dim, 0.5, params["bias"].dtype).at[2 * hidden_dim : 3 * hidden_dim].set(1)
        return params | {name: params[name] * scale for name in ("kernel", "recurrent_kernel", "bias")}

    structure = Gated(
        hidden=lambda carry: carry["h"], combine=_combine, backward=Backward(_keep, _local, _pull, _inputs)
    )
    return gated_cell(
        init=init,
        init_carry=init_carry,
        structure=structure,
        output_dim=hidden_dim,
        project=project_input,
        prepare=prepare,
        observe=_observe,
    )


def _keep(params, carry, u, a):
    tanhs = jnp.tanh(u + a)
    i, f, g, o = jnp.split(tanhs, 4, axis=-1)
    c = (f * 0.5 + 0.5) * carry["c"] + (i * 0.5 + 0.5) * g
    h = (o * 0.5 + 0.5) * jnp.tanh(c)
    return {"h": h, "c": c}, h, tanhs


def _combine(params, carry, u, a):
    return _keep(params, carry, u, a)[:2]


def _observe(params, carry, u):
    i, f, _, o = jnp.split(_keep(params, carry, u, carry["h"] @ params["recurrent_kernel"])[2] * 0.5 + 0.5, 4, axis=-1)
    return {"i": i, "f": f, "o": o}


class _Local(NamedTuple):
    """Derivatives of c (i, f, g) and of h (o) in the gates' sums: dz; of h in c: c_in_h; of c in the old c: forget."""

    dz: Array
    c_in_h: Array
    forget: Array


def _local(params, carry, new, tanhs) -> _Local:
    i, f, g, o = jnp.split(tanhs, 4, axis=-1)
    i, f, o, c = i * 0.5 + 0.5, f * 0.5 + 0.5, o * 0.5 + 0.5, jnp.tanh(new["c"])
    dz = jnp.concatenate([g * 0.5, carry["c"] * 0.5, i, c * 0.5], axis=-1) * (1 - tanhs**2)
    return _Local(dz, o * (1 - c**2), f)


def _pull(local: _Local, d, dy, through):
    dh = d["h"] + dy
    dc = d["c"] + dh * local.c_in_h
    dz = local.dz * jnp.concatenate([dc, dc, dc, dh], axis=-1)
    return {"h": through(dz), "c": dc * local.forget}, dz, None


def _inputs(local: _Local, dz, _):
    return dz, {}
