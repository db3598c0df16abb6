"""The LSTMs of Greff et al. 2017 and Ba et al. 2016: peepholes, coupled gates, layer normalisation.

i = sigmoid(s_i + p_i * c),  f = sigmoid(s_f + p_f * c) or, coupled, 1 - i
c' = f * c + i * tanh(s_g),  o = sigmoid(s_o + p_o * c'),  h' = o * tanh(c')

with the sums s = x W + h U + b, or, normalised, s = LN(x W) + LN(h U) + b and h' = o * tanh(LN(c')), where
LN(v) = scale * (v - mean v) / sqrt(var v + 1e-5), over all gates of W and of U at once.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from rnngen.cells.cell import KERNEL, Cell, Gated, gated_cell, project_input
from rnngen.cells.initializers import chrono_bias, gate_params
from rnngen.types import Array


class Variant(NamedTuple):
    """The changes that make an LSTM a variant."""

    peepholes: bool = False
    coupled: bool = False
    layer_norm: bool = False

    @property
    def gates(self) -> tuple[str, ...]:
        """The gates in their order in the kernels."""
        return ("i", "g", "o") if self.coupled else ("i", "f", "g", "o")

    def own_params(self, hidden_dim: int) -> dict[str, Array]:
        """Return the parameters that a plain LSTM does not have; peepholes start at 0, scales at 1."""
        peeping = [name for name in self.gates if name != "g"] if self.peepholes else []
        params = {f"peephole_{name}": jnp.zeros(hidden_dim, jnp.float32) for name in peeping}
        wide = len(self.gates) * hidden_dim
        widths = {"input_scale": wide, "recurrent_scale": wide, "carry_scale": hidden_dim} if self.layer_norm else {}
        return params | {name: jnp.ones(width, jnp.float32) for name, width in widths.items()}

    def combine(self, params, carry, u, a):
        """Return (carry, h) after the recurrent product a `[*b, g*h]`."""
        return self._step(params, carry, u, a)[:2]

    def observe(self, params, carry, u):
        """Return the gates of a step, by name."""
        return self._step(params, carry, u, carry["h"] @ params[KERNEL])[2]

    def _step(self, params, carry, u, a):
        sums = u + (normalise(a, params["recurrent_scale"]) if self.layer_norm else a)
        s = dict(zip(self.gates, jnp.split(sums, len(self.gates), axis=-1), strict=True))
        i = self._gate(params, s, "i", carry["c"])
        f = 1 - i if self.coupled else self._gate(params, s, "f", carry["c"])
        c = f * carry["c"] + i * jnp.tanh(s["g"])
        o = self._gate(params, s, "o", c)
        h = o * jnp.tanh(normalise(c, params["carry_scale"]) if self.layer_norm else c)
        return {"h": h, "c": c}, h, {"i": i, "f": f, "o": o}

    def _gate(self, params, s, name, c):
        return jax.nn.sigmoid(s[name] + params[f"peephole_{name}"] * c if self.peepholes else s[name])


def variant_cell(
    hidden_dim: int, variant: Variant, init_carry, *, forget_bias: float, chrono: int, learned: tuple[str, ...], **inits
) -> Cell:
    """Make the LSTM of a variant; arguments as in `lstm`. A coupled input gate starts at -forget_bias."""

    def init(key, input_dim):
        key_weights, key_bias = jax.random.split(key) if chrono else (key, key)
        params = gate_params(key_weights, input_dim, hidden_dim, len(variant.gates), learned=learned, **inits)
        forget = chrono_bias(key_bias, hidden_dim, chrono, forget_bias)
        starts = {"i": -forget} if variant.coupled else {"f": forget} | ({"i": -forget} if chrono else {})
        bias = jnp.concatenate([starts.get(name, jnp.zeros(hidden_dim, jnp.float32)) for name in variant.gates])
        return params | {"bias": bias} | variant.own_params(hidden_dim)

    return gated_cell(
        init=init,
        init_carry=init_carry,
        structure=Gated(lambda carry: carry["h"], variant.combine, pointwise=not variant.layer_norm),
        output_dim=hidden_dim,
        project=_normalised_input if variant.layer_norm else project_input,
        observe=variant.observe,
    )


def _normalised_input(params, xs, key=None):
    return normalise(xs @ params["kernel"], params["input_scale"]) + params["bias"]


def normalise(v: Array, scale: Array) -> Array:
    """Normalise the last axis (layer normalisation, Ba et al. 2016), without shift."""
    centred = v - jnp.mean(v, axis=-1, keepdims=True)
    return scale * centred * jax.lax.rsqrt(jnp.mean(centred**2, axis=-1, keepdims=True) + 1e-5)
