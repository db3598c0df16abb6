"""Text as tokens: encoded without loss, in pieces, from files that do not fit into memory, and the real ones."""

import tracemalloc
from pydoc_data.topics import topics

import numpy as np
import pytest
from real_data import error_line, needs_data

from rnngen.datasets import text
from rnngen.datasets.formats import symbols
from rnngen.datasets.text import load_text

SAMPLE = "hällo, wörld ☃ 𝄞\r\nzweite Zeile\n" * 4


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setenv("RNNGEN_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "some.txt"
    path.write_bytes(SAMPLE.encode())
    return path


def decoded(corpus, *splits):
    vocabulary = corpus.facts["vocabulary"]
    return "".join(vocabulary[token] for split in splits for token in corpus.values[split])


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 1 << 20])
@pytest.mark.parametrize("large", [text.LARGE, 1])
def test_no_character_is_lost_wherever_a_piece_ends(file, monkeypatch, piece, large):
    monkeypatch.setattr(symbols, "PIECE", piece)
    monkeypatch.setattr(text, "LARGE", large)
    corpus = load_text(str(file), splits=(0.5, 0.25, 0.25))
    assert decoded(corpus, "train", "valid", "test") == SAMPLE
    assert corpus.facts["vocabulary"] == "".join(sorted(set(SAMPLE)))
    assert [len(v) for v in corpus.values.values()] == [62, 31, 31]
    assert corpus.lengths["train"].tolist() == [62]
    assert isinstance(corpus.values["train"], np.memmap) == (large == 1)


@pytest.mark.parametrize("large", [text.LARGE, 1])
def test_bytes_are_those_of_the_file(file, monkeypatch, large):
    monkeypatch.setattr(text, "LARGE", large)
    corpus = load_text(str(file), encoding="bytes", splits=(0.5, 0.25, 0.25))
    assert np.concatenate(list(corpus.values.values())).tobytes() == SAMPLE.encode()
    assert corpus.values["train"].dtype == np.uint8
    assert "vocabulary" not in corpus.facts
    assert isinstance(corpus.values["train"], np.memmap) == (large == 1)


@pytest.mark.parametrize("valid", [0.2, 0.1999999])
def test_without_a_test_share_the_valid_split_is_read_again(file, valid):
    corpus = load_text(str(file), splits=(0.8, valid, 0.0))
    np.testing.assert_array_equal(corpus.values["test"], corpus.values["valid"])
    assert decoded(corpus, "train", "valid") == SAMPLE
    assert "test is the valid split" in corpus.facts["split"]


def test_a_given_vocabulary_sets_the_tokens(file):
    given = "".join(sorted(set(SAMPLE), reverse=True)) + "QX"
    corpus = load_text(str(file), vocabulary=given)
    assert corpus.facts["vocabulary"] == given
    assert decoded(corpus, "train", "valid") == SAMPLE
    at = SAMPLE.index("ö")
    line = error_line(load_text, str(file), vocabulary=given.replace("ö", ""))
    assert line == f"{file}: character {at} is 'ö', which is not in the vocabulary"
    assert error_line(load_text, str(file), vocabulary="abca") == "vocabulary has 'a' more than once"


def test_the_place_of_an_unknown_character_counts_all_pieces_before_it(file, monkeypatch):
    monkeypatch.setattr(symbols, "PIECE", 5)
    line = error_line(load_text, str(file), vocabulary="".join(set(SAMPLE) - {"Z"}))
    assert f"character {SAMPLE.index('Z')} is 'Z'" in line


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("piece", [2, 1 << 20])
def test_a_byte_order_mark_is_no_character(tmp_path, monkeypatch, piece, large):
    monkeypatch.setenv("RNNGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(symbols, "PIECE", piece)
    monkeypatch.setattr(text, "LARGE", 0 if large else 1 << 20)
    (tmp_path / "marked.txt").write_text(SAMPLE + "\ufeff", encoding="utf-8-sig", newline="")
    corpus = load_text(str(tmp_path / "marked.txt"), splits=(0.5, 0.5, 0.0))
    assert decoded(corpus, "train", "valid") == SAMPLE + "\ufeff"  # within a text it is one
    as_bytes = load_text(str(tmp_path / "marked.txt"), encoding="bytes")
    assert bytes(as_bytes.values["train"][:3]) == b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    ("splits", "sizes"), [((0.7, 0.2, 0.1), [700, 200, 100]), ((1 / 3, 1 / 3, 1 / 3), [333, 333, 334])]
)
def test_shares_are_cut_where_they_end(tmp_path, splits, sizes):
    """In floats 0.7 + 0.2 is less than 0.9."""
    (tmp_path / "a.txt").write_text("ab" * 500)
    corpus = load_text(str(tmp_path / "a.txt"), splits=splits)
    assert [len(values) for values in corpus.values.values()] == sizes


@pytest.mark.parametrize(("size", "dtype"), [(256, np.uint8), (257, np.uint16), (65537, np.uint32)])
def test_tokens_take_the_smallest_type(tmp_path, size, dtype):
    characters = "".join(map(chr, [*range(1, 0xD800), *range(0xE000, 0x12000)][:size]))
    (tmp_path / "all.txt").write_text(characters * 2, encoding="utf-8", newline="")
    corpus = load_text(str(tmp_path / "all.txt"), splits=(0.5, 0.5, 0))
    assert corpus.values["train"].dtype == dtype
    np.testing.assert_array_equal(corpus.values["train"], np.arange(size))


@pytest.mark.parametrize("piece", [4, 1 << 20])
@pytest.mark.parametrize(("bad", "position"), [(b"\xff", 7), (b"\xe2\x98", 7), (b"\xf0\x9d\x84x", 7)])
def test_what_is_not_utf8_is_named_by_its_byte(tmp_path, monkeypatch, piece, bad, position):
    monkeypatch.setattr(symbols, "PIECE", piece)
    (tmp_path / "bad.txt").write_bytes("abcdö".encode() + b"e" + bad)
    line = error_line(load_text, str(tmp_path / "bad.txt"))
    assert "bad.txt is not UTF-8" in line
    assert line.endswith(f"at byte {position}")
    assert len(load_text(str(tmp_path / "bad.txt"), encoding="bytes", splits=(0.5, 0.5, 0)).values["train"]) > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"splits": (0.9, 0.2, 0.0)}, "splits must be three shares"),
        ({"splits": (1.0, 0.0, 0.0)}, "splits must be three shares"),
        ({"splits": (0.9, 0.1)}, "splits must be three shares"),
        ({"splits": (1.1, 0.1, -0.2)}, "splits must be three shares"),
        ({"splits": (0.999, 0.001, 0.0)}, "leaves 1 for valid, and 2 are the least"),
        ({"encoding": "byte"}, "unknown encoding 'byte'; did you mean 'bytes'?"),
        ({"source": "pyton"}, "unknown source 'pyton'; did you mean 'python'?"),
        ({"source": "python"}, "source 'python' needs no file"),
        ({"encoding": "bytes", "vocabulary": "ab"}, "encoding 'bytes' has no vocabulary"),
    ],
)
def test_bad_arguments(file, options, message):
    assert message in error_line(load_text, str(file), **options)


def test_a_text_of_one_character_is_too_short(tmp_path):
    (tmp_path / "one.txt").write_text("x")
    assert "a text of 1 symbols leaves 0 for train" in error_line(load_text, str(tmp_path / "one.txt"))


def test_pythons_reference_needs_no_file(monkeypatch):
    monkeypatch.delenv("RNNGEN_DATA", raising=False)
    corpus = load_text(source="python")
    whole = decoded(corpus, "train", "valid")
    assert all(topic in whole for topic in topics.values())
    assert corpus.facts["python"]
    raw = load_text(source="python", encoding="bytes")
    assert np.concatenate([raw.values["train"], raw.values["valid"]]).tobytes() == whole.encode()


def test_a_large_text_is_encoded_once_and_kept_whole(file, tmp_path, monkeypatch):
    monkeypatch.setattr(text, "LARGE", 1)
    load_text(str(file))
    kept = sorted((tmp_path / "cache" / "text").iterdir())
    assert [path.suffix for path in kept] == [".npy", ".txt"]
    monkeypatch.setattr(text, "survey", None)  # a second reading of the text would fail
    assert decoded(load_text(str(file)), "train", "valid") == SAMPLE
    monkeypatch.undo()
    monkeypatch.setenv("RNNGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(text, "LARGE", 1)
    load_text(str(file), vocabulary="".join(sorted(set(SAMPLE), reverse=True)))
    error_line(load_text, str(file), vocabulary="abc")
    file.write_text("another text")
    assert decoded(load_text(str(file)), "train", "valid") == "another text"
    names = [path.name for path in (tmp_path / "cache" / "text").iterdir()]
    assert len([name for name in names if name.endswith(".npy")]) == 3
    assert not [name for name in names if name.startswith(".")]


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["characters", "bytes"])
def test_a_text_larger_than_the_memory_that_it_takes(tmp_path, monkeypatch, encoding):
    """A stand-in for one that is larger than the machine's memory: 100 MB within 30 MB."""
    monkeypatch.setenv("RNNGEN_CACHE", str(tmp_path / "cache"))
    line, path = "To be, or not to bé.\n", tmp_path / "large.txt"
    with open(path, "wb") as file:
        for _ in range(100):
            file.write((line * 47_663).encode())
    assert path.stat().st_size > 100 << 20
    tracemalloc.start()
    corpus = load_text(str(path), encoding=encoding)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30 << 20
    last = corpus.values["valid"][-len(line) :]
    if encoding == "characters":
        assert "".join(corpus.facts["vocabulary"][token] for token in last) == line
        assert len(corpus.values["train"]) + len(corpus.values["valid"]) == 100 * 47_663 * len(line)
    else:
        assert line.encode().endswith(last.tobytes())
    del corpus, last
    for each in tmp_path.rglob("*.*"):  # pytest keeps what a test leaves
        if each.is_file():
            each.unlink()


@needs_data
def test_tiny_shakespeare():
    """The unigram and bigram models with one added to every count, as computed elsewhere: 3.347 and 2.482 nats."""
    corpus = load_text()
    train, valid = (corpus.values[split].astype(int) for split in ("train", "valid"))
    assert len(corpus.facts["vocabulary"]) == 65
    assert len(train) + len(valid) == 1115394
    assert corpus.facts["files"]["input.txt"].startswith("86c4e6aa")
    unigram = np.bincount(train, minlength=65) + 1.0
    bigram = np.ones((65, 65))
    np.add.at(bigram, (train[:-1], train[1:]), 1)
    assert -np.log(unigram / unigram.sum())[valid].mean() == pytest.approx(3.347, abs=5e-4)
    assert -np.log(bigram / bigram.sum(axis=1, keepdims=True))[valid[:-1], valid[1:]].mean() == pytest.approx(
        2.482, abs=5e-4
    )
