"""Searches: what they draw, that they are the same again, stopped and gone on with, and what they refuse."""

import json
import math
import os
import shutil

import numpy as np
import pytest
from sweeps import config

from rnngen import report
from rnngen.config.check import ConfigError
from rnngen.runs import load, open_sweep
from rnngen.storage.folder import RunFolder
from rnngen.storage.plan import proposals, read_plan
from rnngen.sweep import axis, choice, integers, loguniform, search, uniform
from rnngen.sweep.campaign import begin
from rnngen.sweep.launch import resolve_launch
from rnngen.sweep.study import Study, planned

SPACE = {"optim.learning_rate": loguniform(1e-4, 1.0), "optim.clip_norm": uniform(0.5, 2.0)}
LAUNCH = resolve_launch({}, workers=1)


def base():
    return config(steps=8)


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(os.path.dirname(os.path.dirname(__file__)))


def rate(config):
    return config.optim.learning_rate


class Bowl:
    """In the place of workers: a trial's loss is how far the logarithm of its learning rate is from 0.01's."""

    def __init__(self, folder, study, slots=1, stop_after=None):
        self.folder, self.study, self.slots, self.left = folder, study, slots, stop_after

    def run(self, evaluations=(8,)):
        seen = []
        while packs := self.study.next(0, self.slots):
            for (trial,) in packs:
                seen.append(trial)
                if self.left is not None and len(seen) > self.left:
                    return seen  # stopped while this one was running
                write(RunFolder(self.folder / "trials" / trial.id), trial, evaluations)
                self.study.look([trial])
                self.study.over(trial)
        return seen


def write(run, trial, evaluations):
    loss = (math.log10(rate(trial.config)) + 2) ** 2
    run.start(trial.config)
    for step in evaluations:
        run.append("metrics", {"step": step, "split": "valid", "loss": loss * 8 / step})
    metrics = {"valid": {"loss": loss}, "test": {"loss": loss}}
    run.finish({"status": "finished", "step": 8, "metrics": metrics, "baseline": 1.0, "solved": loss < 0.1})


def ids(trials):
    return [trial.id for trial in trials]


@pytest.mark.slow
def test_ranges_are_kept_to_and_drawn_as_they_say():
    space = SPACE | {"cell.kwargs.hidden_dim": integers(2, 64, log=True), "train.batch_size": integers(4, 16, step=4),
                     "cell.name": ["rnn", "gru"]}  # fmt: skip
    trials = planned(base(), search("random", space=space, trials=200))
    rates = [rate(trial.config) for trial in trials]
    assert min(rates) >= 1e-4
    assert max(rates) <= 1.0
    assert 0.35 < sum(r < 1e-2 for r in rates) / len(rates) < 0.65  # the middle of the decades
    clips = [trial.config.optim.clip_norm for trial in trials]
    assert 0.35 < sum(c < 1.25 for c in clips) / len(clips) < 0.65
    dims = [trial.config.cell.kwargs["hidden_dim"] for trial in trials]
    assert 0.35 < sum(d < 11.3 for d in dims) / len(dims) < 0.65
    assert {trial.config.train.batch_size for trial in trials} == {4, 8, 12, 16}
    assert {trial.config.cell.name for trial in trials} == {"rnn", "gru"}


def test_the_same_seed_gives_the_same_trials_and_more_of_them_begin_with_these():
    few, many, other = (
        ids(planned(base(), search(space=SPACE, trials=n, seed=s))) for n, s in ((5, 0), (9, 0), (5, 1))
    )
    assert few == many[:5]
    assert not set(few) & set(other)


def test_tpe_finds_the_bowl_and_random_does_not_as_well(tmp_path):
    space = {"optim.learning_rate": loguniform(1e-6, 1e3)}
    tpe = Bowl(tmp_path, Study(tmp_path, base(), search("tpe", space=space, trials=40))).run()
    random = planned(base(), search("random", space=space, trials=40))
    near = [sum(abs(math.log10(rate(t.config)) + 2) < 0.5 for t in trials) for trials in (tpe[10:], random[10:])]
    assert near[0] > 1.5 * near[1]


@pytest.mark.parametrize("stop_after", [3, 12])
def test_tpe_stopped_and_gone_on_with_is_tpe_undisturbed(tmp_path, stop_after):
    asked = search("tpe", space=SPACE | {"cell.name": ["rnn", "gru"]}, trials=18)
    whole = ids(Bowl(tmp_path / "a", Study(tmp_path / "a", base(), asked)).run())
    cut = tmp_path / "b"
    first = Bowl(cut, Study(cut, base(), asked), stop_after=stop_after).run()
    second = Bowl(cut, Study(cut, base(), asked)).run()
    assert ids(first)[:-1] + ids(second) == whole
    assert [p["id"] for p in proposals(cut)] == whole


def test_a_trial_whose_folder_was_deleted_is_not_missed(tmp_path):
    asked = search("tpe", space=SPACE, trials=4)
    trials = Bowl(tmp_path, Study(tmp_path, base(), asked)).run()
    shutil.rmtree(tmp_path / "trials" / trials[1].id)
    assert Bowl(tmp_path, Study(tmp_path, base(), asked)).run() == []


def test_a_config_that_comes_again_is_not_trained_again(tmp_path):
    asked = search("tpe", space={"cell.name": ["rnn", "gru"]}, trials=12)
    trials = Bowl(tmp_path, Study(tmp_path, base(), asked)).run()
    assert len(trials) == 2
    assert sorted(n for p in proposals(tmp_path) for n in p["numbers"]) == list(range(12))
    assert Bowl(tmp_path, Study(tmp_path, base(), asked)).run() == []


def test_asha_stops_the_worse_and_hyperband_too(tmp_path):
    for name in ("asha", "hyperband"):
        folder = tmp_path / name
        pruner = {"name": name, "first": 2, "factor": 2}
        asked = search("random", space=SPACE, trials=24, pruner=pruner)
        trials = Bowl(folder, Study(folder, base(), asked)).run(evaluations=(2, 4, 6, 8))
        stopped = [RunFolder(folder / "trials" / t.id).stop_requested() for t in trials]
        assert 4 <= sum(stopped) <= 22
        loss = [(math.log10(rate(t.config)) + 2) ** 2 for t in trials]
        best = min(range(24), key=loss.__getitem__)
        assert not stopped[best]
        # Rebuilt from the folders, the study knows the same.
        again = Study(folder, base(), asked)
        assert [t.state.name for t in again.study.trials] == [("COMPLETE", "PRUNED")[s] for s in stopped]


def test_failed_trials_are_tried_again_if_asked(tmp_path):
    asked = search("tpe", space=SPACE, trials=3)
    trials = Bowl(tmp_path, Study(tmp_path, base(), asked)).run()
    RunFolder(tmp_path / "trials" / trials[1].id).finish({"status": "failed", "reason": "no"})
    assert Bowl(tmp_path, Study(tmp_path, base(), asked)).run() == []
    assert ids(Bowl(tmp_path, Study(tmp_path, base(), asked, retry_failed=True)).run()) == [trials[1].id]


@pytest.mark.slow
def test_a_search_in_real_workers_with_a_pruner(tmp_path):
    asked = search("tpe", space=SPACE, trials=4, pruner={"name": "asha", "first": 2, "factor": 2}, metric="accuracy",
                   mode="max")  # fmt: skip
    campaign = begin(tmp_path, base(), asked, LAUNCH)
    events = []
    campaign.run(lambda status, trial: events.append(status))
    assert len(events) == 4
    assert set(events) <= {"finished", "pruned"}
    assert [trial["id"] for trial in read_plan(tmp_path)["trials"]] == [p["id"] for p in proposals(tmp_path)]
    assert len(load(tmp_path, "results")) == 4
    assert report.summary(open_sweep(tmp_path))["trials"].sum() == 4
    assert begin(tmp_path, base(), asked, LAUNCH).left == 0


def test_a_search_planned_ahead_is_a_list(tmp_path):
    asked = search("random", space={"seed": integers(0, 10**6)}, trials=3)
    campaign = begin(tmp_path, base(), asked, resolve_launch({"pack": 2}, workers=1))
    assert [len(pack) for pack in campaign.source.next(0, 1)] == [1, 2]
    campaign.executor.shutdown()


def test_another_search_in_the_folder_is_refused_and_more_trials_are_not(tmp_path):
    begin(tmp_path, base(), search("tpe", space=SPACE, trials=3), LAUNCH).executor.shutdown()
    begin(tmp_path, base(), search("tpe", space=SPACE, trials=4), LAUNCH).executor.shutdown()
    assert read_plan(tmp_path)["search"]["trials"] == 4
    with pytest.raises(ConfigError, match=r"different sweep: search.seed is 0 there, 1 here"):
        begin(tmp_path, base(), search("tpe", space=SPACE, trials=3, seed=1), LAUNCH)
    with pytest.raises(ConfigError, match="holds a different sweep"):
        begin(tmp_path, base(), axis("seed", [0]), LAUNCH)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: uniform(2, 2), r"uniform\(2, 2\): the range is empty"),
        (lambda: loguniform(0.0, 1.0), "a log range must lie above zero"),
        (lambda: loguniform(-1.0, 1.0), "a log range must lie above zero"),
        (lambda: uniform(0.0, math.inf), "two finite numbers"),
        (lambda: integers(1, 8, step=2, log=True), "no step with log"),
        (lambda: choice([]), "needs values"),
        (lambda: search("tpee", space=SPACE), "method must be one of random, tpe, gp, got 'tpee'"),
        (lambda: search(space=SPACE, mode="least"), "mode must be one of min, max"),
        (lambda: search(space=SPACE, pruner="ash"), "pruner must be one of none, asha, hyperband"),
        (lambda: search(space=SPACE, pruner={"name": "asha", "frist": 3}), "not 'frist'"),
        (lambda: search(space=SPACE, trials=0), "trials must be positive"),
        (lambda: search(space={}), "the space has no names"),
        (lambda: search(space={"seed": 3}), "'seed' needs uniform, loguniform"),
        (lambda: search(space=SPACE, metric="half_life.final", pruner="asha"), "known at the end only"),
    ],
)
def test_searches_that_cannot_be(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("method", ["random", "tpe"])
@pytest.mark.parametrize(
    ("space", "metric", "message"),
    [
        (
            {"optim.learning_rat": uniform(0, 1)},
            "loss",
            "optim.learning_rat: no such key; did you mean 'learning_rate'",
        ),
        ({"optim.learning_rate": uniform(-1.0, 1.0)}, "loss", "search: optim.learning_rate: .*must be positive"),
        ({"cell.name": ["rnn", "gruu"]}, "loss", "unknown cell 'gruu'; did you mean 'gru'"),
        (SPACE, "acuracy", "search: no trial reports 'acuracy'; did you mean 'accuracy'"),
    ],
)
def test_searches_that_the_config_refuses(tmp_path, method, space, metric, message):
    with pytest.raises(ConfigError, match=message):
        begin(tmp_path / "new", base(), search(method, space=space, metric=metric), LAUNCH)
    assert not (tmp_path / "new").exists()


def test_a_metric_that_turns_out_to_be_in_no_result(tmp_path):
    study = Study(tmp_path, base(), search("tpe", space=SPACE, metric="half_life.finall", trials=2))
    with pytest.raises(ConfigError, match=r"no trial reports 'half_life.finall'"):
        Bowl(tmp_path, study).run()


def test_gp_says_what_it_needs(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(ConfigError, match=r"needs torch: pip install 'rnngen\[gp\]'"):
        Study(tmp_path, base(), search("gp", space=SPACE))


@pytest.mark.slow
def test_gp_searches(tmp_path):
    pytest.importorskip("torch", reason="Optuna's Gaussian process computes with torch")
    space = {"optim.learning_rate": loguniform(1e-6, 1e3)}
    trials = Bowl(tmp_path, Study(tmp_path, base(), search("gp", space=space, trials=18))).run()
    assert min(abs(math.log10(rate(trial.config)) + 2) for trial in trials[10:]) < 0.5


@pytest.mark.parametrize("values", [{"nan": 1.0, None: 2.0, "inf": 0.0}, [1.0, 0.0, 3]])
def test_a_search_over_any_labels_goes_on_as_if_undisturbed(tmp_path, values):
    asked = search("tpe", space={"optim.clip_norm": choice(values), "seed": (0, 1, 2)}, trials=9)
    begin(tmp_path / "a", base(), asked, LAUNCH).executor.shutdown()
    Bowl(tmp_path / "a", Study(tmp_path / "a", base(), asked), stop_after=5).run()
    begin(tmp_path / "a", base(), asked, LAUNCH).executor.shutdown()
    Bowl(tmp_path / "a", Study(tmp_path / "a", base(), asked)).run()
    Bowl(tmp_path / "b", Study(tmp_path / "b", base(), asked)).run()
    assert read_plan(tmp_path / "a")["trials"] == proposals(tmp_path / "b")


def test_a_search_that_began_before_a_key_came_is_gone_on_with(tmp_path):
    asked = search("tpe", space=SPACE, trials=3)
    begin(tmp_path, base(), asked, LAUNCH).executor.shutdown()
    Bowl(tmp_path, Study(tmp_path, base(), asked), stop_after=1).run()
    written = json.loads((tmp_path / "sweep.json").read_text())
    del written["config"]["train"]["select"]
    (tmp_path / "sweep.json").write_text(json.dumps(written))
    unfinished = proposals(tmp_path)[1]["id"]
    (tmp_path / "trials" / unfinished).rename(tmp_path / "trials" / "old")
    begin(tmp_path, base(), asked, LAUNCH).executor.shutdown()
    assert Bowl(tmp_path, Study(tmp_path, base(), asked)).run()[0].id == "old"
    assert len(proposals(tmp_path)) == 3


def test_ranges_of_numpys_numbers(tmp_path):
    low, high, trials = np.array([4, 34, 5])
    space = {
        "cell.kwargs.hidden_dim": integers(low, high, step=trials),
        "optim.clip_norm": uniform(*np.float32([0, 1])),
    }
    asked = search("tpe", space=space, trials=trials, seed=trials)
    begin(tmp_path, base(), asked, LAUNCH).executor.shutdown()
    plain = {"low": 4, "high": 34, "whole": True, "log": False, "step": 5}
    assert (
        read_plan(tmp_path)["search"]["space"]["cell.kwargs.hidden_dim"]
        == plain
        == asked.space["cell.kwargs.hidden_dim"]._asdict()
    )
    assert len(Bowl(tmp_path, Study(tmp_path, base(), asked)).run()) == 5


def test_labels_of_choices_reach_the_tables(tmp_path):
    asked = search("tpe", space={"optim.clip_norm": choice({"clipped": 1.0, "free": 0.0})}, trials=6)
    begin(tmp_path, base(), asked, LAUNCH).executor.shutdown()
    Bowl(tmp_path, Study(tmp_path, base(), asked)).run()
    assert set(report.summary(open_sweep(tmp_path))["clip_norm"]) == {"clipped", "free"}
