"""MIDI files as piano rolls and back."""

import io
import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from os import PathLike
from pathlib import Path as FilePath
from typing import NamedTuple

import mido
import numpy as np

from rnngen.datasets.formats.midi_events import read_leniently
from rnngen.types import check_positive

KEYS = 88
LOWEST = 21  # the MIDI pitch of key 0
PERCUSSION = 9  # channel 10, as musicians count
VELOCITY = 80
MOST_STEPS = 2**20  # days of music; in a damaged file a pause can last for years
SLOWEST = 0xFFFFFF  # microseconds per beat, the largest value of a tempo
TICKS = 480  # per beat, about, in files that are written
FINEST = 4  # steps per beat of the finest grid

Path = str | PathLike[str]
Note = tuple[int, int, int]


class Score(NamedTuple):
    """The notes (start, end, key) of a file and its length, all in ticks. invalid: the number of skipped events."""

    notes: list[Note]
    ticks: int
    ticks_per_beat: int
    invalid: int

    def spans(self, steps_per_beat: int) -> list[Note]:
        """Return (first step, step after the last, key) of each note."""
        return [(*_steps(start, end, steps_per_beat, self.ticks_per_beat), key) for start, end, key in self.notes]

    def lies_on(self, steps_per_beat: int) -> bool:
        """Return True if a grid, whose steps divide `FINEST`, holds the same notes as the finest one."""
        finer = FINEST // steps_per_beat
        coarse = [(start * finer, end * finer, key) for start, end, key in self.spans(steps_per_beat)]
        return coarse == self.spans(FINEST)


def read_midi(path: Path, steps_per_beat: int = 1, strict: bool = False) -> np.ndarray:
    """Read a file as a piano roll, uint8 `[t, 88]` of 0 and 1: key j is the MIDI pitch 21 + j, a beat a quarter note.

    A note is on in every step of which it fills at least half; one too short for any, in the step where it begins.
    Notes outside the piano, percussion (channel 10), pedal and tempo are ignored. The roll ends with the last note, or
    with the last whole step of the file if that is later. Invalid events are skipped, with a line on stderr, or with
    `strict` refused.

    Raises ValueError naming the file where it is not a MIDI file, does not count in beats, has no notes, or has more
    than `MOST_STEPS` steps.
    """
    check_positive(steps_per_beat=steps_per_beat)
    score = read_score(path, strict)
    tell_invalid({FilePath(path): score})
    return piano_roll(score, steps_per_beat, path)


def read_score(path: Path, strict: bool = False) -> Score:
    """Read the notes of a file. Raises ValueError as `read_midi` does."""
    file, invalid = _open(path, strict)
    track = mido.merge_tracks(file.tracks)
    notes = list(_notes(track))
    if not notes:
        raise ValueError(f"{path} has no notes of a piano")
    return Score(notes, sum(message.time for message in track), file.ticks_per_beat, invalid)


def piano_roll(score: Score, steps_per_beat: int, path: Path) -> np.ndarray:
    """Convert a score, which was read from `path`, to a roll, see `read_midi`."""
    spans = score.spans(steps_per_beat)
    steps = max(score.ticks * steps_per_beat // score.ticks_per_beat, *(end for _, end, _ in spans))
    if steps > MOST_STEPS:
        raise ValueError(f"{path} lasts {steps} steps, and {MOST_STEPS} are the most")
    roll = np.zeros((steps, KEYS), np.uint8)
    for start, end, key in spans:
        roll[start:end, key] = 1
    return roll


def common_grid(scores: Iterable[Score]) -> int:
    """Return the smallest number of steps per beat, 1, 2 or 4, at which all scores have the same notes as at 4."""
    left = list(scores)
    return next((steps for steps in (1, 2) if all(score.lies_on(steps) for score in left)), FINEST)


def tell_invalid(scores: Mapping[FilePath, Score]) -> int:
    """Report on stderr how many events of files were skipped, if any, and return their number."""
    counts = {path: score.invalid for path, score in scores.items() if score.invalid}
    total = sum(counts.values())
    if total:
        others = f" and {len(counts) - 1} more files" if len(counts) > 1 else ""
        line = f"{next(iter(counts))}{others}: events that are not valid MIDI were left out: {total}"
        print(f"rnngen: {line}", file=sys.stderr, flush=True)
    return total


def write_midi(roll: np.ndarray, path: Path, seconds_per_step: float = 0.25, steps_per_beat: int = 1) -> None:
    """Write a roll `[t, 88]`, on where it is not 0; a key that is on in neighbouring steps is one held note.

    `read_midi` with the same steps per beat returns the same roll, if any key is on. Raises ValueError where the roll
    is not `[t, 88]`, or MIDI has no tempo for a step of this length.
    """
    check_positive(steps_per_beat=steps_per_beat)
    tempo = round(seconds_per_step * steps_per_beat * 1e6) if math.isfinite(seconds_per_step) else 0
    if not 1 <= tempo <= SLOWEST:
        most = SLOWEST / 1e6 / steps_per_beat
        raise ValueError(f"seconds_per_step must be above 0 and at most {most:.4g}, got {seconds_per_step}")
    notes = held_notes(roll)
    ticks = max(1, TICKS // steps_per_beat)  # of a step
    file = mido.MidiFile(type=0, ticks_per_beat=ticks * steps_per_beat)
    events = [(end, 0, key) for _, end, key in notes] + [(start, VELOCITY, key) for start, _, key in notes]
    track, now = file.add_track(), 0
    track.append(mido.MetaMessage("set_tempo", tempo=tempo))
    for step, velocity, key in sorted(events):
        track.append(mido.Message("note_on", note=LOWEST + key, velocity=velocity, time=(step - now) * ticks))
        now = step
    track.append(mido.MetaMessage("end_of_track", time=(len(roll) - now) * ticks))
    file.save(path)


def held_notes(roll: np.ndarray) -> list[tuple[int, int, int]]:
    """Return (first step, step after the last, key) of every note of a roll `[t, 88]`.

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


def _open(path: Path, strict: bool) -> tuple[mido.MidiFile, int]:
    """Read (the file, the number of its invalid events, which are skipped)."""
    try:
        file, invalid = _read(path, strict)
    except Exception as error:  # a damaged file fails in any way
        why = getattr(error, "strerror", None) or str(error) or "it ends too early"
        raise ValueError(f"{path} cannot be read as MIDI: {why}") from error
    if file.type == 2 or file.ticks_per_beat <= 0:
        raise ValueError(f"{path} has no common beats to count in: its MIDI type is 2, or its time in film frames")
    return file, invalid


def _read(path: Path, strict: bool) -> tuple[mido.MidiFile, int]:
    with open(path, "rb") as opened:
        raw = opened.read()
    try:
        return mido.MidiFile(file=io.BytesIO(raw)), 0
    except Exception:
        if strict:
            raise
    return read_leniently(raw)


def _notes(track: mido.MidiTrack) -> Iterator[Note]:
    """Yield (start, end, key) in ticks. A key struck again begins a new note; one never released ends with the file."""
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


def _steps(start: int, end: int, steps_per_beat: int, ticks_per_beat: int) -> tuple[int, int]:
    """Return the first step and the one after the last of a note from tick `start` to `end`."""
    begins, ends, beat = start * steps_per_beat, end * steps_per_beat, ticks_per_beat  # in parts of a beat: no rounding
    first, last = -((beat - 2 * begins) // (2 * beat)), (2 * ends + beat) // (2 * beat)
    return (first, last) if first < last else (begins // beat, begins // beat + 1)
