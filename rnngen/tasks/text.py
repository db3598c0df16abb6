"""Text, a character or a byte at a time (Graves 2013, section 3; Karpathy 2015)."""

import math

import numpy as np

from rnngen.data.text import load_text
from rnngen.tasks.generative import bits, generative, marginal_baseline
from rnngen.tasks.task import Task
from rnngen.types import check_positive


def text(
    path: str = "",
    source: str = "shakespeare",
    *,
    chunk: int = 100,
    encoding: str = "characters",
    splits: tuple[float, ...] = (0.9, 0.1, 0.0),
    vocabulary: str = "",
    eval_steps: int = 2**20,
) -> Task:
    """Predict each symbol of a text from those before it. Inputs and targets: tokens `[t, b]`.

    path, source, encoding, splits, vocabulary: see `rnngen.data.load_text`. chunk: see `generative`.
    eval_steps: evaluation reads at most so many symbols of a split, from its beginning.

    Loss: nats a symbol; `bits` are bits a symbol. Baseline: each symbol's own frequency. Solved, on tiny Shakespeare,
    at 1.50 nats, which transformers of ten times the size get little below.
    """
    check_positive(eval_steps=eval_steps)
    corpus = load_text(path, encoding=encoding, splits=splits, vocabulary=vocabulary, source=source)
    corpus = corpus._replace(
        values={split: x if split == "train" else x[:eval_steps] for split, x in corpus.values.items()},
        lengths={split: x if split == "train" else np.minimum(x, eval_steps) for split, x in corpus.lengths.items()},
    )
    known = corpus.facts.get("vocabulary", "")
    medium, kwargs, classes = ("text", {"vocabulary": known}, len(known)) if known else ("bytes", {}, 256)
    train = corpus.values["train"][: 2**24]  # of a text larger than memory, enough to count symbols
    return generative(
        medium,
        kwargs,
        corpus,
        chunk=chunk,
        baseline=marginal_baseline(train, corpus.values["test"], classes),
        solved_below=1.5 if not path and source == "shakespeare" else -math.inf,
        more_metrics=bits,
    )
