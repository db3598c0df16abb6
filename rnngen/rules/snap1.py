"""SnAp-1, the sparse approximation of RTRL (Menick et al. 2020): J keeps what a step alone reaches, and nothing else.

Each parameter is followed to the one unit that it reaches in a step, with all arrays of that unit's carry, through what
the unit gives itself: as many numbers as parameters for each array, and as many products a step. Exact where units see
themselves alone. In a stack each layer follows its own parameters, and credit goes down at the same step only.
"""

from rnngen.rules.compact import compact
from rnngen.rules.influence import Influence
from rnngen.rules.local import Local, Stepping, layerwise, unit_by_unit
from rnngen.rules.online import check_every
from rnngen.rules.rule import Rule
from rnngen.rules.units import ManyUnitsError, find_units
from rnngen.types import Params, PyTree


def snap1(update_every: int = 0) -> Rule:
    """Follow each parameter to its own unit alone.

    Args:
      update_every: steps after which the parameters are updated, within a sequence; 0: once, at its end.

    Returns:
      The rule.

    Raises:
      ValueError: update_every is negative.
    """
    return local_rule("snap1", unit_by_unit, update_every)


def local_rule(name: str, local: Local, update_every: int) -> Rule:
    """Make a rule that follows each parameter to its own unit, with a step of fewer derivatives.

    Args:
      name: of the rule.
      local: the step of each layer, see `layerwise`.
      update_every: as in `snap1`.

    Returns:
      The rule; at work it raises ValueError for a cell whose units are more than that.
    """
    check_every(update_every)

    def influence(model: Stepping, xs: PyTree, prepared: Params, carry: list) -> Influence:
        try:
            return compact(find_units(model, local, xs), prepared, carry)
        except ManyUnitsError as error:
            raise ValueError(f"{name} follows each parameter to one unit, and {error}; take rtrl or uoro") from None

    return Rule(name, lambda model: layerwise(model, local), influence, update_every)
