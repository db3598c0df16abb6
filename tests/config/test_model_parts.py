"""`model.block`, `model.state_budget` and controls in a config."""

import jax
import pytest

from rnngen.config import base_config, build, component, resolve
from rnngen.config.check import ConfigError
from rnngen.config.fingerprint import fingerprint
from rnngen.models import count_state


def _config(cell="lstm", block=None, **model):
    config = base_config()
    config.task = component("latch", length=12, eval_size=32)
    config.cell = component(cell, hidden_dim=4)
    config.train.update({"steps": 2, "batch_size": 4, "log_every": 1, "eval_every": 0, "eval_batch_size": 32})
    config.diagnose.update({"what": (), "examples": 4})
    if block is not None:
        config.model.block = block
    config.model.update(model)
    return config


def test_a_config_without_the_parts_is_called_as_before_there_were_any():
    plain, said = resolve(_config()), resolve(_config(block=component("none"), state_budget=0))
    assert not {"block", "state_budget"} & set(plain.to_dict()["model"])
    assert fingerprint(plain) == fingerprint(said) == "2f1c9d620b37"  # as it was before there were any
    blocked = resolve(_config(block=component("block", mlp=0.0)))
    assert blocked.to_dict()["model"]["block"] == {
        "name": "block",
        "kwargs": {"norm": "rms", "conv_width": 4, "mlp": 0.0, "residual": True},
    }
    assert fingerprint(blocked) != fingerprint(plain)
    for config in (plain, blocked, resolve(_config(state_budget=40))):
        assert resolve(config.to_dict()) == config


def _reals(cell, units):
    """Numbers in the carry of one layer of these cells."""
    return {"gru": units, "lstm": 2 * units, "lru": 2 * units}[cell]


@pytest.mark.parametrize("cell", ["gru", "lstm", "lru"])
def test_a_budget_of_state_decides_the_width(cell):
    """A complex number counts as two, every layer counts, and so does the window of a block's convolution."""
    for layers, block, window in ((1, None, 0), (2, None, 0), (2, component("block", conv_width=3), 2)):
        resolved = resolve(_config(cell, block, num_layers=layers, state_budget=101))
        units = resolved.cell.kwargs["hidden_dim"]
        of = lambda n, layers=layers, window=window: layers * (_reals(cell, n) + window * n)  # noqa: E731
        assert of(units) <= 101 < of(units + 1)
        assert count_state(build(resolved).model) == of(units)


def test_a_state_is_counted_over_both_directions():
    model = build(resolve(_config("lstm", bidirectional=True, state_budget=50))).model
    carry = jax.eval_shape(lambda p: model.init_carry(p, (1,)), model.param_shapes)
    assert count_state(model) == sum(leaf.size for leaf in jax.tree.leaves(carry)) == 2 * 2 * 12


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (_config(state_budget=-1), r"config\.model\.state_budget: must not be negative, got -1"),
        (_config(state_budget=1), r"config\.model\.state_budget: one unit has 2 state numbers already, more than 1"),
        (
            _config(state_budget=50, param_budget=900),
            r"config\.model\.state_budget: one budget decides the width, and there is a config",
        ),
        (_config("tcn", state_budget=50), r"config\.model\.state_budget: tcn is a control, which has no carry"),
        (_config(block=component("block", conv_width=1)), r"config\.model\.block: conv_width must be 0"),
        (
            _config(block=component("block", norm="batch")),
            r"config\.model\.block: norm must be one of rms, layer",
        ),
        (_config(block=component("block", mpl=1.0)), r"config\.model\.block\.kwargs\.mpl: .* did you mean 'mlp'"),
        (_config(block=component("blok")), r"config\.model\.block\.name: unknown block 'blok'; did you mean 'block'"),
        (
            _config(block=component("block"), bidirectional=True),
            r"config\.model: block: is around a layer that",
        ),
        (_config("attenton"), r"config\.cell\.name: unknown cell 'attenton'; did you mean 'attention'"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(config, message):
    with pytest.raises(ConfigError, match=message):
        build(resolve(config))


def test_a_latent_model_has_neither_block_nor_control():
    for cell, block, message in (
        ("lstm", component("block"), r"config\.model\.block: vrnn has no such thing"),
        ("attention", None, r"config\.cell: vrnn needs a cell, and a control is none"),
    ):
        config = _config(cell, block, latent=component("vrnn"))
        config.task = component("text", source="python")
        with pytest.raises(ConfigError, match=message):
            build(resolve(config))
