"""The contract of a corpus: concatenated sequences in splits, with metadata for records."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

SPLITS = ("train", "valid", "test")


class Corpus(NamedTuple):
    """Real sequences.

    Attributes:
      values: split -> `[sum of lengths, ...]`, all sequences of the split concatenated; may be memory-mapped.
      lengths: split -> int `[sequences]`.
      facts: metadata for records: files with their sha256, the rule of the split, vocabulary or scale.
    """

    values: dict[str, np.ndarray]
    lengths: dict[str, np.ndarray]
    facts: dict[str, Any]

    @classmethod
    def of(cls, parts: Mapping[str, tuple[np.ndarray, np.ndarray]], facts: dict[str, Any]) -> "Corpus":
        """Make a corpus of splits that are (values, lengths) each."""
        values, lengths = ({split: part[which] for split, part in parts.items()} for which in (0, 1))
        return cls(values, lengths, facts)
