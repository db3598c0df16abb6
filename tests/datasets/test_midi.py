"""Piano rolls go to MIDI and back unchanged, and files of others are read by the rule that stands in the docstring."""

import os
import struct
from pathlib import Path

import mido
import numpy as np
import pytest

from rnngen.datasets.formats.midi import common_grid, held_notes, read_midi, read_score, write_midi


def random_roll(steps=40, seed=0, share=0.1):
    return (np.random.RandomState(seed).rand(steps, 88) < share).astype(np.uint8)


def write_notes(path, *notes, ticks=480, tempo=500000):
    """A file of (start tick, end tick, pitch, channel), in a track of its own each."""
    file = mido.MidiFile(type=1, ticks_per_beat=ticks)
    file.add_track().append(mido.MetaMessage("set_tempo", tempo=tempo))
    for start, end, pitch, channel in notes:
        track = file.add_track()
        track.append(mido.Message("note_on", note=pitch, channel=channel, velocity=64, time=start))
        track.append(mido.Message("note_off", note=pitch, channel=channel, time=end - start))
    file.save(path)
    return path


def on(roll):
    """The (step, pitch) that are on."""
    return [(int(step), int(key) + 21) for step, key in zip(*np.nonzero(roll), strict=True)]


@pytest.mark.parametrize("seconds", [0.1, 0.25, 1.0])
def test_round_trip(tmp_path, seconds):
    roll = random_roll()
    roll[:3] = roll[-4:] = 0  # silence at both ends is kept
    write_midi(roll, tmp_path / "a.mid", seconds_per_step=seconds)
    read = read_midi(tmp_path / "a.mid")
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, roll)
    assert mido.MidiFile(tmp_path / "a.mid").length == pytest.approx(40 * seconds)


@pytest.mark.parametrize("steps_per_beat", [2, 3, 7])
def test_round_trip_on_a_finer_grid(tmp_path, steps_per_beat):
    roll = random_roll()
    roll[-3:] = 0
    write_midi(roll, tmp_path / "a.mid", 0.1, steps_per_beat)
    np.testing.assert_array_equal(read_midi(tmp_path / "a.mid", steps_per_beat), roll)
    assert mido.MidiFile(tmp_path / "a.mid").length == pytest.approx(40 * 0.1, rel=1e-4)


@pytest.mark.parametrize("ticks", [3, 49, 480])
def test_a_rest_at_the_end_is_kept_at_any_number_of_ticks(tmp_path, ticks):
    """In floats 98 / 49 beats are a little less than 2."""
    path = write_notes(tmp_path / "a.mid", (0, ticks, 60, 0), ticks=ticks)
    file = mido.MidiFile(path)
    file.tracks[1].append(mido.MetaMessage("end_of_track", time=ticks))
    file.save(path)
    for steps_per_beat in (1, 3, 7):
        assert read_midi(path, steps_per_beat).shape == (2 * steps_per_beat, 88)


@pytest.mark.parametrize(
    ("notes", "steps"),
    [
        ([(0, 480), (480, 1440)], 1),
        ([(0, 455), (480, 935)], 1),  # notation software lets go of a note a little early
        ([(0, 240), (240, 480)], 2),
        ([(0, 240), (480, 720)], 2),  # at one step a beat both would last as long as their rests
        ([(0, 120), (120, 240)], 4),
        ([(0, 160), (160, 320), (320, 480)], 4),  # of triplets no grid up to 4 holds all, and 4 tells them apart
    ],
)
def test_the_grid_is_the_coarsest_that_keeps_what_is_played(tmp_path, notes, steps):
    made = [(*note, 60, 0) for note in notes]
    score = read_score(write_notes(tmp_path / "a.mid", *made))
    plain = read_score(write_notes(tmp_path / "b.mid", (0, 480, 60, 0)))
    assert common_grid([score]) == common_grid([plain, score]) == common_grid([score, plain]) == steps
    assert common_grid([plain]) == 1


def test_neighbouring_steps_are_one_held_note(tmp_path):
    roll = np.zeros((6, 88), np.uint8)
    roll[1:4, 48] = roll[5, 48] = 1
    assert held_notes(roll) == [(1, 4, 48), (5, 6, 48)]
    write_midi(roll, tmp_path / "a.mid", 0.5)
    notes = [m for m in mido.MidiFile(tmp_path / "a.mid") if m.type == "note_on"]
    assert [(m.note, m.velocity > 0, round(m.time, 6)) for m in notes] == [
        (69, True, 0.5),
        (69, False, 1.5),
        (69, True, 0.5),
        (69, False, 0.5),
    ]


@pytest.mark.parametrize(
    ("start", "end", "steps"),
    [
        (0, 480, [0]),
        (0, 960, [0, 1]),
        (100, 900, [0, 1]),
        (239, 480, [0]),
        (240, 720, [0, 1]),  # exactly half of each
        (250, 700, [0]),  # too little of both: where it begins
        (450, 940, [1]),  # a little early
        (470, 490, [0]),
        (0, 1, [0]),
        (700, 1700, [1, 2, 3]),
    ],
)
def test_a_note_is_on_where_it_fills_half_a_step(tmp_path, start, end, steps):
    roll = read_midi(write_notes(tmp_path / "a.mid", (start, end, 60, 0)))
    assert on(roll) == [(step, 60) for step in steps]


def test_steps_are_parts_of_a_beat_at_any_tempo(tmp_path):
    for ticks, tempo in ((480, 500000), (96, 300000)):
        notes = (0, ticks // 2, 60, 0), (ticks // 2, 2 * ticks, 62, 1)
        path = write_notes(tmp_path / "a.mid", *notes, ticks=ticks, tempo=tempo)
        assert on(read_midi(path, steps_per_beat=2)) == [(0, 60), (1, 62), (2, 62), (3, 62)]
        assert read_midi(path, steps_per_beat=4).shape == (8, 88)


def test_percussion_and_what_no_piano_has_are_left_out(tmp_path):
    notes = [(0, 480, 60, 9), (0, 480, 20, 0), (0, 480, 109, 0), (480, 960, 21, 0), (480, 960, 108, 15)]
    roll = read_midi(write_notes(tmp_path / "a.mid", *notes))
    assert on(roll) == [(1, 21), (1, 108)]


def test_a_key_struck_again_and_one_never_let_go(tmp_path):
    file = mido.MidiFile(type=0)
    track = file.add_track()
    for velocity, time in ((64, 0), (64, 960), (0, 240), (64, 720)):
        track.append(mido.Message("note_on", note=60, velocity=velocity, time=time))
    track.append(mido.MetaMessage("end_of_track", time=960))
    file.save(tmp_path / "a.mid")
    assert on(read_midi(tmp_path / "a.mid")) == [(0, 60), (1, 60), (2, 60), (4, 60), (5, 60)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a.mid cannot be read as MIDI: it ends too early"),
        (b"RIFF and so on, a long text", "a.mid cannot be read as MIDI: MThd not found"),
        (b"MThd\0\0\0\6\0\0\0\1\1\xe0MTrk\0\0\0\4\0\xff\x2f\0", "a.mid has no notes of a piano"),
        (b"MThd\0\0\0\6\0\2\0\1\1\xe0MTrk\0\0\0\4\0\xff\x2f\0", "a.mid has no common beats"),
        (b"MThd\0\0\0\6\0\0\0\1\xe7\x28MTrk\0\0\0\4\0\xff\x2f\0", "a.mid has no common beats"),
        (None, "a.mid cannot be read as MIDI: No such file or directory$"),
    ],
)
def test_what_is_not_music(tmp_path, content, message):
    if content is not None:
        (tmp_path / "a.mid").write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        read_midi(tmp_path / "a.mid")
    assert "\n" not in str(caught.value)


NOTE = b"\x00\x90\x3c\x40\x83\x60\x80\x3c\x00"  # of one beat


def one_track(*events):
    """The bytes of a file."""
    track = b"".join(events) + b"\x00\xff\x2f\x00"
    return b"MThd" + struct.pack(">IHHH", 6, 0, 1, 480) + b"MTrk" + struct.pack(">I", len(track)) + track


@pytest.mark.parametrize(
    "invalid",
    [
        b"\x83\x60\xff\x59\x02\xfe\xff",  # a key signature that is none
        b"\x83\x60\xb0\x07\xc8",  # a data byte above 127
        b"\x00\xb0\x07\x40\x83\x60\x07\xc8",  # the same under running status
        b"\x83\x60\x90\x3c\xc8",
        b"\x00\xc0\x01\x00\xf0\x02\x01\xf7\x00\xff\x01\x81\x00" + bytes(128) + b"\x83\x60\xd0\xff",
    ],
)
def test_invalid_events_are_left_out_and_told(tmp_path, capsys, invalid):
    """Each comes a beat late, which the note after it keeps."""
    path = tmp_path / "a.mid"
    path.write_bytes(one_track(NOTE, invalid, NOTE))
    assert on(read_midi(path)) == [(0, 60), (2, 60)]
    said = capsys.readouterr().err
    assert said == f"rnngen: {path}: events that are not valid MIDI were left out: 1\n"
    with pytest.raises(ValueError, match=r"a\.mid cannot be read as MIDI: "):
        read_midi(path, strict=True)
    path.write_bytes(one_track(NOTE))
    assert on(read_midi(path, strict=True)) == [(0, 60)]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("events", "message"),
    [
        (b"\x00\xff\x59\x02\xfe\xff\x00\xf5\x01", "undefined status byte 0xf5"),
        (b"\x00\x07\xc8", "running status|undefined status byte"),
        (b"\x00\xff\x59\x02\xfe\xff\x00\xff\x01\x7f", "it ends too early"),
    ],
)
def test_events_that_cannot_be_told_apart_are_refused(tmp_path, events, message):
    (tmp_path / "a.mid").write_bytes(one_track(events))
    with pytest.raises(ValueError, match=rf"a\.mid cannot be read as MIDI: {message}"):
        read_midi(tmp_path / "a.mid")


def test_a_damaged_file_is_refused_in_words_or_read(tmp_path):
    write_midi(random_roll(10), tmp_path / "a.mid")
    whole, random = (tmp_path / "a.mid").read_bytes(), np.random.RandomState(0)
    refused = []
    for _ in range(60):
        damaged = bytearray(whole)
        damaged[random.randint(len(whole))] = random.randint(256)
        (tmp_path / "b.mid").write_bytes(damaged[: random.randint(len(whole) // 2, len(whole) + 1)])
        try:
            assert read_midi(tmp_path / "b.mid").shape[1] == 88
        except ValueError as error:
            refused.append(str(error))
    assert len(refused) > 20
    assert all("b.mid" in message and "\n" not in message for message in refused)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: write_midi(np.zeros((4, 87)), path), r"a piano roll must be \[t, 88\], got \[4, 87\]"),
        (lambda path: write_midi(random_roll(), path, 0.0), "seconds_per_step must be above 0 and at most 16.78"),
        (lambda path: write_midi(random_roll(), path, float("nan")), "seconds_per_step must be above 0"),
        (lambda path: read_midi(path, 0), "steps_per_beat must be a positive whole number, got 0"),
    ],
)
def test_bad_arguments(tmp_path, make, message):
    with pytest.raises(ValueError, match=message):
        make(tmp_path / "a.mid")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif("RNNGEN_DATA" not in os.environ, reason="RNNGEN_DATA does not name the folder of data sets")
def test_the_chorales_go_through_a_file_unchanged(tmp_path):
    sets = np.load(Path(os.environ["RNNGEN_DATA"]) / "music" / "jsb_chorales.npz")
    for roll in np.split(sets["test_frames"], np.cumsum(sets["test_lengths"])[:5])[:5]:
        write_midi(roll, tmp_path / "a.mid")
        np.testing.assert_array_equal(read_midi(tmp_path / "a.mid"), roll)
