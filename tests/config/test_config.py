"""A config becomes objects, or one line that names the place and the nearest right thing."""

import copy
import json
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import DATA, READING
from ml_collections import ConfigDict

from rnngen.cli.overrides import load_config
from rnngen.config import Component, base_config, build, complete, component, resolve
from rnngen.config.check import ConfigError, call, check_name, load_module, set_override
from rnngen.config.fingerprint import difference, fingerprint
from rnngen.storage.jsonl import dumps, loads

ROOT = Path(__file__).parents[2]
CONFIGS = sorted(ROOT.glob("configs/*.py"))


def changed(**groups):
    config = base_config().to_dict()
    for name, value in groups.items():
        set_override(config, name.replace("__", "."), value)
    return ConfigDict(config).to_dict()


@pytest.mark.parametrize("path", [*CONFIGS, *sorted(ROOT.glob("configs/sweeps/*.py"))], ids=lambda p: p.stem)
def test_shipped_configs_resolve_and_build(path):
    config = call(str(path), load_module(str(path)), "get_config")
    if config.task.name in READING and not DATA:
        pytest.skip(f"RNNGEN_DATA does not name a folder of sets, and the task {config.task.name} reads one")
    resolved = resolve(config)
    experiment = build(resolved)
    assert experiment.train.steps == resolved.train.steps
    assert resolve(resolved.to_dict()) == resolved


def test_resolved_is_json_with_every_default():
    resolved = resolve(changed(cell=component("lstm", hidden_dim=8).to_dict()))
    assert json.loads(json.dumps(resolved.to_dict())) == resolved.to_dict()
    assert resolved.cell.kwargs["forget_bias"] == 1.0
    assert resolved.task.kwargs["length"] == 100


def test_numbers_reach_the_objects():
    config = changed(cell__name="rnn", cell__kwargs__hidden_dim=5, task__kwargs__length=12, model__num_layers=3, seed=4)
    experiment = build(resolve(config))
    params = experiment.model.init(jax.random.key(0))
    assert params["layer_2"]["recurrent_kernel"].shape == (5, 5)
    assert experiment.task.data.lengths["train"] == (12, 12)
    assert experiment.seed == 4


@pytest.mark.parametrize(("steps", "every"), [(4, 1), (50, 5), (2000, 200), (5000, 500), (100_000, 500)])
def test_a_run_is_evaluated_ten_times_at_least_unless_it_says_otherwise(steps, every):
    assert resolve(changed(train__steps=steps)).train.eval_every == every
    assert resolve(changed(train__steps=steps, train__eval_every=0)).train.eval_every == 0
    schedule = build(resolve(changed(train__steps=steps, cell__kwargs__hidden_dim=2))).train
    assert steps // schedule.eval_every >= min(10, steps)


def test_dtype_reaches_the_model():
    model = build(resolve(changed(dtype="bfloat16"))).model
    params = jax.eval_shape(model.init, jax.random.key(0))
    carry = jax.eval_shape(lambda p: model.init_carry(p, (2,)), params)
    assert {leaf.dtype for leaf in jax.tree.leaves(carry)} == {jnp.dtype(jnp.bfloat16)}


def test_components_from_outside():
    config = changed(
        cell={"name": "my_lab:leaky", "kwargs": {"hidden_dim": 3, "leak": 0.5}},
        task={"name": "my_lab:short_latch", "kwargs": {}},
        model__head_init={"name": "my_lab:halves", "kwargs": {}},
        diagnose__examples=20,
    )
    resolved = resolve(config)
    assert dict(resolved.task.kwargs) == {"length": 6}
    params = build(resolved).model.init(jax.random.key(0))
    np.testing.assert_array_equal(params["head"]["kernel"], 0.5)


def test_numbers_and_texts_of_a_factory_come_back_from_files_as_they_are():
    resolved = resolve(changed(cell=component("my_lab:capped", hidden_dim=3).to_dict()))
    assert dict(resolved.cell.kwargs) == {"hidden_dim": 3, "ceiling": math.inf, "norm": "inf"}
    build(resolved)
    assert resolve(loads(dumps(resolved.to_dict()))) == resolved
    low = resolve(changed(cell=component("my_lab:capped", hidden_dim=3, ceiling=-math.inf, norm="nan").to_dict()))
    assert (low.cell.kwargs["ceiling"], low.cell.kwargs["norm"]) == (-math.inf, "nan")
    # A folder of before has the number where the text was.
    assert resolve(changed(cell=component("my_lab:capped", hidden_dim=3, norm=math.inf).to_dict())) == resolved
    with pytest.raises(ConfigError, match=r"config\.cell\.kwargs\.forget_bias: must be a finite number, got inf"):
        resolve(changed(cell=component("lstm", hidden_dim=3, forget_bias=math.inf).to_dict()))


def test_kwargs_of_another_component_start_anew_also_where_they_come_after_its_name():
    base = complete(changed(cell__kwargs={"hidden_dim": 3, "forget_bias": 0.0}))
    there = copy.deepcopy(base)
    set_override(there, "cell.kwargs", {"hidden_dim": 4}, base)
    assert there["cell"]["kwargs"] == {"hidden_dim": 4, "forget_bias": 0.0}
    set_override(there, "cell.name", "gru", base)
    set_override(there, "cell.kwargs", {"hidden_dim": 5}, base)
    assert there["cell"] == {"name": "gru", "kwargs": {"hidden_dim": 5}}


@pytest.mark.parametrize(
    ("arguments", "rate", "kwargs"),
    [
        (["--config.optim={'name': 'sgd'}"], 0.25, {}),
        (["--config.optim", "{'name': 'sgd'}"], 0.25, {}),
        (["--config.optim={'clip_norm': 2.0}", "--config.optim.learning_rate=0.5"], 0.5, {"b1": 0.5}),
        (["--config.optim={'name': 'adam', 'kwargs': {'b2': 0.5}}"], 0.25, {"b1": 0.5, "b2": 0.5}),
        (["--config.optim.kwargs={'b2': 0.5}"], 0.25, {"b2": 0.5}),  # all arguments at once
    ],
)
def test_a_mapping_on_the_command_line_changes_what_it_names(tmp_path, arguments, rate, kwargs):
    (tmp_path / "own.py").write_text(
        "from rnngen.config import base_config\n"
        "def get_config():\n"
        "    config = base_config()\n"
        "    config.optim.update({'learning_rate': 0.25, 'kwargs': {'b1': 0.5}})\n"
        "    return config\n"
    )
    config = complete(load_config(f"{tmp_path}/own.py", arguments).config)
    assert (config["optim"]["learning_rate"], config["optim"]["kwargs"]) == (rate, kwargs)


def test_a_mapping_changes_of_a_group_what_it_names():
    config = complete(changed(optim__learning_rate=0.25, optim__kwargs={"b1": 0.5}, train__batch_size=7))

    def after(name, value):
        there = copy.deepcopy(config)
        set_override(there, name, value)
        return there

    other = after("optim", {"name": "sgd"})["optim"]
    assert (other["learning_rate"], other["clip_norm"], other["kwargs"]) == (0.25, 1.0, {})
    same = after("optim", {"name": "adam", "kwargs": {"b2": 0.9}, "clip_norm": 2.0})["optim"]
    assert (same["learning_rate"], same["clip_norm"], same["kwargs"]) == (0.25, 2.0, {"b1": 0.5, "b2": 0.9})
    assert after("optim.kwargs", {"b2": 0.9})["optim"]["kwargs"] == {"b1": 0.5, "b2": 0.9}
    assert after("train", {"steps": 300})["train"] == config["train"] | {"steps": 300}
    assert after("cell", component("lstm", forget_bias=0.0).to_dict())["cell"]["kwargs"]["hidden_dim"] == 128
    assert after("cell", component("gru", hidden_dim=3).to_dict())["cell"]["kwargs"] == {"hidden_dim": 3}
    config["model"]["engine"] = {"name": "scan", "kwargs": {"unroll": 2}}
    deep = after("model", {"engine": {"name": "auto"}, "num_layers": 2})["model"]
    assert deep == config["model"] | {"engine": {"name": "auto", "kwargs": {}}, "num_layers": 2}
    config["task"] = component("music", name="jsb_chorales", chunk=64).to_dict()
    assert after("task", component("music", name="muse").to_dict())["task"]["kwargs"] == {"name": "muse", "chunk": 64}
    # What an argument gets is a value, and whole.
    zeros = {"name": "zeros"}
    assert after("cell.kwargs.recurrent_init", zeros)["cell"]["kwargs"]["recurrent_init"] == zeros
    with pytest.raises(ConfigError, match=r"config\.optim\.learning_rat: no such key; did you mean 'learning_rate'"):
        after("optim", {"learning_rat": 1.0})


def test_a_budget_chooses_for_a_cell_of_ones_own_too():
    config = changed(cell=component("my_lab:leaky").to_dict(), model__param_budget=100, diagnose__examples=20)
    # Of the adding problem: two weights a unit, and the head's one and a bias.
    assert resolve(config).cell.kwargs["hidden_dim"] == 33
    with pytest.raises(ConfigError, match=r"config\.cell\.kwargs\.hidden_dim: my_lab:leaky needs this argument"):
        resolve(changed(cell=component("my_lab:leaky").to_dict()))


@pytest.mark.parametrize("name", ["rnn", "gru", "lstm"])
def test_a_budget_of_parameters_gives_the_widest_cell_within_it(name):
    resolved = resolve(changed(cell=component(name, hidden_dim=1).to_dict(), model__param_budget=2000))
    width = resolved.cell.kwargs["hidden_dim"]

    def parameters(hidden_dim):
        config = changed(cell=component(name, hidden_dim=hidden_dim).to_dict())
        shapes = jax.eval_shape(build(resolve(config)).model.init, jax.random.key(0))
        return sum(leaf.size for leaf in jax.tree.leaves(shapes))

    assert parameters(width) <= 2000 < parameters(width + 1)
    assert resolve(resolved.to_dict()) == resolved


def test_diagnoses_and_regularisers_reach_the_objects():
    what = ("gate_statistics", component("lyapunov_spectrum", exponents=2))
    config = changed(cell__kwargs__hidden_dim=5, diagnose__what=what, optim__regularizer=component("omega", weight=3.0))
    resolved = resolve(config)
    assert resolved.diagnose.what[0] == Component.of({"name": "gate_statistics", "kwargs": {"margin": 0.1}})
    experiment = build(resolved)
    assert list(experiment.diagnose.what) == ["gate_statistics", "lyapunov_spectrum"]
    assert experiment.regularizer.penalty is not None


def test_the_id_depends_on_values_and_not_on_order_or_type():
    one = resolve(changed(seed=3))
    other = resolve(ConfigDict(dict(reversed(list(changed(seed=3).items())))))
    assert fingerprint(one) == fingerprint(other) != fingerprint(resolve(changed(seed=4)))
    assert fingerprint(resolve(changed(optim__learning_rate=1))) == fingerprint(
        resolve(changed(optim__learning_rate=1.0))
    )


def test_switching_the_cell_drops_the_other_cells_arguments():
    with pytest.raises(ConfigError, match=r"config\.cell\.kwargs\.forget_bias: gru has no such argument"):
        resolve(changed(cell={"name": "gru", "kwargs": {"hidden_dim": 3, "forget_bias": 1.0}}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cell__name": "lstmm"}, "config.cell.name: unknown cell 'lstmm'; did you mean 'lstm'?"),
        ({"task__name": "ading"}, "config.task.name: unknown task 'ading'; did you mean 'adding'?"),
        ({"optim__name": "adm"}, "config.optim.name: unknown optimiser 'adm'; did you mean 'adam'?"),
        ({"optim__schedule": {"name": "cosin", "kwargs": {}}}, "config.optim.schedule.name: unknown schedule"),
        ({"cell__kwargs__hidden_dmi": 3}, "config.cell.kwargs.hidden_dmi: lstm has no such argument; did you mean"),
        ({"cell__kwargs__hidden_dim": "3"}, "config.cell.kwargs.hidden_dim: must be int, got '3'"),
        ({"cell__kwargs__hidden_dim": True}, "config.cell.kwargs.hidden_dim: must be int, got True"),
        ({"task__kwargs__min_length": 2.5}, "config.task.kwargs.min_length: must be int or None, got 2.5"),
        ({"optim__kwargs__learning_rate": 0.1}, "config.optim.kwargs.learning_rate: adam has no such argument"),
        ({"optim__learning_rate": "fast"}, "config.optim.learning_rate: must be float, got 'fast'"),
        ({"train__steps": 1.5}, "config.train.steps: must be int, got 1.5"),
        ({"train": 3}, "config.train: must be a mapping"),
        ({"dtype": "float8"}, "config.dtype: 'float8' is not one of float32, bfloat16"),
        ({"seed": -1}, "config.seed: must not be negative"),
        ({"cell": {"name": "my_lab:leaky", "kwargs": {}}}, "config.cell.kwargs.hidden_dim: my_lab:leaky needs this"),
        ({"cell__name": "my_lab:leakyy"}, "my_lab has no 'leakyy'; did you mean 'leaky'?"),
        ({"cell__name": "my_lob:leaky"}, "cannot import 'my_lob'"),
        ({"diagnose__what": ("gradient_flw",)}, "config.diagnose.what[0].name: unknown diagnosis 'gradient_flw'; did"),
        ({"diagnose__what": ("gradient_flow",) * 2}, "config.diagnose.what[1]: gradient_flow is asked for twice"),
        ({"diagnose__what": (3,)}, "config.diagnose.what[0]: needs a name, or name and kwargs, got 3"),
        ({"diagnose__what": (component("gradient_flow", source=3),)}, "did you mean 'sources'?"),
        ({"optim__regularizer": component("omga")}, "config.optim.regularizer.name: unknown regulariser 'omga'; did"),
        ({"model__param_budget": -1}, "config.model.param_budget: must not be negative, got -1"),
        ({"model__param_budget": 5}, "config.model.param_budget: one unit has 18 parameters already, more than 5"),
    ],
)
def test_what_resolve_refuses(change, message):
    with pytest.raises(ConfigError) as caught:
        resolve(changed(**change))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cell__kwargs__hidden_dim": 0}, "config.cell.kwargs: hidden_dim must be a positive whole number, got 0"),
        ({"task__kwargs__length": -5}, "config.task.kwargs: length must be a positive whole number, got -5"),
        ({"model__num_layers": 0}, "config.model: num_layers must be"),
        ({"model__dropout": 1.5}, "config.model: dropout must be"),
        ({"train__batch_size": 0}, "config.train: batch_size must be positive, got 0"),
        ({"diagnose__what": (component("lyapunov_spectrum", exponents=500),)}, "config.diagnose: lyapunov_spectrum:"),
        ({"diagnose__what": (component("my_lab:not_a_cell", hidden_dim=1),)}, "makes a int, not a Diagnosis"),
        ({"optim__regularizer": component("omega", weight=-1.0)}, "config.optim.regularizer.kwargs: weight must be"),
        ({"optim__learning_rate": -1.0}, "config.optim: learning_rate must be positive"),
        ({"cell": {"name": "my_lab:not_a_cell", "kwargs": {"hidden_dim": 2}}}, "makes a int, not a Cell"),
    ],
)
def test_what_build_refuses(change, message):
    resolved = resolve(changed(**change))
    with pytest.raises(ConfigError) as caught:
        build(resolved)
    assert message in str(caught.value)


def test_unknown_keys_and_groups():
    with pytest.raises(ConfigError, match=r"config\.trian: no such key; did you mean 'train'\?"):
        complete({"trian": {}})
    with pytest.raises(ConfigError, match=r"config\.train\.step: no such key; did you mean 'steps'\?"):
        check_name(base_config().to_dict(), "train.step")
    check_name(base_config().to_dict(), "cell.kwargs.anything")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n", "has no get_config()"),
        ("def get_confg():\n    pass\n", "did you mean 'get_confg'?"),
        ("import nowhere_at_all\n", "line 1: ModuleNotFoundError"),
        ("def get_config(:\n", "line 1: SyntaxError"),
    ],
)
def test_files_that_are_no_configs(tmp_path, text, message):
    (tmp_path / "broken.py").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_module(str(tmp_path / "broken.py"))
    assert message in str(caught.value)
    assert str(tmp_path / "broken.py") in str(caught.value)


def test_a_config_that_fails_names_its_line(tmp_path):
    (tmp_path / "failing.py").write_text("def get_config():\n    return 1 / 0\n")
    path = str(tmp_path / "failing.py")
    with pytest.raises(ConfigError, match=r"failing\.py, line 2: ZeroDivisionError"):
        call(path, load_module(path), "get_config")


def test_a_missing_file_names_the_nearest(tmp_path):
    (tmp_path / "adding.py").write_text("")
    with pytest.raises(ConfigError, match=r"addding\.py: no such config file; did you mean .*adding\.py\?"):
        load_module(str(tmp_path / "addding.py"))


def test_difference_names_what_differs():
    one, two = (resolve(changed(seed=seed)).to_dict() for seed in (1, 2))
    assert difference(one, two) == "seed is 1 there, 2 here"
    assert difference(one, one) == ""


MINGRU = component("mingru", hidden_dim=4).to_dict()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "config.optim.regularizer: omega acts on recurrent_kernel, and the cell of layer_0 has none"),
        ({"model__recurrent_dropout": 0.1}, "config.model: recurrent_dropout is of a recurrent_kernel"),
    ],
)
def test_what_does_not_fit_a_cell_is_refused_before_training(changes, message):
    omega = {"optim__regularizer": component("omega").to_dict()}
    with pytest.raises(ConfigError, match=message):
        build(resolve(changed(cell=MINGRU, **omega | changes)))


def test_a_latent_model_refuses_another_initialiser_of_a_head_also_by_its_arguments_alone():
    def latent(gain):
        init = {"name": "lecun", "kwargs": {"gain": gain}}
        return resolve(changed(model__latent=component("vrnn", latent_dim=2).to_dict(), model__head_init=init))

    with pytest.raises(ConfigError, match=r"config\.model\.head_init: vrnn has no such thing"):
        build(latent(2.0))
    with pytest.raises(ConfigError, match=r"^(?!.*head_init)"):  # the task makes no sequences, which is said next
        build(latent(1.0))
