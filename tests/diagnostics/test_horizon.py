"""The half-life of curves whose half-life is known."""

import jax.numpy as jnp
import numpy as np
import pytest

from rnngen.cells import Cell
from rnngen.diagnostics import flow_record, half_life, log_gradient_norms

LN2 = np.log(2)


def falling(steps, lags=60, examples=5):
    return np.repeat(-LN2 / steps * np.arange(lags)[:, None], examples, axis=1)


@pytest.mark.parametrize("steps", [0.5, 2.5, 40.0])
def test_of_an_exponential(steps):
    found = half_life(falling(steps))
    assert (found.steps, found.low, found.high) == pytest.approx((steps,) * 3, rel=1e-6)
    assert (found.first_lag, found.last_lag) == (0, 59)


def test_one_percent_is_where_the_norm_has_fallen_to_it():
    assert half_life(falling(2.5)).one_percent == np.ceil(2.5 * np.log2(100))
    assert half_life(falling(40.0)).one_percent == np.inf


@pytest.mark.parametrize("curve", [np.zeros((30, 3)), np.arange(30.0)[:, None] * np.ones(3)])
def test_infinite_where_the_norm_does_not_fall(curve):
    assert half_life(curve).steps == np.inf


def test_the_range_is_an_argument():
    kinked = np.concatenate([falling(2.0, 20), falling(10.0, 40) - 100])
    assert half_life(kinked, 0, 19).steps == pytest.approx(2.0)
    assert half_life(kinked, 20, 59).steps == pytest.approx(10.0)


def test_the_interval_covers_the_spread_of_examples():
    rng = np.random.RandomState(0)
    slopes = -LN2 / rng.uniform(8, 12, size=200)
    found = half_life(np.arange(50)[:, None] * slopes)
    assert found.low < found.steps < found.high
    assert found.low > 9
    assert found.high < 11


def test_lags_that_few_examples_reach_are_left_out():
    curve = falling(3.0, 40, 4)
    curve[20:, :3] = np.nan
    assert half_life(curve).last_lag == 19


def test_a_gradient_that_becomes_exactly_zero_ends_the_range():
    curve = falling(3.0, 40)
    curve[10:] = -np.inf
    found = half_life(curve)
    assert (found.steps, found.last_lag) == (pytest.approx(3.0), 9)
    assert np.isnan(half_life(np.full((10, 2), -np.inf)).steps)


def test_record_holds_the_curves_in_powers_of_ten():
    norms = {"all": np.stack([falling(2.0, 10, 3), falling(2.0, 10, 3)])}
    record = flow_record(norms)
    np.testing.assert_allclose(record["curves"]["all"]["median"], -np.log10(2) / 2 * np.arange(10), atol=1e-9)
    assert record["half_life"]["all"]["steps"] == pytest.approx(2.0)


def test_nan_gradients_give_nan_and_no_curve():
    record = flow_record({"all": np.full((1, 10, 3), np.nan)})
    assert np.isnan(record["half_life"]["all"]["steps"])
    assert record["curves"]["all"]["median"] == []


def test_norms_by_t_or_by_example_are_refused_where_this_can_be_told():
    curve = falling(3.0, 40, 6)
    curve[20:, :2] = np.nan  # two examples of 20 steps
    assert half_life(curve).steps == pytest.approx(3.0)
    for wrong, meant in ((curve.T, r"log_norms\.T\?"), (curve[::-1], r"log_norms\[::-1\]\?")):
        with pytest.raises(ValueError, match=f"with nan at the last lags only: did you mean {meant}"):
            half_life(wrong)
    scattered = falling(3.0, 40, 6)
    scattered[[3, 9], [0, 1]] = np.nan
    assert half_life(scattered).steps == pytest.approx(3.0)


@pytest.mark.parametrize("wrong", [falling(3.0)[:, 0], falling(3.0)[..., None]])
def test_norms_of_another_number_of_axes_are_refused(wrong):
    with pytest.raises(ValueError, match=r"log_norms must be \[lags, examples\], got an array of shape \[60"):
        half_life(wrong)
    assert half_life(wrong.reshape(len(wrong), -1)).steps == pytest.approx(3.0)
    with pytest.raises(ValueError, match=r"norms\['all'\] must be \[sources, lags, examples\], got .* \[60, 5\]"):
        flow_record({"all": falling(3.0)})
    with pytest.raises(ValueError, match="first_lag must not be negative, got -3"):
        half_life(falling(3.0), -3)


def test_functions_are_in_natural_logs_by_t_and_records_to_base_ten_by_lag():
    """A linear cell that halves its carry: the gradient at t of the loss at the end is 2^-(T - t)."""
    halving = Cell(
        init=lambda key, input_dim: {"kernel": jnp.ones((input_dim, 1))},
        init_carry=lambda params, batch_shape: jnp.zeros((*batch_shape, 1)),
        step=lambda params, h, x: (0.5 * h + x @ params["kernel"],) * 2,
        output_dim=1,
    )
    norms = log_gradient_norms(halving, {"kernel": jnp.ones((1, 1))}, jnp.ones((8, 3, 1)), lambda ys: ys[-1].sum())
    by_t = np.asarray(norms["all"])
    np.testing.assert_allclose(by_t, -LN2 * np.arange(8, 0, -1)[:, None] * np.ones(3), rtol=1e-6)
    assert half_life(by_t[::-1]).steps == pytest.approx(1.0)
    record = flow_record({"all": by_t[None, ::-1]})
    np.testing.assert_allclose(record["curves"]["all"]["median"], -np.log10(2) * np.arange(1, 9), rtol=1e-6)
