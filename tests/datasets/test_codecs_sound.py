"""Music and sound go through files and come back; the piano is in tune and does not click."""

import numpy as np
import pytest

from rnngen.datasets import CODECS
from rnngen.datasets.formats.companding import inverse_mu_law
from rnngen.datasets.formats.midi import read_midi
from rnngen.datasets.formats.synthesis import RATE, RELEASE, synthesise
from rnngen.datasets.formats.wav import read_wav, write_wav


def roll_of(*notes, steps=8):
    """`[steps, 88]` from (first step, step after the last, pitch)."""
    roll = np.zeros((steps, 88), np.float32)
    for start, end, pitch in notes:
        roll[start:end, pitch - 21] = 1
    return roll


def test_music_round_trip(tmp_path):
    values = (np.random.RandomState(0).rand(20, 88) < 0.05).astype(np.float32)
    files = CODECS["music"](seconds_per_step=0.1).write([values, values[5:]], tmp_path / "a")
    assert [file.name for file in files] == ["a_0.mid", "a_1.mid", "a_0.wav", "a_1.wav"]
    for file, expected in zip(files[:2], (values, values[5:]), strict=True):
        read = CODECS["music"]().read(str(file))
        assert read.dtype == np.float32
        np.testing.assert_array_equal(read, expected)
    samples, rate = read_wav(files[2])
    assert len(samples) / rate == pytest.approx(20 * 0.1 + RELEASE, abs=1e-3)


def test_fewer_keys_are_the_lowest(tmp_path):
    codec = CODECS["music"](keys=5)
    values = np.eye(5, dtype=np.float32)
    score = codec.write([values], tmp_path / "a")[0]
    np.testing.assert_array_equal(codec.read(str(score)), values)
    np.testing.assert_array_equal(np.argwhere(read_midi(score)), np.argwhere(values))
    score = CODECS["music"]().write([roll_of((0, 1, 26))], tmp_path / "b")[0]
    with pytest.raises(ValueError, match=r"b\.mid has notes above the 5 lowest keys"):
        codec.read(str(score))


@pytest.mark.parametrize("pitch", [33, 60, 69, 105])
def test_a_key_sounds_at_its_pitch(pitch):
    sound = synthesise(roll_of((0, 8, pitch)), 0.25)
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    loudest = np.fft.rfftfreq(len(sound), 1 / RATE)[spectrum.argmax()]
    assert loudest == pytest.approx(440 * 2 ** ((pitch - 69) / 12), abs=0.5)


def test_notes_sound_when_they_are_held_and_do_not_click():
    sound = synthesise(roll_of((0, 2, 45), (4, 6, 48), (4, 6, 52)), 0.25)
    assert np.abs(sound).max() == pytest.approx(0.9, rel=1e-6)
    step = RATE // 4
    loud = [np.abs(sound[i * step : (i + 1) * step]).max() for i in range(8)]
    assert min(loud[0], loud[1], loud[4], loud[5]) > 0.3
    assert np.abs(sound[int((0.5 + RELEASE) * RATE) + 2 : RATE]).max() == 0
    assert sound[0] == sound[-1] == 0
    # A click is a jump between two samples: more than the highest harmonic's own steepest rise.
    assert np.abs(np.diff(sound)).max() < 0.9 * 2 * np.pi * 8 * 165 / RATE


def test_a_note_comes_softly():
    sound = synthesise(roll_of((0, 8, 105)), 0.25)
    assert np.abs(sound[: RATE // 1000]).max() < 0.1
    assert np.abs(sound[: RATE // 50]).max() > 0.8


def test_silence_is_silent():
    assert not synthesise(np.zeros((4, 88)), 0.25).any()


@pytest.mark.parametrize("levels", [16, 256, 1000])
def test_audio_round_trip(tmp_path, levels):
    codec = CODECS["audio"](rate=11025, levels=levels)
    values = np.concatenate([np.arange(levels), np.random.RandomState(0).randint(levels, size=300)])
    (file,) = codec.write([values.astype(np.int32)], tmp_path / "a")
    read = codec.read(str(file))
    assert read.dtype == np.int32
    assert np.abs(read - values).max() <= (1 if levels > 256 else 0)  # 16 bit are too few for 1000 levels near 0


def test_levels_are_the_nearest_to_the_sound(tmp_path):
    samples = np.linspace(-1, 1, 5001)
    write_wav(samples, tmp_path / "a.wav", 8000)
    values = CODECS["audio"]().read(str(tmp_path / "a.wav"))
    error = np.abs(inverse_mu_law(values) - samples)
    every = inverse_mu_law(np.arange(256))
    width = np.gradient(every)[values]
    assert (error < 0.55 * width + 2e-4).all()
    assert error[np.abs(samples) < 0.01].max() < 3e-4  # quiet sound is told apart finely
    assert (np.diff(values) >= 0).all()


def test_a_sequence_begins_after_silence(tmp_path):
    codec = CODECS["audio"]()
    write_wav(np.zeros(5), tmp_path / "a.wav", 8000)
    silence = codec.input_spec.feed(codec.read(str(tmp_path / "a.wav")))
    np.testing.assert_array_equal(silence, np.broadcast_to(codec.input_spec.start, (5, 1)))
    assert abs(codec.input_spec.start[0]) < 0.005


def test_a_wav_of_another_rate(tmp_path):
    write_wav(np.zeros(5), tmp_path / "a.wav", 44100)
    with pytest.raises(ValueError, match=r"a\.wav has 44100 samples a second, the model's sound 8000"):
        CODECS["audio"]().read(str(tmp_path / "a.wav"))
