"""Piano rolls from every kind of file, and the published sets with the models without memory that they are known by."""

import os
import tarfile
from pathlib import Path

import mido
import numpy as np
import pytest
from real_data import error_line, needs_data, sequences
from scipy import io

from rnngen.datasets import CODECS, TASKS
from rnngen.datasets.music import load_music
from rnngen.datasets.sequences import join

SPLITS = ("train", "valid", "test")


def rolls(count, seed=0):
    rng = np.random.RandomState(seed)
    return [(rng.uniform(size=(n, 88)) < 0.05).astype(np.uint8) for n in rng.randint(2, 9, size=count)]


SETS = {split: rolls(count, count) for split, count in zip(SPLITS, (5, 2, 3), strict=True)}


def write_npz(path, sets=SETS, **changes):
    arrays = {}
    for split, parts in sets.items():
        arrays[f"{split}_frames"], arrays[f"{split}_lengths"] = join(parts)
    np.savez(path, **(arrays | changes))
    return path


def write_mat(path, sets=SETS):
    cells = {}
    for split, parts in sets.items():
        cells[f"{split}data"] = np.empty((1, len(parts)), object)
        cells[f"{split}data"][0] = parts
    io.savemat(path, cells)
    return path


def write_midi(path, pitches, ticks=96):
    """One note for every pitch, of a beat where it has 96 ticks."""
    path.parent.mkdir(parents=True, exist_ok=True)
    midi = mido.MidiFile(ticks_per_beat=96)
    track = mido.MidiTrack()
    for pitch in pitches:
        track.append(mido.Message("note_on", note=pitch, velocity=64, time=0))
        track.append(mido.Message("note_off", note=pitch, velocity=64, time=ticks))
    midi.tracks.append(track)
    midi.save(path)
    return path


def pitches(sequence):
    """Those of frames with one key."""
    return [21 + frame.index(1) for frame in sequence]


def check(corpus):
    for split in SPLITS:
        assert sequences(corpus, split) == [roll.tolist() for roll in SETS[split]]
        assert corpus.values[split].dtype == np.uint8
        assert corpus.lengths[split].tolist() == [len(roll) for roll in SETS[split]]


def test_npz_and_mat_hold_the_same(tmp_path):
    check(load_music(str(write_npz(tmp_path / "own.npz"))))
    check(load_music(str(write_mat(tmp_path / "own.mat"))))
    write_mat(tmp_path / "Nottingham.mat")
    check(load_music(str(tmp_path), name="nottingham"))
    write_npz(tmp_path / "mine.npz")
    check(load_music(str(tmp_path), name="mine"))


def test_a_set_in_the_data_folder_may_be_either(tmp_path, monkeypatch):
    monkeypatch.setenv("RNNGEN_DATA", str(tmp_path))
    (tmp_path / "music").mkdir()
    write_mat(tmp_path / "music" / "JSB_Chorales.mat")
    corpus = load_music()
    check(corpus)
    assert list(corpus.facts["files"]) == ["JSB_Chorales.mat"]
    write_npz(tmp_path / "music" / "jsb_chorales.npz")
    assert list(load_music().facts["files"]) == ["jsb_chorales.npz"]


def test_folds_leave_the_test_split(tmp_path):
    corpus = load_music(str(write_npz(tmp_path / "own.npz")), fold=1, folds=7)
    assert [len(corpus.lengths[split]) for split in SPLITS] == [6, 1, 3]
    assert sequences(corpus, "test") == [roll.tolist() for roll in SETS["test"]]


def test_midi_files_are_split_by_name(tmp_path):
    """Key j is the pitch 21 + j, and the split does not depend on how the folder lists its files."""
    for i in range(20):
        write_midi(tmp_path / "songs" / f"deep{i % 3}" / f"{i:02}.MID", [40 + i, 60])
    (tmp_path / "songs" / "._00.mid").write_bytes(b"another file's attributes")
    (tmp_path / "songs" / "notes.txt").write_text("no music")
    corpus = load_music(str(tmp_path / "songs"))
    assert [len(corpus.lengths[split]) for split in SPLITS] == [16, 2, 2]
    by_name = sorted(range(20), key=lambda i: (i % 3, i))
    order = [by_name[i] for i in np.random.RandomState(0).permutation(20)]
    found = [pitches(s) for split in SPLITS for s in sequences(corpus, split)]
    assert found == [[40 + i, 60] for i in order]
    finer = load_music(str(tmp_path / "songs"), steps_per_beat=2)
    assert pitches(sequences(finer, "test")[0]) == [40 + order[-2]] * 2 + [60] * 2


def test_midi_files_are_read_on_the_grid_of_what_is_played(tmp_path, capsys):
    """Eighth notes are not chords: the folder's common grid, in the facts and on screen, and by the task as well."""
    for i in range(12):
        write_midi(tmp_path / f"{i:02}.mid", [60, 62, 64, 65], ticks=48 if i else 96)
    corpus = load_music(str(tmp_path))
    assert corpus.facts["steps_per_beat"] == 2
    assert capsys.readouterr().err == f"rnngen: {tmp_path}: MIDI is read at steps_per_beat=2\n"
    assert sorted(pitches(s) for split in SPLITS for s in sequences(corpus, split)) == sorted(
        [[60, 60, 62, 62, 64, 64, 65, 65]] + 11 * [[60, 62, 64, 65]]
    )
    assert load_music(str(tmp_path), steps_per_beat=3).facts["steps_per_beat"] == 3
    assert capsys.readouterr().err == ""
    for asked, found in ((0, 2), (4, 4)):
        task = TASKS["music"](str(tmp_path), steps_per_beat=asked)
        assert task.data.facts["steps_per_beat"] == found
        assert task.codec["kwargs"] == {"steps_per_beat": found, "seconds_per_step": 0.5 / found}
        prompt = CODECS["music"](**task.codec["kwargs"]).read(str(tmp_path / "01.mid"))
        assert pitches(prompt.tolist()) == np.repeat([60, 62, 64, 65], found // 2).tolist()


def test_invalid_events_of_a_folder_are_counted(tmp_path, capsys):
    for i in range(3):
        file = write_midi(tmp_path / f"{i}.mid", [60, 61])
        raw = bytearray(file.read_bytes())
        if i:
            raw[raw.index(b"\x90\x3d\x40") + 2] = 200  # the velocity of the second note
        file.write_bytes(raw)
    corpus = load_music(str(tmp_path), steps_per_beat=1)
    assert corpus.facts["invalid_events"] == 2
    assert "and 1 more files: events that are not valid MIDI were left out: 2\n" in capsys.readouterr().err
    assert all(
        "cannot be read as MIDI" in error_line(load, str(tmp_path), strict=True)
        for load in (load_music, TASKS["music"])
    )


def test_an_archive_of_midi_files_is_the_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("RNNGEN_CACHE", str(tmp_path / "cache"))
    for split, count in zip(SPLITS, (3, 1, 1), strict=True):
        for i in range(count):
            write_midi(tmp_path / "songs" / split / f"{i}.mid", [60 + i, 70, len(split) + 50])
    with tarfile.open(tmp_path / "songs.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "songs", "songs")
    corpus, unpacked = load_music(str(tmp_path / "songs")), load_music(str(tmp_path / "songs.tar.gz"))
    for split, count in zip(SPLITS, (3, 1, 1), strict=True):
        assert [pitches(s) for s in sequences(corpus, split)] == [[60 + i, 70, len(split) + 50] for i in range(count)]
        assert sequences(unpacked, split) == sequences(corpus, split)
    assert corpus.facts["split"] == "the folders train, valid and test"
    assert list(unpacked.facts["files"]) == ["songs.tar.gz"]
    write_midi(tmp_path / "songs" / "train" / "0.mid", [61, 71, 72])
    changed = load_music(str(tmp_path / "songs"))
    assert changed.facts["files"]["songs"] != corpus.facts["files"]["songs"]


def test_folders_that_cannot_be_split(tmp_path):
    song = write_midi(tmp_path / "songs" / "0.mid", [60, 61])
    assert "is one MIDI file: give a folder" in error_line(load_music, str(song))
    assert "songs holds 1 files *.mid or *.midi" in error_line(load_music, str(song.parent))
    for split in SPLITS:
        (song.parent / split).mkdir()
    assert "songs: train holds no file *.mid" in error_line(load_music, str(song.parent))
    write_midi(tmp_path / "short" / "0.mid", [60])
    write_midi(tmp_path / "short" / "1.mid", [60])
    write_midi(tmp_path / "short" / "2.mid", [60])
    assert "short/2.mid has length 1, and 2 is the least" in error_line(load_music, str(tmp_path / "short"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"valid_frames": np.full((7, 88), 2)}, "own.npz: valid: lengths sum to"),
        ({"test_frames": np.zeros((9, 87), np.uint8)}, "test: values must have the shape [n, 88], got [9, 87]"),
        ({"train_lengths": np.array([1] * 30)}, "train: sequence 0 has length 1, and 2 is the least"),
    ],
)
def test_bad_rolls(tmp_path, changes, message):
    assert message in error_line(load_music, str(write_npz(tmp_path / "own.npz", **changes)))


def test_frames_are_zeros_and_ones(tmp_path):
    loud = SETS | {"valid": [2 * roll for roll in SETS["valid"]]}
    for file in (write_npz(tmp_path / "own.npz", loud), write_mat(tmp_path / "own.mat", loud)):
        assert f"{file}: valid has frames that are not 0 or 1" in error_line(load_music, str(file))


def test_bad_arguments(tmp_path):
    assert "unknown music 'jsb_choral'; did you mean 'jsb_chorales'?" in error_line(load_music, name="jsb_choral")
    file = str(write_npz(tmp_path / "own.npz"))
    assert "steps_per_beat is for MIDI files" in error_line(load_music, file, steps_per_beat=4)
    check(load_music(file, steps_per_beat=1))
    song = write_midi(tmp_path / "songs" / "0.mid", [60, 61])
    assert "steps_per_beat must be a positive whole number" in error_line(
        load_music, str(song.parent), steps_per_beat=-1
    )
    assert "got fold 5 of 5" in error_line(load_music, file, fold=5, folds=5)
    (tmp_path / "own.mid.npz").write_text("no npz")
    assert "is not an npz file" in error_line(load_music, str(tmp_path / "own.mid.npz"))


# sequences and frames of train, valid and test; the nats a frame of the test split, of frames 2 to the last, of
# independent keys and of a first-order Markov chain for each key.
PUBLISHED = {
    "jsb_chorales": ((229, 76, 77), (13807, 4602, 4725), 11.09, 10.49),
    "nottingham": ((694, 173, 170), (176561, 45513, 44463), 10.26, 5.15),
    "musedata": ((524, 135, 124), (245202, 82755, 64339), 11.51, 8.56),
    "piano_midi": ((87, 12, 25), (75911, 8540, 19036), 11.05, 8.26),
}


@needs_data
@pytest.mark.parametrize("name", PUBLISHED)
def test_real_sets(name):
    if not Path(os.environ["RNNGEN_DATA"], "music", f"{name}.npz").exists():
        pytest.skip(f"RNNGEN_DATA has no music/{name}.npz")
    counts, frames, independent, markov = PUBLISHED[name]
    corpus = load_music(name=name)
    assert tuple(len(corpus.lengths[split]) for split in SPLITS) == counts
    assert tuple(len(corpus.values[split]) for split in SPLITS) == frames
    (_, after), (before, target) = pairs(corpus, "train"), pairs(corpus, "test")
    assert nats(target, probability(after)) == pytest.approx(independent, abs=6e-3)
    here, _ = pairs(corpus, "train")
    chain = [probability(after, here == state) for state in (0, 1)]
    assert nats(target, np.where(before, chain[1], chain[0])) == pytest.approx(markov, abs=6e-3)


def pairs(corpus, split):
    """(frames 1 to T-1, frames 2 to T) of all sequences."""
    first = np.zeros(len(corpus.values[split]), bool)
    first[corpus.lengths[split].cumsum() - corpus.lengths[split]] = True
    at = np.flatnonzero(~first)
    return corpus.values[split][at - 1], corpus.values[split][at]


def probability(frames, where=None):
    """Of each key, counted with a half added."""
    where = np.ones_like(frames) if where is None else where
    return ((frames * where).sum(axis=0, dtype=float) + 0.5) / (where.sum(axis=0, dtype=float) + 1)


def nats(frames, probabilities):
    return -np.where(frames, np.log(probabilities), np.log1p(-probabilities)).sum() / len(frames)
