"""Equinox's cells as ours: the same numbers as Equinox gives."""

import jax
import jax.numpy as jnp
import pytest
from conftest import assert_close, noise

from rnngen.adapters import equinox_cell, from_equinox
from rnngen.engines import unroll
from rnngen.testing import check_cell

eqx = pytest.importorskip("equinox", reason="Equinox is an extra")
T, D, H = 5, 3, 4


@pytest.mark.slow
@pytest.mark.parametrize("name", ["GRUCell", "LSTMCell"])
def test_a_cell_runs_as_equinox_runs_it(name):
    cell, module = equinox_cell(H, cell=name), getattr(eqx.nn, name)(D, H, key=jax.random.key(3))
    params, xs = cell.init(jax.random.key(3), D), noise((T, D), 1)
    assert params["weight_ih"].shape == module.weight_ih.shape
    carry, expected = (jnp.zeros(H), jnp.zeros(H)) if name == "LSTMCell" else jnp.zeros(H), []
    for x in xs:
        carry = module(x, carry)
        expected.append(jax.tree.leaves(carry)[0])
    assert_close(unroll(cell, params, xs)[1], jnp.stack(expected), 1e-6)


@pytest.mark.slow
def test_the_laws_hold():
    check_cell(equinox_cell(3, cell="GRUCell"))


def test_a_module_of_ones_own():
    class Leaky(eqx.Module):
        layers: list

        def __init__(self, d, key):
            self.layers = [eqx.nn.Linear(d, H, key=key)]

        def __call__(self, x, carry):
            return 0.9 * carry + jnp.tanh(self.layers[0](x))

    cell = from_equinox(Leaky, jnp.ones(H))
    params = cell.init(jax.random.key(0), D)
    assert sorted(params) == ["layers.0.bias", "layers.0.weight"]
    xs = noise((1, 2, 3, D), 1)
    expected = 0.9 + jnp.tanh(xs @ params["layers.0.weight"].T + params["layers.0.bias"])
    assert_close(unroll(cell, params, xs)[1], expected, 1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell": "LSTM"}, "unknown equinox cell 'LSTM'; did you mean 'LSTMCell'?"),
        ({"kwargs": {"bias": 1}}, "has no argument 'bias'"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        equinox_cell(H, **options)
