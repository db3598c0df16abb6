"""Text goes through symbols and bytes and comes back, character for character."""

import numpy as np
import pytest

from rnngen.datasets import CODECS

WORDS = "\n aeßü語🎵"


def test_text_round_trip(tmp_path):
    codec, prompt = CODECS["text"](vocabulary=WORDS), "ü 語\n\n🎵e "
    values = codec.read(prompt)
    np.testing.assert_array_equal(values, [5, 1, 6, 0, 0, 7, 3, 1])
    assert codec.show(values) == prompt
    (file,) = codec.write([values], tmp_path / "a")
    assert file.read_bytes().decode() == prompt
    assert codec.read("").shape == (0,)


def test_line_ends_are_written_as_they_are(tmp_path):
    codec = CODECS["text"](vocabulary="\n\ra")
    (file,) = codec.write([codec.read("a\r\na\n\r")], tmp_path / "a")
    assert file.read_bytes() == b"a\r\na\n\r"


def test_the_first_unknown_symbol_is_named():
    with pytest.raises(ValueError, match=r"character 2 is 'x', .* the model never saw it in training") as caught:
        CODECS["text"](vocabulary="abc").read("abxay")
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=r"character 0 is '\\n'"):
        CODECS["text"](vocabulary="abc").read("\n")


def test_a_byte_order_mark_before_a_prompt_is_no_character():
    np.testing.assert_array_equal(CODECS["text"](vocabulary="ab").read("\ufeffba"), [1, 0])
    np.testing.assert_array_equal(CODECS["text"](vocabulary="ab\ufeff").read("\ufeffba"), [2, 1, 0])  # a symbol there


def test_bytes_round_trip(tmp_path):
    codec, prompt = CODECS["bytes"](), "ü 語\n🎵\0"
    values = codec.read(prompt)
    np.testing.assert_array_equal(values, list(prompt.encode()))
    assert codec.show(values) == prompt
    (file,) = codec.write([values], tmp_path / "a")
    assert file.read_bytes() == prompt.encode()


def test_bytes_that_are_no_text(tmp_path):
    codec, values = CODECS["bytes"](), np.array([0x61, 0xE8, 0xAA, 0xFF, 0x62])
    assert codec.show(values) == "a\ufffd\ufffdb"
    (file,) = codec.write([values], tmp_path / "a")
    assert file.read_bytes() == b"a\xe8\xaa\xffb"
    np.testing.assert_array_equal(codec.read(b"a\xffb".decode("utf-8", "surrogateescape")), [0x61, 0xFF, 0x62])
