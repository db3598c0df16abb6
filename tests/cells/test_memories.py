"""Cells with a linear recurrence: their equation in NumPy, their eigenvalues, and a parallel form that is a scan's."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import assert_close, noise, random_params, unrolled
from scipy.special import expit as sigmoid

from rnngen.cells import CELLS
from rnngen.engines import unroll

D, H, K, N, B, T = 3, 4, 5, 2, 2, 7

# Each oracle: (params as float64, the xs [t, d] of one example) -> ys [t, h], by plain loops.


def unit(x):
    return x / np.sqrt(x @ x + 1e-6)


def deltas(p, xs, factors=1, lowest=0.0):
    """S is moved towards a value along one key after another; then all of it decays, where there is an alpha."""
    memory, ys = np.zeros((K, H)), []
    for x in xs:
        keys, values = (x @ p["kernel_k"]).reshape(factors, K), (x @ p["kernel_v"]).reshape(factors, H)
        betas = (1 - lowest) * sigmoid(x @ p["kernel_beta"] + p["bias_beta"])
        if "bias_alpha" in p:
            memory = memory * sigmoid(x @ p["kernel_alpha"] + p["bias_alpha"])
        for key, value, beta in zip(keys, values, betas, strict=True):
            key = unit(key)
            memory = memory + beta * np.outer(key, value - key @ memory)
        ys.append(unit(x @ p["kernel_q"]) @ memory)
    return ys


def mingru(p, xs):
    h, ys = np.zeros(H), []
    for x in xs:
        s = x @ p["kernel"] + p["bias"]
        z = 2 * sigmoid(s[:H])
        h = (1 - z) * h + z * s[H:]
        ys.append(h)
    return ys


def rglru(p, xs):
    h, ys = np.zeros(H), []
    for x in xs:
        r, i, c = np.split(x @ p["kernel"] + p["bias"], 3)
        a = sigmoid(p["decay"]) ** (8 * sigmoid(r))
        h = a * h + np.sqrt(1 - a**2) * sigmoid(i) * c
        ys.append(h)
    return ys


def s4d(p, xs):
    """The continuous system, solved over each step by its own closed form, for both conjugates of each state."""
    a = -np.exp(p["decay"]) + 1j * p["frequency"]
    a, c = np.concatenate([a, a.conj()], 1), p["output_real"] + 1j * p["output_imag"]
    c, h, ys = np.concatenate([c, c.conj()], 1), np.zeros((H, 2 * N), complex), []
    for x in xs:
        u, step = x @ p["kernel"], np.exp(p["log_step"])
        for f in range(H):
            held = -u[f] / a[f]  # where a state would rest with this input
            h[f] = held + np.exp(step[f] * a[f]) * (h[f] - held)
        total = np.sum(c * h, axis=1)
        np.testing.assert_allclose(total.imag, 0, atol=1e-12)
        ys.append(total.real + p["skip"] * u)
    return ys


def s6(p, xs, lowest=0.0):
    h, ys = np.zeros((H, N)), []
    for x in xs:
        u, delta = x @ p["kernel_u"], np.log1p(np.exp(x @ p["kernel_delta"] + p["bias_delta"]))
        for f in range(H):
            keep = np.exp(-delta[f] * np.exp(p["decay"][f]))
            h[f] = (lowest + (1 - lowest) * keep) * h[f] + delta[f] * u[f] * (x @ p["kernel_B"] + p["bias_B"])
        ys.append(h @ (x @ p["kernel_C"] + p["bias_C"]) + p["skip"] * u)
    return ys


def mlstm(p, xs):
    """Without stabiliser: the exponential gates as they are."""
    memory, n, ys = np.zeros((H, K)), np.zeros(K), []
    for x in xs:
        q, k, v = x @ p["kernel_q"], x @ p["kernel_k"] / np.sqrt(K), x @ p["kernel_v"]
        i, f = np.exp(x @ p["kernel_i"] + p["bias_i"]), sigmoid(x @ p["kernel_f"] + p["bias_f"])
        memory, n = f * memory + i * np.outer(v, k), f * n + i * k
        ys.append(sigmoid(x @ p["kernel_o"] + p["bias_o"]) * (memory @ q) / max(abs(n @ q), 1))
    return ys


def rwkv7(p, xs):
    """As their equation has it, from the right: S [h, k]."""
    memory, ys = np.zeros((H, K)), []
    for x in xs:
        a, key = sigmoid(x @ p["kernel_a"] + p["bias_a"]), x @ p["kernel_k"]
        w = np.exp(-np.exp(-0.5) * sigmoid(x @ p["kernel_w"] + p["bias_w"]))
        removed, written = unit(key * p["removal"]), key * (1 + (a - 1) * p["replacement"])
        memory = memory @ (np.diag(w) - np.outer(removed, a * removed)) + np.outer(x @ p["kernel_v"], written)
        ys.append(memory @ unit(x @ p["kernel_q"]))
    return ys


CASES = {
    "deltaproduct": (CELLS["deltaproduct"](H, key_dim=K, factors=3), functools.partial(deltas, factors=3, lowest=-1.0)),
    "deltarule, beta to 2": (CELLS["deltarule"](H, key_dim=K, min_eigenvalue=-1), functools.partial(deltas, lowest=-1)),
    "gated_deltarule": (CELLS["gated_deltarule"](H, key_dim=K), deltas),
    "mingru, z to 2": (CELLS["mingru"](H, min_eigenvalue=-1.0), mingru),
    "mlstm": (CELLS["mlstm"](H, key_dim=K), mlstm),
    "rglru": (CELLS["rglru"](H), rglru),
    "rwkv7": (CELLS["rwkv7"](H, key_dim=K), rwkv7),
    "s4d": (CELLS["s4d"](H, state_dim=N), s4d),
    "s6": (CELLS["s6"](H, state_dim=N), s6),
    "s6, negative": (CELLS["s6"](H, state_dim=N, min_eigenvalue=-0.5), functools.partial(s6, lowest=-0.5)),
}


@pytest.mark.parametrize("name", CASES)
def test_a_sequence_is_its_equation(x64, name):
    cell, oracle = CASES[name]
    params, xs = random_params(cell, D), noise((T, B, D), 1)
    exact, wide = {key: np.asarray(value, np.float64) for key, value in params.items()}, np.asarray(xs, np.float64)
    expected = np.stack([oracle(exact, wide[:, b]) for b in range(B)], axis=1)
    double = jax.tree.map(lambda p: p.astype(jnp.float64), params)
    found = unrolled(cell, double, jnp.asarray(wide), engine="scan")[1]
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("lowest", "expected"), [(-1.0, [1, 0, 0, 1, 1, 0, 1]), (0.0, None)])
def test_mingru_counts_parity_where_its_eigenvalue_may_be_negative(lowest, expected):
    """A factor of -1 and a candidate of 1/2 flip h between 0 and 1; a factor that is not negative cannot."""
    cell = CELLS["mingru"](1, min_eigenvalue=lowest)
    params = {"kernel": jnp.asarray([[200.0, 0.0]]), "bias": jnp.asarray([-100.0, 0.5])}
    bits = jnp.asarray([1.0, 1, 0, 1, 0, 1, 1])
    ys = np.asarray(unroll(cell, params, bits[:, None])[1])[:, 0]
    if expected is None:
        assert (np.diff(ys) >= 0).all()
    else:
        np.testing.assert_array_equal(ys, expected)


def transition(cell, params, x):
    """A of one step."""
    return np.asarray(cell.structure.terms(params, cell.project(params, x))[0], np.float64)


def test_the_delta_rule_reflects_where_beta_is_two():
    params = random_params(CELLS["deltarule"](H), D) | {"bias_beta": jnp.full(1, 1e3)}
    for lowest in (0.0, -0.5, -1.0):
        eigenvalues = np.linalg.eigvalsh(transition(CELLS["deltarule"](H, min_eigenvalue=lowest), params, noise((D,))))
        np.testing.assert_allclose(eigenvalues, [lowest, *[1.0] * 15], atol=1e-5)


def test_two_reflections_rotate_by_twice_the_angle_of_their_keys():
    cell = CELLS["deltaproduct"](H, key_dim=2)
    params = random_params(cell, D) | {"bias_beta": jnp.full(2, 1e3)}
    one, other = np.asarray(cell.project(params, noise((D,)))["k"], np.float64)
    angle = 2 * np.arccos(one @ other)
    eigenvalues = np.linalg.eigvals(transition(cell, params, noise((D,))))
    np.testing.assert_allclose(np.sort_complex(eigenvalues), np.exp([-1j * abs(angle), 1j * abs(angle)]), atol=1e-5)


def test_a_product_of_one_factor_is_the_delta_rule():
    one, other = CELLS["deltaproduct"](H, factors=1, min_eigenvalue=0.0), CELLS["deltarule"](H)
    params = one.init(jax.random.key(0), D)
    assert_close(params, other.init(jax.random.key(0), D), 0)
    ways = [unrolled(cell, params, noise((T, B, D)), engine="scan") for cell in (one, other)]
    assert_close(*ways, 0)


def test_eigenvalues_start_where_they_are_asked_to():
    params = CELLS["lru"](400, r_min=0.5, min_phase=1.6, max_phase=4.7).init(jax.random.key(0), 1)
    assert np.cos(np.exp(params["theta"])).max() < 0
    rglru = CELLS["rglru"](400)
    params = rglru.init(jax.random.key(0), D) | {"bias": jnp.full(1200, 1e3)}  # r is 1
    factors = rglru.structure.terms(params, rglru.project(params, noise((D,))))[0]
    np.testing.assert_allclose(np.quantile(factors, [0, 0.5, 1]), [0.9, 0.9495, 0.999], atol=5e-3)
    s6 = CELLS["s6"](400, dt_min=0.01, dt_max=1.0)
    delta = s6.project(s6.init(jax.random.key(0), D), jnp.zeros(D))["delta"]
    np.testing.assert_allclose(np.quantile(delta, [0, 0.5, 1]), [0.01, 0.1, 1.0], rtol=0.2)


def test_mlstm_is_stable_where_its_gates_overflow():
    cell = CELLS["mlstm"](H)
    params, xs = random_params(cell, D), 1e3 * noise((T, B, D), 1)
    run = jax.jit(jax.value_and_grad(lambda p: jnp.sum(unroll(cell, p, xs)[1] ** 2) / 1e6))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(run(params)))


def test_rglru_has_gradients_where_its_gate_is_shut():
    cell = CELLS["rglru"](H)
    params = random_params(cell, D)
    params |= {"bias": params["bias"].at[:H].set(-1e3)}  # r is 0
    gradient = jax.grad(lambda p: jnp.sum(unroll(cell, p, noise((T, B, D)))[1] ** 2))(params)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
