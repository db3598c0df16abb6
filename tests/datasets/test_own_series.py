"""A series of one's own: windows in order, targets of one split alone, baselines written out, forecasts."""

from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest

import rnngen
from rnngen.cli.main import main
from rnngen.config import base_config, build_task, component
from rnngen.config.check import ConfigError
from rnngen.datasets import CODECS, INTERFACES, TASKS
from rnngen.tasks import from_series
from rnngen.testing import check_task

FIXTURES = Path(__file__).parents[1] / "fixtures"
WINDOW, HORIZON = 6, 4
# 100 steps: train ends at 80, valid at 90. Values tell their steps.
STEPS = np.stack([np.arange(100.0), 1000 - np.arange(100.0)], axis=1)


def batches(task, split):
    """All batches of a split as one, `[t, n, ...]`."""
    size = task.data.sizes[split]
    return jax.tree.map(np.asarray, task.batch(split, jax.random.key(0), 0, size))


def steps_of(task, batch):
    """The steps of the series that the targets are, `[t, n]`."""
    kwargs = task.codec["kwargs"]
    return np.rint(batch.targets[..., 0] * kwargs["scale"][0] + kwargs["mean"][0]).astype(int)


def test_windows_are_in_order_and_targets_in_one_split(store):
    task = build_task(from_series(STEPS, window=WINDOW, horizon=HORIZON))
    ends = {"train": (0, 80), "valid": (80, 90), "test": (90, 100)}
    for split, (start, end) in ends.items():
        batch = batches(task, split)
        steps = steps_of(task, batch)
        np.testing.assert_array_equal(np.diff(steps, axis=0), 1)
        counted = np.sort(steps[batch.weights > 0])
        assert (counted.min(), counted.max()) == (start, end - 1)
        if split == "train":
            np.testing.assert_array_equal(np.sort(steps[0]), np.arange(80 - WINDOW - HORIZON + 1))
        else:  # each step once
            np.testing.assert_array_equal(counted, np.arange(start, end))
        np.testing.assert_array_equal(batch.inputs[1:], batch.targets[:-1])
        np.testing.assert_array_equal(batch.inputs[0], 0)
    assert task.codec["length"] == HORIZON


def test_scaling_is_that_of_train_alone(store):
    kwargs = build_task(from_series(STEPS, window=WINDOW, horizon=HORIZON)).codec["kwargs"]
    np.testing.assert_allclose(kwargs["mean"], STEPS[:80].mean(axis=0))
    np.testing.assert_allclose(kwargs["scale"], STEPS[:80].std(axis=0))
    assert kwargs["persistence"] == pytest.approx([1, 1])


def gaussian_nats(train, test):
    return np.mean(np.sum(0.5 * np.log(2 * np.pi * train.var(0)) + (test - train.mean(0)) ** 2 / (2 * train.var(0)), 1))


def test_baselines_are_those_written_out(store):
    walk = np.cumsum(np.random.RandomState(0).normal(0.1, 2, (100, 2)), axis=0)
    task = build_task(from_series(walk, window=WINDOW, horizon=HORIZON))
    scaled = (walk - walk[:80].mean(axis=0)) / walk[:80].std(axis=0)
    changes = np.diff(scaled, axis=0)
    expected = {"memoryless": gaussian_nats(scaled[:80], scaled[90:]),
                "persistence": gaussian_nats(changes[:79], changes[89:])}  # fmt: skip
    assert task.data.facts["baselines"] == pytest.approx(expected, rel=1e-5)
    assert task.expected_baseline("test") == pytest.approx(expected["memoryless"], rel=1e-5)


def test_the_persistence_forecast_has_an_mase_of_its_mean_change(store):
    walk = np.cumsum(np.random.RandomState(0).normal(0, 2, (100, 2)), axis=0)
    task = build_task(from_series(walk, window=WINDOW, horizon=HORIZON))
    batch = batches(task, "test")
    # One component: a logit, the means, the scales. The input is the value before, scaled as the target is.
    outputs = np.concatenate([0 * batch.inputs[..., :1], batch.inputs, 0 * batch.inputs], axis=-1)
    sums = task.objective.loss(outputs, batch)[1]
    change, usual = np.abs(np.diff(walk[89:], axis=0)), np.abs(np.diff(walk[:80], axis=0)).mean(axis=0)
    metrics = {name: float(total) / float(count) for name, (total, count) in sums.items()}
    assert metrics["mae"] == pytest.approx(change.mean(), rel=1e-5)
    assert metrics["rmse"] ** 0.5 == pytest.approx((change**2).mean() ** 0.5, rel=1e-5)
    assert metrics["mase"] == pytest.approx((change / usual).mean(), rel=1e-5)


def test_missing_values_are_inputs_of_their_own_and_do_not_count(store):
    holed = STEPS.copy()
    holed[[3, 85, 92], [0, 0, 1]] = holed[95] = np.nan
    task = build_task(from_series(holed, window=WINDOW, horizon=HORIZON, missing="mask"))
    batch = batches(task, "test")
    assert task.data.input_spec.dim == 4
    gone = np.isnan(batch.targets)
    np.testing.assert_array_equal(batch.inputs[1:, :, 2:], gone[:-1])
    np.testing.assert_array_equal(batch.inputs[0], np.broadcast_to([0, 0, 1, 1], batch.inputs[0].shape))
    assert (batch.inputs[1:, :, :2][gone[:-1]] == 0).all()
    assert batch.weights.sum() == 9  # of 10 steps, the one where both are missing does not count
    outputs = np.random.RandomState(0).normal(size=(*batch.weights.shape, 5)).astype(np.float32)
    scalar, slope = jax.value_and_grad(lambda o: task.objective.loss(o, batch)[0])(outputs)
    assert np.isfinite(scalar)
    assert np.isfinite(slope).all()
    assert np.isfinite(list(task.data.facts["baselines"].values())).all()


@pytest.mark.parametrize("kind", ["csv", "parquet", "npy", "npz", "frame", "index", "unsorted"])
def test_every_format_is_the_same_series(tmp_path, store, kind):
    names, how = ["up", "down"], {"window": WINDOW, "horizon": HORIZON}
    days = pd.date_range("2020-01-01", periods=100, freq="D", name="day")
    frame = pd.DataFrame(STEPS, index=days, columns=names)
    if kind in ("frame", "index", "unsorted"):
        made = {
            "frame": lambda: from_series(frame.reset_index(), time="day", **how),
            "index": lambda: from_series(frame, **how),
            "unsorted": lambda: from_series(frame.sample(frac=1, random_state=0), **how),
        }[kind]()
        task = build_task(made)
    else:
        path = str(tmp_path / f"own.{kind}")
        rows = frame.reset_index().sample(frac=1, random_state=0)
        {"csv": lambda: rows.to_csv(path, index=False), "parquet": lambda: rows.to_parquet(path),
         "npy": lambda: np.save(path, STEPS), "npz": lambda: np.savez(path, values=STEPS)}[kind]()  # fmt: skip
        options = {"time": "day"} if kind in ("csv", "parquet") else {"columns": tuple(names)}
        task = TASKS["series"](path, **options, **how)
    expected = build_task(from_series(STEPS, columns=names, **how))
    assert task.codec == expected.codec
    for found, wanted in zip(batches(task, "valid"), batches(expected, "valid"), strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_months_and_business_days_are_regular(store):
    values = np.sin(np.arange(60.0))
    for freq in ("MS", "ME", "B", "QS", "W-MON"):
        frame = pd.DataFrame({"a": values}, index=pd.date_range("2020-01-01", periods=60, freq=freq))
        from_series(frame, window=WINDOW, horizon=HORIZON)
    from_series(frame.set_axis(frame.index.to_period("W"), axis=0), window=WINDOW, horizon=HORIZON)
    from_series(frame["a"], window=WINDOW, horizon=HORIZON)


def test_one_column_and_a_constant_one(store):
    assert build_task(from_series(STEPS[:, 0], window=WINDOW, horizon=HORIZON)).data.input_spec.dim == 1
    constant = np.stack([STEPS[:, 0], np.full(100, 0.1)], axis=1)
    task = build_task(from_series(constant, window=WINDOW, horizon=HORIZON))
    assert task.codec["kwargs"]["scale"][1] == task.codec["kwargs"]["persistence"][1] == 1
    assert (np.abs(batches(task, "test").targets[..., 1]) < 1e-6).all()
    assert np.isfinite(list(task.data.facts["baselines"].values())).all()


def test_what_is_drawn_is_written_and_read_in_the_data_s_own_units(tmp_path):
    codec = CODECS["series"](columns=("a", "b"), mean=(5.0, -1.0), scale=(2.0, 0.5))
    values = np.array([[0.0, 2.0], [1.0, -2.0]], np.float32)
    (file,) = codec.write([values], tmp_path / "drawn")
    assert file.read_text() == "a,b\n5,0\n7,-2\n"
    np.testing.assert_allclose(codec.read(str(file)), values, atol=1e-6)
    file.write_text("b,other,a\n0,9,5\n-2,9,7\n")
    np.testing.assert_allclose(codec.read(str(file)), values, atol=1e-6)
    file.write_text("a,b\n,0\n")
    with pytest.raises(ValueError, match=r"drawn\.csv: values must be finite numbers, got nan at \[0, 0\]"):
        codec.read(str(file))
    some = CODECS["series"](columns=("a", "b"), mean=(5.0, -1.0), scale=(2.0, 0.5), missing=True)
    np.testing.assert_array_equal(some.input_spec.feed(some.read(str(file))), [[0, 2, 1, 0]])


def test_an_interface_predicts_each_step_from_those_before():
    interface = INTERFACES["series"](columns=("a",), mean=(5.0,), scale=(2.0,), persistence=(1.0,))
    inputs = interface.encode(np.array([[[5.0]], [[7.0]], [[9.0]]]))
    np.testing.assert_array_equal(inputs[:, 0, 0], [0, 0, 1])
    np.testing.assert_allclose(interface.decode(np.array([[0.0, 1.5, 0.0]])), [[8.0]])


@pytest.mark.slow
@pytest.mark.parametrize("missing", ["refuse", "mask"])
def test_check_task_passes(store, missing):
    random = np.random.RandomState(0)
    values = random.normal([3, -5], [1, 20], (300, 2))
    if missing == "mask":
        values[random.rand(300, 2) < 0.2] = np.nan
    check_task(build_task(from_series(values, window=WINDOW, horizon=HORIZON, missing=missing)))


def trained(folder, task, hidden_dim=16, steps=150):
    config = base_config()
    config.task, config.cell = task, component("gru", hidden_dim=hidden_dim)
    config.train.steps, config.optim.learning_rate, config.train.select = steps, 0.01, "best"
    config.train.eval_every = config.train.log_every = 50
    config.diagnose.what = ()
    return rnngen.train(config, folder)


@pytest.fixture(scope="module")
def sunspots(tmp_path_factory):
    """A run of the yearly sunspot numbers, 1700 to 2008, as statsmodels ships them."""
    task = component("series", path=str(FIXTURES / "sunspots.csv"), time="year", window=33, horizon=11, test=0.2)
    return trained(tmp_path_factory.mktemp("sunspots") / "run", task)


@pytest.mark.slow
def test_a_small_gru_beats_both_baselines_on_sunspots(sunspots):
    test, (row,) = sunspots.result["metrics"]["test"], sunspots.rows("provenance")
    assert test["loss"] < row["data"]["baselines"]["persistence"] - 0.3
    assert test["loss"] < sunspots.result["baseline"] - 0.8
    assert test["mase"] < 1
    years = pd.read_csv(FIXTURES / "sunspots.csv")["sunspots"].to_numpy()[:, None]
    error = sunspots.predict(years) - years
    assert (error[-62:] ** 2).mean() ** 0.5 == pytest.approx(test["rmse"], rel=0.01)  # from the first year on
    assert test["rmse"] < (np.diff(years[-63:], axis=0) ** 2).mean() ** 0.5 * 0.75


def test_a_forecast_and_its_intervals(sunspots):
    years = pd.read_csv(FIXTURES / "sunspots.csv")["sunspots"]
    found = rnngen.forecast(sunspots, years[:-11], paths=100)
    low, high = found.interval(0.8)
    assert found.paths.shape == (11, 100, 1)
    assert ((found.paths >= low[:, None]) & (found.paths <= high[:, None])).mean() == pytest.approx(0.8, abs=0.03)
    assert (low < found.mean).all()
    assert (found.mean < high).all()
    truth = years[-11:].to_numpy()[:, None]
    assert np.abs(found.mean - truth).mean() < np.abs(years.iloc[-12] - truth).mean()  # better than persistence
    table = found.table(0.8)
    assert table.columns.tolist() == [("sunspots", "mean"), ("sunspots", "low"), ("sunspots", "high")]
    np.testing.assert_allclose(table[("sunspots", "low")], found.quantile(0.1)[:, 0])
    again = rnngen.forecast(sunspots.path, years[:-11].to_frame(), 3, paths=100)
    np.testing.assert_allclose(again.paths, found.paths[:3], rtol=1e-4)  # a longer one begins like a shorter one
    with pytest.raises(ValueError, match="share must be from 0 to 1, got 2"):
        found.quantile(2)
    with pytest.raises(ValueError, match="columns: there is no column 'sunspots'"):
        rnngen.forecast(sunspots, pd.DataFrame({"spots": years}))
    with pytest.raises(ValueError, match=r"values must be finite numbers, got nan at \[0, 0\]"):
        rnngen.forecast(sunspots, [np.nan])


@pytest.mark.slow
def test_sample_and_score_at_the_command_line(sunspots, capsys, tmp_path):
    prompt = FIXTURES / "sunspots.csv"
    assert main(["sample", str(sunspots.path), f"--prompt={prompt}", "--length=4", f"--out={tmp_path}"]) == 0
    (file,) = tmp_path.iterdir()
    drawn = pd.read_csv(file)["sunspots"].to_numpy()
    np.testing.assert_allclose(drawn[:-4], pd.read_csv(prompt)["sunspots"], rtol=1e-4, atol=1e-3)
    assert len(drawn) == 309 + 4
    assert main(["score", str(sunspots.path), f"--file={prompt}"]) == 0
    assert "nats of 309 steps" in capsys.readouterr().out


def test_a_forecast_is_of_a_series(tmp_path):
    with pytest.raises(ConfigError, match="forecasts are of runs of the task 'series'"):
        rnngen.forecast(tmp_path, [1.0])


@pytest.mark.slow
def test_a_small_gru_beats_both_baselines_on_carbon_dioxide_some_of_it_missing(tmp_path, store):
    """Monthly changes at Mauna Loa, 1958 to 2001, as statsmodels ships them by the week; five months are missing."""
    months = pd.read_csv(FIXTURES / "co2.csv", index_col="month", parse_dates=True)
    run = trained(tmp_path / "run", from_series(months.diff()[1:], window=24, missing="mask"), steps=300)
    (row,) = run.rows("provenance")
    assert run.result["metrics"]["test"]["loss"] < row["data"]["baselines"]["persistence"] - 0.8
    assert run.result["metrics"]["test"]["mase"] < 0.4
    recent = months.diff()[-30:]
    assert np.isfinite(rnngen.forecast(run, recent.where(np.arange(30)[:, None] != 20), 12).mean).all()
