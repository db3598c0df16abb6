"""The requests of a run's loop to the device, with their answers."""

from typing import NamedTuple


class Evaluate(NamedTuple):
    """Evaluate a split: "valid" with the newest parameters, "test" with those that the run is judged by.

    Answer: `{metric: mean}`.
    """

    split: str


class Remember(NamedTuple):
    """Remember the newest parameters as the best so far."""


class Diagnose(NamedTuple):
    """Diagnose the newest parameters. Answer: (record, seconds)."""

    name: str


class Save(NamedTuple):
    """Begin to save the state."""


class Wait(NamedTuple):
    """Wait until everything is saved."""


class Train(NamedTuple):
    """Make so many updates. Answer: `Trained`, or None if the process was asked to stop."""

    steps: int


class Trained(NamedTuple):
    """The outcome of some updates.

    Attributes:
      metrics: means over them.
      seconds: the time they took; in a pack, each trial's share.
      waited: the part of it spent waiting for the host's data; None where the device draws them.
    """

    metrics: dict[str, float]
    seconds: float
    waited: float | None


Request = Evaluate | Remember | Diagnose | Save | Wait | Train
# In the order in which the requests of a pack are served.
ORDER = (Evaluate, Remember, Diagnose, Save, Wait, Train)
