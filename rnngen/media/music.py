"""Polyphonic music on a piano roll."""

from pathlib import Path

import numpy as np

from rnngen.data.midi import KEYS, read_midi, write_midi
from rnngen.data.wav import write_wav
from rnngen.heads import bernoulli
from rnngen.media.feeds import float_feed
from rnngen.media.files import numbered
from rnngen.media.medium import Medium
from rnngen.media.synthesis import RATE, synthesise
from rnngen.types import InputSpec, check_positive


def music(keys: int = KEYS, seconds_per_step: float = 0.25, steps_per_beat: int = 1) -> Medium:
    """The lowest `keys` keys of a piano, on or off. Values: 0 and 1, float32 `[t, keys]`.

    A prompt is a MIDI file, read at `steps_per_beat`. Sequences are written as MIDI at as many and as sound (WAV), a
    step every `seconds_per_step`. A sequence begins as if after silence.

    Raises ValueError where keys is not from 1 to 88, or steps_per_beat not positive.
    """
    check_positive(keys=keys, steps_per_beat=steps_per_beat)
    if keys > KEYS:
        raise ValueError(f"keys must be at most {KEYS}, got {keys}")

    def read(prompt: str) -> np.ndarray:
        roll = read_midi(prompt, steps_per_beat)
        if roll[:, keys:].any():
            raise ValueError(f"{prompt} has notes above the {keys} lowest keys of the piano, all that the model has")
        return roll[:, :keys].astype(np.float32)

    def write(sequences: list[np.ndarray], path: Path) -> list[Path]:
        scores, sounds = (numbered(path, len(sequences), suffix) for suffix in (".mid", ".wav"))
        for score, sound, values in zip(scores, sounds, sequences, strict=True):
            roll = np.pad(values, ((0, 0), (0, KEYS - keys)))
            write_midi(roll, score, seconds_per_step, steps_per_beat)
            write_wav(synthesise(roll, seconds_per_step), sound, RATE)
        return scores + sounds

    spec = InputSpec(keys, feed=float_feed, start=np.zeros(keys, np.float32))
    return Medium(spec, bernoulli(keys), read, write)
