"""Polyphonic music as piano rolls: the four sets of Boulanger-Lewandowski et al. 2012, or your own files."""

import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rnngen.datasets.codec import Codec
from rnngen.datasets.corpus import SPLITS, Corpus
from rnngen.datasets.feeds import float_feed
from rnngen.datasets.folders import load_folder
from rnngen.datasets.folds import fold_of
from rnngen.datasets.formats.archives import is_archive
from rnngen.datasets.formats.arrays import check_sequences, open_mat, open_npz
from rnngen.datasets.formats.midi import KEYS, read_midi, write_midi
from rnngen.datasets.formats.synthesis import RATE, synthesise
from rnngen.datasets.formats.text_files import writer
from rnngen.datasets.formats.wav import write_wav
from rnngen.datasets.generative import generative, marginal_baseline, scored
from rnngen.datasets.paths import Choice, existing, find_files
from rnngen.datasets.sequences import join
from rnngen.heads import bernoulli
from rnngen.registry import nearest
from rnngen.storage.provenance import sha256_of
from rnngen.tasks.task import Task
from rnngen.types import InputSpec, check_positive

SHORTEST = 2  # frames: one is given, and one predicted
MIDI = (".mid", ".midi")
# name -> the original file; the npz of that name holds the same frames and splits.
SETS = {
    "jsb_chorales": "JSB_Chorales.mat",
    "musedata": "MuseData.mat",
    "nottingham": "Nottingham.mat",
    "piano_midi": "Piano_midi.mat",
}


def load_music(
    path: str = "",
    name: str = "jsb_chorales",
    steps_per_beat: int = 0,
    fold: int = 0,
    folds: int = 0,
    strict: bool = False,
) -> Corpus:
    """Load piano rolls. Values: uint8 `[n, 88]` of 0 and 1; key j is the MIDI pitch 21 + j.

    Args:
      path: an npz (`train_frames`, `train_lengths` and so on), an original .mat, a folder that holds one of them, or a
        folder or an archive of MIDI files, split as in `rnngen.datasets.folders`; "": the set `name`.
      steps_per_beat: the grid on which MIDI files are read; 0: the smallest of 1, 2 and 4 on which all files hold the
        same notes as at 4, named in facts["steps_per_beat"] and on stderr.
      fold: the number of the fold that is valid (`rnngen.datasets.folds`).
      folds: the number of folds; 0: the set's own valid split.
      strict: refuse a MIDI file with an invalid event; else such events are skipped, and counted in
        facts["invalid_events"] and on stderr.

    Returns:
      The sequences of each split, and metadata.

    Raises:
      ValueError: an argument is wrong, a file has none of these formats, or a sequence is shorter than two frames.
    """
    if not path and name not in SETS:
        raise ValueError(f"unknown music {name!r}{nearest(name, SETS)}")
    choices: list[Choice] = [(f"{name}.npz",)]
    if name in SETS:
        choices.append((SETS[name],))
    if path and _holds_midi(existing(path), choices):
        corpus = _midi(existing(path), steps_per_beat, strict)
    else:
        if steps_per_beat not in (0, 1):
            raise ValueError(f"steps_per_beat is for MIDI files: the rolls of {path or name} have their own grid")
        corpus = _rolls(*find_files("music", path, *choices))
    return fold_of(corpus, folds, fold)


def _holds_midi(place: Path, choices: list[Choice]) -> bool:
    if place.is_dir():
        return not any((place / file).exists() for choice in choices for file in choice)
    if place.name.lower().endswith(MIDI):
        raise ValueError(f"{place} is one MIDI file: give a folder or an archive of several, to split")
    return is_archive(place)


def _midi(place: Path, steps_per_beat: int, strict: bool) -> Corpus:
    from rnngen.datasets.formats.midi import common_grid, piano_roll, read_score, tell_invalid

    check_positive(steps_per_beat=steps_per_beat or 1)
    facts: dict[str, Any] = {}

    def read(files: list[Path]) -> Iterator[np.ndarray]:
        scores = {file: read_score(file, strict) for file in files}
        facts["steps_per_beat"] = steps_per_beat or common_grid(scores.values())
        if invalid := tell_invalid(scores):
            facts["invalid_events"] = invalid
        return (piano_roll(score, facts["steps_per_beat"], file) for file, score in scores.items())

    corpus = load_folder(place, MIDI, read, SHORTEST)
    if not steps_per_beat:
        print(f"rnngen: {place}: MIDI is read at steps_per_beat={facts['steps_per_beat']}", file=sys.stderr, flush=True)
    return corpus._replace(facts=corpus.facts | facts)


def _rolls(file: Path) -> Corpus:
    frames, lengths = _mat(file) if file.suffix.lower() == ".mat" else _npz(file)
    for split in SPLITS:
        check_sequences(f"{file}: {split}", frames[split], lengths[split], KEYS, SHORTEST)
        if not ((frames[split] == 0) | (frames[split] == 1)).all():
            raise ValueError(f"{file}: {split} has frames that are not 0 or 1")
    rolls = {split: frames[split].astype(np.uint8) for split in SPLITS}
    return Corpus(rolls, lengths, {"files": {file.name: sha256_of(file)}, "split": "the set's own"})


def _npz(file: Path) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    arrays = open_npz(file, tuple(f"{split}_{what}" for split in SPLITS for what in ("frames", "lengths")))
    return tuple({split: arrays[f"{split}_{what}"] for split in SPLITS} for what in ("frames", "lengths"))  # type: ignore


def _mat(file: Path) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    cells = open_mat(file, tuple(f"{split}data" for split in SPLITS))
    joined = {split: join(list(cells[f"{split}data"].ravel())) for split in SPLITS}
    return {split: v for split, (v, _) in joined.items()}, {split: n for split, (_, n) in joined.items()}


def music_codec(keys: int = KEYS, seconds_per_step: float = 0.25, steps_per_beat: int = 1) -> Codec:
    """Make the codec of the lowest `keys` keys of a piano, on or off. Values: 0 and 1, float32 `[t, keys]`.

    A prompt is a MIDI file, read at `steps_per_beat`. Sequences are written as MIDI, at the same, and as sound (WAV),
    one step every `seconds_per_step`. The first input of a sequence is silence.

    Args:
      keys: number of keys, from 1 to 88.
      seconds_per_step: of the sound.
      steps_per_beat: of MIDI files.

    Returns:
      The codec.

    Raises:
      ValueError: keys is not from 1 to 88, or steps_per_beat not positive.
    """
    check_positive(keys=keys, steps_per_beat=steps_per_beat)
    if keys > KEYS:
        raise ValueError(f"keys must be at most {KEYS}, got {keys}")

    def read(prompt: str) -> np.ndarray:
        roll = read_midi(prompt, steps_per_beat)
        if roll[:, keys:].any():
            raise ValueError(f"{prompt} has notes above the {keys} lowest keys of the piano, all that the model has")
        return roll[:, :keys].astype(np.float32)

    def write(values: np.ndarray, score: Path, sound: Path) -> None:
        roll = np.pad(values, ((0, 0), (0, KEYS - keys)))
        write_midi(roll, score, seconds_per_step, steps_per_beat)
        write_wav(synthesise(roll, seconds_per_step), sound, RATE)

    spec = InputSpec(keys, feed=float_feed, start=np.zeros(keys, np.float32))
    return Codec(spec, bernoulli(keys), read, writer(write, ".mid", ".wav"))


# Test nats per frame of a GRU: for two of the sets by Bai et al. 2018, Table 1; for the others by Chung et al. 2014.
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

    Loss: nats per frame, summed over the keys. Baseline: each key's frequency. Solved at the published loss of a GRU,
    where there is one.

    Args:
      path, name, folds, fold, steps_per_beat, strict: see `load_music`.
      chunk: steps of a chunk of a stream, between which the carry goes on and the gradient does not; 0: whole
        sequences.
      score_first: evaluation scores the first frame of a piece, which Bai et al. 2018 do not.

    Returns:
      The task.
    """
    corpus = load_music(path, name, steps_per_beat, fold, folds, strict)
    train, test = (scored(corpus, split, score_first) for split in ("train", "test"))
    steps = corpus.facts.get("steps_per_beat")
    return generative(
        "music",
        music_codec,
        # Sequences are read and written on the grid of the data, at MIDI's default tempo.
        {"steps_per_beat": steps, "seconds_per_step": SECONDS_PER_BEAT / steps} if steps else {},
        corpus,
        chunk=chunk,
        baseline=marginal_baseline(train, test),
        solved_below=-math.inf if path else SOLVED.get(name, -math.inf),
        first_counts=score_first,
    )
