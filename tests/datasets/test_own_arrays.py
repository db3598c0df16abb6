"""Arrays of one's own: each format holds the same examples, scaled by train alone, and scored as written out."""

import jax
import numpy as np
import pandas as pd
import pytest
from own_data import RAGGED, padded, sequences
from sklearn.datasets import load_digits

import rnngen
from rnngen.config import base_config, build_task, component, fingerprint, resolve
from rnngen.datasets import TASKS
from rnngen.tasks import from_arrays
from rnngen.testing import check_task

arrays = TASKS["arrays"]
N = len(RAGGED)
X = sequences()
SUMS = np.array([one[:, 0].sum() for one in X])
RUNNING = [np.cumsum(one, axis=0) for one in X]
SPLIT = np.array(["train"] * 12 + ["valid"] * 4 + ["test"] * 4)


@pytest.fixture(autouse=True)
def on_the_host(monkeypatch):
    """Nothing is compiled; that the device has the same numbers is a test of its own."""
    monkeypatch.setattr("rnngen.datasets.supervised_task.ON_DEVICE", 0)


def batch_of(task, split="test"):
    size = task.data.sizes[split]
    return jax.tree.map(np.asarray, task.batch(split, jax.random.key(0), 0, size))


def frame(y):
    """The long table of the sequences, shuffled within and without."""
    rows = pd.concat(
        pd.DataFrame({"id": f"s{n:02}", "at": np.arange(len(x)), "a": x[:, 0], "b": x[:, 1], "part": SPLIT[n]})
        for n, x in enumerate(X)
    )
    rows["y"] = np.concatenate(y) if np.ndim(y[0]) else np.repeat(y, RAGGED)
    return rows.sample(frac=1, random_state=0).sort_values("id", kind="stable")


def in_files(folder, y):
    """A task of each kind of file that holds these examples; y as `[n]` or a list of `[t_i]`."""
    padding = np.arange(max(RAGGED))[:, None] < np.array(RAGGED)
    steps = padded(y, 0) if np.ndim(y[0]) else y
    mask, lengths = {"mask": padding}, {"lengths": np.array(RAGGED)}
    np.savez(folder / "mask.npz", x=padded(X), y=steps, split=SPLIT, **mask)
    np.savez(folder / "lengths.npz", x=padded(X), y=steps, split=SPLIT, **lengths)
    for name, array in {"x": padded(X), "y": steps, "split": SPLIT, **lengths}.items():
        np.save(folder / f"{name}.npy", array)
    table = {"sequence": "id", "time": "at", "split": "part"}
    frame(y).to_csv(folder / "table.csv", index=False)
    frame(y).to_parquet(folder / "table.parquet")
    yield from (arrays(str(folder / name), split="split") for name in ("mask.npz", "lengths.npz", ""))
    yield from (arrays(str(folder / name), **table) for name in ("table.csv", "table.parquet"))


@pytest.mark.parametrize("y", [SUMS, [one[:, 1] for one in RUNNING]], ids=["a sequence", "a step"])
def test_every_format_holds_the_same_examples(tmp_path, store, y):
    first = build_task(from_arrays(X, y, split=SPLIT))
    for task in in_files(tmp_path, y):
        assert task.interface == first.interface
        for split in ("train", "valid", "test"):
            for found, expected in zip(batch_of(task, split), batch_of(first, split), strict=True):
                np.testing.assert_array_equal(found, expected)


def test_a_batch_is_what_the_arrays_say_scaled_by_train_alone(store):
    train = np.concatenate(X[:12])
    mean, scale = train.mean(axis=0), train.std(axis=0)
    task = build_task(from_arrays(X, RUNNING, split=SPLIT))
    batch, of = batch_of(task), RUNNING[16:]
    targets = np.concatenate(RUNNING[:12])
    for n, (x, y) in enumerate(zip(X[16:], of, strict=True)):
        np.testing.assert_allclose(batch.inputs[: len(x), n], (x - mean) / scale, rtol=1e-5, atol=1e-5)
        scaled = (y - targets.mean(axis=0)) / targets.std(axis=0)
        np.testing.assert_allclose(batch.targets[: len(x), n], scaled, rtol=1e-5, atol=1e-5)
        np.testing.assert_array_equal(batch.mask[:, n], np.arange(6) < len(x))
        np.testing.assert_array_equal(batch.weights[:, n], np.arange(6) < len(x))
    last = batch_of(build_task(from_arrays(X, SUMS, split=SPLIT))).weights
    np.testing.assert_array_equal(last, np.arange(6)[:, None] == np.array(RAGGED[16:]) - 1)


def scored(task, outputs):
    """{metric: (sum, count)} of the test split, for the same outputs at every step."""
    batch = batch_of(task)
    sums = task.objective.loss(np.broadcast_to(np.float32(outputs), (*batch.weights.shape, len(outputs))), batch)[1]
    return {name: tuple(map(float, pair)) for name, pair in sums.items()}


LABELS = np.array([0, 1, 2, 0, 0] * 4)


@pytest.mark.parametrize(
    ("loss", "y", "constant"),
    [
        ("mse", SUMS, lambda y: [0.0]),
        ("mae", SUMS, lambda y: [(np.median(y[:12]) - y[:12].mean()) / y[:12].std()]),
        ("cross_entropy", LABELS, lambda y: np.log(np.bincount(y[:12]) + 1)),
        ("bernoulli", LABELS % 2, lambda y: [np.log((y[:12].sum() + 1) / (13 - y[:12].sum()))]),
    ],
)
def test_the_baseline_is_the_loss_of_the_best_constant_of_train(store, loss, y, constant):
    task = build_task(from_arrays(X, y, loss=loss, split=SPLIT))
    found = scored(task, constant(y))
    assert found["loss"][0] / found["loss"][1] == pytest.approx(task.expected_baseline("test"), rel=1e-5)
    if loss in ("mse", "mae"):
        best = y[:12].mean() if loss == "mse" else np.median(y[:12])
        assert (found["rmse"][0] / 4) ** 0.5 == pytest.approx(np.sqrt(np.mean((y[16:] - best) ** 2)), rel=1e-5)
        assert found["mae"][0] / 4 == pytest.approx(np.mean(np.abs(y[16:] - best)), rel=1e-5)
    else:
        assert found["accuracy"] == (np.sum(y[16:] == 0), 4)


def test_what_is_missing_does_not_count(store):
    x, y = [one.copy() for one in X], [one.copy() for one in RUNNING]
    x[17][1, 0] = np.nan
    y[16][0, 1] = y[18][1] = np.nan  # one of two targets, and both
    task = build_task(from_arrays(x, y, split=SPLIT, missing="mask"))
    batch = batch_of(task)
    assert task.data.input_spec.dim == 4
    np.testing.assert_array_equal(batch.inputs[1, 1, [0, 2, 3]], [0, 1, 0])
    np.testing.assert_array_equal(batch.inputs[0, 1, 2:], 0)
    assert (batch.weights[0, 0], batch.weights[1, 2], batch.weights[1, 0]) == (0.5, 0, 1)
    there = ~np.isnan(np.concatenate(y[16:]))
    found = scored(task, [0.0, 0.0])
    targets = np.concatenate(y[:12])
    error = (np.concatenate(y[16:]) - targets.mean(axis=0)) / targets.std(axis=0)
    assert found["loss"][0] / found["loss"][1] == pytest.approx(np.mean(error[there] ** 2), rel=1e-5)
    assert task.expected_baseline("test") == pytest.approx(np.mean(error[there] ** 2), rel=1e-5)
    slope = jax.grad(lambda outputs: task.objective.loss(outputs, batch)[0])(np.zeros((6, 4, 2), np.float32))
    assert np.isfinite(slope).all()
    assert slope[0, 0, 1] == 0 != slope[0, 0, 0]


def test_sequences_without_a_target_are_left_out(store):
    task = build_task(from_arrays(X, np.where(np.arange(N) == 18, -1, LABELS), loss="cross_entropy", split=SPLIT,
                                  missing="mask"))  # fmt: skip
    assert (task.data.sizes["test"], task.data.facts["without_target"]) == (3, 1)


def test_splits_by_group_and_by_share(store):
    x = [np.full((2, 1), float(n)) for n in range(30)]
    task = build_task(from_arrays(x, np.zeros(30), groups=np.arange(30) // 3, valid=0.2, test=0.2, standardize=False))
    numbers = {split: batch_of(task, split).inputs[0, :, 0].astype(int) for split in ("train", "valid", "test")}
    assert sorted(np.concatenate(list(numbers.values()))) == list(range(30))
    named = from_arrays(x, np.zeros(30), groups=pd.Series([f"g{n // 3}" for n in range(30)]), valid=0.2, test=0.2)
    assert build_task(named).data.sizes == {"train": 18, "valid": 6, "test": 6}
    groups = {split: set(of // 3) for split, of in numbers.items()}
    assert {split: len(of) for split, of in groups.items()} == {"train": 6, "valid": 2, "test": 2}
    assert len(set.union(*groups.values())) == 10
    plain = build_task(from_arrays(x, np.zeros(30), valid=0.2, test=0.1, standardize=False))
    assert plain.data.sizes == {"train": 21, "valid": 6, "test": 3}


def test_tokens(store):
    tokens = np.random.RandomState(0).randint(5, size=(7, 30))
    task = build_task(from_arrays(tokens, tokens[0], loss="cross_entropy", tokens=5))
    spec, batch = task.data.input_spec, batch_of(task)
    assert (spec.dim, spec.tokens) == (5, True)
    np.testing.assert_array_equal(batch.inputs[0], batch.targets[0])


def test_a_large_set_is_fed_from_the_host_with_the_same_numbers(store, monkeypatch):
    made = from_arrays(X, RUNNING, split=SPLIT)
    fed = arrays(**made["kwargs"])
    monkeypatch.setattr("rnngen.datasets.supervised_task.ON_DEVICE", 2**22)
    here = arrays(**made["kwargs"])
    assert here.data.on_device
    assert not fed.data.on_device
    for found, expected in zip(batch_of(fed), batch_of(here), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_constant_feature_keeps_its_scale(store):
    x = [np.concatenate([one, np.full((len(one), 1), 0.1)], axis=1) for one in X]
    task = build_task(from_arrays(x, np.full(N, 3.0), split=SPLIT))
    batch = batch_of(task)
    assert (np.abs(batch.inputs[..., 2]) < 1e-6).all()
    assert (batch.targets == 0).all()


def test_the_same_arrays_have_the_same_name(store):
    made = from_arrays(X, SUMS)
    assert from_arrays([one.copy() for one in X], SUMS.copy()) == made
    assert from_arrays(X, SUMS + 1)["kwargs"]["path"] != made["kwargs"]["path"]
    assert len(list(store.iterdir())) == 2
    assert all(file.stem in (made["kwargs"]["path"] + from_arrays(X, SUMS + 1)["kwargs"]["path"])
               for file in store.iterdir())  # fmt: skip
    config = base_config()
    config.task = made
    assert str(store) not in str(resolve(config).to_dict())
    assert len(fingerprint(resolve(config))) == 12


def test_a_folder_of_ones_own_for_the_arrays(tmp_path, store):
    made = from_arrays(X, SUMS, folder=tmp_path / "mine")
    (file,) = (tmp_path / "mine").iterdir()
    assert made["kwargs"]["path"] == str(file)
    assert not store.exists()
    assert build_task(made).data.sizes["train"] == 16


def test_stored_arrays_that_are_gone_or_damaged(store):
    made = from_arrays(X, SUMS)
    (file,) = store.iterdir()
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"\.npz is damaged: give the arrays again"):
        arrays(**made["kwargs"])
    file.unlink()
    with pytest.raises(ValueError, match=r"is not in .*: give the arrays again, or copy .*\.npz there"):
        arrays(**made["kwargs"])
    with pytest.raises(ValueError, match="is not sha256: and 16 hexadecimal digits"):
        arrays("sha256:../../secret")


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_check_task_passes(store, loss):
    random = np.random.RandomState(1)
    x = [random.normal(size=(random.randint(2, 7), 2)) for _ in range(120)]
    if loss == "mse":
        y = [np.where(random.rand(len(one), 2) < 0.2, np.nan, np.cumsum(one, axis=0)) for one in x]
    else:
        y = np.array([one.sum() > 0 for one in x]).astype(int)
    check_task(build_task(from_arrays(x, y, loss=loss, missing="mask", valid=0.2, test=0.2)))


@pytest.mark.slow
def test_a_small_gru_beats_the_memoryless_baseline_on_scanned_digits_row_by_row(tmp_path, store):
    digits = load_digits()
    config = base_config()
    config.task = from_arrays(list(digits.images), digits.target, loss="cross_entropy")
    config.cell = component("gru", hidden_dim=24)
    config.train.steps = config.train.eval_every = config.train.log_every = 150
    config.optim.learning_rate, config.diagnose.what = 0.01, ()
    run = rnngen.train(config, tmp_path / "run", progress=False)
    assert run.result["metrics"]["test"]["loss"] < 0.4 < run.result["baseline"] - 1.8
    assert (run.predict(list(digits.images)).argmax(axis=-1) == digits.target).mean() > 0.85
