"""The contract of a codec: a kind of sequence, and its conversion from and to files."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rnngen.heads import Head
from rnngen.types import InputSpec


class Codec(NamedTuple):
    """A kind of sequence that a model generates: text, music, pixels, pen strokes, sound, trajectories.

    Attributes:
      input_spec: the inputs of a model, and the conversion of a drawn value to the next input.
      head: the distribution of a value; values `[t, ...]` have the shape of its targets.
      read: (prompt) -> values `[t, ...]`; a prompt is text itself, else the name of a file. Raises ValueError naming
        anything that it cannot read.
      write: (sequences, each of values `[t, ...]`, a path without suffix) -> the files written.
      show: (values) -> text for the terminal, while they are drawn; None where they cannot be shown as text.
    """

    input_spec: InputSpec
    head: Head
    read: Callable[[str], np.ndarray]
    write: Callable[[list[np.ndarray], Path], list[Path]]
    show: Callable[[np.ndarray], str] | None = None
