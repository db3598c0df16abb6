"""Text or anything else, a byte at a time."""

from pathlib import Path

import numpy as np

from rnngen.heads import categorical
from rnngen.media.feeds import FIRST_TOKEN, token_feed
from rnngen.media.files import numbered
from rnngen.media.medium import Medium
from rnngen.types import InputSpec

BYTES = 256


def text_bytes() -> Medium:
    """Text as the bytes of its UTF-8. Values: ints `[t]` in 0..255.

    A sequence begins as if after byte 0, which no text holds. What is written are the bytes as they are; what is shown
    has a replacement character where they are not UTF-8, as where a character of several bytes is cut.
    """

    def read(prompt: str) -> np.ndarray:
        # A terminal hands over bytes that are not UTF-8 as lone surrogates.
        return np.frombuffer(prompt.encode("utf-8", "surrogateescape"), np.uint8).astype(np.int32)

    def show(values: np.ndarray) -> str:
        return _bytes(values).decode("utf-8", "replace")

    def write(sequences: list[np.ndarray], path: Path) -> list[Path]:
        files = numbered(path, len(sequences), ".txt")
        for file, values in zip(files, sequences, strict=True):
            file.write_bytes(_bytes(values))
        return files

    spec = InputSpec(BYTES, tokens=True, feed=token_feed, start=FIRST_TOKEN)
    return Medium(spec, categorical(BYTES), read, write, show)


def _bytes(values: np.ndarray) -> bytes:
    return np.asarray(values).astype(np.uint8).tobytes()
