"""Text, by characters or bytes (Graves 2013, section 3; Karpathy 2015)."""

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
from rnngen.datasets.formats.symbols import BYTE_ORDER_MARK, Encoder, Open, code_points, survey
from rnngen.datasets.formats.text_files import writer
from rnngen.datasets.generative import bits, generative, marginal_baseline
from rnngen.datasets.paths import find_files
from rnngen.heads import categorical
from rnngen.registry import nearest
from rnngen.runtime import cache_folder
from rnngen.storage.provenance import sha256_of
from rnngen.tasks.task import Task
from rnngen.types import InputSpec, check_positive

SOURCES = ("shakespeare", "python")
ENCODINGS = ("characters", "bytes")
# Bytes; the tokens of a larger text are written to a file and memory-mapped.
LARGE = 64 << 20
FORM = 2  # version of such files, to be increased where the same text gives other tokens


def load_text(
    path: str = "",
    *,
    encoding: str = "characters",
    splits: Sequence[float] = (0.9, 0.1, 0.0),
    vocabulary: str = "",
    source: str = "shakespeare",
) -> Corpus:
    """Load a text, cut into contiguous train, valid and test splits, in that order. Values: tokens `[n]`.

    A file above 64 MB is memory-mapped: its bytes directly, its characters from a file of tokens in the cache.

    Args:
      path: your own UTF-8 file; "": the text of `source`.
      encoding: tokens are `characters`, as their indices in the vocabulary, or `bytes`. An initial byte order mark is
        not a character, but stays as bytes.
      splits: shares of train, valid and test; with a test share of 0, test is the same as valid.
      vocabulary: the characters in the order of their tokens; "": those of the whole text, sorted, so that valid and
        test have no unknown ones.
      source: `shakespeare`, the set `text` (Karpathy's `input.txt`), or `python`, the language reference that comes
        with Python, which needs no file.

    Returns:
      The sequences of each split, and metadata.

    Raises:
      ValueError: an argument is wrong, the text is not UTF-8 or has a character outside `vocabulary`, or a split has
        fewer than two symbols.
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
    """A text. name: for messages; path: None if it is in memory."""

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
    """Return (tokens, vocabulary)."""
    if text.size > LARGE:
        return _encoded_file(text, vocabulary)
    vocabulary = vocabulary or survey(text.open, text.name)[1]
    return np.concatenate(list(Encoder(vocabulary).stream(text.open, text.name))), vocabulary


def _encoded_file(text: _Text, vocabulary: str) -> tuple[np.ndarray, str]:
    """Return the same from files in the cache, written if they are missing."""
    key = hashlib.sha256(f"{text.sha256} {vocabulary} {FORM}".encode()).hexdigest()
    tokens = cache_folder() / "text" / f"{key}.npy"
    symbols = tokens.with_suffix(".txt")
    if not (tokens.exists() and symbols.exists()):
        count, found = survey(text.open, text.name)
        _write_whole(symbols, [(vocabulary or found).encode()])
        _write_whole(tokens, _token_file(text, Encoder(vocabulary or found), count))  # last, so that both are complete
    return np.load(tokens, mmap_mode="r"), symbols.read_bytes().decode()


def _token_file(text: _Text, encoder: Encoder, count: int):
    """Yield the pieces of an npy file; pages of a memory map would count as this process's until written to disk."""
    header = io.BytesIO()
    descr = np.lib.format.dtype_to_descr(encoder.dtype)
    np.lib.format.write_array_header_1_0(header, {"descr": descr, "fortran_order": False, "shape": (count,)})
    yield header.getvalue()
    yield from encoder.stream(text.open, text.name)


def _write_whole(path: Path, parts) -> None:
    """Write the file atomically."""
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
    # Rounded first: 0.7 + 0.2 is a little less than 0.9, and would cut one symbol too early.
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
    """Raise ValueError unless these are shares of train, valid and test that sum to 1; only that of test may be 0."""
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
    """Make the codec of text in the distinct characters of `vocabulary`. Values: indices in it, ints `[t]`.

    The first input of a sequence is the first symbol: in most texts newline, which sorts before visible characters.

    Args:
      vocabulary: the characters, in the order of their tokens.
      end: the character that ends a sequence; "": none does.

    Returns:
      The codec.

    Raises:
      ValueError: the vocabulary is empty, has a character twice, or does not have `end`.
    """
    if not vocabulary:
        raise ValueError("vocabulary must hold at least one character")
    encoder = Encoder(vocabulary)
    mark = "" if BYTE_ORDER_MARK in vocabulary else BYTE_ORDER_MARK  # a prompt from a file may begin with one

    def read(prompt: str) -> np.ndarray:
        try:
            return encoder(code_points(prompt.removeprefix(mark)), "the prompt").astype(np.int32)
        except ValueError as error:
            raise ValueError(f"{error}: the model never saw it in training") from error

    def show(values: np.ndarray) -> str:
        return "".join(vocabulary[i] for i in values)

    def write(values: np.ndarray, file: Path) -> None:
        file.write_text(show(values), encoding="utf-8", newline="")  # line ends are symbols too

    if end and end not in vocabulary:
        raise ValueError(f"end must be a character of the vocabulary, got {end!r}")
    last = vocabulary.index(end) if end else None
    spec = InputSpec(len(vocabulary), tokens=True, feed=token_feed, start=FIRST_TOKEN, end=last)
    return Codec(spec, categorical(len(vocabulary)), read, writer(write, ".txt"), show)


BYTES = 256


def byte_codec() -> Codec:
    """Make the codec of text as the bytes of its UTF-8. Values: ints `[t]` in 0..255.

    The first input of a sequence is byte 0, which does not occur in text. The bytes are written unchanged; text on the
    terminal has a replacement character for invalid UTF-8, such as an incomplete character.

    Returns:
      The codec.
    """

    def read(prompt: str) -> np.ndarray:
        # A terminal passes bytes that are not UTF-8 as lone surrogates.
        return np.frombuffer(prompt.encode("utf-8", "surrogateescape"), np.uint8).astype(np.int32)

    def show(values: np.ndarray) -> str:
        return _raw(values).decode("utf-8", "replace")

    def write(values: np.ndarray, file: Path) -> None:
        file.write_bytes(_raw(values))

    spec = InputSpec(BYTES, tokens=True, feed=token_feed, start=FIRST_TOKEN)
    return Codec(spec, categorical(BYTES), read, writer(write, ".txt"), show)


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

    Loss: nats per symbol; `bits` are bits per symbol. Baseline: each symbol's frequency. Solved, on tiny Shakespeare,
    at 1.50 nats; transformers of ten times the size do little better.

    Args:
      path, source, encoding, splits, vocabulary: see `load_text`.
      chunk: steps of a chunk of a stream, between which the carry goes on and the gradient does not; 0: whole
        sequences.
      eval_steps: evaluation reads at most this many symbols from the beginning of a split.

    Returns:
      The task.
    """
    check_positive(eval_steps=eval_steps)
    corpus = load_text(path, encoding=encoding, splits=splits, vocabulary=vocabulary, source=source)
    corpus = corpus._replace(
        values={split: x if split == "train" else x[:eval_steps] for split, x in corpus.values.items()},
        lengths={split: x if split == "train" else np.minimum(x, eval_steps) for split, x in corpus.lengths.items()},
    )
    known = corpus.facts.get("vocabulary", "")
    name, codec, kwargs = ("text", text_codec, {"vocabulary": known}) if known else ("bytes", byte_codec, {})
    train = corpus.values["train"][: 2**24]  # enough to count the symbols of a text larger than memory
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
