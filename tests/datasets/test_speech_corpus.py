"""Spoken digits by the set's own split, and wav files of one's own."""

import wave
import zipfile

import numpy as np
import pytest
from real_data import error_line, needs_data, sequences

from rnngen.datasets.formats.companding import inverse_mu_law, mu_law
from rnngen.datasets.sequences import join
from rnngen.datasets.speech import load_speech

SPLITS = ("train", "valid", "test")
RNG = np.random.RandomState(0)
CLIPS = [RNG.randint(-32768, 32768, size=n).astype(np.int16) for n in RNG.randint(1, 50, size=24)]
INDEX = np.arange(24) % 12


def write_npz(path, **changes):
    samples, lengths = join(CLIPS)
    arrays = {"samples": samples, "lengths": lengths, "index": INDEX.astype(np.uint8), "is_test": INDEX < 5}
    np.savez(path, **(arrays | {"sample_rate": np.array(8000)} | changes))
    return str(path)


def write_wav(path, samples, rate=8000):
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(samples.astype("<i2").tobytes())


@pytest.mark.parametrize("levels", [16, 256, 1024])
def test_clips_are_split_by_their_index_and_companded(tmp_path, levels):
    test = np.isin(INDEX, (0, 1, 2, 7, 11))
    corpus = load_speech(write_npz(tmp_path / "own.npz", is_test=test), levels=levels)
    valid = np.isin(INDEX, (5, 6, 8, 9))
    for split, wanted in {"train": ~valid & ~test, "valid": valid, "test": test}.items():
        clips = [CLIPS[i] for i in np.flatnonzero(wanted)]
        assert sequences(corpus, split) == [mu_law(clip / 32768, levels).tolist() for clip in clips]
        assert corpus.values[split].dtype == (np.uint8 if levels <= 256 else np.uint16)
    assert (corpus.facts["rate"], corpus.facts["levels"]) == (8000, levels)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"samples": join(CLIPS)[0].astype(np.float32)}, "samples must be int16"),
        ({"is_test": INDEX}, "is_test bool"),
        ({"index": INDEX[:-1]}, "as many as lengths"),
        ({"lengths": np.array([1, 2])}, "lengths sum to 3"),
        ({"is_test": INDEX < 0}, "has no clip for one of train, valid and test"),
    ],
)
def test_bad_files(tmp_path, changes, message):
    line = error_line(load_speech, write_npz(tmp_path / "own.npz", **changes))
    assert "own.npz" in line
    assert message in line


def test_a_folder_or_an_archive_of_wav_files(tmp_path, monkeypatch):
    monkeypatch.setenv("RNNGEN_CACHE", str(tmp_path / "cache"))
    with zipfile.ZipFile(tmp_path / "clips.zip", "w") as archive:
        for i, clip in enumerate(CLIPS[:20]):
            write_wav(tmp_path / "clips" / f"{i:02}.wav", clip, 16000)
            archive.write(tmp_path / "clips" / f"{i:02}.wav", f"clips/{i:02}.wav")
    order = np.random.RandomState(0).permutation(20)
    for path in (tmp_path / "clips", tmp_path / "clips.zip"):
        corpus = load_speech(str(path))
        assert [len(corpus.lengths[split]) for split in SPLITS] == [16, 2, 2]
        found = [s for split in SPLITS for s in sequences(corpus, split)]
        assert found == [mu_law(CLIPS[i] / 32768).tolist() for i in order]
        assert corpus.facts["rate"] == 16000


def test_wav_files_of_several_rates_are_refused(tmp_path):
    for i, clip in enumerate(CLIPS[:5]):
        write_wav(tmp_path / "clips" / f"{i}.wav", clip, 11025 if i == 3 else 8000)
    line = error_line(load_speech, str(tmp_path / "clips"))
    assert "11025" in line
    assert "8000" in line
    assert "3.wav" in line
    write_wav(tmp_path / "silent" / "0.wav", np.zeros(0))
    write_wav(tmp_path / "silent" / "1.wav", np.zeros(0))
    write_wav(tmp_path / "silent" / "2.wav", np.zeros(0))
    assert "silent" in error_line(load_speech, str(tmp_path / "silent"))


def test_bad_levels(tmp_path):
    assert "levels must be a whole number from 2" in error_line(load_speech, write_npz(tmp_path / "own.npz"), levels=1)


@needs_data
def test_the_real_digits():
    corpus = load_speech()
    assert [len(corpus.lengths[split]) for split in SPLITS] == [2400, 300, 300]
    lengths = np.concatenate(list(corpus.lengths.values()))
    assert lengths.sum() == 10498424
    assert (lengths.min(), lengths.max(), int(np.median(lengths))) == (1148, 18262, 3358)
    assert lengths.sum() / corpus.facts["rate"] / 60 == pytest.approx(21.87, abs=5e-3)
    sound = inverse_mu_law(corpus.values["test"])
    assert np.abs(sound.mean()) < 0.01 < sound.std()
