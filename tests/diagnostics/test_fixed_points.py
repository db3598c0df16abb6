"""Fixed points where they are known: of a linear map, of tanh units, and of a ghost that only slows down."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import double, noise
from scipy.optimize import brentq

from rnngen.cells import CELLS, rnn
from rnngen.diagnostics.fixed_points import constant_input, fixed_points

pytestmark = pytest.mark.usefixtures("x64")
REST = brentq(lambda h: np.tanh(2 * h) - h, 0.5, 1.0)  # 0.957504...


def grid(size, points=4):
    axis = np.linspace(-1.1, 1.1, points)
    return np.stack(np.meshgrid(*[axis] * size), axis=-1).reshape(-1, size)


def test_a_linear_map_rests_where_it_can_be_solved():
    a, b = np.asarray(0.5 * noise((4, 4), 1, jnp.float64)), np.asarray(noise((4,), 2, jnp.float64))
    found = fixed_points(lambda h: jnp.asarray(a) @ h + jnp.asarray(b), np.asarray(noise((6, 4), 3, jnp.float64)))
    np.testing.assert_allclose(found.states, [np.linalg.solve(np.eye(4) - a, b)], rtol=1e-8)
    assert found.speeds[0] < 1e-10
    expected = sorted(np.abs(np.linalg.eigvals(a)))[::-1]
    np.testing.assert_allclose(np.abs(found.eigenvalues[0]), expected, rtol=1e-8)
    assert found.stable[0] == (expected[0] < 1)
    np.testing.assert_allclose(found.time_constants()[0], -1 / np.log(expected), rtol=1e-7)


def test_two_tanh_units_have_nine_of_which_four_are_stable():
    """h' = tanh(2 h) in each: 0, with slope 2, and two with slope 2 (1 - h^2)."""
    cell = rnn(2)
    params = {"kernel": jnp.zeros((3, 2)), "recurrent_kernel": 2 * jnp.eye(2), "bias": jnp.zeros(2)}
    found = fixed_points(constant_input(cell, params, jnp.ones(3)), grid(2, 9))
    expected = sorted((x, y) for x in (-REST, 0.0, REST) for y in (-REST, 0.0, REST))
    np.testing.assert_allclose(sorted(map(tuple, np.round(found.states, 9) + 0.0)), np.round(expected, 9), atol=1e-8)
    for state, values, stable in zip(found.states, found.eigenvalues, found.stable, strict=True):
        slopes = sorted(2 * (1 - state**2))[::-1]
        np.testing.assert_allclose(values.real, slopes, atol=1e-6)
        assert stable == (np.abs(state) > 0.5).all()


def test_the_input_moves_what_is_fixed():
    """tanh(h / 2 + x) = h has one solution, and it is that of the input."""
    params = {"kernel": jnp.ones((1, 1)), "recurrent_kernel": jnp.full((1, 1), 0.5), "bias": jnp.zeros(1)}
    for x in (-0.3, 0.4):
        (state,) = fixed_points(constant_input(rnn(1), params, jnp.array([x])), grid(1)).states
        np.testing.assert_allclose(state, brentq(lambda h, x=x: np.tanh(h / 2 + x) - h, -1, 1), rtol=1e-8)


def test_a_ghost_is_found_by_its_speed():
    """h' = h + h^2 + 0.01 rests nowhere, and is slowest at 0."""
    found = fixed_points(lambda h: h + h**2 + 0.01, np.array([[0.3], [-0.2]]))
    np.testing.assert_allclose(found.states, [[0.0]], atol=1e-4)
    np.testing.assert_allclose(found.speeds, [0.01], rtol=1e-6)
    np.testing.assert_allclose(found.nearest, [0.2], atol=1e-4)
    assert not len(fixed_points(lambda h: h + h**2 + 0.01, np.array([[0.3]]), slowest=1e-3).states)


@pytest.mark.slow
def test_the_carry_of_an_lstm_is_one_vector():
    """Where nothing enters and all weights are zero, c halves and h follows: everything rests at zero."""
    cell = CELLS["lstm"](2, forget_bias=0.0)
    params = jax.tree.map(jnp.zeros_like, double(cell.init(jax.random.key(0), 1)))
    found = fixed_points(constant_input(cell, params, jnp.zeros(1)), np.asarray(noise((5, 4), 1, jnp.float64)))
    np.testing.assert_allclose(found.states, np.zeros((1, 4)), atol=1e-9)
    np.testing.assert_allclose(found.eigenvalues[0], [0.5, 0.5, 0, 0], atol=1e-8)


def test_the_slowest_come_first_and_no_more_than_asked():
    found = fixed_points(lambda h: jnp.tanh(2 * h), grid(2, 9), most=2)
    assert len(found.states) == 2
    assert (np.diff(found.speeds) >= 0).all()


def test_what_is_not_finite_is_passed_over():
    assert fixed_points(lambda h: h / 0, np.ones((2, 3))).eigenvalues.shape == (0, 3)


@pytest.mark.parametrize("starts", [np.zeros(3), np.zeros((0, 3))])
def test_starts_are_states(starts):
    with pytest.raises(ValueError, match=r"starts must be states \[s, n\]"):
        fixed_points(lambda h: h, starts)
