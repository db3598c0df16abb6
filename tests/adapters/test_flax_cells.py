"""Flax's cells as ours, and ours as Flax's: the same numbers as Flax gives, in values and gradients."""

import jax
import jax.numpy as jnp
import pytest
from conftest import assert_close, double, noise, random_params
from flax import linen, nnx

from rnngen.adapters import LinenCell, NnxCell, from_linen, from_nnx, linen_cell, nnx_cell
from rnngen.cells import CELLS
from rnngen.cli.main import main
from rnngen.engines import unroll
from rnngen.testing import check_cell

T, B, D, H = 5, 2, 3, 4


def simple(p):
    return {"dense_i": {"kernel": p["kernel"], "bias": p["bias"]}, "dense_h": {"kernel": p["recurrent_kernel"]}}


def optimised_lstm(p):
    return {"dense_i": {"kernel": p["kernel"]}, "dense_h": {"kernel": p["recurrent_kernel"], "bias": p["bias"]}}


def gru(p):
    """Three Dense layers for the input, three for the hidden state, of which the last has a bias."""
    blocks = {name: jnp.split(p[name], 3, axis=-1) for name in ("kernel", "recurrent_kernel", "bias")}
    given = {
        f"i{gate}": {"kernel": blocks["kernel"][n], "bias": blocks["bias"][n]} for n, gate in enumerate(("r", "z", "n"))
    }
    recurrent = {f"h{gate}": {"kernel": blocks["recurrent_kernel"][n]} for n, gate in enumerate(("r", "z", "n"))}
    recurrent["hn"]["bias"] = p["recurrent_bias"]
    return given | recurrent


PAIRS = {
    "rnn": (nnx_cell(H, cell="SimpleCell"), simple),
    "gru": (linen_cell(H, cell="GRUCell"), gru),
    "lstm": (nnx_cell(H, cell="OptimizedLSTMCell"), optimised_lstm),
}


def ys_and_gradients(cell, as_theirs, params, xs):
    def loss(params, xs):
        ys = unroll(cell, as_theirs(params), xs)[1]
        return jnp.sum(jnp.sin(ys)), ys

    (_, ys), gradients = jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))(params, xs)
    return ys, gradients


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-10)])
@pytest.mark.parametrize("name", PAIRS)
def test_built_in_cells_are_flax_cells(name, dtype, tolerance):
    ours, (theirs, as_theirs) = CELLS[name](H), PAIRS[name]
    with jax.enable_x64(dtype == "float64"):
        params, xs = random_params(ours, D), noise((T, B, D), 1, dtype)
        params = double(params) if dtype == "float64" else params
        expected = ys_and_gradients(theirs, as_theirs, params, xs)
        assert_close(ys_and_gradients(ours, lambda p: p, params, xs), expected, tolerance)


def test_an_nnx_cell_runs_as_nnx_runs_it():
    """With its own parameters, in its own loop."""
    module = nnx.GRUCell(D, H, rngs=nnx.Rngs(3))
    cell = from_nnx(lambda d, rngs: nnx.GRUCell(d, H, rngs=rngs))
    params, xs = nnx.to_pure_dict(nnx.state(module, nnx.Param)), noise((B, T, D), 1)
    assert jax.tree.map(jnp.shape, cell.init(jax.random.key(0), D)) == jax.tree.map(jnp.shape, params)
    expected = nnx.RNN(module)(xs)
    assert_close(unroll(cell, params, jnp.swapaxes(xs, 0, 1))[1], jnp.swapaxes(expected, 0, 1), 1e-6)


def test_a_linen_cell_runs_as_linen_runs_it():
    module = linen.MGUCell(features=H)
    cell, xs = from_linen(module), noise((B, T, D), 1)
    params = cell.init(jax.random.key(0), D)
    expected = linen.RNN(module).apply({"params": {"cell": params}}, xs)
    assert_close(unroll(cell, params, jnp.swapaxes(xs, 0, 1))[1], jnp.swapaxes(expected, 0, 1), 1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lstm", "mingru", "exprnn"])
def test_a_cell_of_ours_in_nnx(name):
    """Projected, prepared and with a carry of its own kind."""
    cell, xs = CELLS[name](H), noise((B, T, D), 1)
    module = nnx.RNN(NnxCell(cell, D, rngs=nnx.Rngs(0)))
    params = nnx.to_pure_dict(nnx.state(module.cell, nnx.Param))["params"]
    ys = lambda params: jnp.swapaxes(unroll(cell, params, jnp.swapaxes(xs, 0, 1))[1], 0, 1)  # noqa: E731
    assert_close(module(xs), ys(params), 1e-6)
    gradient = nnx.grad(lambda m: jnp.sum(jnp.sin(m(xs))))(module)
    expected = jax.grad(lambda p: jnp.sum(jnp.sin(ys(p))))(params)
    assert_close(nnx.to_pure_dict(gradient)["cell"]["params"], expected, 1e-5)


@pytest.mark.slow
def test_a_cell_of_ours_in_linen():
    cell, xs = CELLS["lstm"](H), noise((B, T, D), 1)
    module = linen.RNN(LinenCell(cell))
    variables = module.init(jax.random.key(0), xs)
    params = variables["params"]["cell"]["cell"]
    expected = jnp.swapaxes(unroll(cell, params, jnp.swapaxes(xs, 0, 1))[1], 0, 1)
    assert_close(module.apply(variables, xs), expected, 1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("make", [nnx_cell, linen_cell])
def test_the_laws_hold(make):
    check_cell(make(3, cell="GRUCell"))


def test_state_that_is_no_parameter_is_refused():
    class Noisy(nnx.SimpleCell):
        def __init__(self, d, h, *, rngs):
            super().__init__(d, h, rngs=rngs)
            self.dropout = nnx.Dropout(0.5, rngs=rngs)

    with pytest.raises(ValueError, match="Noisy has state that is no parameter"):
        from_nnx(lambda d, rngs: Noisy(d, H, rngs=rngs))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rnngen.adapters:nnx_cell", "--cell=GRUCel"], "unknown nnx cell 'GRUCel'; did you mean 'GRUCell'?"),
        (["rnngen.adapters:linen_cell", "--kwargs={'residul': True}"], "LSTMCell has no argument 'residul'"),
        (["rnngen.adapters:nnx_cells"], "rnngen.adapters has no 'nnx_cells'; did you mean 'nnx_cell'?"),
    ],
)
def test_bad_input_is_one_line(capsys, arguments, message):
    assert main(["check-cell", *arguments]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
