"""Text as symbols: UTF-8 read in pieces, its vocabulary, and the encoding of characters."""

import codecs
from collections.abc import Callable, Iterator
from typing import BinaryIO

import numpy as np

PIECE = 1 << 20
CODE_POINTS = 0x110000
BYTE_ORDER_MARK = "\ufeff"  # written before the text by some editors; not a part of it
_OUTSIDE = np.iinfo(np.uint32).max

Open = Callable[[], BinaryIO]


def token_dtype(size: int) -> np.dtype:
    """Return the smallest unsigned type for the tokens of a vocabulary of this size."""
    return np.dtype(np.min_scalar_type(max(size, 1) - 1))


def code_points(text: str) -> np.ndarray:
    """Return the code points, uint32 `[len(text)]`."""
    return np.frombuffer(text.encode("utf-32-le"), "<u4")


def decoded(raw: bytes, name: str) -> str:
    """Decode a whole UTF-8 file, without a byte order mark. Raises ValueError as `pieces` does."""
    try:
        return raw.decode().removeprefix(BYTE_ORDER_MARK)
    except UnicodeDecodeError as error:
        raise ValueError(f"{name} is not UTF-8: {error.reason} at byte {error.start}") from None


def pieces(open_text: Open, name: str) -> Iterator[np.ndarray]:
    """Yield the code points of a text, uint32 `[at most PIECE]`, so that it need not fit into memory.

    An initial byte order mark is skipped. Raises ValueError with the position of the first byte that is not UTF-8.
    """
    decoder, read, begun = codecs.getincrementaldecoder("utf-8")(), 0, False
    with open_text() as file:
        while True:
            raw = file.read(PIECE)
            start = read - len(decoder.getstate()[0])  # a character may be cut at the end of the last piece
            try:
                text = decoder.decode(raw, final=not raw)
            except UnicodeDecodeError as error:
                raise ValueError(f"{name} is not UTF-8: {error.reason} at byte {start + error.start}") from None
            if text:
                yield code_points(text if begun else text.removeprefix(BYTE_ORDER_MARK))
                begun = True
            if not raw:
                return
            read += len(raw)


def survey(open_text: Open, name: str) -> tuple[int, str]:
    """Return (number of characters, the distinct ones sorted by code point) of a text."""
    count, seen = 0, np.zeros(CODE_POINTS, bool)
    for codes in pieces(open_text, name):
        count += len(codes)
        seen[codes] = True
    return count, "".join(map(chr, np.flatnonzero(seen)))


class Encoder:
    """An encoder of characters as tokens, their indices in `vocabulary`.

    Raises ValueError where a character occurs in it twice.
    """

    def __init__(self, vocabulary: str):
        codes = code_points(vocabulary)
        if len(np.unique(codes)) < len(codes):
            twice = next(c for c in vocabulary if vocabulary.count(c) > 1)
            raise ValueError(f"vocabulary has {twice!r} more than once")
        self.dtype = token_dtype(len(codes))
        self._places = np.full(CODE_POINTS, _OUTSIDE, np.uint32)
        self._places[codes] = np.arange(len(codes))

    def __call__(self, codes: np.ndarray, name: str, start: int = 0) -> np.ndarray:
        """Encode code points `[n]`, the first of which is character `start` of the text `name`, as tokens `[n]`.

        Raises ValueError naming the first one that is not in the vocabulary.
        """
        places = self._places[codes]
        outside = places == _OUTSIDE
        if outside.any():
            at = int(outside.argmax())
            symbol = chr(codes[at])
            raise ValueError(f"{name}: character {start + at} is {symbol!r}, which is not in the vocabulary")
        return places.astype(self.dtype)

    def stream(self, open_text: Open, name: str) -> Iterator[np.ndarray]:
        """Yield the tokens of a text in pieces."""
        start = 0
        for codes in pieces(open_text, name):
            yield self(codes, name, start)
            start += len(codes)
