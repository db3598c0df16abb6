"""Every key of a config, with its default and its meaning; `kwargs` are the arguments of the component beside them."""

from collections.abc import Callable
from typing import Any

from ml_collections import ConfigDict

from rnngen.training import TrainConfig

MEANINGS = {
    "seed": "of the parameters, the data and all noise",
    "dtype": "of the computation, float32 or bfloat16; parameters and optimiser stay float32",
    "cell.name": "the cell, or a control that is not recurrent, by name or package.module:factory",
    "cell.kwargs.*": "arguments of the cell",
    "task.name": "the task, by name or package.module:factory",
    "task.kwargs.*": "arguments of the task",
    "model.num_layers": "recurrent layers, one above another",
    "model.param_budget": "above 0: the cell gets the largest hidden_dim with which the model has no more parameters",
    "model.state_budget": "above 0: the same for the numbers in the carry of one sequence, a complex one two; not both",
    "model.embed_dim": "width of the token embedding; 0: tokens enter one-hot",
    "model.dropout": "rate, of every layer's output",
    "model.input_dropout": "rate, of what enters the first layer",
    "model.recurrent_dropout": "rate, of the recurrent kernel's weights, the same for all steps of a batch",
    "model.locked_dropout": "one dropout mask for all steps of a sequence",
    "model.bidirectional": "every layer reads from both ends",
    "model.head_init.name": "initialiser of the output layer's weights",
    "model.head_init.kwargs.*": "arguments of the initialiser",
    "model.latent.name": "a latent model, for sequences with noise of their own; none: the plain one",
    "model.latent.kwargs.*": "arguments of the latent model",
    "model.block.name": "what is around each layer: none, or block, with norms, short convolution, residual and MLP",
    "model.block.kwargs.*": "arguments of the block",
    "model.engine.name": "engine that runs a cell through time",
    "model.engine.kwargs.*": "arguments of the engine",
    "optim.name": "the optimiser, by name or package.module:factory",
    "optim.kwargs.*": "arguments of the optimiser",
    "optim.learning_rate": "at the start; the schedule changes it",
    "optim.clip_norm": "gradients of a larger norm are scaled down to it; 0: none are",
    "optim.clip_value": "each entry of the gradient is clipped to plus and minus this; 0: none is",
    "optim.schedule.name": "of the learning rate over the run",
    "optim.schedule.kwargs.*": "arguments of the schedule",
    "optim.regularizer.name": "penalty that is added to the task's loss",
    "optim.regularizer.kwargs.*": "arguments of the regulariser",
    "train.steps": "updates of the run, at most",
    "train.flop_budget": "above 0: as many updates instead as take no more floating-point operations",
    "train.batch_size": "examples, or streams, of an update",
    "train.full_batch": "each update takes the whole training set",
    "train.log_every": "updates between rows of the train split; the nearest that divides the other intervals is taken",
    "train.eval_every": "updates between evaluations of valid; -1: 500, or a tenth of steps if that is less; 0: none",
    "train.eval_batch_size": "examples, or streams, that are evaluated together",
    "train.save_every": "updates between checkpoints; 0: the last alone is saved",
    "train.stop_metric": "a metric of the valid split that ends the training when it reaches stop_at; empty: none does",
    "train.stop_at": "value to reach: a loss or an error from above, any other from below",
    "train.select": "the parameters that the run is judged by: last, or best on the valid split",
    "train.patience": "evaluations without a better loss after which training ends; 0: it does not",
    "train.on_divergence": "action on a loss or parameter that is not finite: stop, skip_update or restore",
    "train.credit.name": "change of the gradient through the carry, which imposes how far it reaches; none: no change",
    "train.credit.kwargs.*": "arguments of the credit",
    "train.rule.name": "how the gradient is found: bptt, or a rule that goes forward in time or cuts it",
    "train.rule.kwargs.*": "arguments of the rule",
    "diagnose.every": "updates between diagnoses; 0: before the first and after the last alone",
    "diagnose.what": "names of diagnoses, or components with arguments",
    "diagnose.examples": "examples of the valid split that are diagnosed, at most",
}


def component(name: str | Callable, /, **kwargs: Any) -> ConfigDict:
    """Name a part of a config: a cell, a task, an initialiser.

    Args:
      name: of a table's member, or `package.module:factory`; or the factory itself, a function of a module or of a
        notebook (`__main__:factory`, which no other process can find).
      **kwargs: arguments of the factory.

    Returns:
      `{"name": name, "kwargs": kwargs}`.

    Raises:
      ValueError: the function is within another, where no name finds it.
    """
    if callable(name):
        qualified = getattr(name, "__qualname__", repr(name))
        if not qualified.isidentifier():
            raise ValueError(f"a component must be a function at the top of its module, got {qualified}")
        name = f"{name.__module__}:{qualified}"
    return ConfigDict({"name": name, "kwargs": kwargs})


def base_config() -> ConfigDict:
    """Make a config of every key, with its default.

    Returns:
      A ConfigDict, to be changed.
    """
    return ConfigDict(
        {
            "seed": 0,
            "dtype": "float32",
            "cell": component("lstm", hidden_dim=128),
            "task": component("adding"),
            "model": {
                "num_layers": 1,
                "param_budget": 0,
                "state_budget": 0,
                "embed_dim": 0,
                "dropout": 0.0,
                "input_dropout": 0.0,
                "recurrent_dropout": 0.0,
                "locked_dropout": False,
                "bidirectional": False,
                "head_init": component("lecun"),
                "latent": component("none"),
                "block": component("none"),
                "engine": component("auto"),
            },
            "optim": {
                "name": "adam",
                "kwargs": {},
                "learning_rate": 1e-3,
                "clip_norm": 1.0,
                "clip_value": 0.0,
                "schedule": component("constant"),
                "regularizer": component("none"),
            },
            "train": TrainConfig(steps=2000)._asdict()
            | {"flop_budget": 0.0, "eval_every": -1, "credit": component("none"), "rule": component("bptt")},
            "diagnose": {
                "every": 0,
                "what": ("gradient_flow",),
                "examples": 64,
            },
        }
    )
