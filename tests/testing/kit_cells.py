"""Cells written from the kit's page alone, each in a single try: nothing of rnngen but what that page names."""

import jax
import jax.numpy as jnp

from rnngen.cells import Cell, gate_params, get_initializer, project_input


def peephole_lstm(hidden_dim: int) -> Cell:
    """LSTM with peepholes (Gers and Schmidhuber 2000): i, f also see c, o sees the new c, by elementwise weights."""
    inits = {"kernel_init": get_initializer("glorot"), "recurrent_init": get_initializer("orthogonal")}

    def init(key, input_dim):
        peepholes = {f"peephole_{g}": jnp.zeros(hidden_dim, jnp.float32) for g in "ifo"}
        return gate_params(key, input_dim, hidden_dim, 4, **inits) | peepholes

    def init_carry(params, batch_shape):
        zeros = jnp.zeros((*batch_shape, hidden_dim), params["kernel"].dtype)
        return {"c": zeros, "h": zeros}

    def step(params, carry, u):
        c = carry["c"]
        i, f, g, o = jnp.split(u + carry["h"] @ params["recurrent_kernel"], 4, axis=-1)
        i = jax.nn.sigmoid(i + params["peephole_i"] * c)
        f = jax.nn.sigmoid(f + params["peephole_f"] * c)
        c = f * c + i * jnp.tanh(g)
        h = jax.nn.sigmoid(o + params["peephole_o"] * c) * jnp.tanh(c)
        return {"c": c, "h": h}, h

    return Cell(init=init, init_carry=init_carry, step=step, output_dim=hidden_dim, project=project_input)


def multiplicative_lstm(hidden_dim: int) -> Cell:
    """Krause et al. 2016: m = (x W_mx) * (h W_mh), then an LSTM whose gates see x and m in place of h."""
    inits = {"kernel_init": get_initializer("glorot"), "recurrent_init": get_initializer("orthogonal")}

    def init(key, input_dim):
        gates_key, x_key, h_key = jax.random.split(key, 3)
        return gate_params(gates_key, input_dim, hidden_dim, 4, **inits) | {
            "mx": inits["kernel_init"](x_key, (input_dim, hidden_dim), jnp.float32),
            "mh": inits["recurrent_init"](h_key, (hidden_dim, hidden_dim), jnp.float32),
        }

    def init_carry(params, batch_shape):
        zeros = jnp.zeros((*batch_shape, hidden_dim), params["kernel"].dtype)
        return {"c": zeros, "h": zeros}

    def project(params, xs, key=None):
        return {"gates": project_input(params, xs), "m": xs @ params["mx"]}

    def step(params, carry, u):
        m = u["m"] * (carry["h"] @ params["mh"])
        i, f, g, o = jnp.split(u["gates"] + m @ params["recurrent_kernel"], 4, axis=-1)
        c = jax.nn.sigmoid(f) * carry["c"] + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return {"c": c, "h": h}, h

    return Cell(init=init, init_carry=init_carry, step=step, output_dim=hidden_dim, project=project)


def counting(hidden_dim: int) -> Cell:
    """h' = 0.9 k h + 0.1 tanh(x W), where k is 0 at every fourth step, which forgets everything, and else 1."""

    def init(key, input_dim):
        return {"kernel": jax.random.normal(key, (input_dim, hidden_dim)) / input_dim**0.5}

    def init_carry(params, batch_shape):
        h = jnp.zeros((*batch_shape, hidden_dim), params["kernel"].dtype)
        return {"h": h, "n": jnp.zeros(batch_shape, jnp.int32)}

    def step(params, carry, x):
        n = carry["n"] + 1
        keep = (n % 4 != 0)[..., None].astype(carry["h"].dtype)
        h = 0.9 * keep * carry["h"] + 0.1 * jnp.tanh(x @ params["kernel"])
        return {"h": h, "n": n}, h

    return Cell(init=init, init_carry=init_carry, step=step, output_dim=hidden_dim)
