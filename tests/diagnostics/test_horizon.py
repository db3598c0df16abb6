"""The half-life of curves whose half-life is known."""

import numpy as np
import pytest

from rnngen.diagnostics import flow_record, half_life

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
