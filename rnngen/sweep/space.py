"""The trials of a sweep, as a list of overrides `{dotted name: value}` of a config.

product(axis("cell.name", ["rnn", "lstm"]), axis("seed", range(5)))     ten trials
axis("optim.clip_norm", {"clipped": 1.0, "not clipped": 0.0})     two, with labels for tables and figures
zipped(axis("task.kwargs.length", [50, 100]), axis("train.steps", [1000, 4000]))     two
chain(a, b)     those of a, then those of b
"""

import itertools
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

Space = list[dict[str, Any]]


class Labelled(NamedTuple):
    """A value of an axis, with its label in tables and figures."""

    label: str
    value: Any


def bare(value: Any) -> Any:
    """Return a value without its label."""
    return value.value if isinstance(value, Labelled) else value


def axis(name: str, values: Iterable[Any] | Mapping[str, Any]) -> Space:
    """Make one trial per value.

    Args:
      name: of a key of the config, such as `cell.kwargs.hidden_dim`.
      values: one a trial; a mapping gives each value a label, for tables and figures.

    Returns:
      Trials, as a list of overrides `{dotted name: value}`.

    Raises:
      ValueError: there are no values.
    """
    if isinstance(values, Mapping):
        values = [Labelled(str(label), value) for label, value in values.items()]
    space = [{name: value} for value in values]
    if not space:
        raise ValueError(f"axis {name!r} has no values")
    return space


def product(*spaces: Space) -> Space:
    """Combine spaces in every way, the last varying fastest.

    Args:
      *spaces: of `axis` and so on.

    Returns:
      Trials, as a list of overrides `{dotted name: value}`.

    Raises:
      ValueError: two spaces set the same name.
    """
    return [_join(parts) for parts in itertools.product(*spaces)]


def zipped(*spaces: Space) -> Space:
    """Combine the first trials of all spaces, the second ones, and so on.

    Args:
      *spaces: of one length.

    Returns:
      Trials, as a list of overrides `{dotted name: value}`.

    Raises:
      ValueError: lengths differ, or two spaces set the same name.
    """
    if len({len(space) for space in spaces}) > 1:
        raise ValueError(f"zipped spaces differ in length: {', '.join(str(len(space)) for space in spaces)}")
    return [_join(parts) for parts in zip(*spaces, strict=True)]


def chain(*spaces: Space) -> Space:
    """Join spaces: all trials of the first, then of the second, and so on.

    Args:
      *spaces: of `axis` and so on.

    Returns:
      Trials, as a list of overrides `{dotted name: value}`.
    """
    return list(itertools.chain(*spaces))


def _join(parts: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    joined: dict[str, Any] = {}
    for part in parts:
        twice = joined.keys() & part.keys()
        if twice:
            raise ValueError(f"two axes set {sorted(twice)[0]!r}")
        joined |= part
    return joined
