"""Promise 6: a loss that is not finite ends a trial or is backed off from, as its config says; nothing else suffers."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import make_experiment
from injectors import numbers, small, trained

from rnngen.config import build
from rnngen.storage.folder import RunFolder
from rnngen.tasks import adding
from rnngen.training import checkpoint, fit, fit_pack
from rnngen.training.compiled import start_state


def poisoned_at(step, number=jnp.nan):
    """A task whose batch number `step` has a number in it that is none."""
    task = adding(6, eval_size=20)

    def sample(split, key, at, size):
        batch = task.data.sample(split, key, at, size)
        return batch._replace(inputs=jnp.where((at == step) & (split == "train"), number, batch.inputs))

    return task._replace(data=task.data._replace(sample=sample))


def fitted(path, experiment):
    folder = RunFolder(path)
    folder.start({})
    return folder, fit(experiment, folder)


def final(folder, experiment):
    step, wrong = checkpoint.newest(folder.checkpoints)
    assert not wrong
    return checkpoint.load(folder.checkpoints, step, start_state(experiment))


@pytest.mark.parametrize(
    "number", [jnp.nan, *(pytest.param(other, marks=pytest.mark.slow) for other in (jnp.inf, -jnp.inf))]
)
def test_stop_keeps_the_best_and_the_last_good_checkpoint(tmp_path, faults, number):
    experiment = make_experiment(task=poisoned_at(5, number), steps=8, save_every=2, select="best")
    folder, result = fitted(tmp_path, experiment)
    assert (result["status"], result["step"], result["solved"]) == ("diverged", 6, False)
    assert checkpoint.steps(folder.checkpoints) == [2, 4]
    state = final(folder, experiment)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((state.params, state.best)))
    assert np.isfinite(result["metrics"]["test"]["loss"])
    assert result["chosen_step"] <= 4
    faults.tell("a loss that is not finite: stop", 1, [])


@pytest.mark.slow
def test_a_large_array_with_one_that_is_none_is_seen(tmp_path):
    """jnp.max drops NaN in large arrays on a CPU; what decides here must not."""
    experiment = make_experiment("rnn", steps=4, save_every=2)
    model = experiment.model
    kernel = lambda params: jax.tree.map(lambda x: x, params)  # noqa: E731

    def init(key):
        params = kernel(model.init(key))
        first, *rest = jax.tree.leaves(params)
        return jax.tree.unflatten(jax.tree.structure(params), [first.at[(0,) * first.ndim].set(jnp.nan), *rest])

    folder, result = fitted(tmp_path, experiment._replace(model=dataclasses.replace(model, init=init)))
    assert (result["status"], result["step"]) == ("diverged", 2)
    assert not checkpoint.steps(folder.checkpoints)


@pytest.mark.slow
def test_skip_update_passes_over_what_is_broken_and_nothing_else(tmp_path, faults):
    """The update of step 5 is left out; those after it are as plain descent from there would have them."""
    settings = {"steps": 8, "save_every": 2, "optimizer": "sgd"}
    experiment = make_experiment(task=poisoned_at(5), on_divergence="skip_update", **settings)
    folder, result = fitted(tmp_path, experiment)
    assert result["status"] == "finished"
    skipped = {row["step"]: row["skipped"] for row in folder.rows("metrics") if row["split"] == "train"}
    assert skipped == {2: 0.0, 4: 0.0, 6: 0.5, 8: 0.0}
    clean = make_experiment(task=adding(6, eval_size=20), steps=8, optimizer="sgd")
    state = start_state(clean)
    params, key = state.params, jax.random.fold_in(state.key, 0)
    gradient = jax.jit(jax.grad(lambda p, batch: clean.model.loss(p, batch)[0]))
    for step in (0, 1, 2, 3, 4, 6, 7):
        found = gradient(params, clean.task.data.sample("train", key, jnp.int32(step), 4))
        size = jnp.sqrt(sum(jnp.sum(g**2) for g in jax.tree.leaves(found)))
        params = jax.tree.map(lambda p, g: p - 1e-2 * jnp.minimum(1.0, 1.0 / size) * g, params, found)  # noqa: B023
    for ours, theirs in zip(jax.tree.leaves(final(folder, experiment).params), jax.tree.leaves(params), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    faults.tell("a loss that is not finite: skip_update", 1, [])


@pytest.mark.slow
def test_where_every_update_is_broken_it_ends_all_the_same(tmp_path):
    task = poisoned_at(jnp.int32(-1))

    def sample(split, key, at, size):
        return task.data.sample(split, key, at - at - 1 if split == "train" else at, size)

    everywhere = task._replace(data=task.data._replace(sample=sample))
    _, result = fitted(tmp_path, make_experiment(task=everywhere, steps=8, on_divergence="skip_update"))
    assert (result["status"], result["step"]) == ("diverged", 2)


def too_fast(**train):
    """A rate at which plain descent leaves the numbers that there are, and an eighth of which does not."""
    optim = {"name": "sgd", "learning_rate": RATE, "clip_norm": 0.0, "kwargs": {}}
    task = {"name": "adding", "kwargs": {"length": 6, "eval_size": 20}}
    return small("rnn", task, steps=40, optim=optim, save_every=20, **train)


RATE = 4.0


@pytest.mark.slow
def test_restore_goes_back_with_smaller_updates_until_it_holds(tmp_path, faults, capfd):
    stopped = too_fast()
    trained(tmp_path / "stopped", stopped)
    assert RunFolder(tmp_path / "stopped").result()["status"] == "diverged"
    config = too_fast(on_divergence="restore")
    trained(tmp_path / "whole", config)
    run = RunFolder(tmp_path / "whole")
    steps = [row["step"] for row in run.rows("metrics") if row["split"] == "train"]
    assert steps == sorted(set(steps))
    backoffs = [row["backoff"] for row in run.rows("metrics") if row["split"] == "train"]
    assert backoffs == sorted(backoffs, reverse=True)
    assert 0.01 < backoffs[-1] < 1
    assert run.result()["status"] == "finished"
    # Cut anywhere, after having gone back too, it is the same run.
    writes, lost, tried = trained(tmp_path / "again", config), [], 0
    whole = numbers(tmp_path / "whole")
    assert numbers(tmp_path / "again") == whole
    for at in range(1, writes, max(1, writes // faults.count(3, 20))):
        tried += 1
        trained(tmp_path / f"cut{at}", config, at)
        trained(tmp_path / f"cut{at}", config)
        lost += [] if numbers(tmp_path / f"cut{at}") == whole else [at]
    faults.tell("a loss that is not finite: restore, and cut", tried, lost)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("policy", "how"),
    [
        ("stop", "map"),
        pytest.param("restore", "vmap", marks=pytest.mark.slow),
        pytest.param("restore", "map", marks=pytest.mark.slow),
        pytest.param("stop", "vmap", marks=pytest.mark.slow),
    ],
)
def test_neighbours_in_a_pack_keep_their_bits(tmp_path, faults, how, policy):
    def pack(name, rates):
        plain = {"name": "sgd", "clip_norm": 0.0, "kwargs": {}}
        configs = [small(optim=plain | {"learning_rate": rate}, on_divergence=policy) for rate in rates]
        configs = [dataclasses.replace(config, seed=seed) for seed, config in enumerate(configs)]
        folders = [RunFolder(tmp_path / name / str(i)) for i in range(3)]
        for folder, config in zip(folders, configs, strict=True):
            folder.start(config)
        fit_pack([build(c) for c in configs], folders, [lambda row: None] * 3, how)
        return [numbers(folder.path) for folder in folders], [folder.result()["status"] for folder in folders]

    calm, statuses = pack("calm", [0.1, 0.1, 0.1])
    assert statuses == ["finished"] * 3
    wild, statuses = pack("wild", [0.1, 1e38, 0.1])
    assert statuses == ["finished", "diverged", "finished"]
    faults.tell(f"a neighbour in a pack diverges ({policy}, {how})", 2, [i for i in (0, 2) if calm[i] != wild[i]])
