"""Text, a character or a byte at a time (Graves 2013, section 3; Karpathy 2015)."""

import hashlib
import io
import math
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rnngen.datasets.codec import Codec
from rnngen.datasets.corpus import SPLITS, Corpus
from rnngen.datasets.feeds import FIRST_TOKEN, token_feed
from rnngen.datasets.fetch import cache_folder
from rnngen.datasets.formats.symbols import BYTE_ORDER_MARK, Encoder, Open, code_points, survey
from rnngen.datasets.formats.text_files import numbered
from rnngen.datasets.generative import bits, generative, marginal_baseline
from rnngen.datasets.paths import find_files
from rnngen.heads import categorical
from rnngen.registry import nearest
from rnngen.storage.provenance import sha256_of
from rnngen.tasks.task import Task
from rnngen.types import InputSpec, check_positive

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


def text_codec(vocabulary: str, end: str = "") -> Codec:
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
    return Codec(spec, categorical(len(vocabulary)), read, write, show)


BYTES = 256


def byte_codec() -> Codec:
    """Text as the bytes of its UTF-8. Values: ints `[t]` in 0..255.

    A sequence begins as if after byte 0, which no text holds. What is written are the bytes as they are; what is shown
    has a replacement character where they are not UTF-8, as where a character of several bytes is cut.
    """

    def read(prompt: str) -> np.ndarray:
        # A terminal hands over bytes that are not UTF-8 as lone surrogates.
        return np.frombuffer(prompt.encode("utf-8", "surrogateescape"), np.uint8).astype(np.int32)

    def show(values: np.ndarray) -> str:
        return _raw(values).decode("utf-8", "replace")

    def write(sequences: list[np.ndarray], path: Path) -> list[Path]:
        files = numbered(path, len(sequences), ".txt")
        for file, values in zip(files, sequences, strict=True):
            file.write_bytes(_raw(values))
        return files

    spec = InputSpec(BYTES, tokens=True, feed=token_feed, start=FIRST_TOKEN)
    return Codec(spec, categorical(BYTES), read, write, show)


def _raw(values: np.ndarray) -> bytes:
    return np.asarray(values).astype(np.uint8).tobytes()


def text(
    path: str = "",
    source: str = "shakespeare",
    *,
    chunk: int = 100,
    encoding: str = "characters",
    splits: tuple[float, ...] = (0.9, 0.1, 0.0),
    vocabulary: str = "",
    eval_steps: int = 2**20,
) -> Task:
    """Predict each symbol of a text from those before it. Inputs and targets: tokens `[t, b]`.

    path, source, encoding, splits, vocabulary: see `load_text`. chunk: see `generative`.
    eval_steps: evaluation reads at most so many symbols of a split, from its beginning.

    Loss: nats a symbol; `bits` are bits a symbol. Baseline: each symbol's own frequency. Solved, on tiny Shakespeare,
    at 1.50 nats, which transformers of ten times the size get little below.
    """
    check_positive(eval_steps=eval_steps)
    corpus = load_text(path, encoding=encoding, splits=splits, vocabulary=vocabulary, source=source)
    corpus = corpus._replace(
        values={split: x if split == "train" else x[:eval_steps] for split, x in corpus.values.items()},
        lengths={split: x if split == "train" else np.minimum(x, eval_steps) for split, x in corpus.lengths.items()},
    )
    known = corpus.facts.get("vocabulary", "")
    name, codec, kwargs = ("text", text_codec, {"vocabulary": known}) if known else ("bytes", byte_codec, {})
    train = corpus.values["train"][: 2**24]  # of a text larger than memory, enough to count symbols
    return generative(
        name,
        codec,
        kwargs,
        corpus,
        chunk=chunk,
        baseline=marginal_baseline(train, corpus.values["test"], len(known) or BYTES),
        solved_below=1.5 if not path and source == "shakespeare" else -math.inf,
        more_metrics=bits,
    )
