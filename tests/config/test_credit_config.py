"""`train.credit`: in a config, in a run, and in what a run measures."""

import math

import pytest

from rnngen.config import base_config, build, component, resolve
from rnngen.config.check import ConfigError
from rnngen.config.fingerprint import fingerprint
from rnngen.runs.train import train


def _config(credit=None, **cell):
    config = base_config()
    config.task = component("latch", length=12, eval_size=32)
    config.cell = component("rnn", hidden_dim=4, **cell)
    config.train.update({"steps": 2, "batch_size": 4, "log_every": 1, "eval_every": 0, "eval_batch_size": 32})
    config.diagnose.examples = 4
    if credit is not None:
        config.train.credit = credit
    return config


def test_a_config_without_one_is_called_as_before_there_was_one():
    plain, said = resolve(_config()), resolve(_config(component("none")))
    assert "credit" not in plain.to_dict()["train"]
    assert fingerprint(plain) == fingerprint(said)
    decayed = resolve(_config(component("decay", alpha=0.5)))
    assert decayed.to_dict()["train"]["credit"] == {
        "name": "decay",
        "kwargs": {"alpha": 0.5, "half_life": 0.0, "leaf": ""},
    }
    assert fingerprint(decayed) != fingerprint(plain)
    assert resolve(decayed.to_dict()) == decayed


def test_a_run_measures_the_half_life_that_was_imposed(tmp_path):
    # An identity whose units hardly leave the linear part: alone it would reach much further.
    long = {
        "recurrent_init": component("identity"),
        "kernel_init": component("gaussian", gain=0.01),
    }
    run = train(_config(component("decay", half_life=3.0), **long), tmp_path / "run")
    plain = train(_config(**long), tmp_path / "plain")
    assert run.result["half_life"]["initial"] == pytest.approx(3.0, rel=0.02)
    assert plain.result["half_life"]["initial"] > 30 or math.isinf(plain.result["half_life"]["initial"])
    model, params = run.restore()
    assert model.cell.credit is not None
    assert params.keys() == plain.restore()[1].keys()


@pytest.mark.parametrize(
    ("credit", "words"),
    [
        (component("decay"), "config.train.credit.kwargs: give alpha or half_life"),
        (component("decay", alpha=0.5, leaf="c"), "config.train.credit.kwargs: leaf: this cell's carry has no 'c'"),
        (component("decays", alpha=0.5), "config.train.credit.name: unknown credit 'decays'; did you mean 'decay'"),
        (component("window", steps=0), "config.train.credit.kwargs: steps must be a positive whole number"),
        (component("decay", alfa=0.5), "config.train.credit.kwargs.*alfa"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(credit, words):
    with pytest.raises(ConfigError, match=words):
        build(resolve(_config(credit)))


def test_a_latent_model_has_none():
    config = _config(component("decay", alpha=0.5))
    config.task = component("text", source="python")
    config.model.latent = component("vrnn")
    with pytest.raises(ConfigError, match=r"config\.train\.credit: vrnn has no such thing"):
        build(resolve(config))
