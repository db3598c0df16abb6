"""Drawings as pen strokes in the stroke-3 format of sketch-rnn (Ha and Eck 2017): KanjiVG, sheep, Omniglot."""

from typing import Any

import numpy as np

from rnngen.data.arrays import check_sequences, open_npz
from rnngen.data.corpus import SPLITS, Corpus
from rnngen.data.places import find_files
from rnngen.provenance import sha256_of


def load_strokes(path: str = "", name: str = "kanji_short") -> Corpus:
    """Pen movements. Values: float32 `[n, 3]`: dx, dy, and 1 where the pen is lifted after the movement, else 0.

    dx and dy are divided by their standard deviation in train, of both together: facts["scale"]. A density's nats
    depend on it: in the file's own units they are higher by 2 ln scale a movement.
    path: an npz with `train_strokes` `[n, 3]`, `train_lengths` and so on; "": `<name>.npz` of the set `strokes`, which
      has no public address: the originals are pickles, and those are never loaded.

    Raises ValueError for a file that is not what it should be.
    """
    (file,) = find_files("strokes", path, (f"{name}.npz",))
    arrays = open_npz(file, tuple(f"{split}_{what}" for split in SPLITS for what in ("strokes", "lengths")))
    values, lengths = ({split: arrays[f"{split}_{what}"] for split in SPLITS} for what in ("strokes", "lengths"))
    for split in SPLITS:
        check_sequences(f"{file}: {split}", values[split], lengths[split], 3)
        if not ((values[split][:, 2] == 0) | (values[split][:, 2] == 1)).all():
            raise ValueError(f"{file}: {split} has a pen, the third number, that is not 0 or 1")
    scale = float(values["train"][:, :2].std(dtype=np.float64))
    if not 0 < scale < np.inf:
        raise ValueError(f"{file}: the movements of train have the standard deviation {scale}")
    facts: dict[str, Any] = {"files": {file.name: sha256_of(file)}, "split": "the set's own", "scale": scale}
    return Corpus({s: (v / (scale, scale, 1)).astype(np.float32) for s, v in values.items()}, lengths, facts)
