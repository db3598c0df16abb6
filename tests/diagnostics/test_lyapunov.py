"""Lyapunov exponents of systems whose exponents are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import double, random_params
from test_jacobian_products import linear

from rnngen.cells import CELLS, Cell
from rnngen.diagnostics import lyapunov_spectrum
from rnngen.diagnostics.eigenvalues import step_jacobians
from rnngen.diagnostics.lyapunov import orthonormalise

T, B, D, H = 40, 3, 2, 4


def of_linear(matrix, steps=400, **options):
    matrix = jnp.asarray(matrix, jnp.float32)
    return lyapunov_spectrum(linear(matrix), {"m": matrix}, jnp.zeros((steps, len(matrix))), warmup=200, **options)


def test_a_linear_systems_are_the_logs_of_its_eigenvalues():
    turn = np.linalg.qr(np.random.RandomState(0).normal(size=(3, 3)))[0]
    values = np.array([1.2, 0.8, 0.3])
    np.testing.assert_allclose(of_linear(turn @ np.diag(values) @ turn.T).exponents, np.log(values), atol=1e-4)
    # Not normal: the singular values are others, the exponents are still those of the eigenvalues.
    sheared = [[1.2, 5.0, -3.0], [0, 0.8, 4.0], [0, 0, 0.3]]
    np.testing.assert_allclose(of_linear(sheared).exponents, np.log(values), atol=1e-3)
    np.testing.assert_allclose(of_linear(sheared, count=2).exponents, np.log(values[:2]), atol=1e-3)


def test_a_rotations_are_zero():
    c, s = np.cos(0.7), np.sin(0.7)
    np.testing.assert_allclose(of_linear([[c, s], [-s, c]]).exponents, 0, atol=1e-5)


def test_the_henon_maps():
    """x' = 1 - 1.4 x^2 + y, y' = 0.3 x: the sum is log 0.3 at every point, the first about 0.419 (Wolf et al. 1985)."""
    henon = Cell(
        init=lambda key, d: {},
        init_carry=lambda params, batch: jnp.full((*batch, 2), 0.1),
        step=lambda p, c, u: (jnp.stack([1 - 1.4 * c[..., 0] ** 2 + c[..., 1], 0.3 * c[..., 0]], -1),) * 2,
        output_dim=2,
    )
    found = lyapunov_spectrum(henon, {}, jnp.zeros((20_000, 1)), warmup=100)
    assert float(jnp.sum(found.exponents)) == pytest.approx(np.log(0.3), abs=1e-4)
    assert float(found.exponents[0]) == pytest.approx(0.419, abs=0.01)
    # The estimate comes to rest.
    early, late = (np.ptp(np.asarray(found.running[part, 0])) for part in (slice(10, 1000), slice(-1000, None)))
    assert late < 0.05 * early


def test_the_sum_is_the_mean_log_determinant(cell_name):
    """Whatever the cell: the exponents together say how volume shrinks."""
    cell = CELLS[cell_name](H)
    params, xs = random_params(cell, D), jax.random.normal(jax.random.key(2), (6, B, D))
    found = lyapunov_spectrum(cell, params, xs)
    prepared = cell.prepare(params)
    us, carry, total = cell.project(prepared, xs), cell.init_carry(prepared, (B,)), 0.0
    for u in us:
        for b in range(B):
            flat, unflat = jax.flatten_util.ravel_pytree(jax.tree.map(lambda c, b=b: c[b], carry))

            def step(state, u=u[b], unflat=unflat):
                return jax.flatten_util.ravel_pytree(cell.step(prepared, unflat(state), u)[0])[0]

            total += np.linalg.slogdet(np.asarray(jax.jacfwd(step)(flat), np.float64))[1]
        carry, _ = cell.step(prepared, carry, u)
    assert float(found.exponents.sum()) == pytest.approx(total / 6, rel=1e-3)
    np.testing.assert_allclose(found.running[-1], found.exponents)


def test_padding_does_not_count():
    cell = CELLS["gru"](H)
    params, xs = random_params(cell, D), jax.random.normal(jax.random.key(2), (12, B, D))
    padded = lyapunov_spectrum(cell, params, xs, mask=jnp.arange(12)[:, None] < jnp.full(B, 8))
    np.testing.assert_allclose(padded.exponents, lyapunov_spectrum(cell, params, xs[:8]).exponents, rtol=1e-4)


def test_a_reset_moves_the_carry_and_not_the_frame():
    matrix = jnp.array([[1.2, 5.0], [0.0, 0.8]])
    resets = jnp.zeros(400, bool).at[jnp.array([7, 300])].set(True)
    found = of_linear(matrix, resets=resets).exponents
    np.testing.assert_allclose(found, of_linear(matrix).exponents, atol=1e-6)
    np.testing.assert_allclose(found, np.log([1.2, 0.8]), atol=1e-3)
    # Where the Jacobian depends on the carry, it is that of the carry after the reset.
    cell = CELLS["gru"](H)
    params, xs = random_params(cell, D), jax.random.normal(jax.random.key(2), (8, B, D))
    resets = jnp.zeros((8, B), bool).at[4].set(True)
    jacobians = [step_jacobians(cell, params, part, steps=(0, 1, 2, 3)) for part in (xs[:4], xs[4:])]
    volume = np.linalg.slogdet(np.concatenate(jacobians).astype(np.float64))[1].mean(axis=0)
    found = lyapunov_spectrum(cell, params, xs, resets=resets)
    np.testing.assert_allclose(found.exponents.sum(axis=-1), volume, rtol=1e-4)


def test_directions_that_die_leave_the_gradient_finite():
    """Half the units of a relu network are off, and its Jacobian singular."""
    cell = CELLS["rnn"](H, activation="relu")
    params = random_params(cell, D)
    params["bias"] = params["bias"].at[: H // 2].set(-100.0).at[H // 2 :].set(100.0)
    xs = jnp.zeros((5, B, D))

    def exponents(params, count):
        return lyapunov_spectrum(cell, params, xs, count).exponents

    assert float(exponents(params, H)[0, -1]) < -10
    for count in (H // 2, H):
        gradient = jax.grad(lambda p, k=count: jnp.mean(exponents(p, k) ** 2))(params)
        assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(gradient))


def test_a_zero_pivot_has_a_floor_and_no_gradient():
    dead = lambda a: orthonormalise(jnp.diag(jnp.array([1.0, 0.0])) * a)  # noqa: E731
    np.testing.assert_allclose(dead(3.0)[1], [np.log(3), np.log(np.finfo(np.float32).tiny)], rtol=1e-6)
    np.testing.assert_allclose(jax.jacrev(lambda a: dead(a)[1])(3.0), [1 / 3, 0], rtol=1e-6)


def test_integers_go_along():
    growing = Cell(
        init=lambda key, d: {},
        init_carry=lambda params, batch: {"h": jnp.zeros((*batch, 1)), "n": jnp.ones(batch, jnp.int32)},
        step=lambda p, c, u: ({"h": c["h"] * c["n"][..., None].astype(jnp.float32), "n": c["n"] + 1}, u),
        output_dim=1,
    )
    running = lyapunov_spectrum(growing, {}, jnp.zeros((10, 2, 1))).running[:, 1, 0]
    np.testing.assert_allclose(running, np.cumsum(np.log(np.arange(1, 11))) / np.arange(1, 11), rtol=1e-5)


def test_differentiable_through_the_qr(x64):
    cell = CELLS["rnn"](H)
    params, xs = double(random_params(cell, D)), double(jax.random.normal(jax.random.key(2), (8, B, D)))

    def mean_square(params):
        return jnp.mean(lyapunov_spectrum(cell, params, xs, 3).exponents ** 2)

    gradient = jax.grad(mean_square)(params)
    direction = jax.tree.map(lambda p: jax.random.normal(jax.random.key(4), p.shape, p.dtype), params)
    moved = lambda size: mean_square(jax.tree.map(lambda p, d: p + size * d, params, direction))  # noqa: E731
    numeric = (moved(1e-6) - moved(-1e-6)) / 2e-6
    along = sum(jax.tree.leaves(jax.tree.map(lambda g, d: jnp.sum(g * d), gradient, direction)))
    assert float(along) == pytest.approx(float(numeric), rel=1e-5)


def test_bfloat16_and_nan():
    cell = CELLS["lstm"](H)
    params, xs = random_params(cell, D), jax.random.normal(jax.random.key(2), (8, B, D))
    exact, rough = (lyapunov_spectrum(cell, params, x, 2).exponents for x in (xs, xs.astype(jnp.bfloat16)))
    assert rough.dtype == jnp.float32
    np.testing.assert_allclose(rough, exact, atol=0.1)
    assert np.isnan(lyapunov_spectrum(cell, params, xs.at[3].set(jnp.nan)).exponents).all()


def test_what_does_not_fit():
    cell = CELLS["lstm"](H)
    params, xs = random_params(cell, D), jnp.zeros((T, B, D))
    with pytest.raises(ValueError, match="the carry has 8 numbers, so 1 to 8 of them, got 9"):
        lyapunov_spectrum(cell, params, xs, 9)
    with pytest.raises(ValueError, match="warmup must leave a step of the 40, got 40"):
        lyapunov_spectrum(cell, params, xs, warmup=T)
