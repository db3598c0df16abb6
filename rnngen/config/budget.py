"""What a budget leaves: of parameters or numbers in the carry a width, of floating-point operations a run's steps."""

import dataclasses
import functools
import math

from rnngen.config.build import build, build_task, cell_or_control, make_model
from rnngen.config.check import ConfigError, error_at
from rnngen.config.run_config import Arguments, Component, ModelConfig, RunConfig
from rnngen.models import count_params, count_state
from rnngen.models.controls import Control
from rnngen.models.sizes import widest
from rnngen.training.compiled import update_flops

MOST_STEPS = 10**9


def budgeted_width(config: RunConfig) -> int | None:
    """Return the `hidden_dim` that a budget of `model` allows, None where there is no budget."""
    budgets = {"param_budget": config.model.param_budget, "state_budget": config.model.state_budget}
    budgets = {f"config.model.{name}": budget for name, budget in budgets.items() if budget}
    if not budgets:
        return None
    (where, budget), *others = budgets.items()
    if budget < 0 or "hidden_dim" not in config.cell.kwargs:
        what = f"must not be negative, got {budget}" if budget < 0 else f"{config.cell.name} has no hidden_dim"
        raise ConfigError(f"{where}: {what}")
    if others:
        raise ConfigError(f"{others[0][0]}: one budget decides the width, and there is a {where} too: leave one at 0")
    with error_at(where):
        return _width(config.cell, config.task, config.model, config.dtype)


def budgeted_steps(config: RunConfig, budget: float) -> int:
    """Return how many updates `train.flop_budget` allows, each of the operations that `update_flops` counts.

    Args:
      config: a resolved config, with any number of steps.
      budget: the floating-point operations, above 0.

    Returns:
      The number.

    Raises:
      ConfigError: the budget is no positive number, less than an update takes, or enough for more than MOST_STEPS.
    """
    where = "config.train.flop_budget"
    if not 0 < budget < math.inf:
        raise ConfigError(f"{where}: must be positive, or 0 for none, got {budget}")
    cost = update_flops(build(config))
    if not cost <= budget <= MOST_STEPS * cost:
        what = "a run has one at least" if budget < cost else f"{MOST_STEPS:,} of them are the most"
        raise ConfigError(f"{where}: an update takes {cost:,} floating-point operations, and {what}; got {budget:.6g}")
    return int(budget // cost)


@functools.lru_cache(maxsize=1024)
def _width(cell: Component, task: Component, model: ModelConfig, dtype: str) -> int:
    """Return the largest `hidden_dim` of a cell with which the model is within its budget, of parameters or state."""
    made, of_state = build_task(task), model.state_budget > 0

    def count(hidden_dim: int) -> int:
        wide = dataclasses.replace(cell, kwargs=Arguments({**cell.kwargs, "hidden_dim": hidden_dim}))
        spec, goal, kind = made.data.input_spec, made.objective, cell_or_control(wide)
        if of_state and isinstance(kind, Control):
            raise ValueError(f"{cell.name} is a control, which has no carry")
        whole = make_model(kind, model, dtype, spec, goal.head, goal.loss)
        return count_state(whole) if of_state else count_params(whole)

    return widest(count, model.state_budget, "state numbers") if of_state else widest(count, model.param_budget)
