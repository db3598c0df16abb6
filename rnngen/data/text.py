"""Text as one long sequence of characters or bytes: tiny Shakespeare, Python's reference, or a file of one's own."""

import hashlib
import io
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rnngen.data.corpus import SPLITS, Corpus
from rnngen.data.fetch import cache_folder
from rnngen.data.places import find_files
from rnngen.data.symbols import Encoder, Open, survey
from rnngen.lookup import nearest
from rnngen.provenance import sha256_of

SOURCES = ("shakespeare", "python")
ENCODINGS = ("characters", "bytes")
# Bytes; the tokens of a larger file are kept in a file and mapped into memory from there.
LARGE = 64 << 20
FORM = 2  # of such files: counted up where the same text gives other tokens


def load_text(
    path: str = "",
    *,
    encoding: str = "characters",
    splits: Sequence[float] = (0.9, 0.1, 0.0),
    vocabulary: str = "",
    source: str = "shakespeare",
) -> Corpus:
    """A text cut into train, valid and test, in that order and each in one piece. Values: tokens `[n]`.

    path: a UTF-8 file of one's own; "": the text that `source` names: `shakespeare`, the set `text` (Karpathy's
      `input.txt`), or `python`, the language reference that this Python carries, for which no file is needed.
    encoding: tokens are `characters`, as their places in the vocabulary, or `bytes`. A byte order mark before the text
      is no character; as bytes it stays.
    splits: shares of train, valid and test; a test share of 0 makes test the same as valid.
    vocabulary: the characters in the order of their tokens; "": those of the whole text, sorted, so that valid and test
      hold no unknown one.

    A file above 64 MB is never held in memory: its bytes are mapped, its characters encoded into a file of the cache,
    which is made once and mapped.
    Raises ValueError for a bad argument, text that is not UTF-8, a character outside `vocabulary`, or a split of fewer
    than two symbols.
    """
    check_splits(splits)
    _check_names(path, encoding, vocabulary, source)
    text = _python_text() if source == "python" else _file(path)
    if encoding == "bytes":
        values, facts = _bytes(text), {"encoding": encoding}
    else:
        values, vocabulary = _characters(text, vocabulary)
        facts = {"encoding": encoding, "vocabulary": vocabulary}
    return _split(text.name, values, splits, text.facts | facts)


class _Text(NamedTuple):
    """name: for messages; path: None where the text is in memory."""

    name: str
    path: Path | None
    open: Open
    size: int
    sha256: str
    facts: dict[str, Any]


def _file(path: str) -> _Text:
    (file,) = find_files("text", path, ("input.txt",))
    total = sha256_of(file)
    return _Text(str(file), file, lambda: open(file, "rb"), file.stat().st_size, total, {"files": {file.name: total}})


def _python_text() -> _Text:
    from pydoc_data.topics import topics

    raw = "\n".join(topics[name] for name in sorted(topics)).encode()
    total, name = hashlib.sha256(raw).hexdigest(), "pydoc_data.topics"
    facts = {"files": {name: total}, "python": platform.python_version()}
    return _Text(name, None, lambda: io.BytesIO(raw), len(raw), total, facts)


def _bytes(text: _Text) -> np.ndarray:
    if text.size > LARGE:
        return np.memmap(text.path, np.uint8, mode="r")  # type: ignore[call-overload]
    with text.open() as file:
        return np.frombuffer(file.read(), np.uint8)


def _characters(text: _Text, vocabulary: str) -> tuple[np.ndarray, str]:
    """(tokens, vocabulary)."""
    if text.size > LARGE:
        return _encoded_file(text, vocabulary)
    vocabulary = vocabulary or survey(text.open, text.name)[1]
    return np.concatenate(list(Encoder(vocabulary).stream(text.open, text.name))), vocabulary


def _encoded_file(text: _Text, vocabulary: str) -> tuple[np.ndarray, str]:
    """The same from files in the cache, written where they are not there yet."""
    key = hashlib.sha256(f"{text.sha256} {vocabulary} {FORM}".encode()).hexdigest()
    tokens = cache_folder() / "text" / f"{key}.npy"
    symbols = tokens.with_suffix(".txt")
    if not (tokens.exists() and symbols.exists()):
        count, found = survey(text.open, text.name)
        _write_whole(symbols, [(vocabulary or found).encode()])
        _write_whole(tokens, _token_file(text, Encoder(vocabulary or found), count))  # last: what is there is whole
    return np.load(tokens, mmap_mode="r"), symbols.read_bytes().decode()


def _token_file(text: _Text, encoder: Encoder, count: int):
    """The pieces of an npy file. Not written through a map, whose pages would count as ours until they are on disk."""
    header = io.BytesIO()
    descr = np.lib.format.dtype_to_descr(encoder.dtype)
    np.lib.format.write_array_header_1_0(header, {"descr": descr, "fortran_order": False, "shape": (count,)})
    yield header.getvalue()
    yield from encoder.stream(text.open, text.name)


def _write_whole(path: Path, parts) -> None:
    """Write the file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(temporary, "wb") as file:
            file.writelines(parts)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _split(name: str, values: np.ndarray, splits: Sequence[float], facts: dict[str, Any]) -> Corpus:
    shares = dict(zip(SPLITS, splits, strict=True))
    # Rounded first: 0.7 + 0.2 is a little less than 0.9, and would cut the text one symbol too early.
    ends = [int(round(len(values) * share, 6)) for share in np.cumsum(splits)[:-1]]
    if not splits[2]:
        ends[1] = len(values)
    parts = dict(zip(SPLITS, np.split(values, ends), strict=True))
    if not splits[2]:
        parts["test"] = parts["valid"]
    for split, part in parts.items():
        if len(part) < 2:
            raise ValueError(
                f"{name}: a text of {len(values)} symbols leaves {len(part)} for {split}, and 2 are the least"
            )
    rule = ", ".join(f"{split} {share:g}" for split, share in shares.items())
    rule = f"contiguous in this order, shares: {rule}" + ("" if splits[2] else "; test is the valid split")
    return Corpus(parts, {split: np.array([len(part)]) for split, part in parts.items()}, facts | {"split": rule})


def check_splits(splits: Sequence[float]) -> None:
    """Raise ValueError unless these are shares of train, valid and test that sum to 1; only test may have none."""
    if len(splits) != 3 or min(splits[:2]) <= 0 or splits[2] < 0 or abs(sum(splits) - 1) > 1e-6:
        raise ValueError(f"splits must be three shares that sum to 1, of which test may be 0, got {tuple(splits)}")


def _check_names(path: str, encoding: str, vocabulary: str, source: str) -> None:
    if encoding not in ENCODINGS:
        raise ValueError(f"unknown encoding {encoding!r}{nearest(encoding, ENCODINGS)}")
    if source not in SOURCES:
        raise ValueError(f"unknown source {source!r}{nearest(source, SOURCES)}")
    if path and source == "python":
        raise ValueError(f"source 'python' needs no file, but path is {path!r}")
    if vocabulary and encoding == "bytes":
        raise ValueError("encoding 'bytes' has no vocabulary: every byte is its own token")
