"""`train.rule`: in a config, in a run, and what it is refused with."""

import jax
import numpy as np
import pytest

from rnngen.config import base_config, build, component, resolve
from rnngen.config.check import ConfigError
from rnngen.config.fingerprint import fingerprint
from rnngen.rules import RULES, check
from rnngen.runs.train import train


def _config(rule=None, cell=None, **train_settings):
    config = base_config()
    config.task = component("latch", length=8, eval_size=32)
    config.cell = cell or component("rnn", hidden_dim=4)
    config.train.update({"steps": 4, "batch_size": 4, "log_every": 1, "eval_every": 0, "eval_batch_size": 32})
    config.train.update({"save_every": 2} | train_settings)
    config.diagnose.what = ()
    if rule is not None:
        config.train.rule = rule
    return config


def test_a_config_of_bptt_is_called_as_before_there_were_rules():
    plain, said = resolve(_config()), resolve(_config(component("bptt")))
    assert "rule" not in plain.to_dict()["train"]
    assert fingerprint(plain) == fingerprint(said)
    ruled = resolve(_config(component("rtrl", update_every=1)))
    assert ruled.to_dict()["train"]["rule"] == {"name": "rtrl", "kwargs": {"update_every": 1, "dense": False}}
    assert fingerprint(ruled) != fingerprint(plain)
    assert resolve(ruled.to_dict()) == ruled


def _refused(config, words):
    with pytest.raises(ConfigError, match=words):
        build(resolve(config))


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (component("rtlr"), "config.train.rule.name: unknown rule 'rtlr'; did you mean 'rtrl'"),
        (component("bptt", update_every=1), "config.train.rule.kwargs.*update_every"),
        (component("tbptt", update_every=1), "config.train.rule.kwargs.*update_every"),
        (component("random", update_every=1), "config.train.rule.kwargs.*update_every"),
        (component("tbptt", steps=0), "config.train.rule.kwargs: steps must be a positive whole number"),
        (component("rtrl", update_every=-1), "config.train.rule.kwargs: update_every must be a number of steps"),
    ],
)
def test_a_rule_is_checked_by_itself(rule, words):
    _refused(_config(rule), words)


def test_what_does_not_go_with_a_rule_is_refused_with_its_place():
    config = _config(component("immediate"))
    config.model.bidirectional = True
    _refused(config, "config.train.rule: immediate goes step by step, which a model that reads both ways cannot")
    config = _config(component("tbptt"))
    config.train.credit = component("decay", alpha=0.5)
    _refused(config, "config.train.rule: tbptt has a credit of its own: leave train.credit at none")
    config = _config(component("rtrl"))
    config.model.dropout = 0.5
    _refused(config, "config.train.rule: rtrl has no noise in the model: leave out dropout")
    config = _config(component("rtrl"))
    config.optim.regularizer = component("omega")
    _refused(config, "config.train.rule: omega needs bptt: leave optim.regularizer at none")
    config = _config(component("uoro", update_every=2))
    config.optim.schedule = component("cosine")
    _refused(config, "config.train.rule: update_every makes several updates of a step, and cosine counts them")
    _refused(_config(component("snap1"), component("cornn", hidden_dim=4)), "config.train.rule: snap1 follows each")
    noisy = component("zoneout", hidden_dim=4, cell="rnn")
    _refused(_config(component("immediate"), noisy), "config.train.rule: immediate has no noise in the model")
    config = _config(component("rtrl"))
    config.task = component("text", source="python")
    _refused(config, "config.train.rule: rtrl needs whole examples")
    config.model.latent = component("vrnn")
    _refused(config, "config.train.rule: rtrl needs a model of layers: a latent one takes bptt")


def test_an_influence_that_does_not_fit_is_refused_with_its_size(monkeypatch):
    monkeypatch.setattr(check, "available_memory", lambda: 1000 * 2**20)
    # n = 64 units, P = 64 * 64 recurrent weights, 64 of the one input and 64 biases.
    numbers = 64 * (64 * 64 + 64 + 64)
    wide = component("rnn", hidden_dim=64)
    fits = 500 * 2**20 // (4 * numbers)
    build(resolve(_config(component("rtrl"), wide, batch_size=fits)))
    words = (
        rf"config.train.rule: rtrl would keep an influence of 0.5 GiB \({numbers} numbers for each of {fits + 1} exam"
    )
    _refused(_config(component("rtrl"), wide, batch_size=fits + 1), words)


def _same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


ONLINE = ("rtrl", "snap1", "uoro", "eprop", "immediate")
RUNS = [(name, {}) for name in RULES if name != "bptt"] + [(name, {"update_every": 3}) for name in ONLINE]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kwargs"), RUNS)
def test_a_run_trains_and_resumes_to_the_same_bits(tmp_path, name, kwargs):
    config = _config(component(name, **kwargs))
    whole = train(config, tmp_path / "whole")
    config.train.steps = 2
    train(config, tmp_path / "part")
    config.train.steps = 4
    resumed = train(config, tmp_path / "part")
    params, start = whole.restore()[1], whole.restore(step=2)[1]
    assert _same(params, resumed.restore()[1])
    assert not _same(params, start)
    assert np.isfinite(whole.metrics["loss"].dropna()).all()
