"""Names, each once and in one split only."""

import numpy as np
from real_data import error_line, needs_data, sequences

from rnngen.datasets.names import load_names


def read(corpus, split):
    """The names of a split."""
    words = ["".join(corpus.facts["vocabulary"][token] for token in s) for s in sequences(corpus, split)]
    assert all(word.endswith("\n") and "\n" not in word[:-1] for word in words)
    return [word[:-1] for word in words]


def everything(corpus):
    return [name for split in corpus.values for name in read(corpus, split)]


def test_each_name_is_in_one_split_once(tmp_path):
    names = [f"näm{chr(97 + i)}" for i in range(20)]
    (tmp_path / "own.txt").write_text("\r\n".join(names + ["", *names[:7]]) + "\n", encoding="utf-8", newline="")
    corpus = load_names(str(tmp_path / "own.txt"))
    assert sorted(everything(corpus)) == sorted(names)
    assert [len(corpus.lengths[split]) for split in ("train", "valid", "test")] == [16, 2, 2]
    assert corpus.facts["vocabulary"] == "\n" + "".join(sorted(set("".join(names))))
    assert (corpus.facts["names"], corpus.facts["distinct"]) == (27, 20)
    assert everything(load_names(str(tmp_path / "own.txt"))) == everything(corpus)
    assert everything(load_names(str(tmp_path / "own.txt"), seed=1)) != everything(corpus)
    half = load_names(str(tmp_path / "own.txt"), valid=0.25, test=0.25)
    assert [len(half.lengths[split]) for split in ("train", "valid", "test")] == [10, 5, 5]


def test_a_byte_order_mark_is_no_letter(tmp_path):
    names = ["emma", "olivia", "emma", "ava", "zoe", "mia", "lea", "jo", "ida", "noa", "eva", "kim"]
    for encoding in ("utf-8", "utf-8-sig"):
        (tmp_path / f"{encoding}.txt").write_text("\n".join(names), encoding=encoding)
    plain, marked = (load_names(str(tmp_path / f"{encoding}.txt")) for encoding in ("utf-8", "utf-8-sig"))
    assert marked.facts["distinct"] == 11
    assert marked.facts["vocabulary"] == plain.facts["vocabulary"]
    assert everything(marked) == everything(plain)


def test_bad_files_and_shares(tmp_path):
    file = tmp_path / "own.txt"
    file.write_text("ada\nbob\n\nada\n")
    assert f"2 distinct names in {file} are too few" in error_line(load_names, str(file))
    file.write_text("ada\nbob\ncid\n")
    assert "valid must be a share" in error_line(load_names, str(file), valid=1.5)
    assert "valid and test must be shares above 0" in error_line(load_names, str(file), test=0.0)
    file.write_bytes(b"ada\nb\xffb\n")
    assert error_line(load_names, str(file)).endswith("is not UTF-8: invalid start byte at byte 5")


@needs_data
def test_the_real_names():
    corpus = load_names()
    assert (corpus.facts["names"], corpus.facts["distinct"]) == (32033, 29494)
    assert corpus.facts["vocabulary"] == "\nabcdefghijklmnopqrstuvwxyz"
    train, valid, test = (set(read(corpus, split)) for split in ("train", "valid", "test"))
    assert len(train | valid | test) == len(train) + len(valid) + len(test) == 29494
    lengths = np.concatenate(list(corpus.lengths.values()))
    assert (lengths.min(), lengths.max()) == (3, 16)  # of 2 to 15 letters and the newline
