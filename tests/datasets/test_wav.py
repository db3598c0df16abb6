"""Samples of every width are read to within their last bit, and written ones come back."""

import struct
import wave

import numpy as np
import pytest

from rnngen.datasets.formats.wav import EXTENSIBLE, read_wav, write_wav

TIMES = np.arange(400) / 8000
TONE = 0.8 * np.sin(2 * np.pi * 440 * TIMES)


def write(path, frames, width, channels=1, rate=8000):
    with open(path, "wb") as raw, wave.open(raw, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(frames)
    return path


def encode(samples, width):
    """Little-endian PCM of samples in [-1, 1), one at a time."""
    whole = [round(float(x) * 2 ** (8 * width - 1)) for x in np.ravel(samples)]
    if width == 1:
        return bytes(x + 128 for x in whole)
    return b"".join(x.to_bytes(width, "little", signed=True) for x in whole)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_every_width(tmp_path, width):
    samples, rate = read_wav(write(tmp_path / "a.wav", encode(TONE, width), width, rate=11025))
    assert rate == 11025
    assert samples.dtype == np.float32
    np.testing.assert_allclose(samples, TONE, atol=max(2.0 ** -(8 * width), 1e-7))


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_the_extremes(tmp_path, width):
    lowest, highest = -1.0, 1 - 2.0 ** -(8 * width - 1)
    samples, _ = read_wav(write(tmp_path / "a.wav", encode([lowest, 0, highest], width), width))
    np.testing.assert_allclose(samples, [lowest, 0, highest], atol=1e-7)


def test_channels_are_averaged(tmp_path):
    both = np.stack([TONE, TONE[::-1]], axis=1)
    samples, _ = read_wav(write(tmp_path / "a.wav", encode(both, 2), 2, channels=2))
    np.testing.assert_allclose(samples, both.mean(axis=1), atol=2e-5)


def test_what_was_read_is_written_unchanged(tmp_path):
    frames = np.random.RandomState(0).randint(-(2**15), 2**15, 500).astype("<i2").tobytes()
    samples, rate = read_wav(write(tmp_path / "a.wav", frames, 2))
    write_wav(samples, tmp_path / "b.wav", rate)
    assert (tmp_path / "b.wav").read_bytes() == (tmp_path / "a.wav").read_bytes()


def test_what_is_too_loud_is_clipped(tmp_path):
    write_wav(np.array([-3.0, -1.0, 0.5, 1.0, 3.0]), tmp_path / "a.wav", 8000)
    top = 1 - 2.0**-15
    np.testing.assert_array_equal(read_wav(tmp_path / "a.wav")[0], np.float32([-1, -1, 0.5, top, top]))


def test_a_file_cut_short_is_read_so_far(tmp_path):
    path = write(tmp_path / "a.wav", encode(np.stack([TONE, TONE], axis=1), 2), 2, channels=2)
    path.write_bytes(path.read_bytes()[:-5])
    samples, _ = read_wav(path)
    np.testing.assert_allclose(samples, TONE[:398], atol=2e-5)


def pcm(tag=1, bits=16, data=b"\0\0", channels=1, more=b"", before=b""):
    """A file byte by byte, to say what the library would not write."""
    form = struct.pack("<HHIIHH", tag, channels, 8000, 8000 * bits // 8, bits // 8, bits) + more
    chunks = b"WAVEfmt " + struct.pack("<I", len(form)) + form + before + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks


def extensible(tag, bits, data):
    """As ffmpeg, sox and Windows write 24 bits and floats: the format stands in a longer header."""
    guid = struct.pack("<H", tag) + bytes.fromhex("000000001000800000aa00389b71")
    return pcm(EXTENSIBLE, bits, data, more=struct.pack("<HHI", 22, bits, 4) + guid)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_longer_headers_say_the_same(tmp_path, width):
    (tmp_path / "a.wav").write_bytes(extensible(1, 8 * width, encode(TONE, width)))
    plain, _ = read_wav(write(tmp_path / "b.wav", encode(TONE, width), width))
    np.testing.assert_array_equal(read_wav(tmp_path / "a.wav")[0], plain)


@pytest.mark.parametrize("width", [4, 8])
@pytest.mark.parametrize("header", [pcm, extensible])
def test_floats_are_samples_as_they_are(tmp_path, width, header):
    loud = np.append(TONE, [1.5, -2.0])
    (tmp_path / "a.wav").write_bytes(header(3, 8 * width, loud.astype(f"<f{width}").tobytes()))
    np.testing.assert_array_equal(read_wav(tmp_path / "a.wav")[0], np.append(TONE, [1.0, -1.0]).astype(np.float32))


def test_other_chunks_are_passed_over(tmp_path):
    odd = b"LIST" + struct.pack("<I", 3) + b"abc\0"  # chunks are padded to an even length
    (tmp_path / "a.wav").write_bytes(pcm(data=encode(TONE, 2), before=odd))
    np.testing.assert_allclose(read_wav(tmp_path / "a.wav")[0], TONE, atol=2e-5)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a.wav is not an uncompressed wav file: it ends too early"),
        (b"MThd and so on, a long text that is no sound", "a.wav is not an uncompressed wav file: .*RIFF"),
        (pcm()[:30], "a.wav is not an uncompressed wav file: it ends too early"),
        (pcm(tag=7, bits=8), "a.wav is not an uncompressed wav file: its format is 7"),
        (pcm(tag=EXTENSIBLE), "a.wav is not an uncompressed wav file: it ends too early"),
        (pcm(channels=0), "a.wav is not an uncompressed wav file: it has 0 channels of 16 bits"),
        (pcm(bits=64, data=bytes(8)), "a.wav has 64 bits a sample, and 8, 16, 24, 32, 32 float, 64 float are read"),
        (pcm(tag=3, bits=16), "a.wav has 16 bits a sample"),
        (pcm(tag=3, bits=32, data=struct.pack("<f", np.nan)), "a.wav has samples that are not finite"),
        (pcm(data=b""), "a.wav holds no samples"),
        (pcm(data=b"\0"), "a.wav holds no samples"),
        (None, "a.wav cannot be read: No such file"),
    ],
)
def test_what_is_not_sound(tmp_path, content, message):
    if content is not None:
        (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_wav(tmp_path / "a.wav")


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        ([], 8000, r"samples must be \[n\], at least one, got \[0\]"),
        ([[0.0]], 8000, r"samples must be \[n\], at least one, got \[1, 1\]"),
        ([0.0, float("nan")], 8000, "samples must be finite"),
        ([0.0], 0, "rate must be a positive whole number, got 0"),
    ],
)
def test_bad_arguments(tmp_path, samples, rate, message):
    with pytest.raises(ValueError, match=message):
        write_wav(np.array(samples), tmp_path / "a.wav", rate)
    assert not list(tmp_path.iterdir())
