"""The public call that builds a model without any config, and the example's loop over it."""

import runpy
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import assert_close

from rnngen import Batch
from rnngen.cells import CELLS
from rnngen.heads import categorical, gaussian
from rnngen.models import build_model
from rnngen.types import InputSpec

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "own_loop.py"


@pytest.mark.slow
def test_the_example_learns_what_needs_memory(capsys):
    with jax.numpy_dtype_promotion("standard"):  # as in a program of one's own
        found = runpy.run_path(str(EXAMPLE))
    assert found["test_loss"] < 0.02  # without memory: 1 / 6
    assert "without memory it would be 0.1667" in capsys.readouterr().out


def test_the_loss_is_the_heads_unless_another_is_given():
    """The mean over weighted steps of -log N(y; output, 1)."""
    model = build_model(CELLS["rnn"](3), 2, gaussian(1), engine="scan")
    params = model.init(jax.random.key(0))
    xs, ys = jax.random.normal(jax.random.key(1), (4, 5, 2)), jax.random.normal(jax.random.key(2), (4, 5, 1))
    weights = jnp.arange(20.0).reshape(4, 5)
    loss = model.loss(params, Batch(xs, ys, weights))[0]
    outputs = model.apply(params, xs)[1]
    each = 0.5 * (outputs - ys)[..., 0] ** 2 + 0.5 * np.log(2 * np.pi)
    assert_close(loss, (each * weights).sum() / weights.sum(), 1e-5)


def test_a_cell_and_a_number_stand_for_one_layer_and_float_features():
    short = build_model(CELLS["gru"](3), 2, gaussian(1), engine="scan")
    whole = build_model([CELLS["gru"](3)], InputSpec(2), gaussian(1), engine="scan")
    params = short.init(jax.random.key(0))
    assert_close(params, whole.init(jax.random.key(0)))
    xs = np.random.RandomState(0).normal(size=(4, 5, 2))  # float64, as NumPy has them
    assert_close(short.apply(params, xs)[1], whole.apply(params, xs.astype(np.float32))[1])
    with pytest.raises(ValueError, match="spec must be a positive whole number, got 0"):
        build_model(CELLS["gru"](3), 0, gaussian(1))


def test_streaming_gives_what_a_whole_sequence_gives():
    cells, spec = [CELLS["lstm"](3), CELLS["gru"](4)], InputSpec(5, tokens=True)
    model = build_model(cells, spec, categorical(5), embed_dim=2, engine="scan")
    params = model.init(jax.random.key(0))
    tokens = jax.random.randint(jax.random.key(1), (6, 2), 0, 5)
    step, carry, seen = jax.jit(model.step), model.init_carry(params, (2,)), []
    for x in tokens:
        carry, outputs = step(params, carry, x)
        seen.append(outputs)
    last, whole = model.apply(params, tokens)
    assert_close(jnp.stack(seen), whole, 1e-5)
    assert_close(carry, last, 1e-5)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_apply_takes_another_engine(bidirectional):
    """Forward-mode derivatives, which the model's own engine refuses, go through `scan`."""
    engine = {"name": "fused", "kwargs": {"kernels": False}}
    model = build_model(CELLS["gru"](3), 2, gaussian(1), bidirectional=bidirectional, engine=engine)
    params, xs = model.init(jax.random.key(0)), jnp.ones((4, 2))
    with pytest.raises(ValueError, match="reverse-mode derivatives only"):
        jax.jvp(lambda xs: model.apply(params, xs)[1], (xs,), (xs,))
    tangent = jax.jvp(lambda xs: model.apply(params, xs, engine="scan")[1], (xs,), (xs,))[1]
    step = 1e-2
    ahead, back = (model.apply(params, (1 + e) * xs, engine="scan")[1] for e in (step, -step))
    assert_close(tangent, (ahead - back) / (2 * step), 1e-3)
