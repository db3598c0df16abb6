"""Polyphonic music as piano rolls: the four sets of Boulanger-Lewandowski et al. 2012, or one's own."""

import math

from rnngen.data.music import load_music
from rnngen.tasks.generative import generative, marginal_baseline, scored
from rnngen.tasks.task import Task

# Test nats a frame of the GRU of Bai et al. 2018, Table 1, which names two of the sets; Chung et al. 2014 the others.
SOLVED = {"jsb_chorales": 8.43, "nottingham": 3.46, "musedata": 5.99, "piano_midi": 8.82}
SECONDS_PER_BEAT = 0.5  # of a MIDI file that names no tempo


def music(
    path: str = "",
    name: str = "jsb_chorales",
    *,
    chunk: int = 100,
    score_first: bool = False,
    folds: int = 0,
    fold: int = 0,
    steps_per_beat: int = 0,
    strict: bool = False,
) -> Task:
    """Predict which of 88 keys sound in each frame from the frames before it. Inputs and targets `[t, b, 88]`.

    path, name, steps_per_beat, strict: see `rnngen.data.load_music`. chunk: see `generative`. score_first: whether
    evaluation scores the first frame of a piece; Bai et al. 2018 do not. folds, fold: cross-validation, see
    `rnngen.data.fold_of`.

    Loss: nats a frame, summed over the keys. Baseline: each key's own frequency. Solved at the published loss of a GRU,
    where there is one.
    """
    corpus = load_music(path, name, steps_per_beat, fold, folds, strict)
    train, test = (scored(corpus, split, score_first) for split in ("train", "test"))
    steps = corpus.facts.get("steps_per_beat")
    return generative(
        "music",
        # What the model makes is read and written on the grid of its data, at the usual tempo of MIDI.
        {"steps_per_beat": steps, "seconds_per_step": SECONDS_PER_BEAT / steps} if steps else {},
        corpus,
        chunk=chunk,
        baseline=marginal_baseline(train, test),
        solved_below=-math.inf if path else SOLVED.get(name, -math.inf),
        first_counts=score_first,
    )
