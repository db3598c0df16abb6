"""The contract of a learning rule: how the gradient of a sequence's loss is found, or what stands in its place."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from rnngen.cells import Cell
from rnngen.engines import prepare_unroll, unroll
from rnngen.engines.steps import StepInput
from rnngen.rules.forward import Forward, Running
from rnngen.rules.influence import Influence
from rnngen.rules.local import Stepping, cut_after
from rnngen.rules.reals import to_reals
from rnngen.types import Array, Carry, Key, Params, PyTree, shapes_of


class Rule(NamedTuple):
    """A learning rule.

    Attributes:
      name: in `RULES`.
      seen: (model) -> the model as one cell, whose credit is the derivative that the rule sees: its reverse mode is the
        rule's gradient, or what that is an estimate of.
      influence: (model, xs, prepared parameters, shapes of the real arrays of an example's carry) -> how a rule that
        goes forward keeps dc/dtheta, or None where that is 0; only shapes are read. None: the rule is reverse mode.
      update_every: steps after which a rule that goes forward updates the parameters; 0: once a sequence.
      disturb: (key, gradient, the immediate part of it) -> what a control has instead.
      estimate: (key, gradient in the carry that leaves a step, its batch axes) -> what a noisy rule lets the parameters
        of that step have of it.
    """

    name: str
    seen: Callable[[Stepping], Cell]
    influence: Callable[[Stepping, PyTree, Params, list], Influence | None] | None = None
    update_every: int = 0
    disturb: Callable[[Key, Params, Params], Params] | None = None
    estimate: Callable[[Key, Carry, int], Carry] | None = None

    @property
    def plain(self) -> bool:
        """Whether this is back-propagation through time, where nothing is changed."""
        return self.name == "bptt"

    def gradient(
        self,
        model: Stepping,
        params: Params,
        xs: PyTree,
        loss: Callable[[PyTree], Any],
        carry: Carry | None = None,
        *,
        mask: Array | None = None,
        resets: Array | None = None,
        key: Key | None = None,
        has_aux: bool = False,
    ) -> Any:
        """Compute what the rule has for the gradient of a sequence's loss; the parameters are the same at all steps.

        Args:
          model: a cell, or a model of layers that reads one way.
          params, xs, carry, mask, resets: as in `unroll`; the inputs of a model may be tokens.
          loss: (ys) -> scalar, of the outputs `[t, *b, ...]` of the cell or the model.
          key: for a rule that draws noise; cells draw none here.
          has_aux: the loss returns (scalar, anything).

        Returns:
          Like the parameters; with `has_aux`, (that, what the loss returned besides).

        Raises:
          ValueError: the rule does not fit the model, or needs a key.
        """
        both = loss if has_aux else lambda ys: (loss(ys), None)
        options = {"mask": mask, "resets": resets}
        if self.influence is None:
            found, aux = self._reverse(model, params, xs, both, carry, options, key)
        else:
            forward, inputs, running = self.begin(model, params, xs, carry, key=key, **options)
            found, _, aux = forward.segment(params, running, inputs, both, folded(key, 1))
        return (found, aux) if has_aux else found

    def begin(
        self,
        model: Stepping,
        params: Params,
        xs: PyTree,
        carry: Carry | None = None,
        *,
        mask: Array | None = None,
        resets: Array | None = None,
        key: Key | None = None,
    ) -> tuple[Forward, StepInput, Running]:
        """Make what a rule that goes forward needs before the first step.

        Args:
          model, params, xs, carry, mask, resets, key: as in `gradient`.

        Returns:
          (the rule at work on the model, the inputs of all steps, the state before the first).

        Raises:
          ValueError: as in `gradient`.
        """
        assert self.influence is not None, "a rule that goes forward"
        cell = self.seen(model)
        run = prepare_unroll(cell, params, xs, carry, mask=mask, resets=resets)
        single = shapes_of(lambda p: to_reals(cell.init_carry(p, ())), run.params)
        influence = self.influence(model, xs, run.params, single)
        if influence is not None and influence.noisy and key is None:
            raise ValueError(f"key: {self.name} draws random signs, give it a key")
        forward = Forward(cell, influence)
        return forward, run.inputs, forward.begin(params, run.inputs, run.carry, carry is None, folded(key, 0))

    def _reverse(self, model, params, xs, loss, carry, options, key) -> tuple[Params, Any]:
        def by(cell: Cell) -> tuple[Params, Any]:
            return jax.grad(lambda p: loss(unroll(cell, p, xs, carry, **options)[1]), has_aux=True)(params)

        gradient, aux = by(self.seen(model))
        if self.disturb is None:
            return gradient, aux
        if key is None:
            raise ValueError(f"key: {self.name} draws a direction, give it a key")
        return self.disturb(key, gradient, by(cut_after(1)(model))[0]), aux


def folded(key: Key | None, number: Array | int) -> Key | None:
    """Fold a number into a key, where there is one.

    Args:
      key: or None.
      number: to be folded in.

    Returns:
      The key, or None.
    """
    return None if key is None else jax.random.fold_in(key, number)
