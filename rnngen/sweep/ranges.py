"""The ranges of a search, one per dotted name, and the search itself, as a config file writes them."""

import math
from collections.abc import Iterable, Mapping
from numbers import Real
from typing import Any, NamedTuple

from rnngen.config import plain
from rnngen.sweep.space import Labelled
from rnngen.types import is_whole

METHODS = ("random", "tpe", "gp")
MODES = ("min", "max")
PRUNERS = {"none": (), "asha": ("first", "factor"), "hyperband": ("first", "factor")}


class Numbers(NamedTuple):
    """A range of numbers, both ends included. whole: integers, `step` apart; log: uniform in the logarithm."""

    low: float
    high: float
    whole: bool = False
    log: bool = False
    step: int = 1


class Choice(NamedTuple):
    """A choice of values, each with a name, which is its label if it has one."""

    options: dict[str, Any]


class Search(NamedTuple):
    """The settings of a search, see `search`."""

    method: str
    metric: str
    mode: str
    trials: int
    seed: int
    space: dict[str, Numbers | Choice]
    pruner: dict[str, Any]

    def record(self) -> dict[str, Any]:
        """Return all settings as plain values."""
        space = {
            name: {"choice": list(r.options)} if isinstance(r, Choice) else r._asdict()
            for name, r in self.space.items()
        }
        return plain(self._asdict() | {"space": space}, "search")


def uniform(low: float, high: float) -> Numbers:
    """Draw any number between two.

    Args:
      low, high: the ends, both included.

    Returns:
      The range.

    Raises:
      ValueError: the range is empty.
    """
    return _checked(Numbers(low, high), f"uniform({low!r}, {high!r})")


def loguniform(low: float, high: float) -> Numbers:
    """Draw a number between two, uniform in its logarithm.

    Args:
      low, high: the ends, both included.

    Returns:
      The range.

    Raises:
      ValueError: unless 0 < low < high.
    """
    return _checked(Numbers(low, high, log=True), f"loguniform({low!r}, {high!r})")


def integers(low: int, high: int, step: int = 1, log: bool = False) -> Numbers:
    """Draw a whole number between two.

    Args:
      low, high: the ends, both included.
      step: distance of neighbours.
      log: uniform in the logarithm.

    Returns:
      The range.

    Raises:
      ValueError: the range is empty, or a step is given with log.
    """
    place = f"integers({low!r}, {high!r}, step={step!r}, log={log!r})"
    if not all(map(is_whole, (low, high, step))) or step < 1 or (log and step > 1):
        raise ValueError(f"{place}: takes whole numbers, a positive step, and no step with log")
    return _checked(Numbers(low, high, whole=True, log=log, step=step), place)


def choice(values: Iterable[Any] | Mapping[str, Any]) -> Choice:
    """Draw one of several values.

    Args:
      values: to choose from; a mapping gives each a label.

    Returns:
      The choice.

    Raises:
      ValueError: there are no values, or duplicates.
    """
    labelled = isinstance(values, Mapping)
    pairs = list(values.items()) if isinstance(values, Mapping) else [(value, value) for value in values]
    pairs = [(str(name), value) for name, value in pairs]
    options = {name: Labelled(name, value) if labelled else value for name, value in pairs}
    if not options or len(options) < len(pairs):
        raise ValueError(f"choice({[name for name, _ in pairs]}): needs values, and each only once")
    return Choice(options)


def _checked(numbers: Numbers, place: str) -> Numbers:
    if not all(isinstance(n, Real) and math.isfinite(n) for n in (numbers.low, numbers.high)):
        raise ValueError(f"{place}: takes two finite numbers")
    if numbers.low >= numbers.high:
        raise ValueError(f"{place}: the range is empty")
    if numbers.log and numbers.low <= 0:
        raise ValueError(f"{place}: a log range must lie above zero")
    return numbers


def search(
    method: str = "random",
    *,
    space: Mapping[str, Numbers | Choice | list],
    metric: str = "loss",
    mode: str = "min",
    trials: int = 20,
    seed: int = 0,
    pruner: str | Mapping[str, Any] = "none",
) -> Search:
    """Search a space with Optuna; `get_sweep()` may return this instead of a list.

    Args:
      method: "random", "tpe" (Bergstra et al. 2011), or "gp" (Gaussian process; needs torch).
      space: dotted name -> `uniform`, `loguniform`, `integers` or `choice`; a list is a choice.
      metric: of the valid split at the end of a trial, or a dotted name in its result, such as "half_life.final".
      mode: "min" or "max".
      trials: total number. The same seed gives the same trials: always with "random", else with one worker.
      seed: of the proposals.
      pruner: "none"; "asha" (Li et al. 2018) or "hyperband" (Li et al. 2017), which end trials that do worse than most
        at their first evaluation from `first` training steps on, at `factor` times as many, and so on: `{"name":
        "asha", "first": 200, "factor": 4}`; first=0, the default: `train.eval_every`.

    Returns:
      The search.

    Raises:
      ValueError: an argument is unknown or out of range; the message names it.
    """
    _check_one_of("method", method, METHODS)
    _check_one_of("mode", mode, MODES)
    pruning = {"name": pruner} if isinstance(pruner, str) else dict(pruner)
    _check_one_of("pruner", pruning.get("name"), tuple(PRUNERS))
    unknown = set(pruning) - {"name", *PRUNERS[pruning["name"]]}
    if unknown:
        raise ValueError(f"search: pruner {pruning['name']} takes first and factor, not {sorted(unknown)[0]!r}")
    numbers: dict[str, Any] = {"trials": trials, "seed": seed} | {n: v for n, v in pruning.items() if n != "name"}
    for name, number in numbers.items():
        if not is_whole(number) or number < 0:
            raise ValueError(f"search: {name} must be a whole number, not negative, got {number!r}")
    if not isinstance(metric, str) or not isinstance(space, Mapping):
        raise ValueError(f"search: metric must be a name and space a mapping, got {metric!r} and {space!r}")
    if pruning["name"] != "none" and "." in metric:
        raise ValueError(
            f"search: a pruner looks at metrics of the valid split, and {metric!r} is known at the end only"
        )
    if trials < 1:
        raise ValueError(f"search: trials must be positive, got {trials}")
    if not space:
        raise ValueError("search: the space has no names")
    ranges = {
        name: choice(r) if isinstance(r, list | tuple) and not isinstance(r, Numbers | Choice) else r
        for name, r in space.items()
    }
    for name, r in ranges.items():
        if not isinstance(r, Numbers | Choice):
            raise ValueError(f"search: {name!r} needs uniform, loguniform, integers, choice or a list, got {r!r}")
    return Search(method, metric, mode, trials, seed, ranges, {"first": 0, "factor": 4} | pruning)


def _check_one_of(what: str, value: Any, known: tuple[str, ...]) -> None:
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"search: {what} must be one of {', '.join(known)}, got {value!r}")
