"""The contract of a codec: a kind of sequence, and how a person gives and gets one."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rnngen.heads import Head
from rnngen.types import InputSpec


class Codec(NamedTuple):
    """A kind of sequence that a model makes: text, music, pixels, pen strokes, sound, trajectories.

    input_spec: what a model is fed, and how what was drawn becomes its next input.
    head: the distribution of a value; values `[t, ...]` are shaped as its targets.
    read: (prompt) -> values `[t, ...]`; text itself, else the name of a file. Raises ValueError naming what it cannot
      read.
    write: (sequences, each of values `[t, ...]`, a path without suffix) -> the files written.
    show: (values) -> text for the terminal, where values can be read there as they are drawn; None: they cannot.
    """

    input_spec: InputSpec
    head: Head
    read: Callable[[str], np.ndarray]
    write: Callable[[list[np.ndarray], Path], list[Path]]
    show: Callable[[np.ndarray], str] | None = None
