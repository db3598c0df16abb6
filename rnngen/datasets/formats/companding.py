"""The mu-law of telephony (ITU-T G.711's curve): sound in few levels, which are denser at small amplitudes."""

import numpy as np

from rnngen.datasets.formats.symbols import token_dtype
from rnngen.types import is_whole

MAX_LEVELS = 1 << 16


def mu_law(samples: np.ndarray, levels: int = 256) -> np.ndarray:
    """Return the nearest of `levels` levels for samples `[...]` in [-1, 1]; uint8, or uint16 above 256 levels.

    y = sign(x) ln(1 + mu |x|) / ln(1 + mu) with mu = levels - 1, and [-1, 1] is divided into `levels` even steps.
    Raises ValueError for a sample outside of [-1, 1] or NaN, or levels that are not from 2 to 65536.
    """
    mu = _mu(levels)
    if not (np.abs(samples) <= 1).all():
        raise ValueError("samples must lie in [-1, 1]")
    curve = np.sign(samples) * np.log1p(mu * np.abs(samples)) / np.log1p(mu)
    return np.rint((curve + 1) * (mu / 2)).astype(token_dtype(levels))


def inverse_mu_law(values: np.ndarray, levels: int = 256) -> np.ndarray:
    """Return the samples in [-1, 1] of levels `[...]`, float32."""
    mu = _mu(levels)
    curve = values.astype(np.float64) * (2 / mu) - 1
    return (np.sign(curve) * np.expm1(np.abs(curve) * np.log1p(mu)) / mu).astype(np.float32)


def _mu(levels: int) -> int:
    if not is_whole(levels) or not 2 <= levels <= MAX_LEVELS:
        raise ValueError(f"levels must be a whole number from 2 to {MAX_LEVELS}, got {levels!r}")
    return levels - 1
