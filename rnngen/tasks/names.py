"""Names, a character at a time: many short sequences, each of which says itself where it ends."""

from rnngen.data import load_names
from rnngen.tasks.generative import bits, generative, marginal_baseline
from rnngen.tasks.task import Task


def names(path: str = "", *, chunk: int = 64, valid: float = 0.1, test: float = 0.1, seed: int = 0) -> Task:
    """Predict each character of a name, and the newline that ends it, from those before it. Inputs: tokens `[t, b]`.

    path, valid, test, seed: see `rnngen.data.load_names`. chunk: see `generative`.

    Loss: nats a character, the newline counted; `bits` likewise. Baseline: each character's own frequency. The
    literature has no threshold for these splits.
    """
    corpus = load_names(path, valid, test, seed)
    vocabulary = corpus.facts["vocabulary"]
    baseline = marginal_baseline(corpus.values["train"], corpus.values["test"], len(vocabulary))
    kwargs = {"vocabulary": vocabulary, "end": vocabulary[0]}
    return generative("text", kwargs, corpus, chunk=chunk, baseline=baseline, more_metrics=bits)
