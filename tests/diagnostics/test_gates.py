"""Gate statistics, again in NumPy and in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import noise, one_cell, random_params, unrolled

from rnngen.diagnostics import gate_statistics

T, B, D, H = 7, 3, 2, 4

statistics_of = jax.jit(gate_statistics, static_argnames=("cell", "margin"))


@pytest.fixture
def xs():
    return 3 * noise((T, B, D), 2)


def test_again_in_numpy(xs):
    """Gates of an LSTM from their equation, with padding and a reset."""
    cell = one_cell("lstm", H)
    params = random_params(cell, D, scale=2.0)
    mask = np.ones((T, B), bool)
    mask[5:, 1] = False
    resets = np.zeros((T, B), bool)
    resets[3, 2] = True
    found = statistics_of(cell, params, xs, mask=jnp.asarray(mask), resets=jnp.asarray(resets), margin=0.2)
    ys = np.asarray(unrolled(cell, params, xs, mask=jnp.asarray(mask), resets=jnp.asarray(resets))[1])
    before = np.concatenate([np.zeros((1, B, H)), ys[:-1]])
    before[3, 2] = 0
    z = np.asarray(xs) @ params["kernel"] + before @ params["recurrent_kernel"] + params["bias"]
    for name, block in zip("ifo", (0, 1, 3), strict=True):
        gate = (1 / (1 + np.exp(-np.asarray(z))))[..., block * H : (block + 1) * H]
        np.testing.assert_allclose(found[name].mean, gate[mask].mean(0), rtol=1e-4)
        np.testing.assert_allclose(found[name].left, (gate[mask] < 0.2).mean(0), atol=1e-6)
        np.testing.assert_allclose(found[name].right, (gate[mask] > 0.8).mean(0), atol=1e-6)
        saturated = (gate < 0.2) | (gate > 0.8)
        expected = [saturated[t][mask[t]].mean() for t in range(T)]
        np.testing.assert_allclose(found[name].over_time, expected, atol=1e-6)


def test_again_in_numpy_for_a_gru(xs):
    cell = one_cell("gru", H)
    params = random_params(cell, D, scale=2.0)
    found = statistics_of(cell, params, xs)
    before = np.concatenate([np.zeros((1, B, H)), unrolled(cell, params, xs)[1][:-1]])
    z = np.asarray(xs) @ params["kernel"] + before @ params["recurrent_kernel"] + params["bias"]
    for name, block in (("r", 0), ("z", 1)):
        gate = (1 / (1 + np.exp(-np.asarray(z))))[..., block * H : (block + 1) * H]
        np.testing.assert_allclose(found[name].mean, gate.mean((0, 1)), rtol=1e-4)
        np.testing.assert_allclose(found[name].left, (gate < 0.1).mean((0, 1)), atol=1e-6)
        np.testing.assert_allclose(found[name].right, (gate > 0.9).mean((0, 1)), atol=1e-6)
        np.testing.assert_allclose(found[name].over_time, (abs(gate - 0.5) > 0.4).mean((1, 2)), atol=1e-6)


def test_huge_biases_open_and_shut_gates(xs):
    cell = one_cell("gru", H)
    params = cell.init(jax.random.key(0), D)
    params["bias"] = params["bias"].at[:H].set(-100.0).at[H : 2 * H].set(100.0)
    found = statistics_of(cell, params, xs)
    for name, shut in (("r", 1), ("z", 0)):
        np.testing.assert_array_equal(found[name].left, shut)
        np.testing.assert_array_equal(found[name].right, 1 - shut)
        np.testing.assert_array_equal(found[name].over_time, 1)


def test_a_cell_without_gates_shows_none_and_nan_is_not_dropped(xs):
    assert gate_statistics(one_cell("rnn", H), random_params(one_cell("rnn", H), D), xs) == {}
    cell = one_cell("mingru", H)
    found = statistics_of(cell, random_params(cell, D), xs.at[4, 1].set(jnp.nan))["z"]
    assert np.isnan(found.left).all()
    assert np.isnan(found.over_time[4])
    assert np.isfinite(found.over_time[:4]).all()


@pytest.mark.parametrize("margin", [0.0, 0.5, -1])
def test_a_margin_that_leaves_no_middle_is_refused(xs, margin):
    cell = one_cell("gru", H)
    with pytest.raises(ValueError, match=r"between 0 and 0\.5"):
        gate_statistics(cell, random_params(cell, D), xs, margin=margin)
