"""Changed gradients through the carry, against a plain Python loop in float64, in every engine that can run a cell."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnngen.cells import CELLS
from rnngen.cells.cell import Cell
from rnngen.cells.credit import CREDITS, with_credit
from rnngen.diagnostics import carry_gradients, half_life, log_gradient_norms
from rnngen.engines import unroll

T, B, D, H = 9, 3, 2, 4
RULES = {
    "decay": {"alpha": 0.7},
    "growth": {"alpha": 1.3},
    "renormalise": {},
    "window": {"steps": 4},
    "immediate": {"steps": 1},
}
NAMES = {"growth": "decay", "immediate": "window"}


def _credit(rule):
    return CREDITS[NAMES.get(rule, rule)](**RULES[rule])


def _norm(tree):
    leaves = [jnp.abs(x).reshape(B, -1) ** 2 for x in jax.tree.leaves(tree)]
    return jnp.sqrt(sum(x.sum(axis=1) for x in leaves))


def _per_example(flag, x):
    return flag.reshape(B, *(1,) * (x.ndim - 1))


def _where(mask, x, other):
    return jnp.where(_per_example(mask, x), x, other)


def _changed(rule, dentering, received):
    """What a rule makes of the gradient in the carry that enters a step."""
    if "alpha" in RULES[rule]:
        return jax.tree.map(lambda x: RULES[rule]["alpha"] * x, dentering)
    if rule != "renormalise":
        return dentering
    now, wanted = _norm(dentering), _norm(received)
    factor = jnp.where(now > 0, wanted / jnp.where(now > 0, now, 1), 0)
    return jax.tree.map(lambda x: x * _per_example(factor, x), dentering)


class _Loop:
    """Back-propagation by one vjp a step."""

    def __init__(self, cell, params, xs, mask, resets):
        self.cell, self.params, self.xs, self.mask, self.resets = cell, params, xs, mask, resets
        self.carries = [cell.init_carry(params, (B,))]
        for t in range(T):
            self.carries.append(self.step(params, self.enter(params, self.carries[-1], t), t)[0])

    def enter(self, params, carry, t):
        choose = lambda f, x: jnp.where(_per_example(self.resets[t], x), f, x)  # noqa: E731
        return jax.tree.map(choose, self.cell.init_carry(params, (B,)), carry)

    def step(self, params, carry, t):
        u = self.cell.project(params, jnp.where(self.mask[t][:, None], self.xs[t], 0), None)
        new, y = self.cell.step(params, carry, u)
        keep = lambda n, o: jnp.where(_per_example(self.mask[t], n), n, o)  # noqa: E731
        return jax.tree.map(keep, new, carry), jnp.where(self.mask[t][:, None], y, 0)

    def back(self, rule, dys, steps):
        """The gradient in the parameters, through these steps alone, from the last to the first."""
        total, dcarry = jax.tree.map(jnp.zeros_like, (self.params, self.carries[0]))
        for t in steps:
            entering, pull_enter = jax.vjp(functools.partial(self.enter, t=t), self.params, self.carries[t])
            _, pull = jax.vjp(functools.partial(self.step, t=t), self.params, entering)
            dparams, dentering = pull((dcarry, dys[t]))
            choose = functools.partial(_where, self.mask[t])
            dentering = jax.tree.map(choose, _changed(rule, dentering, (dcarry, dys[t])), dentering)
            more, dcarry = pull_enter(dentering)
            total = jax.tree.map(lambda *x: sum(x), total, dparams, more)
        if steps[-1] == 0:
            _, pull = jax.vjp(lambda p: self.cell.init_carry(p, (B,)), self.params)
            total = jax.tree.map(jnp.add, total, pull(dcarry)[0])
        return total


def _by_hand(cell, params, xs, dys, rule, mask, resets):
    """The gradient in the parameters: by one reverse pass, or by one a loss where a window cuts."""
    prepared, undo = jax.vjp(cell.prepare, params)
    loop = _Loop(cell, prepared, xs, mask, resets)
    if "steps" not in RULES[rule]:
        return undo(loop.back(rule, dys, [*reversed(range(T))]))[0]
    alone = [jnp.zeros_like(dys).at[t].set(dys[t]) for t in range(T)]
    first = [max(0, t + 1 - RULES[rule]["steps"]) for t in range(T)]
    parts = [loop.back(rule, alone[t], [*range(t, first[t] - 1, -1)]) for t in range(T)]
    return undo(jax.tree.map(lambda *x: sum(x), *parts))[0]


def _case(name, dtype):
    kwargs = {"cell": "gru"} if name in ("residual", "zoneout", "variational_dropout") else {}
    cell = CELLS[name](H, **kwargs)
    params = jax.tree.map(lambda x: x.astype(dtype), cell.init(jax.random.key(0), D))
    xs = jax.random.normal(jax.random.key(1), (T, B, D), dtype)
    dys = jax.random.normal(jax.random.key(2), (T, B, cell.output_dim), dtype)
    mask = jnp.ones((T, B), bool).at[3, 1].set(False).at[7:, 2].set(False)
    resets = jnp.zeros((T, B), bool).at[4, 0].set(True)
    return cell, params, xs, dys, mask, resets


def _gradient(cell, params, xs, dys, engine, mask, resets):
    loss = lambda p: jnp.sum(unroll(cell, p, xs, engine=engine, mask=mask, resets=resets)[1] * dys)  # noqa: E731
    return jax.jit(jax.grad(loss))(params)


CELLS_AND_RULES = [
    *(("lstm", rule) for rule in RULES),
    *(pytest.param(name, rule, marks=pytest.mark.slow) for name in ("rnn", "deltarule", "slstm") for rule in RULES),
]


@pytest.mark.parametrize(("name", "rule"), CELLS_AND_RULES)
def test_gradient_is_that_of_a_plain_loop_in_float64(name, rule):
    with jax.enable_x64(True):
        cell, *rest, mask, resets = _case(name, jnp.float64)
        expected = _by_hand(cell, *rest, rule, mask, resets)
        found = _gradient(with_credit(cell, _credit(rule)), *rest, "scan", mask, resets)
        for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


ENGINES = {
    "gru": ["auto", {"name": "fused", "kwargs": {"kernels": True}}, {"name": "fused", "kwargs": {"kernels": False}}],
    "lstm": ["auto", {"name": "fused", "kwargs": {"kernels": True}}, {"name": "fused", "kwargs": {"kernels": False}}],
    "mingru": ["auto", "associative", "fused"],
    "deltarule": ["associative", "fused"],
    "slstm": [{"name": "fused", "kwargs": {"by_hand": False}}],
    "indrnn": ["newton"],
    "rnn": ["newton", {"name": "fused", "kwargs": {"recompute": True}}],
}


QUICK = [("gru", "decay"), ("gru", "renormalise"), ("mingru", "decay")]
REST = [(name, rule) for name in ENGINES for rule in ("decay", "renormalise") if (name, rule) not in QUICK]


@pytest.mark.parametrize(("name", "rule"), [*QUICK, *(pytest.param(*one, marks=pytest.mark.slow) for one in REST)])
def test_every_engine_gives_the_gradient_of_a_scan(name, rule):
    cell, *rest, mask, resets = _case(name, jnp.float32)
    cell = with_credit(cell, _credit(rule))
    expected = _gradient(cell, *rest, "scan", mask, resets)
    for engine in ENGINES[name]:
        found = _gradient(cell, *rest, engine, mask, resets)
        for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5, err_msg=str(engine))


def _integrator(hidden_dim):
    """h' = h + x W: its gradient keeps its norm for ever."""
    return Cell(
        init=lambda key, d: {"kernel": jax.random.normal(key, (d, hidden_dim))},
        init_carry=lambda params, batch: jnp.zeros((*batch, hidden_dim)),
        step=lambda params, h, u: (h + u, h + u),
        output_dim=hidden_dim,
        project=lambda params, xs, key=None: xs @ params["kernel"],
    )


def _last(ys):
    return jnp.sum(ys[-1])


@pytest.mark.parametrize("steps", [1.5, 7.0, 40.0])
def test_the_half_life_of_the_measured_gradient_is_the_one_imposed(steps):
    cell = with_credit(_integrator(H), CREDITS["decay"](half_life=steps))
    params, xs = cell.init(jax.random.key(0), D), jnp.ones((60, B, D))
    norms = log_gradient_norms(cell, params, xs, _last)["all"][::-1]
    assert half_life(norms).steps == pytest.approx(steps, rel=1e-4)
    gradients = carry_gradients(cell, params, xs, _last)
    np.testing.assert_allclose(np.log(np.linalg.norm(gradients, axis=-1))[::-1], norms, rtol=1e-4, atol=1e-4)


def test_a_window_ends_the_gradient_that_is_measured_and_renormalising_keeps_its_norm():
    cell = CELLS["gru"](H)
    params, xs = cell.init(jax.random.key(0), D), jax.random.normal(jax.random.key(1), (12, B, D))
    norms_of = lambda cell: jax.jit(lambda p: log_gradient_norms(cell, p, xs, _last)["all"][::-1])(params)  # noqa: E731
    cut = with_credit(cell, CREDITS["window"](steps=5))
    plain, norms = norms_of(cell), norms_of(cut)
    np.testing.assert_allclose(norms[:5], plain[:5], rtol=1e-5)
    assert np.isneginf(norms[5:]).all()
    gradients = jax.jit(lambda p: carry_gradients(cut, p, xs, _last))(params)
    measured = np.linalg.norm(gradients, axis=-1)[::-1]
    np.testing.assert_allclose(measured[:5], np.exp(plain[:5]), rtol=1e-5)
    assert not measured[5:].any()
    kept = norms_of(with_credit(cell, CREDITS["renormalise"]()))
    np.testing.assert_allclose(kept, np.log(np.sqrt(H)), rtol=1e-5)  # of the loss in the last output


def test_dropping_always_is_a_window_of_one_step_and_dropping_never_changes_nothing():
    cell, params, xs, dys, *_ = _case("lstm", jnp.float32)

    def gradient(cell, key=None):
        return jax.jit(jax.grad(lambda p: jnp.sum(unroll(cell, p, xs, key=key)[1] * dys)))(params)

    def same(a, b):
        jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5), a, b)

    dropped = with_credit(cell, CREDITS["stochastic"](rate=1.0))
    same(gradient(dropped, jax.random.key(3)), gradient(with_credit(cell, CREDITS["window"](steps=1))))
    same(gradient(dropped), gradient(cell))  # without a key
    same(gradient(with_credit(cell, CREDITS["stochastic"](rate=0.0)), jax.random.key(3)), gradient(cell))
    of_h = gradient(with_credit(cell, CREDITS["stochastic"](rate=0.5, leaf="h")), jax.random.key(3))
    assert not np.allclose(of_h["recurrent_kernel"], gradient(cell)["recurrent_kernel"], rtol=1e-3)


@pytest.mark.parametrize("rule", [*RULES, "stochastic"])
def test_the_forward_pass_is_the_same_to_the_bit(rule):
    cell, params, xs, *_ = _case("lstm", jnp.float32)
    credit = CREDITS["stochastic"](rate=0.5) if rule == "stochastic" else _credit(rule)
    for engine in ("scan", "auto"):
        run = lambda c: jax.jit(lambda p: unroll(c, p, xs, key=jax.random.key(0), engine=engine))(params)  # noqa: B023, E731
        if rule == "stochastic" and engine == "auto":
            continue  # it has no compiled loops, which round otherwise
        jax.tree.map(np.testing.assert_array_equal, run(with_credit(cell, credit)), run(cell))


def test_a_leaf_alone_is_scaled():
    with jax.enable_x64(True):
        cell, params, xs, dys, *_ = _case("lstm", jnp.float64)
        both = CREDITS["decay"](alpha=0.7)
        apart = both._replace(scale=(("h", 0.7), ("c", 0.7)))
        only = CREDITS["decay"](alpha=0.7, leaf="c")
        gradients = [
            _gradient(with_credit(cell, credit), params, xs, dys, "scan", None, None) for credit in (both, apart, only)
        ]
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), *gradients[:2])
        assert not np.allclose(gradients[0]["recurrent_kernel"], gradients[2]["recurrent_kernel"])


def test_what_makes_no_sense_is_refused():
    lstm = CELLS["lstm"](H)
    with pytest.raises(ValueError, match=r"carry has no 'x'.*it has c, h"):
        with_credit(lstm, CREDITS["decay"](alpha=0.5, leaf="x"))
    for wrong in ({}, {"alpha": 0.5, "half_life": 3.0}, {"alpha": -1.0}, {"half_life": float("nan")}):
        with pytest.raises(ValueError, match=r"alpha|half_life"):
            CREDITS["decay"](**wrong)
    with pytest.raises(ValueError, match="steps must be a positive"):
        CREDITS["window"](steps=0)
    with pytest.raises(ValueError, match="rate must be from 0 to 1"):
        CREDITS["stochastic"](rate=1.5)
