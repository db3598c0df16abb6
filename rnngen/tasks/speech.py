"""Sound, a sample at a time: spoken digits, or wav files of one's own."""

from rnngen.data import load_speech
from rnngen.tasks.generative import bits, generative, marginal_baseline
from rnngen.tasks.task import Task


def speech(path: str = "", *, chunk: int = 256, levels: int = 256, components: int = 10) -> Task:
    """Predict each mu-law level of a recording from those before it. Inputs `[t, b, 1]`, targets `[t, b]`.

    path, levels: see `rnngen.data.load_speech`. chunk: see `generative`. components: of the mixture of logistics.

    Loss: nats a sample; `bits` likewise. Baseline: each level's own frequency. The literature has no threshold for
    this set.
    """
    corpus = load_speech(path, levels)
    baseline = marginal_baseline(corpus.values["train"], corpus.values["test"], levels)
    kwargs = {"rate": corpus.facts["rate"], "levels": levels, "components": components}
    return generative("audio", kwargs, corpus, chunk=chunk, baseline=baseline, more_metrics=bits)
