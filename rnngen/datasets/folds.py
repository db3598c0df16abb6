"""Cross-validation: different parts of the training data as the valid split, with an unchanged test split."""

import numpy as np

from rnngen.datasets.corpus import Corpus
from rnngen.datasets.sequences import select


def fold_of(corpus: Corpus, folds: int, fold: int) -> Corpus:
    """Shuffle train and valid by `RandomState(0)`, cut them into `folds`, and make number `fold` the valid split.

    folds 0: the corpus unchanged. Raises ValueError for a fold out of range, or more folds than sequences.
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
    cut = Corpus.of({split: select(values, lengths, indices) for split, indices in chosen.items()}, corpus.facts)
    rule = f"{corpus.facts['split']}; of train and valid together fold {fold} of {folds} is valid"
    facts = corpus.facts | {"split": rule, "fold": fold, "folds": folds}
    return Corpus(corpus.values | cut.values, corpus.lengths | cut.lengths, facts)
