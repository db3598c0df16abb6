"""Floating-point operations: of a jaxpr, by formula, of an update, whatever the engine, and as a budget."""

import jax
import jax.numpy as jnp
import pytest
from conftest import make_experiment

import rnngen
from rnngen.config import base_config, build, component, resolve
from rnngen.config.check import ConfigError
from rnngen.training.compiled import update_flops
from rnngen.training.flops import count_flops

A, B = jnp.ones((3, 4)), jnp.ones((4, 5))


def counted(function, *args):
    return count_flops(jax.make_jaxpr(function)(*args).jaxpr)


@pytest.mark.parametrize(
    ("function", "args", "expected"),
    [
        (lambda a, b: a @ b, (A, B), 2 * 3 * 4 * 5),
        (lambda a, b: (a + 1j) @ b.astype(jnp.complex64), (A.astype(jnp.complex64), B), 4 * (2 * 3 * 4 * 5 + 12)),
        (lambda a: jnp.tanh(a) * a, (A,), 2 * 12),
        (lambda a: jnp.sum(a), (A,), 12),
        (lambda a: a.at[jnp.array([0, 2])].add(1.0), (A,), 2 * 4),
        (lambda a: a.T[::-1].reshape(2, 6), (A,), 0),
        (lambda a: a.astype(jnp.int32) + 1, (A,), 0),
        (lambda a: jax.lax.scan(lambda c, x: (c * x, c), a[0], a), (A,), 3 * 4),
        (lambda a: jax.jit(lambda x: x + x)(a), (A,), 12),
        (lambda a: jax.lax.cond(a[0, 0] > 0, lambda x: x + x, lambda x: x * x + x, a), (A,), 24),
        # Each of 2 x 3 outputs has 3 taps of 4 inputs.
        (
            lambda x, k: jax.lax.conv_general_dilated(x, k, (1,), "VALID", dimension_numbers=("NTC", "TIO", "NTC")),
            (jnp.ones((1, 4, 4)), jnp.ones((3, 4, 3))),
            2 * 2 * 3 * 3 * 4,
        ),
    ],
)
def test_operations_by_formula(function, args, expected):
    assert counted(function, *args) == expected


def config(cell="rnn", hidden_dim=64, **train):
    made = base_config()
    made.cell, made.task = component(cell, hidden_dim=hidden_dim), component("adding", length=10, eval_size=20)
    made.diagnose.what = ()
    made.train.update({"batch_size": 16, "eval_every": 0, "eval_batch_size": 20, "save_every": 0} | train)
    return made


@pytest.mark.parametrize(("cell", "gates"), [("rnn", 1), ("gru", 3), ("lstm", 4)])
def test_an_update_takes_three_products_with_each_kernel(cell, gates):
    """One forward, and two backward: of the weights and of the carry, but of the first layer's inputs none."""
    found = update_flops(build(resolve(config(cell, 256))))
    products = 10 * 16 * 2 * gates * (3 * 256 * 256 + 2 * 2 * 256)
    # The gradients of the weights are summed step by step, and Adam has a dozen operations for each weight.
    assert products < found < 1.1 * products


def test_operations_are_those_of_a_plain_scan_whatever_the_engine():
    counts = set()
    for engine in ("auto", "scan", "associative"):
        made = config("mingru")
        made.model.engine.name = engine
        counts.add(update_flops(build(resolve(made))))
    assert len(counts) == 1


def test_a_rule_has_operations_of_its_own():
    exact, cut = config("gru", 8), config("gru", 8)
    exact.train.rule, cut.train.rule = component("rtrl"), component("immediate")
    bptt, rtrl, immediate = (update_flops(build(resolve(one))) for one in (config("gru", 8), exact, cut))
    assert max(immediate, bptt) < rtrl / 8  # of n^4 operations a step, the others of n^2


def test_a_budget_of_operations_decides_the_steps(tmp_path):
    one = update_flops(build(resolve(config())))
    resolved = resolve(config(flop_budget=7.5 * one))
    assert resolved.train.steps == 7
    assert resolve(config(flop_budget=7.5 * one, eval_every=-1, steps=9999)).train.eval_every == 1
    assert resolve(resolved.to_dict()) == resolved == resolve(config(steps=7))
    run = rnngen.train(config(flop_budget=2.0 * one), tmp_path, progress=False)
    assert (run.result["step"], run.result["flops"]) == (2, 2 * one)


@pytest.mark.parametrize(
    ("budget", "message"),
    [(-1.0, "must be positive, or 0 for none, got -1"), (5.0, "an update takes .* operations, and a run has one"),
     (3e38, "an update takes .* operations, and 1,000,000,000 of them are the most; got 3e")],
)  # fmt: skip
def test_a_budget_that_allows_no_run(budget, message):
    with pytest.raises(ConfigError, match=rf"config\.train\.flop_budget: {message}"):
        resolve(config(flop_budget=budget))


def test_an_experiment_without_a_config_is_counted_too():
    assert update_flops(make_experiment("gru")) == update_flops(make_experiment("gru", seed=1)) > 0
