"""Every cell beside the four: its equation written again in NumPy over a whole sequence, and what it stretches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import assert_close, noise, random_params, slow, unrolled
from scipy.linalg import expm
from scipy.special import expit as sigmoid
from test_memories import CASES

from rnngen.cells import CELLS, gru, lstm, residual, rnn, variational_dropout, zoneout

D, H, B, T = 3, 4, 2, 5


def halves(x, count):
    return np.split(x, count, axis=-1)


# Each oracle: (params as float64, xs [t, b, d]) -> ys [t, b, h].


def indrnn(p, xs):
    h, ys = np.zeros((B, H)), []
    for x in xs:
        h = np.maximum(x @ p["kernel"] + p["recurrent_weight"] * h + p["bias"], 0)
        ys.append(h)
    return ys


def mgu(p, xs):
    h, ys = np.zeros((B, H)), []
    u_f, u_n = halves(p["recurrent_kernel"], 2)
    for x in xs:
        x_f, x_n = halves(x @ p["kernel"] + p["bias"], 2)
        f = sigmoid(x_f + h @ u_f)
        h = (1 - f) * h + f * np.tanh(x_n + (f * h) @ u_n)
        ys.append(h)
    return ys


def exprnn(p, xs):
    h, ys = np.zeros((B, H)), []
    above = np.triu(p["skew"], 1)
    for x in xs:
        z = x @ p["kernel"] + h @ expm(above - above.T)
        h = np.sign(z) * np.maximum(np.abs(z) + p["bias"], 0)
        ys.append(h)
    return ys


def cornn(p, xs):
    y, z, ys = np.zeros((B, H)), np.zeros((B, H)), []
    for x in xs:
        force = np.tanh(x @ p["kernel"] + y @ p["recurrent_kernel"] + z @ p["velocity_kernel"] + p["bias"])
        z = z + 0.04 * (force - 2.7 * y - 4.7 * z)
        y = y + 0.04 * z
        ys.append(y)
    return ys


def lem(p, xs):
    y, z, ys = np.zeros((B, H)), np.zeros((B, H)), []
    u = halves(p["recurrent_kernel"], 4)
    for x in xs:
        x_1, x_2, x_z, x_y = halves(x @ p["kernel"] + p["bias"], 4)
        s, s_y = sigmoid(x_1 + y @ u[0]), sigmoid(x_2 + y @ u[1])
        z = (1 - s) * z + s * np.tanh(x_z + y @ u[2])
        y = (1 - s_y) * y + s_y * np.tanh(x_y + z @ u[3])
        ys.append(y)
    return ys


def lru(p, xs):
    h, ys = np.zeros((B, H), complex), []
    eigenvalues = np.exp(-np.exp(p["nu"]) + 1j * np.exp(p["theta"]))
    for x in xs:
        drive = x @ (p["input_real"] + 1j * p["input_imag"])
        h = eigenvalues * h + np.sqrt(1 - np.abs(eigenvalues) ** 2) * drive
        ys.append((h @ (p["output_real"] + 1j * p["output_imag"])).real + x @ p["skip"])
    return ys


def minlstm(p, xs):
    h, ys = np.zeros((B, H)), []
    for x in xs:
        f, i, candidate = halves(x @ p["kernel"] + p["bias"], 3)
        f, i = sigmoid(f), sigmoid(i)
        h = f / (f + i) * h + i / (f + i) * candidate
        ys.append(h)
    return ys


def slstm(p, xs):
    """Without stabiliser: the exponential gates as they are."""
    (h, c, n), ys = np.zeros((3, B, H)), []
    for x in xs:
        i, f, z, o = halves(x @ p["kernel"] + h @ p["recurrent_kernel"] + p["bias"], 4)
        c = sigmoid(f) * c + np.exp(i) * np.tanh(z)
        n = sigmoid(f) * n + np.exp(i)
        h = sigmoid(o) * c / n
        ys.append(h)
    return ys


def deltarule(p, xs):
    memory, ys = np.zeros((B, 16, H)), []
    unit = lambda x: x / np.sqrt(np.sum(x * x, axis=-1, keepdims=True) + 1e-6)  # noqa: E731
    for x in xs:
        k, q, v = unit(x @ p["kernel_k"]), unit(x @ p["kernel_q"]), x @ p["kernel_v"]
        beta = sigmoid(x @ p["kernel_beta"] + p["bias_beta"])
        for b in range(B):
            error = k[b] @ memory[b] - v[b]
            memory[b] -= beta[b] * np.outer(k[b], error)
        ys.append(np.stack([q[b] @ memory[b] for b in range(B)]))
    return ys


def gru_before(p, xs):
    h, ys = np.zeros((B, H)), []
    u_r, u_z, u_n = halves(p["recurrent_kernel"], 3)
    for x in xs:
        x_r, x_z, x_n = halves(x @ p["kernel"] + p["bias"], 3)
        r, z = sigmoid(x_r + h @ u_r), sigmoid(x_z + h @ u_z)
        h = (1 - z) * np.tanh(x_n + (r * h) @ u_n) + z * h
        ys.append(h)
    return ys


def lstm_of(names, peep=False, norm=False):
    """LSTMs with gates of these names in the kernels; without "f" it is 1 - i."""

    def scaled(v, scale):
        return scale * (v - v.mean(-1, keepdims=True)) / np.sqrt(v.var(-1, keepdims=True) + 1e-5)

    def oracle(p, xs):
        h, c, ys = np.zeros((B, H)), np.zeros((B, H)), []
        for x in xs:
            of_x, of_h = x @ p["kernel"], h @ p["recurrent_kernel"]
            if norm:
                of_x, of_h = scaled(of_x, p["input_scale"]), scaled(of_h, p["recurrent_scale"])
            s = dict(zip(names, halves(of_x + of_h + p["bias"], len(names)), strict=True))
            p_i, p_f, p_o = (p.get(f"peephole_{gate}", 0.0) if peep else 0.0 for gate in "ifo")
            i = sigmoid(s["i"] + p_i * c)
            f = sigmoid(s["f"] + p_f * c) if "f" in s else 1 - i
            c = f * c + i * np.tanh(s["g"])
            h = sigmoid(s["o"] + p_o * c) * np.tanh(scaled(c, p["carry_scale"]) if norm else c)
            ys.append(h)
        return ys

    return oracle


ORACLES = {
    "cornn": (CELLS["cornn"](H), cornn),
    "deltarule": (CELLS["deltarule"](H), deltarule),
    "exprnn": (CELLS["exprnn"](H), exprnn),
    "gru, reset before": (gru(H, reset="before"), gru_before),
    "indrnn": (CELLS["indrnn"](H, longest=1), indrnn),
    "lem": (CELLS["lem"](H), lem),
    "lru": (CELLS["lru"](H), lru),
    "lstm, coupled": (lstm(H, coupled=True, peepholes=True), lstm_of("igo", peep=True)),
    "lstm, layer norm": (lstm(H, layer_norm=True), lstm_of("ifgo", norm=True)),
    "lstm, peepholes": (lstm(H, peepholes=True), lstm_of("ifgo", peep=True)),
    "mgu": (CELLS["mgu"](H), mgu),
    "minlstm": (CELLS["minlstm"](H), minlstm),
    "slstm": (CELLS["slstm"](H), slstm),
}
WRAPPERS = ("residual", "variational_dropout", "zoneout")


@pytest.mark.parametrize("name", ORACLES)
def test_a_sequence_is_its_equation(name):
    cell, oracle = ORACLES[name]
    params, xs = random_params(cell, D), noise((T, B, D), 1)
    expected = oracle({key: np.asarray(value, np.float64) for key, value in params.items()}, np.asarray(xs, np.float64))
    found = unrolled(cell, params, xs, engine="scan")[1]
    np.testing.assert_allclose(found, np.stack(expected), rtol=2e-5, atol=2e-6)


def test_every_cell_is_in_one_of_the_tables():
    known = {name.split(",")[0] for name in (*ORACLES, *CASES)} | set(WRAPPERS)
    assert known | {"gru", "lstm", "mingru", "rnn"} == set(CELLS)


def test_indrnn_keeps_its_weights_within_the_bound():
    cell = CELLS["indrnn"](H, longest=10)
    params = cell.init(jax.random.key(0), D) | {"recurrent_weight": jnp.asarray([-9.0, 0.5, 1.05, 9.0])}
    bound = 2**0.1
    np.testing.assert_allclose(cell.prepare(params)["recurrent_weight"], [-bound, 0.5, 1.05, bound], rtol=1e-6)


@pytest.mark.parametrize("engine", ["scan", *slow("auto")])
def test_exprnn_keeps_lengths_over_a_thousand_steps(engine):
    cell = CELLS["exprnn"](H)
    params = cell.init(jax.random.key(3), D)
    kernel = np.asarray(cell.prepare(params)["recurrent_kernel"], np.float64)
    np.testing.assert_allclose(kernel @ kernel.T, np.eye(H), atol=1e-6)
    h, _ = unrolled(cell, params, jnp.zeros((1000, D)), jnp.asarray([3.0, 0.0, 4.0, 0.0]), engine=engine)
    np.testing.assert_allclose(np.linalg.norm(h), 5.0, rtol=1e-4)


def test_lru_starts_in_its_ring():
    params = CELLS["lru"](500, r_min=0.8, r_max=0.9, max_phase=1.0).init(jax.random.key(0), 1)
    radii, phases = np.exp(-np.exp(params["nu"])), np.exp(params["theta"])
    assert 0.8 <= radii.min() < 0.81
    assert 0.89 < radii.max() <= 0.9
    np.testing.assert_allclose(np.mean(radii**2), (0.64 + 0.81) / 2, rtol=0.01)  # uniform in area
    assert 0.9 < phases.max() <= 1.0


@pytest.mark.parametrize("engine", ["scan", *slow("auto")])  # whose loops take long to build
def test_slstm_is_stable_where_its_gates_overflow(engine):
    cell = CELLS["slstm"](H)
    params = random_params(cell, D)
    _, ys = unrolled(cell, params, 1e4 * noise((T, B, D), 1), engine=engine)
    assert np.isfinite(ys).all()
    assert (np.abs(ys) <= 1).all()


def test_residual_adds_the_input():
    params, xs = random_params(rnn(H), H), noise((T, B, H), 1)
    _, inner = unrolled(rnn(H), params, xs)
    wrapped = residual(H, cell="rnn")
    assert_close(unrolled(wrapped, params, xs)[1], inner + xs)
    assert set(wrapped.init(jax.random.key(0), D)) == {*params, "skip"}
    assert wrapped.structure.pointwise
    affine = residual(H, cell="mingru")
    params = random_params(affine, D)
    ways = [unrolled(affine, params, noise((T, B, D)), engine=engine) for engine in ("scan", "associative")]
    assert_close(ways[0], ways[1], 1e-5)


def test_zoneout_keeps_what_it_draws_and_otherwise_its_mean():
    cell, inner = zoneout(H, cell=lstm, rate=0.5, carry_rate=0.25), lstm(H)
    params, xs = random_params(cell, D), noise((1, 400, D), 1)
    start = {"h": jnp.full((400, H), 7.0), "c": jnp.full((400, H), 9.0)}
    new = unrolled(inner, params, xs, start, engine="scan")[0]  # as the wrapped one is run
    drawn, ys = unrolled(cell, params, xs, start, key=jax.random.key(0))
    for name, old, rate in (("h", 7.0, 0.5), ("c", 9.0, 0.25)):
        kept = np.asarray(drawn[name]) == old
        assert abs(kept.mean() - rate) < 0.04
        np.testing.assert_allclose(np.asarray(drawn[name])[~kept], np.asarray(new[name])[~kept], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(ys[0], drawn["h"])
    assert_close(unrolled(cell, params, xs, start)[0]["c"], 0.75 * new["c"] + 0.25 * start["c"], 1e-5)


def test_variational_dropout_is_the_same_at_every_step():
    cell = variational_dropout(H, cell="rnn", rate=0.5)
    params, xs = random_params(cell, D), noise((T, 50, D), 1)
    u = cell.project(params, xs, jax.random.key(0))
    left = np.asarray(u["left"])
    assert (left == left[:1]).all()
    assert set(np.unique(left)) == {0.0, 2.0}
    assert_close(unrolled(cell, params, xs), unrolled(rnn(H), params, xs))
    dropped, _ = cell.step(params, jnp.ones((50, H)), jax.tree.map(lambda x: x[0], u))
    assert_close(dropped, rnn(H).step(params, left[0], u["u"][0])[0])


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("gru", {"reset": "both"}, "reset must be 'after' or 'before', got 'both'"),
        ("indrnn", {"longest": -1}, "longest must be a number of steps"),
        ("cornn", {"dt": 0.0}, "dt must be positive, got 0.0"),
        ("lem", {"dt": -1.0}, "dt must be positive"),
        ("lru", {"r_min": 0.9, "r_max": 0.5}, "radii must be 0 <= r_min < r_max <= 1, got 0.9 and 0.5"),
        ("lru", {"min_phase": 2.0, "max_phase": 1.0}, "phases must be 0 <= min_phase <= max_phase, got 2.0 and 1.0"),
        ("rglru", {"r_min": 0.0}, "radii must be 0 < r_min < r_max < 1, got 0.0 and 0.999"),
        ("s4d", {"dt_min": 0.1}, "step sizes must be 0 < dt_min < dt_max, got 0.1 and 0.1"),
        ("s6", {"state_dim": 0}, "state_dim must be a positive whole number, got 0"),
        ("mingru", {"min_eigenvalue": -1.5}, "min_eigenvalue must be at least -1 and below 1, got -1.5"),
        ("deltaproduct", {"min_eigenvalue": 1.0}, "min_eigenvalue must be at least -1 and below 1, got 1.0"),
        ("deltaproduct", {"factors": 0}, "factors must be a positive whole number, got 0"),
        ("deltaproduct", {"factors": 10**9}, "factors must be at most key_dim, which is 16, got 1000000000"),
        ("zoneout", {"rate": 1.0}, "rate must be at least 0 and below 1, got 1.0"),
        ("zoneout", {"cell": "lru"}, "zoneout needs a cell whose carry is its output"),
        ("variational_dropout", {"cell": "deltarule"}, "variational_dropout needs a cell whose carry is its output"),
        ("residual", {"cell": "lstn"}, "unknown cell 'lstn'; did you mean 'lstm'"),
        ("residual", {"kwargs": {"forget": 1.0}}, "lstm has no argument 'forget'; did you mean 'forget_bias'"),
        ("residual", {"cell": "my_lab:not_a_cell"}, "my_lab:not_a_cell makes a int, not a Cell"),
    ],
)
def test_refused(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        CELLS[name](H, **arguments)


@pytest.mark.parametrize("name", sorted(set(CELLS) - {"gru", "lstm", "mingru", "rnn"}))
def test_sizes_are_checked(name):
    with pytest.raises(ValueError, match="hidden_dim must be a positive whole number, got 0"):
        CELLS[name](0)


def test_what_is_too_wide_is_refused_within_a_wrapper_too():
    with pytest.raises(ValueError, match="lstm has 1000000000 features, and 16777216 are the most"):
        CELLS["zoneout"](10**9)
