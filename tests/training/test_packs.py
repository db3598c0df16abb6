"""Several trials as one program: the bits of single runs, and each its own goal, end, failure and folder."""

import dataclasses

import jax
import numpy as np
import pytest

from rnngen.config import base_config, build, component, resolve
from rnngen.runs.train import run, run_pack
from rnngen.storage.folder import RunFolder
from rnngen.training import alike, checkpoint, fit, fit_pack, init_state
from rnngen.training.compiled import start_state

WALL_CLOCK = ("seconds", "steps_per_second", "cost_seconds")


def config(**changes):
    made = base_config()
    made.cell = component("my_lab:leaky", hidden_dim=4)
    made.task = component("my_lab:short_latch", length=5)
    made.train.update(steps=8, batch_size=4, log_every=2, eval_every=4, save_every=4)
    made.diagnose.examples = 4
    for name, value in changes.items():
        made[name.replace("__", ".").split(".")[0]].update({name.split("__")[-1]: value}) if "__" in name else (
            made.update({name: value})
        )
    return resolve(made)


def timeless(folder):
    rows = folder.rows("metrics") + folder.rows("diagnoses")
    return [{k: v for k, v in row.items() if k not in WALL_CLOCK} for row in rows]


def packed(tmp_path, configs, how="map", listeners=None):
    folders = [RunFolder(tmp_path / f"pack{i}") for i in range(len(configs))]
    for folder, each in zip(folders, configs, strict=True):
        folder.start(each)
    listeners = listeners or [lambda row: None] * len(configs)
    return folders, fit_pack([build(c) for c in configs], folders, listeners, how)


def alone(path, each):
    folder = RunFolder(path)
    folder.start(each)
    return folder, fit(build(each), folder)


@pytest.fixture
def one_device(monkeypatch):
    """As a worker with one core has it."""
    first = jax.local_devices()[:1]
    monkeypatch.setattr(jax, "local_device_count", lambda: 1)
    monkeypatch.setattr(jax, "local_devices", lambda: first)


NUMBERS = [{"seed": 0}, {"seed": 1, "optim__learning_rate": 0.01}, {"seed": 2, "optim__clip_norm": 0.1}]


@pytest.mark.slow
def test_mapped_trials_have_the_bits_that_each_has_alone(tmp_path, one_device):
    configs = [config(**numbers) for numbers in NUMBERS]
    folders, results = packed(tmp_path, configs)
    for number, each in enumerate(configs):
        folder, result = alone(tmp_path / f"alone{number}", each)
        assert timeless(folder) == timeless(folders[number])
        assert result["metrics"]["test"] == results[number]["metrics"]["test"]
        like = init_state(build(each).model, build(each).optimizer, 0)
        (a, b) = (checkpoint.load(f.checkpoints, 8, like).params for f in (folder, folders[number]))
        assert jax.tree.all(jax.tree.map(np.array_equal, a, b))


@pytest.mark.slow
@pytest.mark.parametrize("how", ["map", "vmap"])
def test_on_two_devices_and_at_once_to_rounding(tmp_path, how):
    configs = [config(**numbers) for numbers in [*NUMBERS, {"seed": 3}]]
    folders, _ = packed(tmp_path, configs, how)
    for number in (0, 1, 3):
        folder, _ = alone(tmp_path / f"alone{number}", configs[number])
        for ours, theirs in zip(timeless(folder), timeless(folders[number]), strict=True):
            assert (ours["step"], ours.get("split")) == (theirs["step"], theirs.get("split"))
            if "loss" in ours:
                assert theirs["loss"] == pytest.approx(ours["loss"], rel=1e-4)


@pytest.mark.slow
def test_each_trial_ends_for_itself(tmp_path):
    """One reaches its goal, one is no number, one is asked to stop, one goes on to the end."""
    goal = {"train__stop_metric": "accuracy", "train__stop_at": 2.0}
    configs = [config(seed=seed, **goal) for seed in range(4)]
    folders = [RunFolder(tmp_path / str(seed)) for seed in range(4)]
    for folder, each in zip(folders, configs, strict=True):
        folder.start(each)
    experiments = [build(each) for each in configs]
    eager = experiments[0].train._replace(stop_at=0.0)
    experiments[0] = experiments[0]._replace(train=eager)  # met at once
    init = experiments[1].model.init
    nan = dataclasses.replace(experiments[1].model, init=lambda key: jax.tree.map(lambda p: p * np.nan, init(key)))
    experiments[1] = experiments[1]._replace(model=nan, program="")
    folders[2].request_stop()
    results = fit_pack(experiments, folders, [lambda row: None] * 4)
    assert [(r["status"], r["step"]) for r in results] == [
        ("finished", 0), ("diverged", 2), ("pruned", 4), ("finished", 8)
    ]  # fmt: skip
    assert ["test" in r["metrics"] for r in results] == [True, True, False, True]
    assert results[3]["metrics"]["test"] == pytest.approx(alone(tmp_path / "alone", configs[3])[1]["metrics"]["test"])
    for folder, result in zip(folders, results, strict=True):
        assert folder.result()["status"] == result["status"]
        assert max(row["step"] for row in folder.rows("metrics")) == result["step"]


@pytest.mark.slow
def test_a_pack_that_was_stopped_goes_on_to_the_same_bits(tmp_path, one_device):
    configs = [config(seed=seed) for seed in range(2)]
    whole, _ = packed(tmp_path / "whole", configs)

    def dying(row):
        if row["step"] == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        packed(tmp_path / "cut", configs, listeners=[dying, lambda row: None])
    cut, _ = packed(tmp_path / "cut", configs)
    assert [timeless(folder) for folder in cut] == [timeless(folder) for folder in whole]


def test_numbers_that_are_data_share_a_program_and_those_of_a_step_do_not():
    def program(name, **kwargs):
        return build(config(cell=component(name, hidden_dim=4, **kwargs)))

    scaled = [program("rnn", recurrent_init={"name": "normal", "kwargs": {"stddev": s}}) for s in (0.1, 1.0)]
    leaking = [program("my_lab:leaky", leak=leak) for leak in (0.5, 0.7)]
    faster = [build(config(optim__learning_rate=rate, seed=seed)) for rate in (0.1, 0.2) for seed in (0, 1)]
    assert alike(scaled) == [[0, 1]]
    assert alike(leaking) == [[0], [1]]
    assert alike([*faster, *scaled, *leaking]) == [[0, 1, 2, 3], [4, 5], [6], [7]]
    assert alike([leaking[0]._replace(program="")] * 2) == [[0], [1]]


def test_trials_of_one_program_start_by_their_own_initialisers():
    scales = (0.25, 0.5, 0.75)
    drawn = [{"name": "identity", "kwargs": {"scale": scale}} for scale in scales]
    made = [build(config(cell=component("rnn", hidden_dim=4, recurrent_init=init))) for init in drawn]
    heads = [{"name": "normal", "kwargs": {"stddev": scale}} for scale in (0.1, 0.2)]
    made += [build(config(model__head_init=component(head["name"], **head["kwargs"]))) for head in heads]
    states = [start_state(experiment).params for experiment in made]
    for scale, params in zip(scales, states, strict=False):
        np.testing.assert_array_equal(params["layer_0"]["recurrent_kernel"], scale * np.eye(4))
    kernels = [params["head"]["kernel"] for params in states[3:]]
    np.testing.assert_allclose(2 * kernels[0], kernels[1], rtol=1e-6)


@pytest.mark.slow
def test_one_that_fails_does_not_take_the_others_with_it(tmp_path):
    bad = resolve({**config().to_dict(), "cell": component("my_lab:exploding", hidden_dim=4)})
    configs, errors = [config(seed=0), bad, config(seed=1)], []
    paths = [str(tmp_path / str(i)) for i in range(3)]
    run_pack(configs, paths, lambda path, error: errors.append((path, str(error))))
    assert errors == [(paths[1], "this cell cannot step")]
    assert [(RunFolder(path).result() or {}).get("status") for path in paths] == ["finished", None, "finished"]
    assert RunFolder(paths[0]).rows("provenance")[0]["pack"] == 2
    assert run(configs[2], tmp_path / "alone")["metrics"]["test"]["loss"] == pytest.approx(
        RunFolder(paths[2]).result()["metrics"]["test"]["loss"], rel=1e-4
    )


@pytest.mark.slow
def test_equal_programs_are_compiled_once(tmp_path):
    compiled = []

    def listen(event, duration, **details):
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(event)

    counts = []
    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        for number, changes in enumerate(NUMBERS):
            run(config(cell=component("my_lab:leaky", hidden_dim=3), **changes), tmp_path / str(number))
            counts.append(len(compiled))
    finally:
        jax.monitoring.clear_event_listeners()
    assert counts[0] > 0
    assert counts[1:] == counts[:1] * 2
