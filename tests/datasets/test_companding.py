"""The mu-law: its curve, its inverse, and what it is for."""

import numpy as np
import pytest
from real_data import error_line

from rnngen.datasets.formats.companding import inverse_mu_law, mu_law


@pytest.mark.parametrize("levels", [2, 3, 16, 256, 257, 65536])
def test_every_level_stands_for_a_sample_of_itself(levels):
    every = np.arange(levels)
    samples = inverse_mu_law(every, levels)
    np.testing.assert_array_equal(mu_law(samples, levels), every)
    assert (np.diff(samples) > 0).all()
    assert (samples[0], samples[-1]) == (-1, 1)
    np.testing.assert_allclose(samples, -samples[::-1], atol=1e-7)
    assert mu_law(samples, levels).dtype == (np.uint8 if levels <= 256 else np.uint16)


def test_the_curve_at_points_worked_out_by_hand():
    """With mu = 255, ln(1 + 255 x) / ln 256 is 1/2 where 1 + 255 x = 16."""
    x = 15 / 255
    np.testing.assert_array_equal(mu_law(np.array([-1.0, -x, x, 1.0])), [0, round(255 / 4 + 0.01), 191, 255])
    assert inverse_mu_law(np.array([255 * 0.75]))[0] == pytest.approx(x, rel=1e-6)


def test_the_error_is_half_a_step_at_most():
    """A step of the curve is 2 / mu, and a sample grows by ln(1 + mu) (1 + mu |x|) / mu along it."""
    x = np.linspace(-1, 1, 20001)
    error = np.abs(inverse_mu_law(mu_law(x)) - x)
    bound = np.log(256) * (1 + 255 * np.abs(x)) / 255 / 255
    assert (error <= bound * 1.03).all()
    assert (error > bound * 0.9).any()


def test_quiet_sound_keeps_its_ratio_of_signal_to_noise():
    def decibels(signal, heard):
        return 10 * np.log10((signal**2).mean() / ((signal - heard) ** 2).mean())

    wave = np.sin(np.arange(20000) * 0.123)
    for loudness in (1, 0.1):
        signal = loudness * wave
        assert decibels(signal, inverse_mu_law(mu_law(signal))) > 35
    evenly = np.rint((0.1 * wave + 1) * 127.5) / 127.5 - 1
    assert decibels(0.1 * wave, evenly) < 32


def test_bad_samples_and_levels():
    for bad in (1.01, -2.0, np.nan, np.inf):
        assert "samples must lie in [-1, 1]" in error_line(mu_law, np.array([0, bad]))
    for levels in (1, 65537, 256.0, "256"):
        assert "levels must be a whole number from 2 to 65536" in error_line(mu_law, np.zeros(1), levels)
        assert "levels must be a whole number" in error_line(inverse_mu_law, np.zeros(1), levels)
