"""Text, a character at a time."""

from pathlib import Path

import numpy as np

from rnngen.data.symbols import BYTE_ORDER_MARK, Encoder, code_points
from rnngen.heads import categorical
from rnngen.media.feeds import FIRST_TOKEN, token_feed
from rnngen.media.files import numbered
from rnngen.media.medium import Medium
from rnngen.types import InputSpec


def text(vocabulary: str, end: str = "") -> Medium:
    """Text of the characters of `vocabulary`, each of which stands in it once. Values: places in it, ints `[t]`.

    end: the character that ends a sequence, after which another begins; "": none does.

    A sequence begins as if after the first symbol: in most texts newline, which sorts before what can be seen.

    Raises ValueError where the vocabulary is empty, has a character twice, or does not have `end`.
    """
    if not vocabulary:
        raise ValueError("vocabulary must hold at least one character")
    encoder = Encoder(vocabulary)
    mark = "" if BYTE_ORDER_MARK in vocabulary else BYTE_ORDER_MARK  # which a prompt from a file may begin with

    def read(prompt: str) -> np.ndarray:
        try:
            return encoder(code_points(prompt.removeprefix(mark)), "the prompt").astype(np.int32)
        except ValueError as error:
            raise ValueError(f"{error}: the model never saw it in training") from error

    def show(values: np.ndarray) -> str:
        return "".join(vocabulary[i] for i in values)

    def write(sequences: list[np.ndarray], path: Path) -> list[Path]:
        files = numbered(path, len(sequences), ".txt")
        for file, values in zip(files, sequences, strict=True):
            file.write_text(show(values), encoding="utf-8", newline="")  # line ends are symbols like others
        return files

    if end and end not in vocabulary:
        raise ValueError(f"end must be a character of the vocabulary, got {end!r}")
    last = vocabulary.index(end) if end else None
    spec = InputSpec(len(vocabulary), tokens=True, feed=token_feed, start=FIRST_TOKEN, end=last)
    return Medium(spec, categorical(len(vocabulary)), read, write, show)
