"""Sound of a piano roll: a note has a few harmonics that decay, higher ones faster, like a struck string."""

import numpy as np

from rnngen.datasets.formats.midi import LOWEST, held_notes

RATE = 22050  # samples a second
ATTACK, RELEASE = 0.008, 0.12  # seconds of fade-in and fade-out; shorter ones click
PEAK = 0.9
A4 = 69  # the MIDI pitch of 440 Hz
HARMONICS = 8


def synthesise(roll: np.ndarray, seconds_per_step: float) -> np.ndarray:
    """Return samples float32 `[n]` of a roll `[t, 88]` and the last release; the loudest sample is 0.9."""
    ends = np.rint(np.arange(len(roll) + 1) * seconds_per_step * RATE).astype(int)
    sound = np.zeros(ends[-1] + int(RELEASE * RATE))
    for start, end, key in held_notes(roll):
        note = _note(440 * 2 ** ((key + LOWEST - A4) / 12), ends[end] - ends[start])
        sound[ends[start] : ends[start] + len(note)] += note
    loudest = np.abs(sound).max(initial=0)
    return (sound * (PEAK / loudest if loudest else 1)).astype(np.float32)


def _note(frequency: float, held: int) -> np.ndarray:
    """Return float64 `[held + release]`; harmonic n starts at 1 / n^1.5, with a time constant of 1.5 s / n."""
    seconds = np.arange(held + int(RELEASE * RATE)) / RATE
    audible = [n for n in range(1, HARMONICS + 1) if n * frequency < RATE / 2]
    waves = (n**-1.5 * np.exp(-seconds * n / 1.5) * np.sin(2 * np.pi * n * frequency * seconds) for n in audible)
    return sum(waves) * _rise(seconds / ATTACK) * _rise((seconds[-1] - seconds) / RELEASE)


def _rise(x: np.ndarray) -> np.ndarray:
    """Return a smooth step, 0 at 0 and 1 from 1 on."""
    return 0.5 - 0.5 * np.cos(np.pi * np.clip(x, 0, 1))
