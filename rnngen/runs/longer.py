"""More steps for a run that has been trained: it goes on from its last checkpoint where the updates stay the same."""

import dataclasses

from rnngen.config import RunConfig, resolve, same_rates, usual_eval_every
from rnngen.config.check import ConfigError
from rnngen.storage.folder import RunFolder
from rnngen.training import checkpoint


def longer(folder: RunFolder, config: RunConfig) -> tuple[RunConfig, bool]:
    """Compare a config with that of a folder's run, which may go on to more steps.

    Where the interval between evaluations follows from the number of steps, it stays as the run began.

    Args:
      folder: of the run, if there is one.
      config: perhaps with more steps.

    Returns:
      The config with the interval of the run, and True where it has more steps and differs in nothing else.

    Raises:
      ConfigError: the run has more steps already, its learning rates depend on their number, it is a sweep's trial, or
        it has ended without a checkpoint.
    """
    stored = folder.config()
    if stored is None or stored == config.to_dict() or (there := today(stored)) is None:
        return config, False
    config = _with_interval_of(folder, there, config)
    steps, more = there.train.steps, config.train.steps
    if more == steps or dataclasses.replace(config, train=config.train._replace(steps=steps)) != there:
        return config, False
    if more < steps:
        raise ConfigError(
            f"{folder.path}: train.steps is {steps} there, {more} here: a run goes on to more, not to fewer"
        )
    home = folder.path.absolute().parent
    if home.name == "trials" and (home.parent / "sweep.json").exists():
        raise ConfigError(f"{folder.path}: is a trial of {home.parent}: train it longer in a folder of its own")
    if not same_rates(config.optim, steps, more):
        raise ConfigError(
            f"{folder.path}: the rates of optim.schedule {config.optim.schedule.name} depend on train.steps, which is "
            f"{steps} there, {more} here: a longer run is another one and needs a folder of its own"
        )
    went_all_the_way = folder.result() is not None and ended_early(folder) is None
    if went_all_the_way and not checkpoint.steps(folder.checkpoints):
        raise ConfigError(f"{folder.path}: has no checkpoint from which it could go on from {steps} to {more} steps")
    return config, True


def ended_early(folder: RunFolder) -> dict | None:
    """Return the result of a run that ended before its last step, by its goal, its patience or a divergence."""
    result, config = folder.result(), folder.config() or {}
    if result is None or result["status"] == "failed":
        return None
    last = result["status"] == "finished" and result.get("step") == config["train"]["steps"]
    return None if last and result.get("reached_at") is None else result


def today(config: dict) -> RunConfig | None:
    """Resolve a folder's config, so that arguments newer than the folder get their defaults; None where that fails."""
    try:
        return resolve(config)
    except ConfigError:
        return None


def _with_interval_of(folder: RunFolder, there: RunConfig, config: RunConfig) -> RunConfig:
    """Take the interval between evaluations from a run, if neither it, when it began, nor the config chose one."""
    before = (row["longer"]["steps"] for row in folder.rows("provenance") if "longer" in row)
    first = next(before, there.train.steps)
    chosen = there.train.eval_every != usual_eval_every(first) or (
        config.train.eval_every != usual_eval_every(config.train.steps)
    )
    interval = config.train.eval_every if chosen else there.train.eval_every
    return dataclasses.replace(config, train=config.train._replace(eval_every=interval))
