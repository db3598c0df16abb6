"""The contract of a corpus: sequences joined one after another, split, and what a record should say of them."""

from typing import Any, NamedTuple

import numpy as np

SPLITS = ("train", "valid", "test")


class Corpus(NamedTuple):
    """Real sequences.

    values: split -> `[sum of lengths, ...]`, all sequences of the split one after another; may be memory-mapped.
    lengths: split -> int `[sequences]`.
    facts: what a record should say: files with their sha256, how the split was made, vocabulary or scale.
    """

    values: dict[str, np.ndarray]
    lengths: dict[str, np.ndarray]
    facts: dict[str, Any]
