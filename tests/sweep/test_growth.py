"""Sweeps that grow: more values, axes, seeds and proposals add what is missing, fewer leave the rest out."""

import itertools
import json
import os
import shlex

import pytest
from sweeps import config, here, results, statuses, sweep

import rnngen
from rnngen import report
from rnngen.cli.main import main
from rnngen.config import base_config, complete, component
from rnngen.config.check import ConfigError
from rnngen.runs import open_sweep
from rnngen.runs.export import export
from rnngen.storage.folder import RunFolder
from rnngen.sweep import axis, chain, loguniform, product, search
from rnngen.sweep.estimate import Timing
from rnngen.sweep.plan import claim, pending, plan
from rnngen.sweep.study import planned

CELLS, SEEDS = axis("cell.name", ["rnn", "gru"]), axis("seed", [0, 1])


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    """Workers find my_lab as a user's workers find the user's module."""
    monkeypatch.syspath_prepend(os.path.dirname(os.path.dirname(__file__)))


def claimed(folder, space, **train):
    """Claim a folder for a space, and return what is left to train."""
    base = config(**train)
    return pending(folder, claim(folder, base, plan(base, space)), retry_failed=False)


def done(folder, trials):
    """End trials as a training does, with a loss of their own."""
    for number, trial in enumerate(trials):
        run = RunFolder(folder / "trials" / trial.id)
        run.start(trial.config)
        metrics = {split: {"loss": 1.0 + number} for split in ("valid", "test")}
        run.finish({"status": "finished", "step": 4, "metrics": metrics, "solved": False, "baseline": 1.0})


def ids(trials):
    return [trial.id for trial in trials]


def table(folder, **options):
    return sorted(run.name for run in open_sweep(folder, **options))


def test_more_values_seeds_and_another_axis_add_the_missing_trials(tmp_path, capsys):
    first = claimed(tmp_path, product(CELLS, SEEDS))
    done(tmp_path, first)
    assert claimed(tmp_path, product(CELLS, SEEDS)) == []
    assert capsys.readouterr().err == ""

    cells = axis("cell.name", ["rnn", "gru", "lstm"])
    more = claimed(tmp_path, product(cells, axis("seed", [0, 1, 2])))
    assert len(more) == 5
    assert capsys.readouterr().err == f"rnngen: {tmp_path}: has 4 of 9 trials, and gets 5 more\n"
    done(tmp_path, more)

    # The axis of which the old trials had one value, the base's: they are part of it, under the ids that they had.
    clips = axis("optim.clip_norm", {"clipped": 1.0, "tight": 0.5})
    tight = claimed(tmp_path, product(cells, axis("seed", [0, 1, 2]), clips))
    assert len(tight) == 9
    assert {trial.labels["optim.clip_norm"] for trial in tight} == {"tight"}
    axes = open_sweep(tmp_path).axes
    assert axes.loc[ids(first), "optim.clip_norm"].tolist() == ["clipped"] * 4
    assert len(axes) == 18


def test_fewer_values_leave_the_others_out_of_the_table_unless_asked(tmp_path, capsys):
    all_four = claimed(tmp_path, product(CELLS, SEEDS))
    done(tmp_path, all_four)
    assert claimed(tmp_path, product(axis("cell.name", ["rnn"]), axis("seed", [0, 1, 2])))[0].overrides["seed"] == 2
    said = capsys.readouterr().err
    assert "has 2 of 3 trials, and gets 1 more; 2 others there are left out of its table (rnngen report --all)" in said
    kept = [trial.id for trial in all_four if trial.overrides["cell.name"] == "rnn"]
    assert set(kept) < set(table(tmp_path))
    assert len(table(tmp_path)) == 3
    assert len(table(tmp_path, all=True)) == 5
    assert len(rnngen.open(tmp_path, all=True)) == 5
    assert report.summary(open_sweep(tmp_path))["cell"].tolist() == ["rnn"]
    assert sorted(report.summary(open_sweep(tmp_path, all=True))["cell"]) == ["gru", "rnn"]

    # The command line, status and an export hold to it, and the export loses nothing.
    assert main(["status", str(tmp_path)]) == 0
    assert "2 of 3 trials over" in capsys.readouterr().out
    export(tmp_path, tmp_path / "small")
    assert table(tmp_path / "small") == table(tmp_path)
    assert table(tmp_path / "small", all=True) == table(tmp_path, all=True)
    assert main(["report", str(tmp_path), "--all"]) == 0
    assert "gru" in (tmp_path / "table.csv").read_text()
    assert main(["report", str(tmp_path)]) == 0
    assert "gru" not in (tmp_path / "table.csv").read_text()

    # What was left out comes back, trained as it is.
    assert len(claimed(tmp_path, product(CELLS, axis("seed", [0, 1, 2])))) == 2
    assert "left out" not in capsys.readouterr().err
    assert len(table(tmp_path)) == 6


def test_the_order_of_growing_makes_no_difference(tmp_path):
    parts = [axis("seed", [0, 1]), axis("seed", [1, 2]), chain(axis("cell.name", ["gru"]), axis("seed", [0, 1, 2]))]
    for number, order in enumerate(itertools.permutations(parts)):
        for space in order:
            claimed(tmp_path / str(number), space)
        claimed(tmp_path / str(number), parts[-1])
    plans = [json.loads((tmp_path / str(number) / "sweep.json").read_text())["trials"] for number in range(6)]
    assert all(plan == plans[0] for plan in plans)


def test_a_changed_base_is_refused_with_the_difference_and_nothing_is_written(tmp_path):
    claimed(tmp_path, SEEDS)
    before = (tmp_path / "sweep.json").read_bytes()
    with pytest.raises(ConfigError, match=r"holds a different sweep: train\.steps is 4 there, 8 here"):
        claimed(tmp_path, axis("seed", [0, 1, 2]), steps=8)
    with pytest.raises(ConfigError, match="holds a different sweep: a list of trials there, a search here"):
        rnngen.sweep.run(config(), search("tpe", space={"optim.learning_rate": loguniform(1e-3, 1)}), tmp_path)
    assert (tmp_path / "sweep.json").read_bytes() == before


def test_trials_of_before_an_argument_came_are_known_when_a_sweep_grows(tmp_path):
    claimed(tmp_path, SEEDS)
    written = json.loads((tmp_path / "sweep.json").read_text())
    for number, trial in enumerate(written["trials"]):
        trial["id"] = f"old{number}"
    (tmp_path / "sweep.json").write_text(json.dumps(written))
    todo = claimed(tmp_path, axis("seed", [1, 2]))
    assert todo[0].id == "old1"
    assert [trial["id"] for trial in json.loads((tmp_path / "sweep.json").read_text())["trials"]] == [
        *("old1", todo[1].id, "old0")
    ]


def test_a_random_search_grows_like_a_list_and_a_shorter_one_leaves_out(tmp_path):
    space = {"optim.learning_rate": loguniform(1e-4, 1.0)}
    for trials, new in ((2, 2), (5, 3), (3, 0)):
        drawn = planned(config(), search(space=space, trials=trials))
        left = pending(tmp_path, claim(tmp_path, config(), drawn), retry_failed=False)
        assert len(left) == new
        done(tmp_path, left)
        assert len(table(tmp_path)) == trials
    assert len(table(tmp_path, all=True)) == 5


@pytest.mark.slow
def test_a_grown_sweep_has_what_the_whole_one_has_to_the_bit(tmp_path):
    sweep(tmp_path / "grown", axis("seed", [0]), here(1))
    grown = sweep(tmp_path / "grown", SEEDS, here(1))
    whole = sweep(tmp_path / "whole", SEEDS, here(1))
    assert grown == whole
    assert set(statuses(tmp_path / "grown", grown)) == {"finished"}
    assert results(tmp_path / "grown", grown) == results(tmp_path / "whole", whole)


@pytest.mark.slow
def test_from_python_a_search_grows_with_the_same_study_and_a_shorter_one_leaves_out(tmp_path):
    def asked(trials):
        return search("tpe", space={"optim.learning_rate": loguniform(1e-4, 1.0)}, trials=trials)

    two = rnngen.sweep.run(config(), asked(2), tmp_path, workers=1, progress=False)
    four = rnngen.sweep.run(config(), asked(4), tmp_path, workers=1, progress=False)
    assert [run.name for run in four][:2] == [run.name for run in two]
    assert len(four) == 4
    three = rnngen.sweep.run(config(), asked(3), tmp_path, workers=1, progress=False)
    assert len(three) == 3
    assert len(rnngen.open(tmp_path, all=True)) == 4
    assert [len(run.rows("provenance")) for run in rnngen.open(tmp_path, all=True)] == [1] * 4


FILE = """from rnngen.config import base_config, component
from rnngen.sweep import axis, loguniform, product, search


def get_config():
    config = base_config()
    config.cell, config.task = component("rnn", hidden_dim=4), component("latch", length=5, eval_size=10)
    config.train.update(steps=30, log_every=5, eval_every=10, batch_size=4)
    config.diagnose.examples = 4
    return config


def get_sweep():
    return {space}
"""


@pytest.mark.slow
def test_a_dry_run_lists_counts_times_and_writes_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    space = 'product(axis("cell.name", ["rnn", "gru"]), axis("seed", range(3)), axis("train.steps", [30, 60]))'
    (tmp_path / "mine.py").write_text(FILE.format(space=space))
    command = ["sweep", "--config=mine.py", "--workdir=out", "--workers=2", "--dry_run"]
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "12 trials, 12 of them to train"
    assert lines[2].split()[1:3] == ["34", "30"]
    assert [line.split()[1] for line in lines[2:14]] == ["34"] * 6 + ["86"] * 6
    assert "of 2 of 2 programs" in lines[14]
    assert lines[15].startswith("about ")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.py"]

    # A search by results shows what comes first, and of a folder what is there.
    space = 'search("tpe", space={"optim.learning_rate": loguniform(1e-3, 1)}, trials=20)'
    (tmp_path / "mine.py").write_text(FILE.format(space=space))
    assert main(["sweep", "--config=mine.py", "--dry_run"]) == 0
    out = capsys.readouterr().out
    assert "20 trials, 20 of them to train" in out
    assert "and 12 more, which follow from the results" in out


@pytest.mark.slow
def test_a_dry_run_says_that_a_trial_fails(tmp_path, capsys):
    space = 'axis("cell.name", ["my_lab:exploding"])'
    (tmp_path / "mine.py").write_text(FILE.format(space=space))
    assert main(["sweep", f"--config={tmp_path}/mine.py", "--dry_run"]) == 2
    assert "a trial of my_lab:exploding on latch fails: RuntimeError: this cell cannot step" in capsys.readouterr().err


def test_an_estimate_adds_up_what_a_trial_does():
    base = complete(base_config())
    base["train"] |= {"steps": 1000, "eval_every": 100, "save_every": 500}
    base["diagnose"] |= {"every": 250}
    base["task"] = component("adding", length=5).to_dict()
    (trial,) = plan(base, axis("seed", [0]))
    # 1000 steps; 10 evaluations, one before the first step and one of the test split; 6 diagnoses; 3 checkpoints.
    assert Timing(7.0, 0.001, 0.01, 0.1, 1.0).of(trial.config) == pytest.approx(1000 * 0.001 + 12 * 0.01 + 0.6 + 3)


@pytest.fixture
def trained(tmp_path):
    trials = claimed(tmp_path / "out", product(CELLS, SEEDS))
    done(tmp_path / "out", trials)
    return trials


def test_best_prints_the_trial_its_score_and_its_config(tmp_path, trained, capsys):
    assert main(["best", str(tmp_path / "out")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{trained[0].id}  loss 1  finished"
    assert lines[lines.index("differs from the base") + 1 :][:2] == ["  cell.name='rnn'", "  seed=0"]
    assert "  train.steps=4" in lines[lines.index("the rest") :]
    assert lines[-1].endswith("--config.train.steps=8")
    assert main(["best", str(tmp_path / "out"), "--metric=metrics.test.loss", "--mode=max"]) == 0
    assert capsys.readouterr().out.startswith(f"{trained[-1].id}  metrics.test.loss 4  finished\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["out", "--metric=los"], "no trial of out has a number 'los'; did you mean 'loss'?"),
        (["out", "--mode=least"], "invalid choice: 'least'"),
        (["out/trials/{trial}"], "holds a single run, not a sweep"),
        (["nowhere"], "nowhere holds neither a run (config.json) nor a sweep (sweep.json)"),
    ],
)
def test_best_of_nothing(tmp_path, trained, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert main(["best", *(text.format(trial=trained[0].id) for text in arguments)]) == 2
    caught = capsys.readouterr()
    assert message in caught.err
    assert caught.err.count("\n") == 1


@pytest.mark.slow
def test_the_command_of_best_trains_it_longer(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    sweep(tmp_path / "my sweep", product(CELLS, axis("seed", [0])), here(1))
    assert main(["best", "my sweep"]) == 0
    out = capsys.readouterr().out
    (line,) = [line.strip() for line in out.splitlines() if line.startswith("  rnngen train")]
    assert main(shlex.split(line)[1:]) == 0
    (folder,) = [path for path in tmp_path.iterdir() if path.name.startswith("my sweep-")]
    best = rnngen.open(folder)
    assert best.result["step"] == 8
    shorter = rnngen.open(tmp_path / "my sweep")[folder.name.removeprefix("my sweep-")]
    rows = [[r for r in run.rows("metrics") if (r["step"], r["split"]) == (4, "valid")] for run in (best, shorter)]
    assert rows[0][0]["loss"] == pytest.approx(rows[1][0]["loss"], rel=1e-5)  # the same run, with other devices
