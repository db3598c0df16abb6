"""Cross-validation over a corpus: every sequence is valid in exactly one fold."""

import numpy as np
from real_data import error_line, sequences

from rnngen.datasets.corpus import Corpus
from rnngen.datasets.folds import fold_of
from rnngen.datasets.sequences import join


def make(counts, seed=0):
    """Sequences of different lengths, of which no two are equal."""
    rng, values, lengths = np.random.RandomState(seed), {}, {}
    for split, count in counts.items():
        values[split], lengths[split] = join([rng.normal(size=(n, 2)) for n in rng.randint(1, 6, size=count)])
    return Corpus(values, lengths, {"split": "made"})


CORPUS = make({"train": 8, "valid": 3, "test": 4})


def keys(corpus, *splits):
    return sorted(str(s) for split in splits for s in sequences(corpus, split))


def test_every_sequence_is_valid_once():
    folds = [fold_of(CORPUS, 3, fold) for fold in range(3)]
    held = sorted(key for corpus in folds for key in keys(corpus, "valid"))
    assert held == keys(CORPUS, "train", "valid")
    for fold, corpus in enumerate(folds):
        assert keys(corpus, "train", "valid") == keys(CORPUS, "train", "valid")
        assert sequences(corpus, "test") == sequences(CORPUS, "test")
        assert corpus.facts["split"] == f"made; of train and valid together fold {fold} of 3 is valid"
    assert [len(corpus.lengths["valid"]) for corpus in folds] == [4, 4, 3]


def test_folds_are_drawn_from_both_splits():
    was_valid = set(keys(CORPUS, "valid"))
    assert any(0 < len(was_valid & set(keys(fold_of(CORPUS, 3, f), "valid"))) < 3 for f in range(3))


def test_no_folds_leave_the_corpus_as_it_is():
    assert fold_of(CORPUS, 0, 0) is CORPUS


def test_bad_folds():
    for folds, fold in ((1, 0), (3, 3), (3, -1), (0, 1), (-2, 0)):
        assert f"got fold {fold} of {folds}" in error_line(fold_of, CORPUS, folds, fold)
    assert "12 folds are too many for 11 sequences" in error_line(fold_of, CORPUS, 12, 0)
