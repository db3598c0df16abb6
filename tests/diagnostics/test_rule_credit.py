"""The credit of a learning rule by lag: where it is known, and against the rule itself going forward, in float64."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import double

from rnngen.cells import CELLS
from rnngen.diagnostics import DIAGNOSES, FIGURES, rule_credit
from rnngen.diagnostics.gradient_flow import summed_loss
from rnngen.diagnostics.parameter_gradient import backward_by_lag
from rnngen.heads import gaussian
from rnngen.models import build_model
from rnngen.rules import eprop, immediate, random, rtrl, snap1, tbptt, uoro
from rnngen.types import Batch

T, B = 6, 2
pytestmark = pytest.mark.usefixtures("x64")


@functools.cache
def _model(name):
    return build_model([CELLS[name](3)], 2, gaussian(1), dtype="float64")


def _case(name):
    """A model, its parameters, and sequences with a loss at the last step alone."""
    params = double(_model(name).init(jax.random.key(0)))
    xs, targets = jax.random.normal(jax.random.key(1), (T, B, 2)), jax.random.normal(jax.random.key(2), (T, B, 1))
    return _model(name), params, Batch(xs, targets, jnp.zeros((T, B)).at[-1].set(1.0))


def _credit(name, rule):
    model, params, batch = _case(name)
    return jax.jit(lambda p: rule_credit(model, p, batch, rule))(params)


SLOW = pytest.param("mingru", eprop(), marks=pytest.mark.slow)


@pytest.mark.parametrize(("name", "rule"), [("lstm", rtrl()), ("mingru", snap1()), SLOW])
def test_an_exact_rule_has_all_credit(name, rule):
    found = _credit(name, rule)
    # No unit keeps anything before its first step: the carry begins at zeros.
    np.testing.assert_allclose(found.cosine["all"][:T], 1, rtol=1e-9)
    np.testing.assert_allclose(found.ratio["all"][:T], 1, rtol=1e-9)
    np.testing.assert_array_equal(found.ratio["all"][T:], 0)


@pytest.mark.parametrize(("rule", "reach"), [(immediate(), 1), pytest.param(tbptt(3), 3, marks=pytest.mark.slow)])
def test_a_rule_that_cuts_has_the_lags_before_the_cut(rule, reach):
    found = _credit("gru", rule)
    np.testing.assert_allclose(found.cosine["all"][:reach], 1, rtol=1e-9)
    np.testing.assert_array_equal(found.ratio["all"][reach:], 0)


def test_random_has_the_norm_and_not_the_direction():
    found = _credit("gru", random())
    ratio, cosine = found.ratio["layer_0/recurrent_kernel"][: T - 1], found.cosine["all"]
    np.testing.assert_allclose(ratio, 1, rtol=1e-9)
    assert cosine[0] == pytest.approx(1)
    assert (jnp.abs(cosine[1:T]) < 0.9).all()


@pytest.mark.slow
def test_parts_of_snap1_are_the_rule_with_parameters_at_one_step_alone():
    """The influence starts at tau - k by I there, and goes on by D alone."""
    model, params, batch = _case("lstm")
    rule = snap1()
    start, part = backward_by_lag(model, params, batch, None, 1, rule.seen(model))
    parts = jax.jit(lambda p: jax.lax.scan(part, start, jnp.arange(T + 1))[1])(params)
    whole, lag = jax.tree.map(lambda x: x.sum(axis=0), parts), 2
    loss = summed_loss(model, batch)
    gradient = jax.jit(
        lambda p: rule.gradient(model, p, batch.inputs, loss, mask=batch.existing(), resets=batch.resets)
    )
    _equal(gradient(params), whole)
    # Two sequences that differ in where they begin, with the carry given, differ by the parts of the steps between.
    cut = lambda k: _from(model, params, batch, rule, T - 1 - k)  # noqa: E731
    expected = jax.tree.map(jnp.subtract, cut(lag), cut(lag - 1))
    _equal(jax.tree.map(lambda x: x[lag], parts), expected)


def _from(model, params, batch, rule, first):
    """The rule's gradient of the last steps, given the carry that enters the first of them."""
    carry = model.apply(params, batch.inputs[:first])[0]
    part = Batch(*(None if x is None else x[first:] for x in batch))
    loss = summed_loss(model, part)
    return rule.gradient(model, params, part.inputs, loss, carry, mask=part.existing())


def _equal(found, expected):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-12)


@pytest.mark.slow
def test_parts_of_uoro_are_right_on_average():
    model, params, batch = _case("rnn")
    start, exact = backward_by_lag(model, params, batch, None, 1)

    def parts(key):
        estimate = lambda lag, g: uoro().estimate(jax.random.fold_in(key, lag), g, 2)  # noqa: E731
        part = backward_by_lag(model, params, batch, None, 1, None, estimate)[1]
        return jax.lax.scan(part, start, jnp.arange(3))[1]["layer_0"]["recurrent_kernel"]

    draws = jax.jit(jax.vmap(parts))(jax.random.split(jax.random.key(0), 2000))
    expected = jax.lax.scan(exact, start, jnp.arange(3))[1]["layer_0"]["recurrent_kernel"]
    error = draws.std(axis=0) / len(draws) ** 0.5
    assert (jnp.abs(draws.mean(axis=0) - expected) <= 4 * error + 1e-12).all()
    assert float(jnp.linalg.norm(error[1])) < 0.2 * float(jnp.linalg.norm(expected[1]))


def test_the_diagnosis_records_the_rules_that_fit():
    model, params, batch = _case("cornn")
    rules = ("immediate", "snap1", {"name": "tbptt", "kwargs": {"steps": 2}})
    diagnosis = DIAGNOSES["rule_credit"](rules=rules)
    record = diagnosis.record(jax.jit(lambda p: diagnosis.measure(model, p, batch, None))(params))
    assert set(record["rules"]) == {"immediate", "tbptt"}
    assert len(record["rules"]["tbptt"]["cosine"]["all"]) == T + 1
    assert "rule_credit" in FIGURES
    with pytest.raises(ValueError, match=r"unknown rule 'snap'; did you mean 'snap1'\?"):
        DIAGNOSES["rule_credit"](rules=("snap",))
    with pytest.raises(ValueError, match=r"rules: tbptt: .*stepz"):
        DIAGNOSES["rule_credit"](rules=({"name": "tbptt", "kwargs": {"stepz": 2}},))
