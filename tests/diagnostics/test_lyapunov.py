"""Lyapunov exponents of systems whose exponents are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import double, noise, one_cell, random_params
from test_jacobian_products import linear

from rnngen.cells import Cell
from rnngen.diagnostics import lyapunov_spectrum
from rnngen.diagnostics.eigenvalues import step_jacobians
from rnngen.diagnostics.lyapunov import orthonormalise

T, B, D, H = 40, 3, 2, 4

# One program for all the tests that ask for the same: a call outside of jit compiles its loops each time.
spectrum_of = jax.jit(lyapunov_spectrum, static_argnames=("cell", "count", "warmup"))


def of_linear(matrix, steps=400, **options):
    matrix = jnp.asarray(matrix, jnp.float32)
    return spectrum_of(linear(len(matrix)), {"m": matrix}, jnp.zeros((steps, len(matrix))), warmup=200, **options)


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
    found = spectrum_of(henon, {}, jnp.zeros((20_000, 1)), warmup=100)
    assert float(jnp.sum(found.exponents)) == pytest.approx(np.log(0.3), abs=1e-4)
    assert float(found.exponents[0]) == pytest.approx(0.419, abs=0.01)
    # The estimate comes to rest.
    early, late = (np.ptp(np.asarray(found.running[part, 0])) for part in (slice(10, 1000), slice(-1000, None)))
    assert late < 0.05 * early


@pytest.mark.slow
def test_the_sum_is_the_mean_log_determinant(cell_name):
    """Whatever the cell: the exponents together say how volume shrinks."""
    cell = one_cell(cell_name, H)
    params, xs = random_params(cell, D), noise((6, B, D), 2)
    found = spectrum_of(cell, params, xs)
    prepared = cell.prepare(params)
    flat, unflat = jax.flatten_util.ravel_pytree(cell.init_carry(prepared, ()))

    def step(state, u):
        return jax.flatten_util.ravel_pytree(cell.step(prepared, unflat(state), u)[0])[0]

    step_and_jacobian = jax.jit(jax.vmap(lambda state, u: (step(state, u), jax.jacfwd(step)(state, u))))
    states, total = jnp.tile(flat, (B, 1)), 0.0
    for u in cell.project(prepared, xs):
        states, jacobians = step_and_jacobian(states, u)
        total += np.linalg.slogdet(np.asarray(jacobians, np.float64))[1].sum()
    assert float(found.exponents.sum()) == pytest.approx(total / 6, rel=1e-3)
    np.testing.assert_allclose(found.running[-1], found.exponents)


def test_padding_does_not_count():
    cell = one_cell("gru", H)
    params, xs = random_params(cell, D), noise((12, B, D), 2)
    padded = spectrum_of(cell, params, xs, mask=jnp.arange(12)[:, None] < jnp.full(B, 8))
    np.testing.assert_allclose(padded.exponents, spectrum_of(cell, params, xs[:8]).exponents, rtol=1e-4)


def test_a_reset_moves_the_carry_and_not_the_frame():
    matrix = jnp.array([[1.2, 5.0], [0.0, 0.8]])
    resets = jnp.zeros(400, bool).at[jnp.array([7, 300])].set(True)
    found = of_linear(matrix, resets=resets).exponents
    np.testing.assert_allclose(found, of_linear(matrix).exponents, atol=1e-6)
    np.testing.assert_allclose(found, np.log([1.2, 0.8]), atol=1e-3)
    # Where the Jacobian depends on the carry, it is that of the carry after the reset.
    cell = one_cell("gru", H)
    params, xs = random_params(cell, D), noise((8, B, D), 2)
    resets = jnp.zeros((8, B), bool).at[4].set(True)
    steps_of = jax.jit(lambda xs: step_jacobians(cell, params, xs, steps=(0, 1, 2, 3)))
    jacobians = [steps_of(part) for part in (xs[:4], xs[4:])]
    volume = np.linalg.slogdet(np.concatenate(jacobians).astype(np.float64))[1].mean(axis=0)
    found = spectrum_of(cell, params, xs, resets=resets)
    np.testing.assert_allclose(found.exponents.sum(axis=-1), volume, rtol=1e-4)


@pytest.mark.slow
def test_directions_that_die_leave_the_gradient_finite():
    """Half the units of a relu network are off, and its Jacobian singular."""
    cell = one_cell("rnn", H, activation="relu")
    params = random_params(cell, D)
    params["bias"] = params["bias"].at[: H // 2].set(-100.0).at[H // 2 :].set(100.0)
    xs = jnp.zeros((5, B, D))

    def of_square(params, count):
        exponents = lyapunov_spectrum(cell, params, xs, count).exponents
        return jnp.mean(exponents**2), exponents

    for count in (H // 2, H):
        gradient, exponents = jax.jit(jax.grad(of_square, has_aux=True), static_argnums=1)(params, count)
        assert (float(exponents[0, -1]) < -10) == (count == H)
        assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(gradient))


@pytest.mark.slow
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
    running = spectrum_of(growing, {}, jnp.zeros((10, 2, 1))).running[:, 1, 0]
    np.testing.assert_allclose(running, np.cumsum(np.log(np.arange(1, 11))) / np.arange(1, 11), rtol=1e-5)


@pytest.mark.slow
def test_differentiable_through_the_qr(x64):
    cell = one_cell("rnn", H)
    params, xs = double(random_params(cell, D)), double(noise((8, B, D), 2))

    def mean_square(params):
        return jnp.mean(lyapunov_spectrum(cell, params, xs, 3).exponents ** 2)

    run = jax.jit(jax.value_and_grad(mean_square))
    gradient = run(params)[1]
    direction = jax.tree.map(lambda p: np.random.RandomState(p.size).normal(size=p.shape), params)
    moved = lambda size: run(jax.tree.map(lambda p, d: p + size * d, params, direction))[0]  # noqa: E731
    numeric = (moved(1e-6) - moved(-1e-6)) / 2e-6
    along = sum(jax.tree.leaves(jax.tree.map(lambda g, d: np.sum(g * d), gradient, direction)))
    assert float(along) == pytest.approx(float(numeric), rel=1e-5)


@pytest.mark.slow
def test_bfloat16_and_nan():
    cell = one_cell("lstm", H)
    params, xs = random_params(cell, D), noise((8, B, D), 2)
    exact, rough = (spectrum_of(cell, params, x, 2).exponents for x in (xs, xs.astype(jnp.bfloat16)))
    assert rough.dtype == jnp.float32
    np.testing.assert_allclose(rough, exact, atol=0.1)
    assert np.isnan(spectrum_of(cell, params, xs.at[3].set(jnp.nan), 2).exponents).all()


def test_what_does_not_fit():
    cell = one_cell("lstm", H)
    params, xs = random_params(cell, D), jnp.zeros((T, B, D))
    with pytest.raises(ValueError, match="the carry has 8 numbers, so 1 to 8 of them, got 9"):
        lyapunov_spectrum(cell, params, xs, 9)
    with pytest.raises(ValueError, match="warmup must leave a step of the 40, got 40"):
        lyapunov_spectrum(cell, params, xs, warmup=T)
