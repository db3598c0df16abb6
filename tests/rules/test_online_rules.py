"""Updates within a sequence, against plain Python loops, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import make_model, slow
from jax.flatten_util import ravel_pytree

from rnngen.cells import CELLS
from rnngen.rules import immediate, online, rtrl, snap1, uoro
from rnngen.tasks import adding
from rnngen.training import build_optimizer, init_state
from rnngen.training.sharding import mesh_of
from rnngen.training.state import train_steps

T, B, D, H = 7, 2, 2, 3
EXACT = [rtrl, *slow(snap1, immediate)]


class Case:
    def __init__(self):
        self.cell = CELLS["rnn"](H)
        self.params = jax.tree.map(lambda x: x.astype(jnp.float64) + 0.1, self.cell.init(jax.random.key(0), D))
        self.xs = jax.random.normal(jax.random.key(1), (T, B, D))
        self.dys = jax.random.normal(jax.random.key(2), (T, B, H))
        self.key = jax.random.key(3)

    def run(self, rule, rate):
        """All gradients added up, and the parameters after plain descent."""

        def update(params, total, gradient):
            total = jax.tree.map(jnp.add, total, gradient)
            return jax.tree.map(lambda p, g: p - rate * g, params, gradient), total, jnp.ones(())

        loss = lambda ys, dys: (jnp.sum(ys * dys), jnp.sum(ys))  # noqa: E731
        zeros = jax.tree.map(jnp.zeros_like, self.params)
        of = lambda p: online(rule, self.cell, p, self.xs, self.dys, loss, update, zeros, key=self.key)  # noqa: E731
        return jax.jit(of)(self.params)

    def loop(self, rule, rate):
        """The same, segment by segment."""
        forward, inputs, running = rule.begin(self.cell, self.params, self.xs, key=self.key)
        params = self.params
        for number, first in enumerate(range(0, T, rule.update_every)):
            part = slice(first, first + rule.update_every)
            loss = lambda ys: (jnp.sum(ys * self.dys[part]), None)  # noqa: B023, E731
            key = jax.random.fold_in(self.key, 1 + number)
            gradient, running, _ = forward.segment(params, running, jax.tree.map(lambda x: x[part], inputs), loss, key)  # noqa: B023
            params = jax.tree.map(lambda p, g: p - rate * g, params, gradient)
        return params


def _equal(found, expected):
    np.testing.assert_allclose(ravel_pytree(found)[0], ravel_pytree(expected)[0], rtol=1e-9, atol=1e-12)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("rule", EXACT)
def test_segments_of_fixed_parameters_add_up_to_the_whole(rule):
    case = Case()
    whole = jax.jit(lambda p: rule().gradient(case.cell, p, case.xs, lambda ys: jnp.sum(ys * case.dys), key=case.key))(
        case.params
    )
    _, total, (_, updates) = case.run(rule(update_every=3), 0.0)
    _equal(total, whole)
    assert updates == 3  # 3, 3 and 1 steps


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("rule", [*EXACT, *slow(uoro)])
def test_updates_are_those_of_a_loop(rule):
    case = Case()
    params, _, _ = case.run(rule(update_every=3), 0.05)
    _equal(params, case.loop(rule(update_every=3), 0.05))


@pytest.mark.usefixtures("x64")
def test_influence_and_carry_go_on_after_an_update():
    """RTRL with an update at each step, written out with whole Jacobians."""
    case, rate = Case(), 0.05
    theta, put = ravel_pytree(case.params)
    c, influence = jnp.zeros((B, H)), jnp.zeros((B, H, len(theta)))

    def step(theta, c, x):
        p = put(theta)
        return case.cell.step(p, c, case.cell.project(p, x))[0]

    derive = jax.jit(jax.vmap(jax.jacrev(step, argnums=(0, 1)), in_axes=(None, 0, 0)))
    for t in range(T):
        immediate_part, d = derive(theta, c, case.xs[t])
        c = step(theta, c, case.xs[t])
        influence = jnp.einsum("bij,bjp->bip", d, influence) + immediate_part
        theta = theta - rate * jnp.einsum("bi,bip->p", case.dys[t], influence)
    _equal(case.run(rtrl(update_every=1), rate)[0], put(theta))


def _steps(rule, count=1, **settings):
    task, optimizer = adding(length=T), build_optimizer("sgd", 0.1, steps=100, clip_norm=0.0)
    model, _ = make_model("gru", task)
    state = init_state(model, optimizer, 0)
    run = jax.jit(train_steps(model, task, optimizer, 4, count, rule=rule, **settings))
    return task, model, state, *run(state)


@pytest.mark.parametrize("rule", [rtrl(update_every=2), *slow(rtrl())])
def test_a_training_step_follows_the_rule_on_all_devices(rule):
    """Two devices share the batch; the loop here is of one."""
    task, model, state, after, sums = _steps(rule)
    batch = task.data.sample("train", jax.random.fold_in(state.key, 0), jnp.int32(0), 4)
    every, params = rule.update_every or T, state.params
    forward, inputs, running = rule.begin(model, params, batch.inputs, mask=batch.existing())
    for first in range(0, T, every):
        part = slice(first, first + every)
        piece = jax.tree.map(lambda x: x[part], (inputs, batch))  # noqa: B023
        share = piece[1].weights.sum() / batch.weights.sum()
        loss = lambda ys: (task.objective.loss(ys, piece[1])[0] * share, None)  # noqa: B023, E731
        gradient, running, _ = jax.jit(forward.segment, static_argnums=3)(params, running, piece[0], loss)
        params = jax.tree.map(lambda p, g: p - 0.1 * g, params, gradient)
    np.testing.assert_allclose(ravel_pytree(after.params)[0], ravel_pytree(params)[0], rtol=1e-4, atol=1e-6)
    assert int(after.step) == 1
    assert float(sums["grad_norm"][1]) == -(-T // every)
    assert float(sums["loss"][1]) == float(batch.weights.sum())


@pytest.mark.slow
@pytest.mark.parametrize("rule", [rtrl(), snap1(update_every=2)])
def test_trials_side_by_side_are_those_alone(rule):
    task, optimizer = adding(length=T), build_optimizer("adam", 0.1, steps=100, clip_norm=1.0)
    model, _ = make_model("gru", task)
    run = train_steps(model, task, optimizer, 4, 2, mesh_of(1), rule=rule)
    states = [init_state(model, optimizer, seed) for seed in range(2)]
    both = jax.jit(jax.vmap(run))(jax.tree.map(lambda *x: jnp.stack(x), *states))[0].params
    for number, state in enumerate(states):
        alone, _ = ravel_pytree(jax.jit(run)(state)[0].params)
        found, _ = ravel_pytree(jax.tree.map(lambda x: x[number], both))  # noqa: B023
        np.testing.assert_allclose(found, alone, rtol=1e-3, atol=1e-5)
