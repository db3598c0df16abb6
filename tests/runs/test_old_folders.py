"""Folders that the first house made are read, restored and gone on with: with JAX 0.10.2, and one run with JAX 0.12."""

import tarfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rnngen
from rnngen import report
from rnngen.cli.main import main
from rnngen.config import fingerprint, resolve
from rnngen.generation.generator import load_generator
from rnngen.runs import open_sweep

MADE = Path(__file__).parents[1] / "fixtures" / "runs_of_the_first_house.tar.gz"


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    folder = tmp_path_factory.mktemp("old")
    with tarfile.open(MADE) as archive:
        archive.extractall(folder, filter="data")
    return folder


def test_every_kind_of_folder_is_read(old):
    run, sweep, search, export = (rnngen.open(old / name) for name in ("run", "sweep", "search", "export"))
    assert (run.status, sweep.status, search.status) == ("finished", {"finished": 4}, {"finished": 2})
    assert list(sweep.setting_names.unique()) == ["GRU", "tanh RNN"]
    assert search.is_search
    assert export.axes.equals(sweep.axes)
    np.testing.assert_allclose(
        export.results["metrics.test.loss"].astype(float), sweep.results["metrics.test.loss"].astype(float), rtol=1e-3
    )
    assert run.diagnoses["what"].value_counts().to_dict() == dict.fromkeys(
        ("gradient_flow", "carry_norms", "gate_statistics"), 2
    )


@pytest.mark.parametrize("name", ["run", "sweep", "search", "export"])
def test_every_kind_of_folder_is_reported_on(old, name):
    written = {path.name for path in report.write(open_sweep(old / name))}
    assert {"table.csv", "table.tex", "report.html"} <= written
    assert "gradient_norms.svg" in written or name == "search"


def test_trials_are_called_as_they_were(old):
    for name in ("sweep", "search"):
        for run in open_sweep(old / name):
            assert fingerprint(resolve(run.config)) == run.name
            assert resolve(run.config).to_dict() == run.config


@pytest.mark.parametrize("name", ["run", "newest"])
def test_a_checkpoint_is_restored_without_data(old, name):
    run = rnngen.open(old / name)
    model, params = run.restore()
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, model.init(jax.random.key(0)))
    assert run.predict(jnp.zeros((6, 2, 2))).shape == (6, 2, 1)
    with pytest.raises(ValueError, match="has no checkpoint of step 3; there is 2, 4"):
        run.restore(step=3)
    earlier = run.restore(step=2)[1]
    assert not np.array_equal(*(jax.tree.leaves(p)[0] for p in (earlier, params)))


def test_a_model_of_text_is_sampled_from(old):
    (sequence,) = load_generator(old / "text").sequences(1, length=5)
    assert sequence.shape == (5,)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["run", "newest"])
def test_a_run_is_gone_on_with(old, name):
    folder = old / name
    config = rnngen.open(folder).config
    config["train"]["steps"] = 6
    (folder / "config.json").unlink()
    (folder / "result.json").unlink()
    run = rnngen.train(config, folder)
    assert (run.status, run.result["step"]) == ("finished", 6)
    assert run.metrics.query("split == 'train'")["step"].tolist() == [2, 4, 6]


def test_a_finished_folder_is_left_as_it_is(old, capsys):
    before = {path: path.read_bytes() for path in (old / "search").rglob("*.json*")}
    assert main(["status", str(old / "search")]) == 0
    assert "2 of 2 trials over" in capsys.readouterr().out
    assert main(["doctor", str(old / "text")]) == 0
    assert {path: path.read_bytes() for path in (old / "search").rglob("*.json*")} == before
