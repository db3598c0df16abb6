r"""The credit of a learning rule: its gradient beside that of back-propagation, lag by lag.

Of a loss at step tau, and none elsewhere, the part at lag k is the derivative through the parameters as step tau - k
alone sees them (see `parameter_gradient`); for a rule, what the rule has if the parameters act at that step alone.
A rule that goes forward then starts its influence there, with I, and moves it by D to the loss, both as the rule has
them. So a rule that is exact has cosine 1 and ratio 1 at all lags, `immediate` has lag 0 alone, and `tbptt` the lags
below its steps. `uoro` has its random signs at step tau - k, of one draw; beyond lag 0 `random` is a direction of
the norm that back-propagation's part has.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnngen.diagnostics.diagnosis import Diagnosis, Kind
from rnngen.diagnostics.parameter_gradient import backward_by_lag, norms_by_name, ratio, summed_by_name
from rnngen.models import Model, StepModel, stepwise
from rnngen.plotting.figure import Look, figure
from rnngen.plotting.records import before_and_after, diagnosed
from rnngen.registry import find
from rnngen.rules import RULES, Rule
from rnngen.rules.check import influence_of
from rnngen.tasks import Task
from rnngen.types import Array, Batch, Carry, Key, Params, PyTree, check_positive

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class RuleCredit(NamedTuple):
    """A rule's gradient beside that of back-propagation; k lags, the last of them of the initial carry.

    Attributes:
      cosine: parameter -> `[k]`, of the rule's part with that of back-propagation; 0 where one of them is 0.
      ratio: parameter -> `[k]`, the norm of the rule's part over that of back-propagation; 0 where that is 0.
    """

    cosine: dict[str, Array]
    ratio: dict[str, Array]


def rule_credit_diagnosis(rules: tuple = ("immediate", "eprop", "snap1", "uoro"), sources: int = 1) -> Diagnosis:
    """Cosine of learning rules' gradients with that of back-propagation, and the ratio of their norms, by lag.

    Args:
      rules: by name, or components with arguments; those that do not fit the model are left out.
      sources: steps with a loss, of each example, that a gradient starts from.

    Returns:
      The diagnosis.

    Raises:
      ValueError: there is no such rule, or it has no such argument.
    """
    check_positive(sources=sources)
    chosen = dict(map(_rule, rules))

    def measure(model, params, batch, task):
        fitting = {name: rule for name, rule in chosen.items() if _fits(rule, stepwise(model), batch.inputs)}
        return {name: rule_credit(model, params, batch, rule, task, sources) for name, rule in fitting.items()}

    def record(found):
        plain = lambda of: {name: np.asarray(x).tolist() for name, x in of.items()}  # noqa: E731
        return {"rules": {name: {what: plain(of) for what, of in one._asdict().items()} for name, one in found.items()}}

    return Diagnosis(measure, record)


def _rule(part: str | Mapping[str, Any]) -> tuple[str, Rule]:
    name, kwargs = (part, {}) if isinstance(part, str) else (part.get("name"), dict(part.get("kwargs", {})))
    try:
        return str(name), find(RULES, str(name), "rule")(**kwargs)
    except TypeError as error:
        raise ValueError(f"rules: {name}: {error}") from None


def _fits(rule: Rule, model: StepModel, xs: PyTree) -> bool:
    try:
        influence_of(rule, model, xs)
    except ValueError:
        return False
    return True


def rule_credit(
    model: Model,
    params: Params,
    batch: Batch,
    rule: Rule,
    task: Task | None = None,
    num_sources: int = 1,
    key: Key | None = None,
) -> RuleCredit:
    """Compare the gradient of a rule with that of back-propagation, by lag.

    Args:
      model, params, batch, task: as in `lag_norms`; the model runs step by step.
      rule: one of `rnngen.rules`.
      num_sources: steps with weight, of each example, chosen as in `lag_norms`, whose losses are summed.
      key: of the noise of a rule that draws any; default: always the same.

    Returns:
      Cosine and ratio, by the parameter's path, as `layer_0/recurrent_kernel`; and of `all`.

    Raises:
      ValueError: the model does not go step by step.
    """
    stepping = stepwise(model)
    noise, parts = jax.random.key(0) if key is None else key, (model, params, batch, task, num_sources)
    start, exact = backward_by_lag(*parts)
    _, ruled = backward_by_lag(*parts, rule.seen(stepping), _estimate(rule, noise))

    def compare(state, lag):
        (direction, expected), (seen, found) = exact(state[0], lag), ruled(state[1], lag)
        if rule.disturb is not None:
            first = jax.tree.map(lambda g: jnp.where(lag == 0, g, 0), expected)
            found = rule.disturb(jax.random.fold_in(noise, lag), expected, first)
        norms = norms_by_name(expected), norms_by_name(found)
        along = summed_by_name(jax.tree.map(lambda e, f: jnp.sum(e * f), expected, found))
        cosine = {name: ratio(along[name], norms[0][name] * norms[1][name]) for name in along}
        return (direction, seen), (cosine, {name: ratio(norms[1][name], norms[0][name]) for name in along})

    lags = jnp.arange(batch.weights.shape[0] + 1)
    return RuleCredit(*jax.lax.scan(compare, (start, start), lags)[1])


def _estimate(rule: Rule, key: Key) -> Callable[[Array, Carry], Carry]:
    estimate = rule.estimate
    if estimate is None:
        return lambda lag, direction: direction
    return lambda lag, direction: estimate(jax.random.fold_in(key, lag), direction, 2)


_SHAPE = {"rules": {...: {"cosine": {...: [float]}, "ratio": {...: [float]}}}}
_LABELS = {"cosine": "cosine with BPTT's", "ratio": "norm / that of BPTT's"}


@figure(
    "Credit of a learning rule",
    "The part of a rule's gradient that comes through the step k before the loss, beside that of back-propagation. "
    "Lines are medians over seeds, bands reach from the least to the greatest seed.",
    name="rule_credit",
)
def plot_rule_credit(
    sweep: Any, look: Look, *, rule: str = "snap1", leaf: str = "all", show: str = "cosine"
) -> "Figure":
    """Draw the credit of a learning rule by lag, before and after training.

    Args:
      rule: the name of the rule.
      leaf: a parameter, as `layer_0/recurrent_kernel`, or "all".
      show: the "cosine" with back-propagation's part, or the "ratio" of the norms.
    """
    if show not in _LABELS:
        raise ValueError(f"show must be one of {', '.join(_LABELS)}, got {show!r}")
    rows = diagnosed(sweep, "rule_credit", _SHAPE)
    points = lambda row: _points(row["rules"], rule, leaf, show)  # noqa: E731
    return before_and_after(sweep, look, rows, points, xlabel="lag", ylabel=_LABELS[show])


def _points(rules: Mapping, rule: str, leaf: str, show: str) -> dict[float, float]:
    values = rules.get(rule, {}).get(show, {}).get(leaf, [])
    return dict(enumerate(values))


DIAGNOSIS = Kind("rule_credit", rule_credit_diagnosis, plot_rule_credit)
