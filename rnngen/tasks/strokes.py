"""Drawings, a pen movement at a time (Graves 2013, section 4; Ha and Eck 2017)."""

from rnngen.data import load_strokes
from rnngen.tasks.generative import gaussian_baseline, generative, marginal_baseline
from rnngen.tasks.task import Task


def strokes(path: str = "", name: str = "kanji_short", *, chunk: int = 100, components: int = 20) -> Task:
    """Predict each movement of a pen, and whether it is lifted then, from those before it. Inputs `[t, b, 3]`.

    path, name: see `rnngen.data.load_strokes`. chunk: see `generative`. components: of the mixture of Gaussians.

    Loss: nats a movement, of offsets in units of their standard deviation. Baseline: independent
    Gaussians, and the share of lifted pens. The literature has no threshold for these files.
    """
    corpus = load_strokes(path, name)
    train, test = corpus.values["train"], corpus.values["test"]
    baseline = gaussian_baseline(train[:, :2], test[:, :2]) + marginal_baseline(train[:, 2:], test[:, 2:])
    kwargs = {"scale": corpus.facts["scale"], "components": components}
    return generative("strokes", kwargs, corpus, chunk=chunk, baseline=baseline)
