"""MIDI files as piano rolls and back."""

import math
from collections.abc import Iterator
from os import PathLike

import mido
import numpy as np

KEYS = 88
LOWEST = 21  # the MIDI pitch of key 0
PERCUSSION = 9  # channel 10, as musicians count
VELOCITY = 80
MOST_STEPS = 2**20  # days of music; a pause of a damaged file can last for years
SLOWEST = 0xFFFFFF  # microseconds a beat, the most that a tempo has room for

Path = str | PathLike[str]
Note = tuple[float, float, int]


def read_midi(path: Path, steps_per_beat: int = 1) -> np.ndarray:
    """The piano roll of a file, uint8 `[t, 88]` of 0 and 1: key j is the MIDI pitch 21 + j. A beat is a quarter note.

    A note is on in every step of which it fills at least half, and one too short for any in the step where it begins.
    Notes outside the piano and percussion (channel 10) are left out, the pedal is not heard, and tempo makes no
    difference. The roll ends with the last note, or with the last whole step of the file where that comes later.

    Raises ValueError naming the file where it is no MIDI file, does not count in beats, has no notes, or lasts more
    than `MOST_STEPS`.
    """
    if not isinstance(steps_per_beat, int) or steps_per_beat < 1:
        raise ValueError(f"steps_per_beat must be a positive whole number, got {steps_per_beat!r}")
    file = _open(path)
    steps_per_tick = steps_per_beat / file.ticks_per_beat
    track = mido.merge_tracks(file.tracks)
    spans = [(*_steps(start * steps_per_tick, end * steps_per_tick), key) for start, end, key in _notes(track)]
    if not spans:
        raise ValueError(f"{path} has no notes of a piano")
    whole = int(sum(message.time for message in track) * steps_per_tick)
    steps = max(whole, *(end for _, end, _ in spans))
    if steps > MOST_STEPS:
        raise ValueError(f"{path} lasts {steps} steps, and {MOST_STEPS} are the most")
    roll = np.zeros((steps, KEYS), np.uint8)
    for start, end, key in spans:
        roll[start:end, key] = 1
    return roll


def write_midi(roll: np.ndarray, path: Path, seconds_per_step: float = 0.25) -> None:
    """Write a roll `[t, 88]`, on where it is not 0; a key that is on in neighbouring steps is one held note.

    A step is a beat, so `read_midi` gives the same roll, where any key is on.
    Raises ValueError where the roll is not `[t, 88]`, or MIDI has no tempo for a step of this length.
    """
    tempo = round(seconds_per_step * 1e6) if math.isfinite(seconds_per_step) else 0
    if not 1 <= tempo <= SLOWEST:
        raise ValueError(f"seconds_per_step must be above 0 and at most {SLOWEST / 1e6:.4g}, got {seconds_per_step}")
    notes = held_notes(roll)
    file = mido.MidiFile(type=0)
    events = [(end, 0, key) for _, end, key in notes] + [(start, VELOCITY, key) for start, _, key in notes]
    track, now = file.add_track(), 0
    track.append(mido.MetaMessage("set_tempo", tempo=tempo))
    for step, velocity, key in sorted(events):
        time = (step - now) * file.ticks_per_beat
        track.append(mido.Message("note_on", note=LOWEST + key, velocity=velocity, time=time))
        now = step
    track.append(mido.MetaMessage("end_of_track", time=(len(roll) - now) * file.ticks_per_beat))
    file.save(path)


def held_notes(roll: np.ndarray) -> list[tuple[int, int, int]]:
    """(first step, step after the last, key) of every run of steps in which a key of a roll `[t, 88]` is on.

    Raises ValueError where the roll has another shape.
    """
    on = np.asarray(roll) != 0
    if on.ndim != 2 or on.shape[1] != KEYS:
        raise ValueError(f"a piano roll must be [t, {KEYS}], got {list(on.shape)}")
    silence = np.zeros((1, KEYS), bool)
    change = np.diff(np.concatenate([silence, on, silence]).astype(np.int8), axis=0)
    keys, starts = np.nonzero(change.T == 1)
    ends = np.nonzero(change.T == -1)[1]
    return sorted(zip(starts.tolist(), ends.tolist(), keys.tolist(), strict=True))


def _open(path: Path) -> mido.MidiFile:
    try:
        file = mido.MidiFile(path)
    except Exception as error:  # a damaged file fails in any way
        why = getattr(error, "strerror", None) or str(error) or "it ends too early"
        raise ValueError(f"{path} cannot be read as MIDI: {why}") from error
    if file.type == 2 or file.ticks_per_beat <= 0:
        raise ValueError(f"{path} has no common beats to count in: its MIDI type is 2, or its time in film frames")
    return file


def _notes(track: mido.MidiTrack) -> Iterator[Note]:
    """(start, end, key) in ticks. A key struck while it sounds begins anew; one never let go ends with the file."""
    now = 0
    sounding: dict[tuple[int, int], int] = {}
    for message in track:
        now += message.time
        if message.type not in ("note_on", "note_off") or message.channel == PERCUSSION:
            continue
        which = message.channel, message.note
        if not LOWEST <= message.note < LOWEST + KEYS:
            continue
        if which in sounding:
            yield sounding.pop(which), now, message.note - LOWEST
        if message.type == "note_on" and message.velocity > 0:
            sounding[which] = now
    yield from ((start, now, note - LOWEST) for (_, note), start in sounding.items())


def _steps(start: float, end: float) -> tuple[int, int]:
    """The first step and the one after the last of a note, both in steps."""
    first, last = math.ceil(start - 0.5), math.floor(end + 0.5)
    return (first, last) if first < last else (int(start), int(start) + 1)
