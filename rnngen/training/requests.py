"""What the loop of a run asks of the device. Each is answered as its docstring says."""

from typing import NamedTuple


class Evaluate(NamedTuple):
    """Evaluate a split: "valid" by the newest parameters, "test" by those that the run is judged by.

    Answer: `{metric: mean}`.
    """

    split: str


class Remember(NamedTuple):
    """Keep the newest parameters as the best so far."""


class Diagnose(NamedTuple):
    """Make a diagnosis of the newest parameters. Answer: (record, seconds)."""

    name: str


class Save(NamedTuple):
    """Begin to save the state."""


class Wait(NamedTuple):
    """Return once everything is saved."""


class Train(NamedTuple):
    """Make so many updates. Answer: `Trained`; None where the process is asked to stop."""

    steps: int


class Trained(NamedTuple):
    """The outcome of some updates.

    Attributes:
      steps: how many there were.
      metrics: their means.
      seconds: that they took, of a pack each trial's share.
      waited: of these, seconds spent waiting for the host's data; None where the device draws them.
    """

    steps: int
    metrics: dict[str, float]
    seconds: float
    waited: float | None


Request = Evaluate | Remember | Diagnose | Save | Wait | Train
# Trials of a pack go on together: each waits with what comes later here for those that ask for what comes earlier.
ORDER = (Evaluate, Remember, Diagnose, Save, Wait, Train)
