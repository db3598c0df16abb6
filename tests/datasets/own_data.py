"""Small arrays of one's own."""

import numpy as np

RAGGED = [4, 6, 3, 6, 5, 6, 2, 6, 4, 5, 6, 3, 6, 6, 4, 5, 6, 6, 3, 6]


def sequences(seed=0, features=2):
    """A list of sequences `[t_i, d]` far from standardised."""
    random = np.random.RandomState(seed)
    return [random.normal(50, 20, (length, features)) for length in RAGGED]


def padded(each, fill=np.nan):
    """`[t, n, ...]` of a list of arrays `[t_i, ...]`."""
    whole = np.full((max(map(len, each)), len(each), *each[0].shape[1:]), fill, dtype=each[0].dtype)
    for number, one in enumerate(each):
        whole[: len(one), number] = one
    return whole
