"""Learning rules against back-propagation, and against plain loops over whole Jacobians, in float64."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from rnngen.cells import CELLS
from rnngen.cells.credit import window as window_of
from rnngen.cells.credit import with_credit
from rnngen.engines import unroll
from rnngen.heads import categorical
from rnngen.models import build_model
from rnngen.rules import bptt, eprop, immediate, random, rtrl, snap1, tbptt, uoro
from rnngen.types import InputSpec

T, B, D, H = 6, 2, 2, 3
WRAPPERS = ("residual", "variational_dropout", "zoneout")
pytestmark = pytest.mark.usefixtures("x64")


class Case:
    """A cell, its parameters without zeros, and a loss of all outputs, over a sequence with a gap and a new start."""

    def __init__(self, name, flags=True, batch=(B,), **kwargs):
        self.cell = CELLS[name](H, **kwargs)
        noise = iter(jax.random.split(jax.random.key(3), 20))
        near = lambda x: x.astype(jnp.float64) + 0.1 * jax.random.normal(next(noise), x.shape)  # noqa: E731
        self.params = jax.tree.map(near, self.cell.init(jax.random.key(0), D))
        self.xs = jax.random.normal(jax.random.key(1), (T, *batch, D))
        self.dys = jax.random.normal(jax.random.key(2), (T, *batch, self.cell.output_dim))
        self.options = {}
        if flags:
            mask = jnp.ones((T, B), bool).at[3, 1].set(False)
            self.options = {"mask": mask, "resets": jnp.zeros((T, B), bool).at[4, 0].set(True)}

    def loss(self, ys):
        return jnp.sum(ys * self.dys)

    def gradient(self, rule, key=None):
        of = lambda p: rule.gradient(self.cell, p, self.xs, self.loss, key=key, **self.options)  # noqa: E731
        return jax.jit(of)(self.params)

    def reverse(self, cell):
        return jax.jit(jax.grad(lambda p: self.loss(unroll(cell, p, self.xs, **self.options)[1])))(self.params)


def _equal(found, expected, rtol=1e-9):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * 1e-2 + 1e-13)


def _far(found, expected):
    return np.linalg.norm(ravel_pytree(found)[0] - ravel_pytree(expected)[0]) > 1e-3


QUICK = ("gru", "deltarule")
ALL = [
    *QUICK,
    *(pytest.param(name, marks=pytest.mark.slow) for name in CELLS if name not in QUICK),
]


@pytest.mark.parametrize("name", ALL)
def test_rtrl_is_bptt_for_every_cell(name):
    case = Case(name, **({"cell": "indrnn"} if name in WRAPPERS else {}))
    _equal(case.gradient(rtrl(dense=True)), case.reverse(case.cell))


DIAGONAL = [(name, rule) for name in ("lru", "indrnn", "minlstm", "rglru") for rule in (rtrl(), snap1(), eprop())]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "rule"), DIAGONAL)
def test_a_diagonal_cell_has_a_small_influence_that_is_exact(name, rule):
    case = Case(name)
    _equal(case.gradient(rule), case.reverse(case.cell))
    assert _size(rule, case) < _size(rtrl(dense=True), case) / (H - 1)


def _size(rule, case):
    return rule.begin(case.cell, case.params, case.xs)[0].influence.size


@pytest.mark.parametrize("rule", [rtrl(), immediate()])
def test_a_learned_initial_carry_has_its_gradient(rule):
    case = Case("gru", learned_carry=True)
    found = case.gradient(rule)
    _equal(found, case.reverse(rule.seen(case.cell)))
    assert jnp.abs(found["initial_carry"]["h"]).min() > 0  # immediately too, by the step that begins anew


@pytest.mark.parametrize("batch", [(), pytest.param((2, 2), marks=pytest.mark.slow)])
def test_any_batch_axes_will_do(batch):
    case = Case("mingru", flags=False, batch=batch)
    _equal(case.gradient(rtrl()), case.reverse(case.cell))


class _Loop:
    """J' = M * (D J + I) with whole matrices, and the loss on the state that leaves, one example at a time."""

    def __init__(self, case):
        self.case, self.prepared = case, case.cell.prepare(case.params)
        self.theta, self.put = ravel_pytree(self.prepared)
        self.start, self.carry_of = ravel_pytree(case.cell.init_carry(self.prepared, ()))

    def step(self, theta, c, x):
        p = self.put(theta)
        carry, y = self.case.cell.step(p, self.carry_of(c), self.case.cell.project(p, x))
        return ravel_pytree(carry)[0], y

    def gradient(self, jacobian, same_unit):
        """jacobian: (theta, c, x) -> D; same_unit: keep what a parameter gives the unit that it reaches at once."""
        total = np.zeros(len(self.theta))
        derive = jax.jit(jax.jacrev(lambda *at: self.step(*at)[0], argnums=0))
        for b in range(B):
            c, influence = self.start, np.zeros((len(self.start), len(self.theta)))
            for t in range(T):
                x = self.case.xs[t, b]
                now = np.asarray(derive(self.theta, c, x))
                reached = now != 0
                keep = np.tile(reached.reshape(-1, H, reached.shape[1]).any(axis=0), (len(self.start) // H, 1))
                influence = np.where(keep | (not same_unit), jacobian(self.theta, c, x) @ influence + now, 0)
                c = self.step(self.theta, c, x)[0]
                total += np.asarray(self.case.dys[t, b]) @ self._output(c, influence)
        return jax.vjp(self.case.cell.prepare, self.case.params)[1](self.put(jnp.asarray(total)))[0]

    def _output(self, c, influence):
        """The influence on y, which is the part `h` of the carry."""
        carry = self.carry_of(jnp.arange(len(c), dtype=c.dtype))
        rows = carry["h"] if isinstance(carry, dict) else carry
        return influence[np.asarray(rows, int)]


LOOPED = ["rnn", *(pytest.param(name, marks=pytest.mark.slow) for name in ("gru", "lstm"))]


@pytest.mark.parametrize("name", LOOPED)
def test_snap1_is_a_masked_loop_over_whole_jacobians(name):
    case = Case(name, flags=False)
    loop = _Loop(case)
    whole = jax.jit(jax.jacrev(lambda theta, c, x: loop.step(theta, c, x)[0], argnums=1))
    _equal(case.gradient(snap1()), loop.gradient(whole, True))
    assert _far(case.gradient(snap1()), case.reverse(case.cell))


@pytest.mark.parametrize("name", LOOPED)
def test_eprop_is_a_loop_whose_recurrent_input_is_given(name):
    case = Case(name, flags=False)
    loop, cell = _Loop(case), case.cell

    def given(theta, c, x):
        p = loop.put(theta)
        a = cell.structure.hidden(loop.carry_of(c)) @ p["recurrent_kernel"]
        of = lambda c: cell.structure.combine(p, loop.carry_of(c), cell.project(p, x), a)[0]  # noqa: E731
        return jax.jacrev(lambda c: ravel_pytree(of(c))[0])(c)

    _equal(case.gradient(eprop()), loop.gradient(jax.jit(given), False))
    if name != "rnn":  # a unit of which keeps nothing by itself
        assert _far(case.gradient(eprop()), case.gradient(immediate()))


@pytest.mark.parametrize("rule", [snap1(), eprop(), immediate()])
def test_going_forward_is_the_reverse_mode_of_what_the_rule_sees(rule):
    case = Case("lstm")
    _equal(case.gradient(rule), case.reverse(rule.seen(case.cell)))


def test_uoro_is_rtrl_on_average():
    case = Case("gru")
    exact, _ = ravel_pytree(case.gradient(rtrl()))
    # One after another: the check of keys takes those of a scan within a vmap for used.
    draw = jax.jit(lambda keys: jax.lax.map(lambda key: ravel_pytree(_uoro(case, key))[0], keys))
    found = np.asarray(draw(jax.random.split(jax.random.key(5), 4000)))
    error = found.std(axis=0) / len(found) ** 0.5
    assert (np.abs(found.mean(axis=0) - exact) <= 4 * error + 1e-12).all()
    assert np.linalg.norm(error) < 0.1 * np.linalg.norm(exact)
    beyond = exact - ravel_pytree(case.gradient(immediate()))[0]
    assert np.linalg.norm(beyond) > 3 * np.linalg.norm(error)  # so that leaving it out would show


def _uoro(case, key):
    return uoro().gradient(case.cell, case.params, case.xs, case.loss, key=key, **case.options)


def test_uoro_of_one_unit_is_exact_one_step_back():
    case = Case("rnn", flags=False)
    case.cell = CELLS["rnn"](1)
    case.params = jax.tree.map(lambda x: x[..., :1][:1] if x.ndim == 2 and x.shape[0] == H else x[..., :1], case.params)
    case.xs, case.dys = case.xs[:2], case.dys[:2, :, :1]
    _equal(case.gradient(uoro(), jax.random.key(0)), case.reverse(case.cell))


def test_truncated_to_one_step_is_immediate_and_to_all_steps_is_bptt():
    case = Case("lstm")
    learned = Case("gru", learned_carry=True)
    _equal(learned.gradient(tbptt(1)), learned.gradient(immediate()))
    _equal(case.gradient(tbptt(T)), case.gradient(bptt()))
    _equal(case.gradient(tbptt(3)), case.reverse(with_credit(case.cell, window_of(3))))


@pytest.mark.slow
def test_random_has_the_norm_of_what_it_replaces():
    case = Case("gru")
    exact, first = case.gradient(bptt()), case.gradient(immediate())
    found, other = (case.gradient(random(), jax.random.key(seed)) for seed in range(2))
    for a, b, c, d in zip(*map(jax.tree.leaves, (found, other, exact, first)), strict=True):
        np.testing.assert_allclose(np.linalg.norm(a - d), np.linalg.norm(c - d), rtol=1e-9)
        np.testing.assert_allclose(np.linalg.norm(b - d), np.linalg.norm(c - d), rtol=1e-9)
    assert _far(found, other)


@functools.cache
def _stack():
    """A model of two layers over an embedding; its parameters in float32, as a model's are."""
    head = categorical(4)
    model = build_model([CELLS["gru"](H), CELLS["lstm"](H)], InputSpec(5, tokens=True), head, embed_dim=2)
    tokens = jax.random.randint(jax.random.key(1), (T, B), 0, 5)
    weights = jax.random.normal(jax.random.key(2), (T, B, 4))
    return model, tokens, lambda outputs: jnp.sum(outputs * weights.astype(outputs.dtype))


@pytest.mark.parametrize("rule", [rtrl(), *(pytest.param(r, marks=pytest.mark.slow) for r in (snap1(), eprop()))])
def test_layers_have_credit_as_the_rule_sees_it(rule):
    with jax.enable_x64(False):
        model, tokens, loss = _stack()
        params = model.init(jax.random.key(0))
        mask = jnp.ones((T, B), bool).at[2, 1].set(False)
        found = jax.jit(lambda p: rule.gradient(model, p, tokens, loss, mask=mask))(params)
        reverse = jax.grad(lambda p: loss(unroll(rule.seen(model), p, tokens, mask=mask)[1]))
        expected = jax.jit(reverse)(params)
        _equal(found, expected, 2e-4)
        assert jnp.abs(found["embed"]["embedding"]).max() > 0


@pytest.mark.parametrize(
    ("rule", "name", "kwargs", "words"),
    [
        (snap1(), "lstm", {"layer_norm": True}, "snap1 follows each parameter to one unit, and a unit of a layer"),
        (eprop(), "cornn", {}, "eprop follows each parameter to one unit"),
        (uoro(), "rnn", {}, "key: uoro draws random signs"),
        (random(), "rnn", {}, "key: random draws a direction"),
    ],
)
def test_what_a_rule_cannot_do_is_refused(rule, name, kwargs, words):
    with pytest.raises(ValueError, match=words):
        Case(name, **kwargs).gradient(rule)


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="update_every must be a number of steps"):
        rtrl(update_every=-1)
    with pytest.raises(ValueError, match="steps must be a positive whole number"):
        tbptt(0)
