"""Scanned digits: the 1797 8x8 images that scikit-learn carries (UCI, Alpaydin and Kaynak 1998)."""

import numpy as np

SPLIT_SIZES = {"train": 1297, "valid": 250, "test": 250}


def load_digits() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """split -> (pixels in [0, 1] `[n, 64]` float32, classes `[n]` int32).

    The split is fixed: one shuffle by `RandomState(0)`, whose stream NumPy keeps for ever, then the
    first 1297 images train, the next 250 are valid, the last 250 test.
    """
    from sklearn import datasets  # here: the import takes half a second that nothing else needs

    digits = datasets.load_digits()
    order = np.random.RandomState(0).permutation(len(digits.target))
    pixels = (digits.data[order] / 16).astype(np.float32)
    classes = digits.target[order].astype(np.int32)
    ends = np.cumsum(list(SPLIT_SIZES.values()))[:-1]
    parts = zip(np.split(pixels, ends), np.split(classes, ends), strict=True)
    return dict(zip(SPLIT_SIZES, parts, strict=True))
