"""Controls: layers that are not recurrent, for the place of a cell. `CONTROLS` is every built-in, by name.

They are trained on the same tasks and budgets as cells. They have no carry, so nothing that asks for one takes them:
generation, diagnoses of the carry, credit, and rules that go step by step.
"""

from collections.abc import Callable

from rnngen.models.controls.attention import attention
from rnngen.models.controls.control import Control
from rnngen.models.controls.tcn import tcn

CONTROLS: dict[str, Callable[..., Control]] = {"attention": attention, "tcn": tcn}

__all__ = ["CONTROLS", "Control", "attention", "tcn"]
