"""Each cell against its equation written again in NumPy, and against Flax's implementation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import assert_close, noise, random_params, unrolled
from flax import nnx
from jax.flatten_util import ravel_pytree

from rnngen.cells import CELLS, Cell, Gated, gru, lstm, rnn
from rnngen.engines import unroll

D, H, B, T = 3, 4, 2, 5


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def one_step(cell, params, carry, x):
    params = cell.prepare(params)
    return cell.step(params, carry, cell.project(params, x))


def inputs(shape=(B, D), seed=1):
    return noise(shape, seed)


def numpy_params(params):
    return {name: np.asarray(value, np.float64) for name, value in params.items()}


@pytest.mark.parametrize(
    ("activation", "function"), [("tanh", np.tanh), ("relu", lambda x: np.maximum(x, 0)), ("sigmoid", sigmoid)]
)
def test_rnn_is_its_equation(activation, function):
    cell = rnn(H, activation=activation)
    params, h, x = random_params(cell, D), inputs((B, H), 2), inputs()
    p = numpy_params(params)
    expected = function(np.asarray(x) @ p["kernel"] + np.asarray(h) @ p["recurrent_kernel"] + p["bias"])
    new, y = one_step(cell, params, h, x)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(new, y)


def test_gru_is_its_equation():
    cell = gru(H)
    params, h, x = random_params(cell, D), inputs((B, H), 2), inputs()
    p, h64, x64 = numpy_params(params), np.asarray(h, np.float64), np.asarray(x, np.float64)
    u_r, u_z, u_n = np.split(x64 @ p["kernel"] + p["bias"], 3, axis=-1)
    a_r, a_z, a_n = np.split(h64 @ p["recurrent_kernel"], 3, axis=-1)
    r, z = sigmoid(u_r + a_r), sigmoid(u_z + a_z)
    n = np.tanh(u_n + r * (a_n + p["recurrent_bias"]))
    np.testing.assert_allclose(one_step(cell, params, h, x)[1], (1 - z) * n + z * h64, rtol=1e-5, atol=1e-6)


def test_lstm_is_its_equation():
    cell = lstm(H)
    params, x = random_params(cell, D), inputs()
    carry = {"h": inputs((B, H), 2), "c": inputs((B, H), 3)}
    p, h, c = numpy_params(params), np.asarray(carry["h"], np.float64), np.asarray(carry["c"], np.float64)
    i, f, g, o = np.split(np.asarray(x, np.float64) @ p["kernel"] + h @ p["recurrent_kernel"] + p["bias"], 4, axis=-1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    new, y = one_step(cell, params, carry, x)
    np.testing.assert_allclose(new["c"], c, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(y, sigmoid(o) * np.tanh(c), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(new["h"], y)


def test_mingru_is_its_equation():
    cell = CELLS["mingru"](H)
    params, h, x = random_params(cell, D), inputs((B, H), 2), inputs()
    p, h64 = numpy_params(params), np.asarray(h, np.float64)
    z, candidate = np.split(np.asarray(x, np.float64) @ p["kernel"] + p["bias"], 2, axis=-1)
    expected = (1 - sigmoid(z)) * h64 + sigmoid(z) * candidate
    np.testing.assert_allclose(one_step(cell, params, h, x)[1], expected, rtol=1e-5, atol=1e-6)


def test_gru_equals_flax():
    cell, theirs = gru(H), nnx.GRUCell(D, H, rngs=nnx.Rngs(0))
    params = random_params(cell, D)
    theirs.dense_i.kernel[...], theirs.dense_i.bias[...] = params["kernel"], params["bias"]
    theirs.dense_h.kernel[...] = params["recurrent_kernel"]
    no_recurrent_bias = params | {"recurrent_bias": jnp.zeros(H)}  # nnx.GRUCell has none
    h, x = inputs((B, H), 2), inputs()
    assert_close(one_step(cell, no_recurrent_bias, h, x)[1], theirs(h, x)[1], 1e-5)


def test_lstm_equals_flax():
    cell, theirs = lstm(H), nnx.OptimizedLSTMCell(D, H, rngs=nnx.Rngs(0))
    params = random_params(cell, D)
    theirs.dense_i.kernel[...], theirs.dense_h.kernel[...] = params["kernel"], params["recurrent_kernel"]
    theirs.dense_h.bias[...] = params["bias"]
    h, c, x = inputs((B, H), 2), inputs((B, H), 3), inputs()
    (their_c, their_h), _ = theirs((c, h), x)
    assert_close(one_step(cell, params, {"h": h, "c": c}, x)[0], {"h": their_h, "c": their_c}, 1e-5)


def test_layout_is_public(cell_name):
    gates = {"rnn": 1, "gru": 3, "lstm": 4, "mingru": 2}[cell_name]
    params = CELLS[cell_name](H).init(jax.random.key(0), D)
    assert params["kernel"].shape == (D, gates * H)
    if cell_name != "mingru":
        assert params["recurrent_kernel"].shape == (H, gates * H)
    assert params["bias"].shape == (gates * H,)
    assert all(p.dtype == jnp.float32 for p in jax.tree.leaves(params))


def test_forget_bias_is_in_the_forget_block_only():
    bias = lstm(H, forget_bias=5.0).init(jax.random.key(0), D)["bias"]
    np.testing.assert_array_equal(bias, np.repeat([0.0, 5.0, 0.0, 0.0], H))


@pytest.mark.slow
def test_learned_carry_starts_every_sequence_and_gets_a_gradient(cell_name):
    cell = CELLS[cell_name](H, learned_carry=True)
    params, xs = random_params(cell, D), inputs((T, B, D))
    start = cell.init_carry(params, (B,))
    first = jax.tree.leaves(params["initial_carry"])
    for leaf, learned in zip(jax.tree.leaves(start), first, strict=True):
        np.testing.assert_array_equal(leaf, jnp.broadcast_to(learned, (B, H)))
    gradient = jax.jit(jax.grad(lambda p: jnp.sum(unroll(cell, p, xs)[1])))(params)["initial_carry"]
    assert all(bool((jnp.abs(g) > 0).all()) for g in jax.tree.leaves(gradient))


@pytest.mark.parametrize("name", CELLS)
def test_step_keeps_the_carry(name):
    cell = CELLS[name](H)

    def before_and_after(key):
        params = cell.prepare(cell.init(key, D))
        carry = cell.init_carry(params, (B,))
        return carry, cell.step(params, carry, cell.project(params, inputs()))[0]

    before, after = jax.eval_shape(before_and_after, jax.random.key(0))
    assert before == after


@pytest.mark.parametrize("name", [name for name in CELLS if isinstance(CELLS[name](H).structure, Gated)])
def test_gated_claims_hold(name):
    """Step is combine after one product, and combine mixes no features."""
    cell = CELLS[name](H)
    params, carry, u = at_a_step(cell)
    product = cell.structure.hidden(carry) @ params["recurrent_kernel"]
    without = {name: p for name, p in params.items() if name != "recurrent_kernel"}
    assert_close(cell.structure.combine(without, carry, u, product), cell.step(params, carry, u))
    jacobian = jax.jit(jax.jacobian(lambda c: cell.structure.combine(without, c, u, product)[1]))(carry)
    for leaf in jax.tree.leaves(jacobian):
        np.testing.assert_array_equal(leaf * (1 - np.eye(H)), 0)


@pytest.mark.parametrize("name", [name for name in CELLS if CELLS[name](H).diagonal])
def test_diagonal_claims_hold(name):
    """Number i of the new carry depends on number i of the old one, and on no other."""
    cell = CELLS[name](
        H, **({"activation": "tanh"} if name == "indrnn" else {})
    )  # a relu that is off passes nothing on
    params, carry, u = at_a_step(cell)
    flat, unflat = ravel_pytree(carry)
    holomorphic = jnp.iscomplexobj(flat)
    forward = lambda c: ravel_pytree(cell.step(params, unflat(c), u)[0])[0]  # noqa: E731
    jacobian = jax.jit(jax.jacfwd(forward, holomorphic=holomorphic))(flat)
    assert np.abs(np.diag(jacobian)).min() > 0
    np.testing.assert_array_equal(jacobian - np.diag(np.diag(jacobian)), 0)


def at_a_step(cell):
    """Prepared parameters, a carry and a step's input with no zeros in them."""
    params = cell.prepare(random_params(cell, D))
    carry = jax.tree.map(lambda c: inputs(c.shape, 4).astype(c.dtype), cell.init_carry(params, ()))
    return params, carry, cell.project(params, inputs((D,)))


def test_a_cell_of_ones_own_needs_only_three_functions():
    leaky = Cell(
        init=lambda key, input_dim: {"decay": jnp.array(0.5)},
        init_carry=lambda params, batch_shape: jnp.zeros((*batch_shape, D)),
        step=lambda params, carry, x: (params["decay"] * carry + x,) * 2,
        output_dim=D,
    )
    xs = jnp.zeros((4, B, D)).at[0].set(1.0)
    _, ys = unrolled(leaky, leaky.init(jax.random.key(0), D), xs)
    np.testing.assert_allclose(ys[:, 0, 0], [1, 0.5, 0.25, 0.125])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hidden_dim": 0}, "hidden_dim must be a positive whole number, got 0"),
        ({"hidden_dim": 2.0}, "hidden_dim must be a positive whole number"),
        ({"hidden_dim": 3, "kernel_init": "ortogonal"}, "did you mean 'orthogonal'"),
    ],
)
def test_bad_arguments(cell_name, arguments, message):
    with pytest.raises(ValueError, match=message):
        CELLS[cell_name](**arguments)


def test_unknown_activation():
    with pytest.raises(ValueError, match="unknown activation 'tanhh'; did you mean 'tanh'"):
        rnn(3, activation="tanhh")


@pytest.mark.parametrize(("name", "keeps"), [("lstm", 1), ("gru", 1)])
def test_chrono_biases_spread_the_time_constants(name, keeps):
    """Tallec and Ollivier 2018: the gate that keeps starts at log(U[1, longest - 1]), an LSTM's input gate opposite."""
    h = 4000
    # As one program, which leaves out what is not asked for: kernels of 4000 x 4000, made orthogonal.
    cell = CELLS[name](h, chrono=101)
    bias = np.asarray(jax.jit(lambda key: cell.init(key, 1)["bias"])(jax.random.key(0))).reshape(-1, h)
    drawn = np.exp(bias[keeps])
    assert (drawn.min(), drawn.max()) == (pytest.approx(1, abs=0.1), pytest.approx(100, abs=0.1))
    np.testing.assert_allclose(np.quantile(drawn, [0.25, 0.5, 0.75]), [25.75, 50.5, 75.25], rtol=0.05)
    np.testing.assert_allclose(bias[0], -bias[1] if name == "lstm" else 0.0)
    for wrong in (1, -3):
        with pytest.raises(ValueError, match=f"chrono must be a lag of at least 2 steps, or 0 for none, got {wrong}"):
            CELLS[name](4, chrono=wrong)


def test_biases_of_gates_that_keep():
    assert set(np.asarray(CELLS["gru"](3, update_bias=2.0).init(jax.random.key(0), 1)["bias"])[3:6]) == {2.0}
    assert set(np.asarray(CELLS["lstm"](3, forget_bias=5.0).init(jax.random.key(0), 1)["bias"])[3:6]) == {5.0}


@pytest.mark.parametrize("name", ["gru", "lstm", "mingru"])
def test_observed_gates_explain_the_step(name):
    """The new carry is what the gates that are shown make of the old one."""
    cell = CELLS[name](H)
    params, x = random_params(cell, D), noise((B, D), 3)
    carry = jax.tree.map(lambda c: c + 0.3, cell.init_carry(params, (B,)))
    prepared = cell.prepare(params)
    u = cell.project(prepared, x)
    new, _ = cell.step(prepared, carry, u)
    gates = cell.observe(prepared, carry, u)
    if name == "lstm":
        z = x @ params["kernel"] + carry["h"] @ params["recurrent_kernel"] + params["bias"]
        c = gates["f"] * carry["c"] + gates["i"] * jnp.tanh(jnp.split(z, 4, axis=-1)[2])
        assert_close(new, {"c": c, "h": gates["o"] * jnp.tanh(c)}, 1e-5)
    elif name == "gru":
        kernel, recurrent, bias = (jnp.split(params[k], 3, axis=-1)[2] for k in ("kernel", "recurrent_kernel", "bias"))
        n = jnp.tanh(x @ kernel + bias + gates["r"] * (carry @ recurrent + params["recurrent_bias"]))
        assert_close(new, (1 - gates["z"]) * n + gates["z"] * carry, 1e-5)
    else:
        candidate = jnp.split(x @ params["kernel"] + params["bias"], 2, axis=-1)[1]
        assert_close(new, (1 - gates["z"]) * carry + gates["z"] * candidate, 1e-5)
