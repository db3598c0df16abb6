"""A task of sequences with targets: split, standardised on its training split, and sampled as whole sequences."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import jax.numpy as jnp
import numpy as np

from rnngen.datasets.corpus import SPLITS
from rnngen.datasets.examples import Examples, checked_x, checked_y
from rnngen.datasets.generative import ON_DEVICE
from rnngen.datasets.scaling import Scaling
from rnngen.datasets.sequences import split_indices
from rnngen.datasets.sources import Source
from rnngen.datasets.supervised import NUMBERS, best_constant, encoded, supervised
from rnngen.registry import nearest
from rnngen.tasks.sampling import finite_indices
from rnngen.tasks.task import Objective, Task, TaskData
from rnngen.types import Batch

MISSING = ("refuse", "mask")


def supervised_task(
    source: Source,
    loss: str,
    *,
    valid: float,
    test: float,
    seed: int,
    tokens: int,
    missing: bool,
    standardize: bool,
    facts: Mapping[str, Any] = MappingProxyType({}),
) -> Task:
    """Make the task of a source; see `datasets.arrays`. Raises ValueError naming the argument that does not fit."""
    examples = source.examples
    x, y = checked_x(examples, tokens, missing), checked_y(examples.y, loss, missing)
    single = loss != "cross_entropy" and examples.y.ndim == 1
    known = _known(examples._replace(y=y))
    chosen, rule = _split(source, known, valid, test, seed)
    train = chosen["train"]
    outputs = max(2, int(y.max()) + 1) if loss == "cross_entropy" else y.shape[1]
    described: dict[str, Any] = {"features": tokens or x.shape[1], "outputs": outputs, "loss": loss}
    described |= {"tokens": bool(tokens), "missing": missing, "per_step": examples.per_step, "single": single}
    if standardize and not tokens:
        inputs = Scaling.fit(x[examples.steps(train)], "x")
        described |= inputs.kwargs()
        x = encoded(x, inputs, missing)
    elif not tokens:
        x = encoded(x, Scaling.none(x.shape[1]), missing)
    if loss in NUMBERS:
        targets = Scaling.fit(y[examples.places(train)], "y") if standardize else Scaling.none(outputs)
        described |= targets.kwargs("target_")
        y = targets.scaled(y)
    elif loss == "bernoulli":
        y = y.astype(np.float32)
    left_out = len(examples.lengths) - len(known)
    told = dict(facts) | {"split": rule} | ({"without_target": left_out} if left_out else {})
    return _task(examples._replace(x=x, y=y), chosen, described, told)


def _known(examples: Examples) -> np.ndarray:
    """Return the numbers of the sequences that have a target. Raises ValueError where there is none."""
    known = _observed(examples.y) > 0
    if examples.per_step:
        starts = np.cumsum(examples.lengths) - examples.lengths
        known = np.logical_or.reduceat(known, starts)
    if not known.any():
        raise ValueError("y has no target that is not missing")
    return np.flatnonzero(known)


def _observed(y: np.ndarray) -> np.ndarray:
    """Return the share of targets that are not missing, `[n]`: of labels 0 or 1."""
    return (y >= 0).astype(np.float32) if y.ndim == 1 else (~np.isnan(y)).mean(axis=1).astype(np.float32)


def _split(
    source: Source, known: np.ndarray, valid: float, test: float, seed: int
) -> tuple[dict[str, np.ndarray], str]:
    """Return (split -> numbers of sequences, the rule in words). Raises ValueError where a split has none."""
    if source.split is not None:
        return _given(source.split, known), "given"
    for name, share in (("valid", valid), ("test", test)):
        if not 0 < share < 1:
            raise ValueError(f"{name} must be a share above 0 and below 1, got {share!r}: each split needs sequences")
    shares = f"valid {valid:g}, test {test:g}, the rest train"
    if source.groups is None:
        chosen = split_indices(len(known), valid, test, seed)
        return {split: known[of] for split, of in chosen.items()}, f"shuffled by RandomState({seed}): {shares}"
    names, group = np.unique(source.groups[known], return_inverse=True)
    chosen = split_indices(len(names), valid, test, seed, "groups")
    rule = f"{len(names)} groups, shuffled by RandomState({seed}): {shares}"
    return {split: known[np.isin(group, of)] for split, of in chosen.items()}, rule


def _given(split: np.ndarray, known: np.ndarray) -> dict[str, np.ndarray]:
    words = split.astype(str)
    for word in np.unique(words).tolist():
        if word not in SPLITS:
            raise ValueError(f"split must be train, valid or test, got {word!r}{nearest(word, SPLITS)}")
    chosen = {name: known[words[known] == name] for name in SPLITS}
    for name, of in chosen.items():
        if not len(of):
            raise ValueError(f"split leaves no sequence with a target for {name!r}")
    return chosen


def _task(examples: Examples, chosen: dict[str, np.ndarray], described: dict[str, Any], facts: dict) -> Task:
    loss, made = described["loss"], supervised(**described)
    y = {split: examples.y[examples.places(of)] for split, of in chosen.items()}
    observed = {split: of[_observed(of) > 0] for split, of in y.items() if split != "valid"}
    baseline = best_constant(loss, observed["train"], observed["test"], described["outputs"])
    here = examples.x.nbytes + examples.y.nbytes <= ON_DEVICE
    lengths = {split: examples.lengths[of] for split, of in chosen.items()}
    return Task(
        data=TaskData(
            sample=_sample(examples, chosen, jnp if here else np),
            sizes={split: len(of) for split, of in chosen.items()},
            lengths={split: (int(of.min()), int(of.max())) for split, of in lengths.items()},
            input_spec=made.input_spec,
            on_device=here,
            facts=facts,
        ),
        objective=Objective(head=made.head, loss=made.loss, baseline=lambda length: baseline),
        interface={"name": "supervised", "kwargs": described},
    )


def _sample(examples: Examples, chosen: dict[str, np.ndarray], xp: Any) -> Callable:
    """Return a `TaskData.sample` of whole sequences, padded to the longest of their split."""
    starts = np.cumsum(examples.lengths) - examples.lengths
    x, y, share = (xp.asarray(array) for array in (examples.x, examples.y, _observed(examples.y)))

    def sample(split, key, step, batch_size):
        of = chosen[split]
        longest = int(examples.lengths[of].max())
        index, real = finite_indices(split, key, step, batch_size, len(of), xp)
        sequence = xp.asarray(of)[index]
        length = xp.asarray(examples.lengths)[sequence]
        steps = xp.arange(longest)[:, None]
        exists = steps < length
        places = xp.asarray(starts)[sequence] + xp.where(exists, steps, 0)
        target = places if examples.per_step else xp.broadcast_to(sequence, exists.shape)
        counted = exists if examples.per_step else steps == length - 1
        weights = xp.where(counted, share[target] * real, xp.zeros((), np.float32))
        same = bool((examples.lengths[of] == longest).all())
        return Batch(x[places], y[target], weights, None if same else exists)

    return sample
