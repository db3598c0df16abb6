"""The compiled loops: the mathematics of `scan` in float32, in whatever shape, and JAX's own where they do not fit."""

import functools
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import assert_close, double, noise, random_params, slow
from jax.export import deserialize

from rnngen.cells import CELLS, Gated, gate_params, gated_cell, get_initializer, project_input
from rnngen.cells.activations import ACTIVATIONS
from rnngen.engines import unroll
from rnngen.engines.cpu import build, calibration, export, ffi, generator, measure
from rnngen.engines.cpu.build import LINEAR
from rnngen.engines.cpu.calibration import LOOPS, PASS, SCAN, Found, Ways
from rnngen.engines.cpu.loops import loops_for, why_none
from rnngen.engines.fused import found as kept_for
from rnngen.engines.fused import ready
from rnngen.engines.recurrence import linear_recurrence
from rnngen.engines.scan import scan
from rnngen.engines.steps import StepInput
from rnngen.engines.telling import listening
from rnngen.storage.provenance import sha256_of

WHY_NONE = ready(CELLS["rnn"](8)).why_not
built = pytest.mark.skipif(WHY_NONE is not None, reason=str(WHY_NONE))


def own(hidden_dim, learned_carry=False):
    """A gated cell of one's own, with all that a cell may have: three states, more blocks of u than of a, parameters a
    unit and one for all, a scaled input, and most of the operations that loops know."""
    wide = ("h", "c", "m") if learned_carry else ()

    def init(key, input_dim):
        draw = get_initializer("glorot")
        params = gate_params(key, input_dim, hidden_dim, 3, kernel_init=draw, recurrent_init=draw, learned=wide)
        more = {"leak": jnp.float32(0.3), "peephole": jnp.ones((2, hidden_dim)), "shift": jnp.zeros(hidden_dim)}
        return params | more | {"recurrent_kernel": params["recurrent_kernel"][:, : 2 * hidden_dim]}

    def init_carry(params, batch):
        start = params.get("initial_carry", dict.fromkeys("hcm", jnp.zeros(hidden_dim)))
        return {name: jnp.broadcast_to(start[name], (*batch, hidden_dim)) for name in "hcm"}

    def project(params, xs, key=None):
        return jnp.tanh(project_input(params, xs))

    def combine(params, carry, u, a):
        first, second, third = jnp.split(u, 3, axis=-1)
        a, b = a[..., :hidden_dim], a[..., hidden_dim:]
        gates = jnp.stack([first + a + params["shift"], second * b + params["peephole"][0] * carry["c"]], axis=-2)
        i, f = jnp.moveaxis(jax.nn.sigmoid(gates), -2, 0)
        m = jnp.maximum(jax.nn.log_sigmoid(b), carry["m"] - params["leak"])
        c = f * carry["c"] + jnp.where(i > 0.5, i, i**3) * jax.nn.softplus(third) / (1 + jnp.exp(-m))
        h = jnp.clip(jax.nn.soft_sign(c + params["peephole"][1] * carry["h"]), -0.9, 0.9) - 0.1 * jnp.abs(c)
        return {"h": h, "c": jnp.sqrt(1 + c**2) - 1, "m": jnp.minimum(m, 1.0)}, h

    structure = Gated(lambda carry: carry["h"], combine)
    parts = {"init": init, "init_carry": init_carry, "project": project, "output_dim": hidden_dim}
    return gated_cell(structure=structure, **parts)


BY_HAND = ["gru", "lstm", "rnn"]  # in JAX; as loops all are generated
MAKERS = {name: CELLS[name] for name in BY_HAND} | {
    "own": own,
    "peephole": functools.partial(CELLS["lstm"], peepholes=True),
    "coupled": functools.partial(CELLS["lstm"], coupled=True),
    "relu": functools.partial(CELLS["rnn"], activation="relu"),
    "slstm": lambda hidden_dim, learned_carry: CELLS["slstm"](hidden_dim),
    "exprnn": lambda hidden_dim, learned_carry: CELLS["exprnn"](hidden_dim),
}
GENERATED = ["own", *slow("peephole", "coupled", "relu", "slstm", "exprnn")]
# t, batch, d, h: one of everything; several axes; units and inputs beyond a vector; two shares of a batch and more
# rows and units than stay in registers at once.
SHAPES = {"ones": (1, (1,), 1, 1), "axes": (7, (2, 3), 5, 20), "wide": (4, (5,), 17, 50), "shares": (5, (67,), 2, 144)}
PLAIN = {"name": "fused", "kwargs": {"kernels": False}}
COMPILED = {"name": "fused", "kwargs": {"kernels": True}}  # whether they are faster here or not


def draw(name, shape, probes=False):
    """(cell, its parameters, xs, probes or None), float32; the carry after a reset is a parameter."""
    t, batch, d, h = shape
    cell = MAKERS[name](h, learned_carry=True)
    params = random_params(cell, d, scale=0.2)
    first = jax.eval_shape(lambda: cell.init_carry(params, batch))
    size = 0.01 if name == "slstm" else 0.3  # its normaliser must stay away from 0
    given = jax.tree.map(lambda c: size * noise((t, *c.shape), 5), first) if probes else None
    return cell, params, noise((t, *batch, d), 1), given


def draw_flags(xs, seed=6):
    """mask and resets for xs, each True here and there, and in the first and the last step too where there are many."""
    random = np.random.default_rng(seed)
    mask, resets = (jnp.asarray(random.random(xs.shape[:-1]) < share) for share in (0.7, 0.3))
    return {"mask": mask, "resets": resets}


def loss_of(cell, engine=COMPILED, **options):
    """A scalar of all outputs and the last carry, in (params, xs, probes)."""

    def loss(params, xs, probes):
        last, ys = unroll(cell, params, xs, probes=probes, engine=engine, **options)
        weights = jnp.linspace(-1, 1, ys.size, dtype=ys.dtype).reshape(ys.shape)
        return jnp.sum(ys * weights) + sum(jnp.sum(jnp.sin(leaf)) for leaf in jax.tree.leaves(last))

    return loss


def runs_compiled(function, *args):
    """Whether compiled loops are in the program."""
    return "ffi_call" in str(jax.make_jaxpr(function)(*args))


def assert_near(actual, expected, tolerance):
    """Leaves to `tolerance` of the largest entry of each."""
    for a, e in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        a, e = np.asarray(a, np.float64), np.asarray(e, np.float64)
        assert np.abs(a - e).max() <= tolerance * (1e-3 + np.abs(e).max())


def assert_same(actual, expected):
    """Leaves to the bit."""
    for a, e in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        assert np.array_equal(a, e)


AROUND = [
    "nothing",
    "mask+resets+probes",
    *(pytest.param(x, marks=pytest.mark.slow) for x in ("probes", "mask+resets")),
]


@built
@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("shape", ["ones", "shares", *slow("axes", "wide")])
@pytest.mark.parametrize("name", BY_HAND)
def test_values_and_gradients_are_those_of_scan(name, shape, around):
    values_and_gradients_are_those_of_scan(name, shape, around)


@built
@pytest.mark.parametrize("around", ["nothing", "mask+resets+probes"])
@pytest.mark.parametrize("shape", ["shares", *slow("wide")])
@pytest.mark.parametrize("name", GENERATED)
def test_so_are_those_of_cells_without_a_pass_by_hand(name, shape, around):
    values_and_gradients_are_those_of_scan(name, shape, around)


def values_and_gradients_are_those_of_scan(name, shape, around):
    cell, params, xs, given = draw(name, SHAPES[shape], "probes" in around)
    options = draw_flags(xs) if "mask" in around else {}
    wanted = (0, 1, 2) if given is not None else (0, 1)
    ours = jax.value_and_grad(loss_of(cell, **options), wanted)
    assert runs_compiled(ours, params, xs, given)
    found = jax.jit(ours)(params, xs, given)
    # A stabiliser that starts at -1e4 leaves float32 three digits of its own, whoever computes.
    exact = name != "slstm"
    with jax.enable_x64(exact):
        arguments = (params, xs, given)
        scanned = jax.jit(jax.value_and_grad(loss_of(cell, "scan", **options), wanted))
        reference = scanned(*(double(arguments) if exact else arguments))
    assert_near(found, reference, 1e-5)


@pytest.mark.slow
@built
@pytest.mark.parametrize("name", ["gru", "lstm"])
def test_what_is_kept_past_the_caches_is_read_back(name):
    cell, params, xs, _ = draw(name, (50, (40,), 1, 144))  # more than a million numbers are kept
    both = [jax.jit(jax.value_and_grad(loss_of(cell, e), (0, 1)))(params, xs, None) for e in (COMPILED, PLAIN)]
    assert_near(*both, 1e-5)


@pytest.mark.slow
@built
@pytest.mark.parametrize("option", ["mask", "resets"])
def test_one_flag_alone_and_the_other_way_through_time(option):
    cell, params, xs, _ = draw("lstm", SHAPES["axes"])
    options = {option: draw_flags(xs)[option], "reverse": True}
    both = [
        jax.jit(jax.value_and_grad(loss_of(cell, e, **options), (0, 1)))(params, xs, None) for e in (COMPILED, PLAIN)
    ]
    assert_near(*both, 1e-5)


@pytest.mark.slow
@built
@pytest.mark.parametrize("name", BY_HAND)
def test_the_gradient_in_the_inputs_alone_and_in_the_parameters_alone(name):
    cell, params, xs, _ = draw(name, SHAPES["axes"])
    both = jax.jit(jax.grad(loss_of(cell), (0, 1)))(params, xs, None)
    for place in (0, 1):
        assert_near(jax.jit(jax.grad(loss_of(cell), place))(params, xs, None), both[place], 1e-6)


@built
@pytest.mark.parametrize("name", ["gru", *slow("lstm", "rnn", "own")])
def test_a_second_derivative_goes_by_way_of_jax(name):
    cell, params, xs, _ = draw(name, (4, (2,), 3, 5))

    options = draw_flags(xs)

    def size(loss):
        def squared(params, xs):
            return sum(jnp.sum(g**2) for g in jax.tree.leaves(jax.grad(loss, (0, 1))(params, xs, None)))

        return jax.jit(jax.grad(squared, (0, 1)))

    found = size(loss_of(cell, **options))(params, xs)
    with jax.enable_x64(True):
        expected = size(loss_of(cell, "scan", **options))(*double((params, xs)))
    assert_near(found, expected, 1e-5)


@pytest.mark.slow
@built
@pytest.mark.parametrize("name", BY_HAND)
def test_threads_change_no_bit(name, monkeypatch):
    cell, params, xs, _ = draw(name, (6, (70,), 2, 18))
    seen = []
    for cores in (1, 2, 8):
        monkeypatch.setattr(ffi, "count_cores", lambda cores=cores: cores)
        program = jax.jit(jax.value_and_grad(loss_of(cell)))
        assert f"('threads', {cores})" in str(jax.make_jaxpr(program)(params, xs, None))
        seen.append(program(params, xs, None))
    for other in seen[1:]:
        assert_same(seen[0], other)


@pytest.mark.slow
@built
def test_models_at_once_have_the_bits_of_each_alone():
    cell, params, xs, _ = draw("gru", SHAPES["axes"])
    stacked = jax.tree.map(lambda p: jnp.stack([p, p * 0.5]), params)
    gradient = jax.grad(loss_of(cell))
    alone = [jax.jit(gradient)(jax.tree.map(lambda p, i=i: p[i], stacked), xs, None) for i in range(2)]
    together = [
        jax.jit(jax.vmap(gradient, (0, None, None)))(stacked, xs, None),
        jax.jit(lambda trees: jax.lax.map(lambda tree: gradient(tree, xs, None), trees))(stacked),
    ]
    for found in together:
        for i, one in enumerate(alone):
            assert_same(jax.tree.map(lambda leaf, i=i: leaf[i], found), one)


def functions_of_u(*functions):
    """A cell that applies one function to each block of u, of which the first is h; its product is 0."""

    def combine(params, carry, u, a):
        new = [f(part) for f, part in zip(functions, jnp.split(u, len(functions), axis=-1), strict=True)]
        new[0] += 0 * a
        return tuple(new), new[0]

    def init(key, d):
        wide = jnp.zeros((d, len(functions)))
        return {"kernel": wide + 1, "bias": wide[0], "recurrent_kernel": jnp.zeros((1, 1))}

    zeros = lambda params, batch: tuple(jnp.zeros((*batch, 1)) for _ in functions)  # noqa: E731
    structure = Gated(lambda carry: carry[0], combine)
    return gated_cell(init=init, init_carry=zeros, structure=structure, output_dim=1, project=project_input)


@built
def test_what_is_approximated_is_good_to_the_last_bits():
    functions = {"tanh": jnp.tanh, "exp": jnp.exp, "log": jnp.log, "log1p": jnp.log1p}
    cell = functions_of_u(*functions.values())
    near = np.concatenate([np.logspace(-30, 2, 3201), [0.0, 1.0, 3e38, 1.1754944e-38, np.inf, np.nan]])
    lines = [np.linspace(-10, 10, 20_001), np.linspace(-110, 110, 22_001)]
    xs = np.concatenate([near, -near, *lines, [50, -50]]).astype(np.float32)
    carry = unroll(cell, cell.init(None, 1), jnp.asarray(xs)[None, :, None], engine=COMPILED)[0]
    for name, found in zip(functions, carry, strict=True):
        with np.errstate(all="ignore"):
            exact = getattr(np, name)(xs.astype(np.float64))
            exact = np.where(np.abs(exact) > np.finfo(np.float32).max, np.sign(exact) * np.inf, exact)
        found, size = np.asarray(found)[:, 0], np.abs(exact)
        assert np.array_equal(np.isnan(found), np.isnan(exact)), name
        whole = np.isfinite(exact) & (size > 1.2e-38)  # what is smaller is taken for 0
        assert np.all(np.abs(found[whole] - exact[whole]) <= 5e-7 * size[whole]), name
        assert np.array_equal(found[np.isinf(exact)], exact[np.isinf(exact)]), name
        assert name != "tanh" or np.nanmax(np.abs(found)) <= 1


@built
@pytest.mark.parametrize("name", BY_HAND)
def test_what_is_no_number_stays_seen(name):
    cell, params, xs, _ = draw(name, SHAPES["axes"])
    with_nan = xs.at[3, 1, 1, 0].set(jnp.nan)
    ys = np.asarray(jax.jit(lambda xs: unroll(cell, params, xs, engine=COMPILED)[1])(with_nan))
    assert np.isnan(ys[3:, 1, 1]).all()
    assert np.isfinite(np.delete(ys.reshape(7, 6, -1), 4, axis=1)).all()
    gradient = jax.jit(jax.grad(loss_of(cell)))(params, with_nan, None)
    assert np.isnan(gradient["kernel"]).any()


@built
@pytest.mark.parametrize("shape", [(1, 1), (9, 2, 3), (700, 16), (6, 67)])
def test_a_linear_recurrence_and_its_gradients_are_those_of_float64(shape):
    given = {"a": 0.5 * noise(shape, 2), "b": noise(shape, 3), "c": noise(shape[1:], 4)}

    def run(given):
        return linear_recurrence(given["a"], given["b"], given["c"], 4)

    def twice(given):
        return sum(jnp.sum(g**2) for g in jax.tree.leaves(jax.grad(lambda given: jnp.sum(jnp.sin(run(given))))(given)))

    assert runs_compiled(run, given) == (shape[0] > 1)
    program = lambda given: (run(given), jax.value_and_grad(twice)(given))  # noqa: E731
    found = jax.jit(program)(given)
    with jax.enable_x64(True):
        assert not runs_compiled(run, double(given))
        reference = jax.jit(program)(double(given))
    assert_near(found, reference, 1e-5)


@pytest.mark.slow
@built
def test_an_affine_cell_has_the_recurrence_compiled_with_mask_resets_and_models_at_once():
    cell = CELLS["mingru"](5)
    params, xs = random_params(cell, 3), noise((12, 2, 3), 1)
    mask, resets = noise((12, 2), 2) < 0.8, noise((12, 2), 3) > 1
    assert 0 < mask.sum() < mask.size
    assert resets.any()

    def ends(params, engine="associative"):
        return unroll(cell, params, xs, mask=mask, resets=resets, engine=engine)

    assert runs_compiled(ends, params)
    assert_near(ends(params), ends(params, "scan"), 1e-6)
    stacked = jax.tree.map(lambda p: jnp.stack([p, p * 0.5]), params)
    together = jax.vmap(ends)(stacked)
    for i in range(2):
        alone = ends(jax.tree.map(lambda p, i=i: p[i], stacked))
        assert_near(jax.tree.map(lambda leaf, i=i: leaf[i], together), alone, 1e-6)


def test_what_does_not_fit_is_run_by_jax():
    cell, params, xs, _ = draw("lstm", SHAPES["axes"])
    run = functools.partial(unroll, cell, params)
    assert runs_compiled(lambda xs: run(xs, engine=COMPILED), xs) == (WHY_NONE is None)
    for engine in (PLAIN, "scan"):
        assert not runs_compiled(lambda xs, engine=engine: run(xs, engine=engine), xs)
    narrow = xs.astype(jnp.bfloat16)
    carry = jax.tree.map(lambda c: c.astype(jnp.bfloat16), cell.init_carry(params, xs.shape[1:-1]))
    assert not runs_compiled(lambda xs: run(xs, carry, engine=COMPILED), narrow)
    other = CELLS["gru"](4, reset="before")
    params = random_params(other, 5)
    assert not runs_compiled(lambda xs: unroll(other, params, xs, engine=COMPILED), xs)


def gated(combine, hidden=lambda carry: carry, **parts):
    """A gated cell of 4 units that has this `combine`."""
    draw = get_initializer("glorot")

    def init(key, d):
        return gate_params(key, d, 4, 1, kernel_init=draw, recurrent_init=draw) | {"own": jnp.ones(4)}

    parts = {"init_carry": lambda params, batch: jnp.zeros((*batch, 4)), "project": project_input} | parts
    return gated_cell(init=init, structure=Gated(hidden, combine), output_dim=4, **parts)


def both(h):
    """What `combine` returns where the output is the carry."""
    return h, h


REFUSED = {
    "the primitive erf_inv is not known to the compiled loops": gated(
        lambda p, h, u, a: both(jax.lax.erf_inv(jnp.tanh(u + a)))
    ),
    "broadcast_in_dim of a sum over units": gated(lambda p, h, u, a: both(u + a - jnp.mean(a, -1, keepdims=True))),
    "a slice within a block of units": gated(lambda p, h, u, a: both(jnp.concatenate([u[..., :2], a[..., 2:]], -1))),
    "a constant array of different numbers, which could be a parameter": gated(
        lambda p, h, u, a: both(u + a * np.arange(4, dtype=np.float32))
    ),
    "its output is not its new hidden state": gated(lambda p, h, u, a: (u + a, 2 * a)),
    "it does not read its product": gated(lambda p, h, u, a: both(u + p["own"])),
    "what is multiplied by the recurrent kernel is not a leaf of its carry": gated(
        lambda p, h, u, a: both(u + a), hidden=lambda h: 2 * h
    ),
    "not every leaf of its carry is [4]": gated(
        lambda p, c, u, a: ((u + a, c[1]), u + a),
        hidden=lambda c: c[0],
        init_carry=lambda params, batch: (jnp.zeros((*batch, 4)), jnp.zeros((*batch, 2))),
    ),
    "what its projection gives is not one float32 array": gated(
        lambda p, h, u, a: both(u["x"] + a), project=lambda p, xs, key=None: {"x": project_input(p, xs)}
    ),
    "it has no pointwise Gated structure": CELLS["mgu"](4),
    "tracing it for one example ended in ValueError: axis 1 is out of bounds for array of dimension 1": gated(
        lambda p, h, u, a: both(jnp.flip(jnp.flip(u + a, axis=1), axis=1))
    ),
}


@pytest.mark.parametrize("why", REFUSED)
def test_a_cell_without_loops_says_why_and_runs_in_jax(why):
    cell, xs = REFUSED[why], noise((3, 2, 5), 1)
    params = random_params(cell, 5)
    assert why_none(cell, cell.prepare(params), xs) == why
    assert not runs_compiled(lambda xs: unroll(cell, params, xs, engine=COMPILED), xs)
    assert_near(*[unroll(cell, params, xs, engine=engine) for engine in ("auto", "scan")], 1e-6)


def test_every_pointwise_gated_cell_and_every_activation_of_the_rnn_has_loops():
    makers = [CELLS[name] for name in ("rnn", "gru", "lstm", "slstm", "exprnn")] + [
        MAKERS["peephole"],
        MAKERS["coupled"],
    ]
    makers += [functools.partial(CELLS["rnn"], activation=name) for name in ACTIVATIONS]
    for make in makers:
        cell = make(4)
        params = jax.eval_shape(lambda key, c=cell: c.prepare(c.init(key, 3)), jax.random.key(0))
        assert why_none(cell, params, jax.ShapeDtypeStruct((1, 3), jnp.float32)) is None, make


def test_the_generated_code_keeps_no_more_than_a_pass_by_hand():
    kept = {}
    for name in ("rnn", "gru", "lstm"):
        cell = CELLS[name](8)
        params = jax.eval_shape(lambda key, c=cell: c.prepare(c.init(key, 3)), jax.random.key(0))
        loops = generator.loops_of(cell, params, params["kernel"].shape[-1])
        kept[name] = (len(loops.slots), loops.kept, loops.others)
    # A GRU's candidate has a sum of its own for what is multiplied by the reset gate; an LSTM keeps its c.
    assert kept == {"rnn": (1, 0, 0), "gru": (4, 4, 0), "lstm": (4, 5, 1)}


@built
def test_cells_of_one_kind_share_a_library_whatever_their_sizes():
    texts = set()
    for units, features in ((8, 3), (16, 3), (33, 70)):
        cell = CELLS["lstm"](units, peepholes=True)
        params = jax.eval_shape(lambda key, c=cell, d=features: c.init(key, d), jax.random.key(0))
        texts.add(generator.loops_of(cell, params, 4 * units).library)
    assert len(texts) == 1


def test_double_precision_is_run_by_jax(x64):
    cell, params, xs, _ = draw("lstm", SHAPES["axes"])
    assert not runs_compiled(lambda xs: unroll(cell, double(params), xs, engine=COMPILED), double(xs))


@built
def test_it_agrees_with_the_pass_in_jax():
    cell, params, xs, probes = draw("lstm", SHAPES["wide"], probes=True)
    both = [jax.jit(jax.value_and_grad(loss_of(cell, e), (0, 1, 2)))(params, xs, probes) for e in (COMPILED, PLAIN)]
    assert_close(*both, 1e-4)


@built
@pytest.mark.parametrize("forward", calibration.WAYS)
@pytest.mark.parametrize("both", calibration.WAYS)
def test_the_fastest_way_of_each_pass_is_taken_with_the_values_of_scan(monkeypatch, forward, both):
    seconds = [{way: 1.0 if way == best else 2.0 for way in calibration.WAYS} for best in (forward, both)]
    cell, params, xs, _ = draw("lstm", SHAPES["axes"])
    ready(cell)
    monkeypatch.setattr(calibration, "find", lambda *asked: Found("", None, *seconds, ""))
    with listening() as said:
        alone = runs_compiled(lambda xs: unroll(cell, params, xs)[1], xs)
        with_gradient = runs_compiled(jax.grad(loss_of(cell, "auto")), params, xs, None)
    # A plain scan differentiates by itself, so where it has the gradient it has the forward pass, too.
    assert alone == (forward == LOOPS and both != SCAN)
    assert with_gradient == (both == LOOPS)
    assert said == [LOOPS if both == LOOPS else "jax"] * 2
    results = [jax.value_and_grad(loss_of(cell, e))(params, xs, None) for e in ("auto", "scan")]
    assert_near(*results, 1e-5)
    assert_near(*[unroll(cell, params, xs, engine=e) for e in ("auto", "scan")], 1e-5)


@built
@pytest.mark.parametrize("forward", [LOOPS, *slow(PASS, SCAN)])
@pytest.mark.parametrize("both", calibration.WAYS)
def test_an_affine_cell_takes_the_fastest_way_of_each_pass(monkeypatch, forward, both):
    assert calibration.find(LINEAR, 128).why_not is None
    seconds = [{way: 1.0 if way == best else 2.0 for way in calibration.WAYS} for best in (forward, both)]
    monkeypatch.setattr(calibration, "find", lambda *asked: Found("", None, *seconds, ""))
    cell, (_, _, xs, _) = CELLS["mingru"](5), draw("rnn", SHAPES["axes"])
    params = random_params(cell, 5)
    loss = lambda engine: loss_of(cell, engine)  # noqa: E731
    assert runs_compiled(lambda xs: unroll(cell, params, xs)[1], xs) == (forward == LOOPS and both != SCAN)
    assert runs_compiled(jax.grad(loss("auto")), params, xs, None) == (both == LOOPS)
    results = [jax.value_and_grad(loss(engine), (0, 1))(params, xs, None) for engine in ("auto", "scan")]
    assert_near(*results, 1e-5)
    # With a mask there is no fused pass for these cells, and its booleans have no gradient.
    flags = {"mask": draw_flags(xs)["mask"]}
    masked = [jax.grad(loss_of(cell, engine, **flags))(params, xs, None) for engine in ("auto", "scan")]
    assert_near(*masked, 1e-5)


@built
def test_inputs_without_a_gradient_get_none_where_the_passes_run_in_two_ways(monkeypatch):
    seconds = [{way: 1.0 if way == best else 2.0 for way in calibration.WAYS} for best in (PASS, LOOPS)]
    monkeypatch.setattr(calibration, "find", lambda *asked: Found("", None, *seconds, ""))
    cell, params, xs, _ = draw("lstm", SHAPES["axes"])
    asked, real = [], ffi.backward

    def backward(layer, given, hs, kept, gradients, with_xs):
        asked.append(with_xs)
        return real(layer, given, hs, kept, gradients, with_xs)

    monkeypatch.setattr(ffi, "backward", backward)
    for places in ((0,), (0, 1)):
        jax.make_jaxpr(jax.grad(loss_of(cell, "auto"), places))(params, xs, None)
    assert asked == [False, True]


def test_a_layer_takes_what_is_fastest_at_its_size_and_a_tie_goes_to_the_loops(monkeypatch):
    small = Found("", None, {LOOPS: 1.04, PASS: 1.0, SCAN: 3.0}, {LOOPS: 1, PASS: 2}, "")
    large = Found("", None, {LOOPS: 3, PASS: 2, SCAN: 1}, {LOOPS: 2, PASS: 1, SCAN: 1.2}, "")
    found = {64: small, 256: large}
    monkeypatch.setattr(calibration, "find", lambda library, units, programs: found[units])
    ways = functools.partial(calibration.ways, LINEAR, programs=None)
    assert ways(64) == Ways(LOOPS, LOOPS)
    assert ways(256) == Ways(SCAN, PASS)
    assert ways(256, among=(LOOPS, PASS)) == Ways(PASS, PASS)
    found[64] = small._replace(why_not="no compiler")
    assert ways(64) == Ways(PASS, PASS)
    found[64] = calibration.none("no folder")
    assert ways(64) == Ways(PASS, PASS)


def test_layers_are_timed_as_one_up_to_the_next_power_of_two():
    sizes = {1: 32, 32: 32, 33: 64, 64: 64, 65: 128, 128: 128, 512: 512, 513: 1024, 5000: 1024}
    assert {units: calibration.size_of(units) for units in sizes} == sizes


def found_with(monkeypatch, tmp_path, compiler):
    """What is found with this compiler and an empty cache."""
    monkeypatch.setenv("CXX", compiler)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(calibration, "FOUND", {})
    return calibration.find(LINEAR, 128)


@pytest.mark.slow
def test_without_a_compiler_it_says_so_and_times_what_jax_has(monkeypatch, tmp_path):
    found = found_with(monkeypatch, tmp_path, "no-such-compiler")
    assert found.why_not == "no C++ compiler no-such-compiler"
    assert set(found.forward) == set(found.both) == {PASS, SCAN}


@pytest.mark.slow
def test_a_compiler_that_fails_leaves_no_library_and_is_not_tried_again(monkeypatch, tmp_path):
    broken = tmp_path / "broken"
    broken.write_text(f"#!/bin/sh\necho x >> {tmp_path}/tried\necho out of order >&2\nexit 1\n")
    broken.chmod(0o700)
    assert found_with(monkeypatch, tmp_path, str(broken)).why_not == f"{broken}: out of order"
    assert not list(tmp_path.rglob("*.so"))
    tried = (tmp_path / "tried").read_text()
    record = found_with(monkeypatch, tmp_path, str(broken))
    assert record.why_not == f"{broken}: out of order"
    # Asked for its version, but not to build.
    assert (tmp_path / "tried").read_text().count("x") <= tried.count("x")


@pytest.mark.slow
def test_a_compiler_that_hangs_is_ended_with_all_that_it_has_started(monkeypatch, tmp_path):
    hanging = tmp_path / "hanging"
    hanging.write_text(f"#!/bin/sh\n[ $1 = --version ] && exit\nsleep 600 & echo $! > {tmp_path}/started\nwait\n")
    hanging.chmod(0o700)
    monkeypatch.setenv("CXX", str(hanging))
    monkeypatch.setattr(build, "SECONDS", 1)
    with pytest.raises(build.CannotBuild, match="timed out after 1 seconds"):
        build.build(LINEAR, tmp_path / "library.so")
    state = Path("/proc", (tmp_path / "started").read_text().strip(), "stat")
    assert not state.exists() or state.read_text().split()[2] == "Z"


def test_a_cache_that_can_be_no_folder_ends_no_run(monkeypatch, tmp_path):
    monkeypatch.setattr(calibration, "FOUND", {})
    cell, params, xs, _ = draw("rnn", SHAPES["axes"])
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    build._folder.cache_clear()
    assert "no folder" in str(ready(cell).why_not)
    assert not runs_compiled(lambda xs: unroll(cell, params, xs, engine=COMPILED)[1], xs)
    build._folder.cache_clear()


def test_a_cell_that_cannot_be_traced_alone_runs_in_jax(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(calibration, "FOUND", {})
    plain = CELLS["rnn"](5)

    def init(key, input_dim):
        if len(seen) > 0:
            raise RuntimeError("once and no more")
        seen.append(input_dim)
        return plain.init(key, input_dim)

    seen: list[int] = []
    cell = plain._replace(init=init)
    params, xs = cell.init(jax.random.key(0), 3), noise((4, 2, 3), 1)
    assert_near(*[unroll(cell, params, xs, engine=engine) for engine in ("auto", "scan")], 1e-6)
    loops = loops_for(cell, params, cell.init_carry(params, (2,)), StepInput(xs))
    assert kept_for(cell, loops, StepInput(xs)).why_not == "tracing the layer ended in RuntimeError: once and no more"
    assert ready(cell) is None
    # That is no fault of the loops, which a cell with the same mathematics has.
    assert not calibration.FOUND
    assert not list(tmp_path.rglob("*.json"))


@built
def test_a_record_whose_library_is_gone_is_written_again_also_where_nothing_can_be_built(monkeypatch, tmp_path):
    assert found_with(monkeypatch, tmp_path, "c++").why_not is None
    (library,), (record,) = tmp_path.rglob("*.so"), tmp_path.rglob("*.json")
    library.unlink()  # this process may have it loaded, and would end where the same file became shorter
    library.write_bytes(b"torn")
    monkeypatch.setattr(calibration, "run_alone", lambda *_: (1, "", "out of order"))
    ended = "building and timing them ended in out of order"
    assert found_with(monkeypatch, tmp_path, "c++").why_not == ended
    assert calibration.read(record).why_not == ended


def test_a_cell_that_cannot_be_told_from_others_has_no_loops():
    plain = CELLS["rnn"](5)

    class Init:
        __hash__ = None

        def __call__(self, key, input_dim):
            return plain.init(key, input_dim)

    cell, xs = plain._replace(init=Init()), noise((4, 2, 3), 1)
    params = cell.init(jax.random.key(0), 3)
    assert why_none(cell, params, xs) == "it cannot be told from other cells: unhashable type: 'Init'"
    assert_near(*[unroll(cell, params, xs, engine=engine) for engine in ("auto", "scan")], 1e-6)


def test_affine_recurrences_are_timed_with_inputs_of_one_feature_and_of_two(monkeypatch):
    monkeypatch.setattr(export, "programs", lambda cell, engines, calls, *widths: widths)
    assert measure._of_our_own(4, "no compiler") == [(1,), (2,)]


@pytest.mark.parametrize(("widths", "taken"), [((1,), 1), ((2, 5), 5), ((5, 2), 5)])
def test_a_layer_is_exported_with_the_first_number_of_features_that_its_cell_takes(widths, taken):
    plain = CELLS["mingru"](3)

    def init(key, input_dim):
        assert input_dim != 2, "any number but two"
        return plain.init(key, input_dim)

    exported = export.programs(plain._replace(init=init), {SCAN: scan()}, [], *widths)
    assert deserialize(exported[export.INPUTS][0]).out_avals[-1].shape[-1] == taken


@pytest.mark.slow
@built
def test_a_cell_that_takes_one_number_of_features_alone_is_timed_with_it(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(calibration, "FOUND", {})
    plain = CELLS["rnn"](5)

    def init(key, input_dim):
        assert input_dim == 5, "as many features as units"
        return plain.init(key, input_dim)

    cell = plain._replace(init=init)
    unroll(cell, cell.init(jax.random.key(0), 5), noise((4, 2, 5), 1))
    (found,) = calibration.FOUND.values()
    assert found.why_not is None
    assert LOOPS in found.both


def test_loops_that_end_their_process_are_not_run_and_say_how_it_ended(monkeypatch, tmp_path):
    crash = "import os, signal; os.kill(os.getpid(), signal.SIGILL)"
    real = calibration.run_alone

    def run(command, *options):
        measuring = "rnngen.engines.cpu.measure" in command
        return real([sys.executable, "-c", crash] if measuring else command, *options)

    monkeypatch.setattr(calibration, "run_alone", run)
    found = found_with(monkeypatch, tmp_path, "no-such-compiler")
    assert found.why_not == "building and timing them ended in a signal, SIGILL"
    monkeypatch.setattr(calibration, "_measure", None)  # what is kept is enough
    assert found_with(monkeypatch, tmp_path, "no-such-compiler").why_not == found.why_not


def test_a_folder_that_others_can_write_is_passed_over(monkeypatch, tmp_path):
    (tmp_path / "cache" / "rnngen").mkdir(parents=True)
    (tmp_path / "cache" / "rnngen").chmod(0o777)
    assert found_with(monkeypatch, tmp_path, "c++").why_not == "no folder that is yours alone to keep them in"


def test_a_library_of_another_checksum_is_not_loaded(tmp_path):
    place = tmp_path / "loops-x"
    record = tmp_path / "loops-x-64.json"
    calibration.library_of(place).write_bytes(b"whole")
    found = Found(sha256_of(calibration.library_of(place)), None, {LOOPS: 1.0}, {LOOPS: 2.0}, str(record))
    calibration.write_json(record, calibration.as_json(found))
    assert calibration.read(record) == found
    assert calibration.is_built(place)
    calibration.library_of(place).write_bytes(b"who")
    assert calibration.read(record) is None


@built
@pytest.mark.slow
def test_processes_that_start_at_once_build_one_library_and_time_it_once(tmp_path):
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    command = [
        sys.executable,
        "-c",
        "from rnngen.engines.fused import ready; from rnngen.cells import CELLS; print(ready(CELLS['rnn'](8)).why_not)",
    ]
    start = lambda _: subprocess.run(command, env=environment, capture_output=True, text=True, check=True)  # noqa: E731
    with ThreadPoolExecutor() as pool:
        done = list(pool.map(start, range(3)))
    assert [process.stdout.strip() for process in done] == ["None"] * 3
    assert sum("building the compiled loops" in process.stderr for process in done) == 1
    assert len(list(tmp_path.rglob("*.so"))) == 1
