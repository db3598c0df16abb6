"""Singular values of the long-term Jacobian: NumPy's of the explicit product, and closed forms at T = 10,000."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import counting_cell, double, noise, one_cell, random_params

from rnngen.cells import Cell
from rnngen.diagnostics import jacobian_products
from rnngen.diagnostics.eigenvalues import step_jacobians

T, B, D, H = 9, 2, 2, 4


# One program for all the tests that ask for the same: a call outside of jit compiles its loops each time.
products_of = jax.jit(jacobian_products, static_argnames=("cell", "lags", "count"))


@functools.cache
def linear(size):
    """carry' = carry M + u."""
    return Cell(
        init=lambda key, d: {"m": jnp.eye(size)},
        init_carry=lambda params, batch: jnp.zeros((*batch, size), params["m"].dtype),
        step=lambda params, carry, u: (carry @ params["m"] + u,) * 2,
        output_dim=size,
    )


def of_linear(matrix, steps, lags, **options):
    matrix = jnp.asarray(matrix, jnp.float32)
    xs = jnp.zeros((steps, len(matrix)))
    return products_of(linear(len(matrix)), {"m": matrix}, xs, lags=lags, **options)


@functools.partial(jax.jit, static_argnames="cell")
def explicit(cell, params, xs, lag):
    """dcarry_T/dcarry_{T-lag} `[b, n, n]`, an example at a time, by one forward Jacobian of the whole stretch."""
    params = cell.prepare(params)

    def of_one(xs):
        step = lambda t, carry: cell.step(params, carry, cell.project(params, xs[t]))[0]  # noqa: E731
        carry = jax.lax.fori_loop(0, T - lag, step, cell.init_carry(params, ()))
        flat, unflat = jax.flatten_util.ravel_pytree(carry)
        through = lambda state: jax.lax.fori_loop(T - lag, T, step, unflat(state))  # noqa: E731
        return jax.jacfwd(lambda state: jax.flatten_util.ravel_pytree(through(state))[0])(flat)

    return jax.vmap(of_one, in_axes=1)(xs)


@pytest.mark.slow
def test_equal_those_of_the_explicit_product(cell_name, x64):
    cell = one_cell(cell_name, H)
    params, xs = double(random_params(cell, D)), double(noise((T, B, D), 2))
    lags = (1, 4, T)
    found = products_of(cell, params, xs, lags=lags)
    for number, lag in enumerate(lags):
        expected = np.log(np.linalg.svd(explicit(cell, params, xs, lag), compute_uv=False))
        values = np.asarray(found.log_singular_values[number])
        # Below that, float64 does not hold them beside the largest.
        held = expected > expected[:, :1] - 20
        np.testing.assert_allclose(values[held], expected[held], atol=1e-6)
        np.testing.assert_allclose(found.log_norm[number], expected[:, 0], atol=1e-10)
        np.testing.assert_allclose(found.log_condition[number], values[:, 0] - values[:, -1], atol=1e-10)
    # Small ones included: together they are the determinant, which is the product of the steps'.
    steps = jax.jit(lambda params, xs: step_jacobians(cell, params, xs, steps=tuple(range(T))))(params, xs)
    volume = np.linalg.slogdet(np.asarray(steps))[1].sum(axis=0)
    np.testing.assert_allclose(found.log_singular_values[-1].sum(axis=-1), volume, atol=1e-6)


def test_neither_underflow_nor_overflow():
    """Known eigenvalues and 10,000 steps: 0.5^10000 beside 1.5^10000."""
    values, lags = np.array([1.5, 1.0, 0.9, 0.5]), (10, 10_000)
    turn = np.linalg.qr(np.random.RandomState(0).normal(size=(4, 4)))[0]
    found = of_linear(turn @ np.diag(values) @ turn.T, 10_000, lags)
    np.testing.assert_allclose(found.log_singular_values, np.outer(lags, np.log(values)), rtol=1e-4, atol=0.05)
    np.testing.assert_allclose(found.log_condition, np.multiply(lags, np.log(3)), rtol=1e-4)


def test_a_shear_is_not_its_eigenvalues():
    """[[1, n], [0, 1]] after n steps: eigenvalues 1, norm about n."""
    lags = (3, 100)
    for lag, found in zip(lags, of_linear([[1.0, 0.0], [1.0, 1.0]], 100, lags).log_singular_values, strict=True):
        np.testing.assert_allclose(found, np.log(np.linalg.svd([[1, lag], [0, 1]], compute_uv=False)), atol=1e-3)


@pytest.mark.parametrize("turned", [False, True])
def test_a_triangular_system_in_closed_form(turned):
    """[[a, 1], [0, b]] after n steps is [[a^n, (a^n - b^n) / (a - b)], [0, b^n]], with the smaller value hidden."""
    a, b, lag = (0.5, 1.5, 10_000) if turned else (1.5, 0.5, 10_000)
    (found,) = of_linear([[a, 1.0], [0.0, b]], lag, (lag,)).log_singular_values
    # The large terms alone: sqrt(1 + 1) times 1.5^n; the determinant says the rest.
    expected = np.array([lag * np.log(1.5) + np.log(2) / 2, lag * np.log(0.5) - np.log(2) / 2])
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=0.01)


@pytest.mark.slow
def test_close_singular_values_are_told_apart(x64):
    """Far below the range of floats, where an iteration that waits for gaps to open would still mix them."""
    values = np.array([1.0, 0.99, 0.98, 0.97, 0.97, 0.3])
    # 499 steps that shrink and one between them that turns, scales and turns, so that nothing is aligned.
    left, right = (np.linalg.qr(np.random.RandomState(i).normal(size=(6, 6)))[0] for i in (0, 1))
    matrix = jnp.asarray(left @ np.diag(values) @ right)
    shrinking = Cell(
        init=lambda key, d: {},
        init_carry=lambda params, batch: jnp.zeros((*batch, 6)),
        step=lambda p, c, u: (jnp.where(u > 0, c @ matrix, 1e-3 * c),) * 2,
        output_dim=6,
    )
    found = products_of(shrinking, {}, jnp.zeros((500, 1)).at[250].set(1.0), lags=(500,))
    np.testing.assert_allclose(found.log_singular_values[0], np.log(values) + 499 * np.log(1e-3), rtol=1e-13)


@pytest.mark.slow
def test_lags_come_in_the_order_asked_for_also_outside_of_jit():
    matrix = jnp.diag(jnp.array([1.5, 0.5]))
    found = jacobian_products(linear(2), {"m": matrix}, jnp.zeros((9, 2)), lags=(7, 2, 7))
    np.testing.assert_allclose(found.log_norm, np.log(1.5) * np.array([7, 2, 7]), rtol=1e-5)


def test_a_complex_leaf_counts_as_two():
    spiral = Cell(
        init=lambda key, d: {},
        init_carry=lambda params, batch: jnp.zeros((*batch, 2), jnp.complex64),
        step=lambda p, c, u: (c * jnp.array([0.5j, 0.9 * np.exp(1j)], jnp.complex64) + u.astype(c.dtype), u),
        output_dim=2,
    )
    (found,) = products_of(spiral, {}, jnp.zeros((6, 2)), lags=(6,)).log_singular_values
    np.testing.assert_allclose(found, 6 * np.log([0.9, 0.9, 0.5, 0.5]), rtol=1e-5)


def test_a_few_of_many():
    values = 0.5 ** np.arange(20)
    turn = np.linalg.qr(np.random.RandomState(0).normal(size=(20, 20)))[0]
    found = of_linear(turn @ np.diag(values) @ turn.T, 12, (8,), count=3)
    assert found.log_singular_values.shape == (1, 3)
    np.testing.assert_allclose(found.log_singular_values[0], 8 * np.log(values[:3]), rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_what_a_reset_cuts_is_minus_infinity_and_a_mask_is_the_identity():
    cell = one_cell("gru", H)
    params, xs = random_params(cell, D), noise((T, B, D), 2)
    resets = jnp.zeros((T, B), bool).at[4, 0].set(True)
    found = products_of(cell, params, xs, lags=(3, 6), resets=resets)
    assert np.isneginf(found.log_singular_values[1, 0]).all()
    assert np.isposinf(found.log_condition[1, 0])
    assert np.isfinite(found.log_singular_values[0]).all()
    assert np.isfinite(found.log_singular_values[1, 1]).all()
    padded = products_of(cell, params, xs, lags=(5,), mask=jnp.ones((T, B), bool).at[7:].set(False))
    shorter = products_of(cell, params, xs[:7], lags=(3,))
    np.testing.assert_allclose(padded.log_singular_values, shorter.log_singular_values, atol=1e-3)


@pytest.mark.slow
def test_integer_leaves_are_carried_and_nan_is_shown():
    counting = counting_cell(lambda h, n, u: h * jnp.array([0.5, 0.25]) + u)
    xs = jnp.zeros((5, 3, 2))
    found = products_of(counting, {}, xs, lags=(4,)).log_singular_values
    np.testing.assert_allclose(found, np.broadcast_to(4 * np.log([0.5, 0.25]), (1, 3, 2)), rtol=1e-5)
    cell = one_cell("rnn", H)
    wild = products_of(cell, random_params(cell, D), jnp.full((T, B, D), jnp.nan), lags=(2,))
    assert np.isnan(wild.log_norm).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lags": (T + 1,)}, "lags must lie within 1 to 9"),
        ({"lags": ()}, "lags must lie within"),
        ({"lags": (1,), "count": 5}, "the carry has 4 numbers"),
    ],
)
def test_what_does_not_fit(options, message):
    cell = one_cell("rnn", H)
    with pytest.raises(ValueError, match=message):
        jacobian_products(cell, random_params(cell, D), jnp.zeros((T, B, D)), **options)
