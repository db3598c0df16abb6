"""A trained run is used where its data are gone: its model, and predictions in the data's own units."""

import functools
import json
import shutil

import jax
import numpy as np
import pytest
from conftest import slow

import rnngen
from rnngen.config import base_config, build, component, resolve
from rnngen.config.check import ConfigError
from rnngen.datasets import INTERFACES, TASKS
from rnngen.storage.folder import RunFolder
from rnngen.tasks import from_arrays

LENGTHS = np.random.RandomState(1).randint(2, 7, 60)
X = [np.random.RandomState(n).normal([30, -2], [10, 0.1], (length, 2)) for n, length in enumerate(LENGTHS)]
SUMS = np.array([one[:, 0].sum() for one in X])
SPLIT = np.array(["train"] * 40 + ["valid"] * 10 + ["test"] * 10)


def small(task, steps=4):
    config = base_config()
    config.task, config.cell = task, component("gru", hidden_dim=4)
    config.train.steps = config.train.eval_every = config.train.log_every = steps
    config.train.batch_size, config.train.eval_batch_size, config.diagnose.what = 8, 10, ()
    return config


LARGE = (np.median(SUMS) < SUMS).astype(int)
TARGETS = {
    "mse": SUMS,
    "cross_entropy": LARGE,
    "mae": [np.cumsum(one, axis=0) for one in X],
    "bernoulli": np.stack([LARGE, 1 - LARGE], axis=1),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """loss -> a run on its targets, made where the arrays were and are no more."""
    home = tmp_path_factory.mktemp("trained")

    @functools.cache
    def train(loss):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_DATA_HOME", str(home / "data"))
            task = from_arrays(X, TARGETS[loss], loss=loss, split=SPLIT)
            run = rnngen.train(small(task), home / loss, progress=False)
            shutil.rmtree(home / "data")
            return run

    return train


@pytest.mark.parametrize("loss", ["mse", *slow("cross_entropy", "mae", "bernoulli")])
def test_predictions_have_the_shape_of_the_targets_and_the_metrics_of_the_run(trained, loss):
    run, y = trained(loss), TARGETS[loss][50:]
    test, found = run.result["metrics"]["test"], run.predict(X[50:])
    if loss in ("mse", "mae"):
        assert [np.shape(one) for one in found] == [np.shape(one) for one in y]
        error = np.concatenate(found) - np.concatenate(y) if loss == "mae" else found - y
        assert np.sqrt(np.mean(error**2)) == pytest.approx(test["rmse"], rel=1e-4)
        assert np.mean(np.abs(error)) == pytest.approx(test["mae"], rel=1e-4)
    else:
        assert found.shape == (10, 2)
        right = found.argmax(-1) == y if loss == "cross_entropy" else (found > 0.5) == y
        assert np.mean(right) == pytest.approx(test["accuracy"])
        each = found[np.arange(10), y] if loss == "cross_entropy" else np.where(y, found, 1 - found)
        assert -np.log(each).mean() == pytest.approx(test["loss"], rel=1e-4)


def test_an_array_with_a_mask_is_predicted_as_its_sequences_are(trained):
    run = trained("mse")
    mask = np.arange(6)[:, None] < LENGTHS
    padded = np.full((6, 60, 2), np.nan)
    for n, one in enumerate(X):
        padded[: len(one), n] = one
    found = run.predict(padded, mask)
    np.testing.assert_allclose(found, run.predict(X), rtol=1e-5)
    np.testing.assert_allclose(run.predict(X[7]), found[7], rtol=1e-5)  # no batch axis
    wide = run.predict(padded.reshape(6, 6, 10, 2), mask.reshape(6, 6, 10))
    np.testing.assert_allclose(wide, found.reshape(6, 10), rtol=1e-5)


def test_the_restored_model_has_the_loss_that_it_was_trained_on(trained, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    run = trained("mse")
    model, params = run.restore()
    from_arrays(X, SUMS, split=SPLIT)  # the data are back
    built = build(resolve(run.config))
    batch = built.task.batch("test", jax.random.key(0), 0, 10)
    for (scalar, (_, sums)), (expected, (_, wanted)) in [(model.loss(params, batch), built.model.loss(params, batch))]:
        assert float(scalar) == float(expected)
        assert sums.keys() == wanted.keys()


WRONG = {
    "features": (np.zeros((5, 3, 1)), {}, r"xs must be numbers \[t, \*b, 2\], got float64 \[5, 3, 1\]"),
    "axes": (np.zeros(2), {}, r"xs must be numbers \[t, \*b, 2\], got float64 \[2\]"),
    "text": (np.full((5, 3, 2), "a"), {}, r"xs must be numbers \[t, \*b, 2\], got <U1 \[5, 3, 2\]"),
    "NaN": (np.full((5, 3, 2), np.nan), {}, r"xs must be finite numbers, got nan at \[0, 0, 0\]"),
    "mask": (np.zeros((5, 3, 2)), {"mask": np.ones((3, 5), bool)}, r"mask must be bool \[5, 3\], got bool \[3, 5\]"),
    "list": ([np.zeros((5, 2)), np.zeros((5, 3))], {}, r"xs must be sequences \[t, d\] of one d .*\[5, 2\], \[5, 3\]"),
    "nothing": ([], {}, "got none"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_does_not_fit_is_refused_with_what_was_expected(trained, what):
    xs, options, message = WRONG[what]
    with pytest.raises(ValueError, match=message) as caught:
        trained("mse").predict(xs, **options)
    assert "\n" not in str(caught.value)


def test_tokens_are_checked():
    encode = INTERFACES["supervised"](features=3, outputs=2, loss="cross_entropy", tokens=True).encode
    tokens = np.arange(12).reshape(4, 3)
    assert encode(tokens % 3).dtype == np.int32
    with pytest.raises(ValueError, match=r"xs must be tokens from 0 to 2, got 3 at \[1, 0\]"):
        encode(tokens)
    with pytest.raises(ValueError, match=r"xs must be tokens \[t, \*b\], whole numbers from 0 to 2, got float64"):
        encode(tokens * 0.5)


@pytest.mark.slow
def test_a_built_in_classifier_is_restored_from_its_folder(tmp_path, monkeypatch):
    run = rnngen.train(small(component("digits"), 1), tmp_path / "run", progress=False)
    monkeypatch.setattr("rnngen.datasets.digits.load_digits", lambda: pytest.fail("reads the data"))
    shown = run.predict(np.zeros((64, 3, 1)))
    assert shown.shape == (3, 10)
    np.testing.assert_allclose(shown.sum(axis=-1), 1, rtol=1e-5)


@pytest.mark.slow
def test_a_task_of_ones_own_that_cannot_be_made_again(tmp_path):
    """With its module, or its data, the model has loss and head; without them it runs all the same."""
    run = rnngen.train(small(component("my_lab:short_latch", length=4), 1), tmp_path / "run", progress=False)
    xs = np.random.RandomState(0).normal(size=(4, 3, 1)).astype(np.float32)
    (model, params), predicted = run.restore(), run.predict(xs)
    batch = TASKS["latch"](4).batch("valid", jax.random.key(0), 0, 8)
    assert np.isfinite(model.loss(params, batch)[0])
    config = json.loads((run.path / "config.json").read_text())
    config["task"]["name"] = "gone:short_latch"
    (run.path / "config.json").write_text(json.dumps(config))
    model, params = run.restore(trust=True)
    np.testing.assert_allclose(jax.nn.softmax(run.predict(xs, trust=True)), predicted, rtol=1e-5)
    with pytest.raises(ValueError, match="this model's task could not be made, so its loss and head are not known"):
        model.loss(params, batch)


def test_a_run_that_has_saved_nothing(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.start(resolve(small(component("latch"))))
    for use in (lambda run: run.restore(), lambda run: run.predict(np.zeros((4, 3, 1)))):
        with pytest.raises(ConfigError, match=r"run: has saved no checkpoint yet: train it first$"):
            use(rnngen.open(folder.path))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "supervise"}, "unknown interface 'supervise'; did you mean 'supervised'?"),
        ({"kwargs": {"features": 2}}, "outputs: supervised needs this argument"),
        ({"kwargs": {"features": 0, "outputs": 1, "loss": "mse"}}, "features must be a positive whole number, got 0"),
        ({"kwargs": {"features": 1, "outputs": 1, "loss": "mse", "mean": [0]}}, "scale must be 1 finite numbers"),
        (
            {"kwargs": {"features": 1, "outputs": 1, "loss": "mse", "mean": ["a"], "scale": [1]}},
            "mean must be 1 finite",
        ),
        (
            {"kwargs": {"features": 1, "outputs": 1, "loss": "mse", "mean": [0], "scale": [-1]}},
            "scale must be positive",
        ),
        ({"kwargs": 1}, "kwargs must be an object, got 1"),
    ],
)
def test_an_interface_that_is_damaged_is_named(tmp_path, change, message):
    folder = RunFolder(tmp_path / "run")
    folder.start(resolve(small(component("latch"))))
    described = {"name": "supervised", "kwargs": {"features": 1, "outputs": 2, "loss": "cross_entropy"}} | change
    (folder.path / "interface.json").write_text(json.dumps(described))
    with pytest.raises(ValueError, match=r"interface\.json.*") as caught:
        rnngen.open(folder.path).restore()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_arrays_of_a_notebook_in_the_workers_of_a_sweep_and_after_a_restart(tmp_path, store):
    config = small(from_arrays(X, SUMS, split=SPLIT))
    config.train.batch_size, config.train.eval_batch_size = 7, 5  # for one device, as a worker with one core has
    sweep = rnngen.sweep.run(config, rnngen.sweep.axis("seed", range(2)), tmp_path / "sweep", workers=2, progress=False)
    assert sweep.status == {"finished": 2}
    alone = rnngen.train(sweep.runs[1].config, tmp_path / "run", progress=False)
    assert alone.result["metrics"]["test"]["rmse"] == sweep.runs[1].result["metrics"]["test"]["rmse"]
    (alone.path / "result.json").unlink()
    again = rnngen.train(alone.config, alone.path, progress=False)
    assert again.result["metrics"]["test"]["rmse"] == alone.result["metrics"]["test"]["rmse"]
    assert sweep.best("rmse").name == min(sweep, key=lambda run: run.result["metrics"]["valid"]["rmse"]).name
