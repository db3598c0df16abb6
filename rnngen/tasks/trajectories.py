"""Handwritten letters as the velocity of a pen and the change of its force (Williams, Toussaint and Storkey 2006)."""

from rnngen.data import load_trajectories
from rnngen.tasks.generative import gaussian_baseline, generative
from rnngen.tasks.task import Task


def trajectories(path: str = "", *, chunk: int = 100, valid: float = 0.1) -> Task:
    """Predict how a pen's x, y and force change from how they did before. Inputs and targets `[t, b, 3]`.

    path, valid: see `rnngen.data.load_trajectories`. chunk: see `generative`.

    Loss: nats a step, of a density, so it may be negative. Baseline: independent Gaussians. The literature has no
    threshold for this.
    """
    corpus = load_trajectories(path, valid)
    baseline = gaussian_baseline(corpus.values["train"], corpus.values["test"])
    return generative("trajectories", {}, corpus, chunk=chunk, baseline=baseline)
