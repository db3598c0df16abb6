"""The gated recurrent unit of Cho et al. 2014, in the form that cuDNN, torch and Flax compute.

r  = sigmoid(x W_r + h U_r + b_r)
z  = sigmoid(x W_z + h U_z + b_z)
n  = tanh(x W_n + b_n + r * (h U_n + c_n))
h' = (1 - z) * n + z * h

With `reset="before"`, as Cho et al. wrote it: n = tanh(x W_n + (r * h) U_n + b_n).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from rnngen.cells.cell import KERNEL, Backward, Cell, Gated, gated_cell, initial_state, project_input
from rnngen.cells.initializers import check_chrono, chrono_bias, gate_params, get_initializer
from rnngen.types import Array, check_positive


def gru(
    hidden_dim: int,
    *,
    update_bias: float = 0.0,
    chrono: int = 0,
    reset: str = "after",
    kernel_init="glorot",
    recurrent_init="orthogonal",
    learned_carry: bool = False,
) -> Cell:
    """A GRU. Carry: `h [*b, h]`; output: the new `h`.

    Parameters, gates in the order r, z, n: `kernel [d, 3h]`, `recurrent_kernel [h, 3h]`, `bias [3h]`,
    `recurrent_bias [h]` (c_n above), and with `learned_carry` `initial_carry.h [h]`.

    Args:
      hidden_dim: h, the number of units.
      update_bias: initial z block of `bias`. A larger one retains more of h at each step, like the forget bias of an
        LSTM.
      chrono: the longest lag to expect, in steps: the z block is then drawn by `chrono_bias` (Tallec and Ollivier
        2018); 0: it is not.
      reset: r acts "after" the matrix product or "before" it. With "before" there is no `recurrent_bias`, and a step
        has two products in sequence, so there is no `Gated` structure.
      kernel_init: initialiser of the kernel, as `get_initializer` takes it.
      recurrent_init: initialiser of the recurrent kernel, likewise.
      learned_carry: the initial carry is a parameter, which starts at 0; else it is 0.

    Returns:
      The cell.

    Raises:
      ValueError: the size is not positive, an initialiser or reset is unknown, or chrono is 1 or negative.
    """
    check_positive(hidden_dim=hidden_dim)
    check_chrono(chrono)
    if reset not in ("after", "before"):
        raise ValueError(f"reset must be 'after' or 'before', got {reset!r}")
    inits = {"kernel_init": get_initializer(kernel_init), "recurrent_init": get_initializer(recurrent_init)}
    learned = ("h",) if learned_carry else ()

    def init(key, input_dim):
        key_weights, key_bias = jax.random.split(key) if chrono else (key, key)
        shared = gate_params(key_weights, input_dim, hidden_dim, 3, learned=learned, **inits)
        update = chrono_bias(key_bias, hidden_dim, chrono, update_bias)
        bias = shared["bias"].at[hidden_dim : 2 * hidden_dim].set(update)
        after = {"recurrent_bias": jnp.zeros(hidden_dim, jnp.float32)} if reset == "after" else {}
        return shared | {"bias": bias} | after

    def init_carry(params, batch_shape):
        return initial_state(params, batch_shape, hidden_dim)

    def prepare(params):
        # sigmoid(x) = tanh(x / 2) / 2 + 1/2 with the inner half in the weights: the scanned step then
        # needs one tanh over both gates, several times faster on a CPU than two sigmoids.
        scale = jnp.ones(3 * hidden_dim, params["bias"].dtype).at[: 2 * hidden_dim].set(0.5)
        return params | {name: params[name] * scale for name in ("kernel", "recurrent_kernel", "bias")}

    if reset == "before":
        return Cell(init, init_carry, _step_before, hidden_dim, project_input, prepare, _observe_before)
    structure = Gated(hidden=lambda h: h, combine=_combine, backward=Backward(_keep, _local, _pull, _inputs))
    return gated_cell(
        init=init,
        init_carry=init_carry,
        structure=structure,
        output_dim=hidden_dim,
        project=project_input,
        prepare=prepare,
        observe=_observe,
    )


def _gates_before(params, h, u):
    both = 2 * h.shape[-1]
    return jnp.split(jnp.tanh(u[..., :both] + h @ params[KERNEL][:, :both]) * 0.5 + 0.5, 2, axis=-1)


def _step_before(params, h, u):
    r, z = _gates_before(params, h, u)
    both = 2 * h.shape[-1]
    n = jnp.tanh(u[..., both:] + (r * h) @ params[KERNEL][:, both:])
    h = n + z * (h - n)
    return h, h


def _observe_before(params, h, u):
    return dict(zip("rz", _gates_before(params, h, u), strict=True))


class _Residuals(NamedTuple):
    """Tanh of half the sums of r and z; q = h U_n + c_n; the candidate n."""

    gates: Array
    q: Array
    n: Array


def _keep(params, h, u, a):
    width = h.shape[-1]
    gates = jnp.tanh((u + a)[..., : 2 * width])
    r, z = jnp.split(gates * 0.5 + 0.5, 2, axis=-1)
    q = a[..., 2 * width :] + params["recurrent_bias"]
    n = jnp.tanh(u[..., 2 * width :] + r * q)
    new = n + z * (h - n)
    return new, new, _Residuals(gates, q, n)


def _combine(params, h, u, a):
    return _keep(params, h, u, a)[:2]


def _observe(params, h, u):
    r, z = jnp.split(_keep(params, h, u, h @ params["recurrent_kernel"])[2].gates * 0.5 + 0.5, 2, axis=-1)
    return {"r": r, "z": z}


class _Local(NamedTuple):
    """Derivatives of the new h: da in a, dn in the candidate's sum, z in the old h."""

    da: Array
    dn: Array
    z: Array


def _local(params, h, new, residuals: _Residuals) -> _Local:
    t_r, t_z = jnp.split(residuals.gates, 2, axis=-1)
    r, z = t_r * 0.5 + 0.5, t_z * 0.5 + 0.5
    n, dn = residuals.n, (1 - z) * (1 - residuals.n**2)
    da = jnp.concatenate([dn * residuals.q * (1 - t_r**2) * 0.5, (h - n) * (1 - t_z**2) * 0.5, dn * r], axis=-1)
    return _Local(da, dn, z)


def _pull(local: _Local, dh, dy, through):
    dh = dh + dy
    da = local.da * jnp.concatenate([dh, dh, dh], axis=-1)
    return through(da) + dh * local.z, da, dh


def _inputs(local: _Local, da, dh):
    width = dh.shape[-1]
    du = jnp.concatenate([da[..., : 2 * width], dh * local.dn], axis=-1)
    return du, {"recurrent_bias": jnp.sum(da[..., 2 * width :], axis=tuple(range(da.ndim - 1)))}
