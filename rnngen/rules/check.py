"""Whether a rule can train a model on a task, before anything is made."""

import os
from pathlib import Path

import jax

from rnngen.engines.dependence import depends
from rnngen.models import LayerModel, Model, StepModel
from rnngen.rules.influence import Influence
from rnngen.rules.reals import to_reals
from rnngen.rules.rule import Rule
from rnngen.tasks import Task
from rnngen.types import PyTree, shapes_of


def check_rule(rule: Rule, model: Model, task: Task, examples: int) -> None:
    """Check that a rule fits a model and a task; only shapes are computed.

    Args:
      rule: to train by.
      model: to be trained.
      task: it is trained on.
      examples: of a batch.

    Raises:
      ValueError: it does not, or its influence does not fit the memory.
    """
    if rule.plain:
        return
    if not isinstance(model, StepModel):
        raise ValueError(f"{rule.name} goes step by step, which {model.stepless} cannot: take bptt")
    if not isinstance(model, LayerModel):
        raise ValueError(f"{rule.name} needs a model of layers: a latent one takes bptt")
    if any(cell.credit is not None for cell in model.layers.values()):
        raise ValueError(f"{rule.name} has a credit of its own: leave train.credit at none")
    if task.data.chunks is not None:
        raise ValueError(f"{rule.name} needs whole examples, and this task's are chunks of streams: take bptt")
    if _draws_noise(model, task):
        raise ValueError(f"{rule.name} has no noise in the model: leave out dropout, and cells that draw noise")
    influence = influence_of(rule, model, task.example("train").inputs)
    needed, there = (influence.size if influence else 0) * 4 * examples, available_memory()
    if needed > there / 2:
        raise ValueError(
            f"{rule.name} would keep an influence of {needed / 2**30:.1f} GiB ({influence.size if influence else 0} "
            f"numbers for each of {examples} examples), more than half of the {there / 2**30:.1f} GiB of memory: take "
            "fewer units or examples, snap1 or uoro"
        )


def influence_of(rule: Rule, model: StepModel, xs: PyTree) -> Influence | None:
    """Make the influence of a rule for a model; only shapes are computed.

    Args:
      rule: any.
      model: to be trained.
      xs: its inputs `[t, b, ...]`, or their shapes.

    Returns:
      The influence; None where the rule keeps none.

    Raises:
      ValueError: the rule does not fit the model.
    """
    if rule.influence is None:
        return None
    cell = rule.seen(model)
    prepared = shapes_of(cell.prepare, model.param_shapes)
    single = shapes_of(lambda p: to_reals(cell.init_carry(p, ())), prepared)
    return rule.influence(model, xs, prepared, single)


def _draws_noise(model: Model, task: Task) -> bool:
    loss = lambda p, batch, key: model.loss(p, batch, key=key, train=True)[0]  # noqa: E731
    jaxpr = jax.make_jaxpr(loss)(model.param_shapes, task.example("train"), jax.random.key(0)).jaxpr
    return any(depends(jaxpr, [False] * (len(jaxpr.invars) - 1) + [True]))


def available_memory() -> int:
    """Measure the memory that the device of this process has left.

    Returns:
      Bytes.
    """
    limits = jax.local_devices()[0].memory_stats()
    if limits and "bytes_limit" in limits:
        return int(limits["bytes_limit"] - limits.get("bytes_in_use", 0))
    known = Path("/proc/meminfo")
    if known.exists():
        rows = dict(line.split(":") for line in known.read_text().splitlines() if ":" in line)
        return int(rows["MemAvailable"].split()[0]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
