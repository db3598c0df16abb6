"""Eigenvalues of kernels and Jacobians, where they are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import counting_cell, make_model, noise, one_cell, random_params, unrolled
from test_jacobian_products import linear

from rnngen.diagnostics import recurrent_eigenvalues
from rnngen.diagnostics.eigenvalues import eigenvalues, kernel_eigenvalues, step_jacobians

T, B, D, H = 6, 3, 2, 4


def same_set(found, expected):
    np.testing.assert_allclose(np.sort_complex(np.round(found, 4)), np.sort_complex(np.round(expected, 4)), atol=2e-4)


def test_a_linear_cells_jacobian_is_its_matrix():
    matrix = jnp.asarray(np.random.RandomState(0).normal(size=(3, 3)), jnp.float32)
    found = recurrent_eigenvalues(linear(3), {"m": matrix}, jnp.zeros((T, B, 3)), steps=(0, T - 1))
    assert found.kernel == {}
    for at_step in found.jacobian.reshape(-1, 3):
        same_set(at_step, np.linalg.eigvals(np.asarray(matrix)))


def test_an_rnns_jacobian_is_its_kernel_times_the_slope():
    cell = one_cell("rnn", H)
    params, xs = random_params(cell, D), noise((T, B, D), 2)
    ys = np.asarray(unrolled(cell, params, xs)[1])
    kernel = np.asarray(params["recurrent_kernel"])
    found = recurrent_eigenvalues(cell, params, xs, steps=(2, 5))
    for number, t in enumerate((2, 5)):
        for b in range(B):
            same_set(found.jacobian[number, b], np.linalg.eigvals(kernel * (1 - ys[t, b] ** 2)))
    same_set(found.kernel["0"], np.linalg.eigvals(kernel))


@pytest.mark.slow
def test_jacobians_by_finite_differences(cell_name):
    """A column is what a small change of one number of the carry does."""
    cell = one_cell(cell_name, H)
    params, xs = random_params(cell, D), noise((T, B, D), 2)
    (found,) = jax.jit(lambda params, xs: step_jacobians(cell, params, xs, steps=(4,)))(params, xs)
    carry, _ = unrolled(cell, params, xs[:4])
    flat, unflat = jax.flatten_util.ravel_pytree(jax.tree.map(lambda c: c[0], carry))
    prepared = cell.prepare(params)
    u = cell.project(prepared, xs[4, 0])
    after = lambda state: jax.flatten_util.ravel_pytree(cell.step(prepared, unflat(state), u)[0])[0]  # noqa: E731
    up, down = (jax.jit(jax.vmap(after))(flat + h * jnp.eye(len(flat))) for h in (1e-2, -1e-2))
    np.testing.assert_allclose(found[0].T, (up - down) / 2e-2, atol=2e-3)


@pytest.mark.slow
def test_each_gate_has_its_own():
    cell = one_cell("gru", H)
    params = random_params(cell, D)
    found = recurrent_eigenvalues(cell, params, jnp.zeros((T, B, D)), steps=(0,)).kernel
    assert set(found) == {"0", "1", "2"}
    for gate in range(3):
        same_set(
            found[str(gate)], np.linalg.eigvals(np.asarray(params["recurrent_kernel"][:, gate * H : (gate + 1) * H]))
        )


def test_the_kernels_of_a_models_layers_are_told_apart():
    model, _ = make_model("lstm", hidden_dim=H, layers=2)
    params = model.init(jax.random.key(0))
    found = kernel_eigenvalues(params)
    assert set(found) == {f"layer_{layer}/{gate}" for layer in range(2) for gate in range(4)}
    same_set(found["layer_1/2"], np.linalg.eigvals(np.asarray(params["layer_1"]["recurrent_kernel"][:, 2 * H : 3 * H])))


@pytest.mark.slow
def test_a_masked_step_is_the_identity_a_reset_zero_and_integers_go_along():
    counting = counting_cell(lambda h, n, u: h * n.astype(jnp.float32) + u)
    options = {"mask": jnp.ones((T, B), bool).at[2].set(False), "resets": jnp.zeros((T, B), bool).at[4].set(True)}
    found = step_jacobians(counting, {}, jnp.zeros((T, B, 2)), steps=(1, 2, 3, 4, 5), **options)
    # The step multiplies by the counter, which does not count at step 2 and starts again at step 4.
    expected = np.array([1, 1, 2, 0, 1])[:, None, None, None] * np.eye(2)
    np.testing.assert_array_equal(found, np.broadcast_to(expected, (5, B, 2, 2)))


def test_what_is_not_finite_is_shown_and_what_does_not_fit_refused():
    cell = one_cell("rnn", H)
    params, xs = random_params(cell, D), jnp.zeros((T, B, D)).at[:, 1].set(jnp.nan)
    found = recurrent_eigenvalues(cell, params, xs, steps=(3,)).jacobian[0]
    assert np.isnan(found[1]).all()
    assert np.isfinite(found[[0, 2]]).all()
    with pytest.raises(ValueError, match=r"steps must lie within 0 to 5, got \(6,\)"):
        recurrent_eigenvalues(cell, params, xs, steps=(6,))


@pytest.mark.parametrize("shape", [(8, 4), (4, 7), (4,)])
def test_a_kernel_that_holds_no_square_blocks_is_refused(shape):
    with pytest.raises(ValueError, match=rf"layer_0/recurrent_kernel must be \[h, g\*h\], got .* \[{shape[0]}"):
        kernel_eigenvalues({"layer_0": {"recurrent_kernel": np.zeros(shape)}})


@pytest.mark.parametrize("shape", [(3, 2), (3,)])
def test_matrices_that_are_not_square_are_refused(shape):
    with pytest.raises(ValueError, match=r"matrices must be \[\.\.\., n, n\], got an array of shape \[3"):
        eigenvalues(np.zeros(shape))
