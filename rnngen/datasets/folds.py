"""Cross-validation: another part of the training data as valid, the test split as it was."""

import numpy as np

from rnngen.datasets.corpus import Corpus
from rnngen.datasets.sequences import select


def fold_of(corpus: Corpus, folds: int, fold: int) -> Corpus:
    """Train and valid together, shuffled by `RandomState(0)` and cut into `folds`, of which number `fold` is valid.

    folds 0: the corpus as it is. Raises ValueError for a fold that is not one of `folds`, or more folds than sequences.
    """
    if not folds and not fold:
        return corpus
    if folds < 2 or not 0 <= fold < folds:
        raise ValueError(f"fold must be from 0 to folds - 1, of 2 folds or more, got fold {fold} of {folds}")
    values = np.concatenate([corpus.values["train"], corpus.values["valid"]])
    lengths = np.concatenate([corpus.lengths["train"], corpus.lengths["valid"]])
    if folds > len(lengths):
        raise ValueError(f"{folds} folds are too many for {len(lengths)} sequences")
    parts = np.array_split(np.random.RandomState(0).permutation(len(lengths)), folds)
    chosen = {"train": np.concatenate(parts[:fold] + parts[fold + 1 :]), "valid": parts[fold]}
    cut = {split: select(values, lengths, indices) for split, indices in chosen.items()}
    rule = f"{corpus.facts['split']}; of train and valid together fold {fold} of {folds} is valid"
    return Corpus(
        corpus.values | {split: v for split, (v, _) in cut.items()},
        corpus.lengths | {split: n for split, (_, n) in cut.items()},
        corpus.facts | {"split": rule, "fold": fold, "folds": folds},
    )
