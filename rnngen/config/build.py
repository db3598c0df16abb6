"""From a `RunConfig` to objects. Those shared by trials of a sweep are made once: frozen parts are the cache's keys."""

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from rnngen.cells import CELLS, INITIALIZERS, Cell
from rnngen.cells.cell import MOST_FEATURES
from rnngen.cells.credit import CREDITS, Credit, with_credit
from rnngen.config.check import ConfigError, check_kwargs, error_at
from rnngen.config.defaults import base_config
from rnngen.config.fingerprint import program
from rnngen.config.run_config import (
    Component,
    DiagnoseConfig,
    ModelConfig,
    OptimConfig,
    RunConfig,
    plain_values,
)
from rnngen.datasets import TASKS
from rnngen.diagnostics import DIAGNOSES, Diagnosis
from rnngen.heads import Head
from rnngen.models import Model, build_model
from rnngen.models.block import BLOCKS
from rnngen.models.controls import CONTROLS, Control
from rnngen.models.vrnn import LATENTS
from rnngen.registry import find
from rnngen.rules import RULES, Rule
from rnngen.rules.check import check_rule
from rnngen.tasks import Task
from rnngen.training import (
    REGULARIZERS,
    SCHEDULES,
    DiagnosticsConfig,
    Experiment,
    Optimizer,
    Regularizer,
    build_optimizer,
)
from rnngen.types import InputSpec

MOST_LAYERS = 100  # each is traced on its own


def build(config: RunConfig) -> Experiment:
    """Make the objects that a config describes.

    Args:
      config: a resolved config.

    Returns:
      Model, task, optimiser and settings.

    Raises:
      ConfigError: a factory refuses its arguments, or parts do not fit each other.
    """
    optimizer = _optimizer(config.optim, config.train.steps)
    model, task, diagnostics, regularizer = _parts(
        config.cell,
        config.task,
        config.model,
        config.dtype,
        config.diagnose,
        config.optim.regularizer,
        config.credit,
    )
    train = config.train.fitted(config.diagnose.every)
    with error_at("config.train"):
        train.check(task, config.diagnose.every)
    rule = _rule(config, model, task, train.examples(task))
    return Experiment(model, task, optimizer, train, diagnostics, config.seed, regularizer, program(config), rule)


def build_cell(cell: Component) -> Cell:
    """Make the cell that a config names.

    Args:
      cell: name and arguments.

    Returns:
      The cell.

    Raises:
      ConfigError: its factory refuses the arguments, or makes a control.
    """
    made = cell_or_control(cell)
    if isinstance(made, Control):
        raise ConfigError(f"config.cell.name: {cell.name} is a control, which is not recurrent, and no cell")
    return made


def build_cells(parts: Iterable[Component]) -> list[Cell]:
    """Make the cells among what configs name there, and leave out the controls.

    Args:
      parts: names and arguments.

    Returns:
      The cells.

    Raises:
      ConfigError: a factory refuses the arguments.
    """
    return [made for made in map(cell_or_control, parts) if not isinstance(made, Control)]


def build_task(task: Component | Mapping[str, Any]) -> Task:
    """Make the task that a config names.

    Args:
      task: name and arguments, as `config.task` has them, or what `rnngen.tasks.from_arrays` returns.

    Returns:
      The task.

    Raises:
      ConfigError: its factory refuses the arguments.
    """
    if isinstance(task, Component):
        return _task(task)
    given = task.to_dict() if hasattr(task, "to_dict") else task  # a ConfigDict is no Mapping
    return _task(Component.of({"kwargs": {}} | dict(given)))


def same_rates(optim: OptimConfig, steps: int, more: int) -> bool:
    """Compare the learning rates of a run with those of a longer one.

    Args:
      optim: the optimiser and its schedule.
      steps: updates of the run.
      more: updates of the longer one.

    Returns:
      True where the rates of the first `steps` updates are equal.
    """
    schedule = find(SCHEDULES, optim.schedule.name, "schedule")
    arguments = plain_values(optim.schedule.kwargs)
    with jax.numpy_dtype_promotion("standard"):  # as for the update
        few, many = (jax.vmap(schedule(optim.learning_rate, n, **arguments))(jnp.arange(steps)) for n in (steps, more))
    return bool(jnp.array_equal(few, many))


def credited_cell(cell: Component, credit: Component, model: ModelConfig) -> Cell | Control:
    """Make a cell whose gradient through the carry is changed as `train.credit` says.

    Args:
      cell: name and arguments.
      credit: name and arguments.
      model: that it is for.

    Returns:
      The cell, or the control.

    Raises:
      ConfigError: a factory refuses its arguments, the cell has no such leaf, or the model is latent or of a control.
    """
    made = cell_or_control(cell)
    changed = _of_kind(Credit, "config.train.credit", CREDITS, credit, "credit")
    if changed != Credit() and model.latent.name != "none":
        raise ConfigError(f"config.train.credit: {model.latent.name} has no such thing; leave it at none")
    if isinstance(made, Control):
        if changed != Credit():
            raise ConfigError(f"config.train.credit: {cell.name} is a control, which has no carry; leave it at none")
        return made
    with error_at("config.train.credit.kwargs"):
        return with_credit(made, changed)


def _rule(config: RunConfig, model: Model, task: Task, examples: int) -> Rule:
    """Make the rule of a config, and check that it fits the rest."""
    rule = _of_kind(Rule, "config.train.rule", RULES, config.rule, "rule")
    with error_at("config.train.rule"):
        optim = config.optim
        if not rule.plain and optim.regularizer.name != "none":
            raise ValueError(f"{optim.regularizer.name} needs bptt: leave optim.regularizer at none")
        if rule.update_every and optim.schedule.name != "constant":
            raise ValueError(
                f"update_every makes several updates of a step, and {optim.schedule.name} counts them: leave "
                "optim.schedule at constant"
            )
        check_rule(rule, model, task, examples)
    return rule


@functools.lru_cache(maxsize=64)
def _parts(
    cell: Component,
    task: Component,
    model: ModelConfig,
    dtype: str,
    diagnose: DiagnoseConfig,
    regularizer: Component,
    credit: Component,
) -> tuple[Model, Task, DiagnosticsConfig, Regularizer]:
    """Make the parts that must fit each other, and check that they do."""
    made = _task(task)
    credited = credited_cell(cell, credit, model)
    whole = make_model(credited, model, dtype, made.data.input_spec, made.objective.head, made.objective.loss)
    penalty = _of_kind(Regularizer, "config.optim.regularizer", REGULARIZERS, regularizer, "regulariser")
    what = {part.name: _diagnosis(number, part) for number, part in enumerate(diagnose.what)}
    diagnostics = DiagnosticsConfig(diagnose.every, what, _at_most_valid(diagnose.examples, made))
    with error_at("config.optim.regularizer"):
        penalty.check(whole, made)
    with error_at("config.diagnose"):
        diagnostics.check(whole, made)
    return whole, made, diagnostics, penalty


def _at_most_valid(examples: int, task: Task) -> int:
    """Return a number of examples of the valid split: all of a split of whole examples that has fewer."""
    size = task.data.sizes["valid"]
    return examples if size is None or task.data.chunks is not None else min(examples, size)


def _optimizer(optim: OptimConfig, steps: int) -> Optimizer:
    given = plain_values(optim)
    schedule, _ = given.pop("schedule"), given.pop("regularizer")
    with error_at("config.optim"):
        return build_optimizer(steps=steps, schedule=schedule["name"], schedule_kwargs=schedule["kwargs"], **given)


def make_model(
    cell: Cell | Control, model: ModelConfig, dtype: str, spec: InputSpec, head: Head, loss: Callable
) -> Model:
    """Make the model of a config for an input, a head and a loss; raise ConfigError where they do not fit."""
    if cell.output_dim > MOST_FEATURES:
        raise ConfigError(f"config.cell: has {cell.output_dim} features, and {MOST_FEATURES} are the most")
    options = plain_values(model) | {"dtype": dtype}
    layers, _, _ = (options.pop(name) for name in ("num_layers", "param_budget", "state_budget"))
    if layers > MOST_LAYERS:
        raise ConfigError(f"config.model.num_layers: must be at most {MOST_LAYERS}, got {layers}")
    latent = options.pop("latent")
    with error_at("config.model.latent"):
        build = _call(LATENTS, model.latent, "latent model")
    if build is not None:
        if isinstance(cell, Control):
            raise ConfigError(f"config.cell: {latent['name']} needs a cell, and a control is none")
        _check_no_other(latent["name"], options)
        used = {name: options[name] for name in ("dtype", "engine")}
        with error_at("config.model"):
            return build([cell] * layers, spec, head, **used)
    with error_at("config.model.block"):
        options["block"] = _call(BLOCKS, model.block, "block")
    with error_at("config.model"):
        return build_model([cell] * layers, spec, head, loss, **options)


def _check_no_other(latent: str, options: dict) -> None:
    """Raise ConfigError where an option that a latent model does not have is set."""
    usual = base_config().to_dict()["model"]
    init = usual["head_init"]
    init["kwargs"] = check_kwargs("config.model.head_init.kwargs", init["name"], INITIALIZERS[init["name"]], {}, ())
    for name, value in options.items():
        if name not in ("dtype", "engine") and value != usual[name]:
            raise ConfigError(f"config.model.{name}: {latent} has no such thing; leave it at {usual[name]!r}")


def _call(table: Mapping, part: Component, what: str) -> Any:
    factory, kwargs = find(table, part.name, what), plain_values(part.kwargs)
    if part.name in table:
        return factory(**kwargs)
    try:
        return factory(**kwargs)
    except Exception as error:  # a user's factory may fail in any way; say which, in one line
        raise ValueError(f"{part.name}() failed to make a {what}: {type(error).__name__}: {error}") from error


def _diagnosis(number: int, part: Component) -> Diagnosis:
    return _of_kind(Diagnosis, f"config.diagnose.what[{number}]", DIAGNOSES, part, "diagnosis")


def _of_kind(kind: Any, where: str, table: Mapping, part: Component, what: str) -> Any:
    """Make a component; raise ConfigError where its factory makes something of another kind."""
    with error_at(f"{where}.kwargs"):
        made = _call(table, part, what)
    if not isinstance(made, kind):
        wanted = getattr(kind, "__name__", "Cell")
        raise ConfigError(f"{where}.name: {part.name} makes a {type(made).__name__}, not a {wanted}")
    return made


@functools.lru_cache(maxsize=64)
def cell_or_control(part: Component) -> Cell | Control:
    """Make what stands in the place of a cell."""
    return _of_kind(Cell | Control, "config.cell", CELLS | CONTROLS, part, "cell")


@functools.lru_cache(maxsize=64)
def _task(part: Component) -> Task:
    task = _of_kind(Task, "config.task", TASKS, part, "task")
    return task._replace(remake=functools.partial(find(TASKS, part.name, "task"), **plain_values(part.kwargs)))
