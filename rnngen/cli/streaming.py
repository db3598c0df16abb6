"""Text on the terminal as it is drawn from a trained run."""

import itertools
import sys
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from rnngen import runtime
from rnngen.generation.generator import Generator

AT_ONCE = 16  # symbols that are shown together
CUT = "\ufffd"  # stands for the bytes of an incomplete character

Show = Callable[[np.ndarray], str]


def draw(generator: Generator, batch: int, asked: dict[str, Any]) -> list[np.ndarray]:
    """Draw sequences, and show text: one sequence piece by piece, several one after another.

    Args:
      generator: of a trained run.
      batch: number of sequences.
      asked: arguments of `Generator.sequences`.

    Returns:
      The values of each sequence.
    """
    show = generator.codec.show
    if show is None:
        return generator.sequences(batch, **asked)
    if batch == 1:
        return [_shown(generator, show, asked)]
    sequences = generator.sequences(batch, **asked)
    for number, values in enumerate(sequences):
        _say(f"--- {number}\n{show(values)}\n")
    return sequences


def _shown(generator: Generator, show: Show, asked: dict[str, Any]) -> np.ndarray:
    """Draw one sequence and show it piece by piece, its prompt first."""
    before, drawn = generator.read(asked["prompt"]), generator.pieces(piece=AT_ONCE, **asked)
    pieces = itertools.chain([] if before is None else [before], drawn)
    values = []
    for text, piece in texts(show, pieces):
        _say(text)
        values.append(piece)
    _say("\n")
    return np.concatenate(values)


def _say(text: str) -> None:
    """Write to the terminal; where its reader has gone, the files are still written."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        runtime.discard_output()


def texts(show: Show, pieces: Iterable[np.ndarray]) -> Iterable[tuple[str, np.ndarray]]:
    """Pair each piece with its text; the bytes of an incomplete character are held back for the next piece."""
    waiting = None
    for piece in pieces:
        left = piece if waiting is None else np.concatenate([waiting, piece])
        whole = _whole(show, left)
        yield show(left[:whole]), piece
        waiting = left[whole:]
    if waiting is not None:
        yield show(waiting), waiting[:0]


def _whole(show: Show, values: np.ndarray) -> int:
    """Count the values to show now: all but at most three at the end, since a character has up to four bytes."""
    counts = range(len(values), len(values) - 4, -1)
    return next((count for count in counts if not show(values[:count]).endswith(CUT)), counts[-1])
