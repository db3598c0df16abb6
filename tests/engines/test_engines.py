"""One table of engines times properties: each gives `scan`'s values and gradients, whatever is asked of the unroll."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import FOUR, assert_close, double, noise, random_params, slow, unrolled
from my_lab import leaky

from rnngen.cells import CELLS, Affine, Cell, Gated, deltarule, rnn
from rnngen.engines import ENGINES, unroll
from rnngen.engines.auto import pick
from rnngen.engines.cpu import build, calibration
from rnngen.engines.cpu.calibration import PASS, SCAN, Found, Ways
from rnngen.engines.dependence import depends
from rnngen.engines.steps import StepInput

T, B, D, H = 13, 2, 3, 4  # a prime length: no chunk divides it
EVEN = 10  # a length that chunks of 5 divide: half as much to compile, where the remainder is not the point


def engine(name, **kwargs):
    return {"name": name, "kwargs": kwargs}


VARIANTS = {
    "auto": "auto",
    "remat": engine("scan", remat=True),
    "fused": engine("fused", chunk=5),
    "recomputed": engine("fused", chunk=5, recompute=True),
    "derived": engine("fused", chunk=5, by_hand=False),
    "associative": engine("associative", chunk=9, block=2),
    "newton": engine("newton", tolerance=1e-12),
    "quasi": engine("newton", tolerance=1e-12, jacobian="diagonal"),
}
DISTINCT = [name for name in VARIANTS if name not in ("auto", "quasi")]  # these are the others, seen before


def counting(hidden_dim: int) -> Cell:
    """A leaky unit that forgets everything at every fourth of its own steps: an integer in a dict carry."""
    base = leaky(hidden_dim)

    def step(params, carry, x):
        h, y = base.step(params, carry["h"], x)
        awake = (carry["n"] % 4 != 3)[..., None]
        return {"h": jnp.where(awake, h, 0), "n": carry["n"] + 1}, y

    start = lambda params, batch: {"h": base.init_carry(params, batch), "n": jnp.zeros(batch, jnp.int32)}  # noqa: E731
    return base._replace(init_carry=start, step=step)


def normalised(hidden_dim: int) -> Cell:
    """h' = tanh(x W + h U), divided by its own norm: features mix outside the matrix product."""

    def step(params, h, x):
        h = jnp.tanh(x @ params["kernel"] + h @ params["recurrent_kernel"])
        h = h / jnp.sqrt(jnp.mean(h**2, axis=-1, keepdims=True) + 0.1)
        return h, h

    plain = rnn(hidden_dim)
    return Cell(plain.init, plain.init_carry, step, hidden_dim)


SMALL_MEMORY = functools.partial(deltarule, key_dim=H)
MEMORIES = ("deltaproduct", "deltarule", "gated_deltarule", "mlstm", "rwkv7")  # with a compose of their own
SMALL = {name: functools.partial(CELLS[name], key_dim=H) for name in MEMORIES}
SMALL |= {name: functools.partial(CELLS[name], state_dim=2) for name in ("s4d", "s6")}
MAKERS = {**CELLS, "leaky": leaky, "counting": counting, "normalised": normalised, **SMALL}
AFFINE = [name for name in CELLS if isinstance(CELLS[name](H).structure, Affine)]
COMPLEX = ("lru", "s4d")
GATED = [name for name in FOUR if isinstance(CELLS[name](H).structure, Gated)]
ZOO = [name for name in CELLS if name not in FOUR]
# Every built-in cell through every engine, and the others through what they are there for. Left out is what runs the
# same lines again: `derived` and `recomputed` are `fused` where there is no pass by hand, and `auto` is one of the
# others, as the last test says, so it has a cell for each line of its table.
PAIRS = [(cell, name) for cell in FOUR for name in ("remat", "fused", "newton", "quasi")]
PAIRS += [(cell, name) for cell in GATED for name in ("recomputed", "derived")]
PAIRS += [(cell, "associative") for cell in ("deltarule", "lru", "mingru", "minlstm", "rwkv7")]
PAIRS += [(cell, "auto") for cell in ("gru", "mingru", "leaky")]
PAIRS += [("counting", name) for name in ("remat", "fused", "recomputed", "newton", "quasi")]  # integers
PAIRS += [("normalised", name) for name in ("recomputed", "newton", "quasi")]  # Jacobians that are full
ZOO_PAIRS = [(cell, name) for cell in ZOO for name in ("fused", "newton") if name == "fused" or cell not in COMPLEX]
ZOO_PAIRS += [(cell, "associative") for cell in AFFINE if (cell, "associative") not in PAIRS]
# Nothing given is `None` for mask, resets and probes, whatever the cell: each engine once, and twice where it branches.
BARE = [("lstm", "remat"), ("rnn", "fused"), ("counting", "fused"), ("gru", "recomputed"), ("lstm", "derived")]
BARE += [("mingru", "associative"), ("deltarule", "associative"), ("leaky", "newton"), ("mingru", "newton")]
BARE += [("gru", "quasi"), ("mingru", "auto"), ("leaky", "auto")]
CASES = [(*pair, True) for pair in PAIRS if pair[0] not in ("gru", "rnn")]
SLOW = [(*pair, True) for pair in PAIRS if pair[0] in ("gru", "rnn")]
SLOW += [(*pair, False) for pair in BARE] + [(*pair, True) for pair in ZOO_PAIRS]  # check_cell does as much
CASES += [pytest.param(*case, marks=pytest.mark.slow) for case in SLOW]


@functools.cache
def make(cell_name):
    return MAKERS[cell_name](H, **({"learned_carry": True} if cell_name in FOUR else {}))


@functools.cache
def problem(cell_name, everything=False, batch=(B,), probed=True, steps=T):
    """A cell, its parameters, inputs and options with something in all of them, in double precision."""
    cell = make(cell_name)
    params = jax.tree.map(lambda p: p.astype(jnp.float64), double(random_params(cell, D)))
    xs = noise((steps, *batch, D), 7, jnp.float64)
    if not everything:
        return cell, params, xs, {}
    flags = [jnp.asarray(np.random.RandomState(n).uniform(size=(steps, *batch)) < p) for n, p in ((3, 0.7), (4, 0.2))]
    options = {"mask": flags[0], "resets": flags[1], "reverse": True}
    if probed:
        start = cell.init_carry(cell.prepare(params), batch)
        fill = lambda c: jnp.full((steps, *c.shape), 0.1 if c.dtype == xs.dtype else 0, c.dtype)  # noqa: E731
        options["probes"] = jax.tree.map(fill, start)
    return cell, params, xs, options


def objective(cell, how, options):
    """(params, xs, float probes) -> a scalar of all outputs and the last carry."""

    def loss(params, xs, probes):
        given = options | ({"probes": probes} if probes is not None else {})
        carry, ys = unroll(cell, params, xs, engine=how, **given)
        ends = [jnp.sum(jnp.cos(leaf)) for leaf in jax.tree.leaves(carry) if leaf.dtype == xs.dtype]
        return jnp.sum(jnp.sin(ys)) + sum(ends)

    return loss


@functools.cache
def value_and_gradients(name, *of, **kwargs):
    """The floats among the objective of `problem(*of)` and its gradients in parameters, inputs and probes; "scan" is
    asked for by every engine and compiled once."""
    cell, params, xs, options = problem(*of, **kwargs)
    probes = options.get("probes")
    loss = objective(cell, VARIANTS.get(name, name), {o: v for o, v in options.items() if o != "probes"})
    run = jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2), allow_int=True))
    return [leaf for leaf in jax.tree.leaves(run(params, xs, probes)) if leaf.dtype == xs.dtype]


def has_no_place(cell_name, name, everything):
    return everything and cell_name in MEMORIES and name == "associative"


@pytest.mark.parametrize(
    ("cell_name", "name", "everything"),
    CASES,
    ids=lambda value: {True: "mask+resets+probes+reverse", False: "plain"}.get(value, value),
)
def test_values_and_gradients_are_those_of_scan(x64, cell_name, name, everything):
    # A compose of one's own takes no probes: the refusal is tested below, and has all the rest.
    of = {"everything": everything, "probed": not has_no_place(cell_name, name, everything)}
    assert_close(value_and_gradients(name, cell_name, **of), value_and_gradients("scan", cell_name, **of), 1e-9)


@pytest.mark.parametrize("name", DISTINCT)
def test_what_is_masked_may_be_anything(x64, name):
    cell, params, xs, options = problem("mingru" if name == "associative" else "lstm", True, (B,), True, EVEN)
    run = jax.jit(jax.value_and_grad(objective(cell, VARIANTS[name], options), argnums=(0, 1)))
    gone = ~options["mask"][..., None]
    expected = run(params, jnp.where(gone, 0, xs), options["probes"])
    for nothing in (jnp.inf, jnp.nan):
        assert_close(run(params, jnp.where(gone, nothing, xs), options["probes"]), expected, 0)


@pytest.mark.parametrize("name", [*DISTINCT, *slow(*(name for name in VARIANTS if name not in DISTINCT))])
@pytest.mark.parametrize("shape", [(0, B), (T, 0), (T, B, 0), *slow((0, 0))])
def test_nothing_is_run_through_time_by_every_engine(name, shape):
    cell = make("mingru" if name == "associative" else "lstm")
    params, xs = random_params(cell, D), jnp.zeros((*shape, D))

    @jax.jit
    def all_of_it(params):
        masked = unroll(cell, params, xs, engine=VARIANTS[name], mask=jnp.ones(shape, bool))
        first = cell.init_carry(cell.prepare(params), shape[1:])
        return *masked, first, jax.grad(lambda p: jnp.sum(unroll(cell, p, xs, engine=VARIANTS[name])[1]))(params)

    carry, ys, first, gradient = all_of_it(params)
    assert ys.shape == (*shape, H)
    assert_close(carry, first, 0)
    assert not any(leaf.any() for leaf in jax.tree.leaves(gradient))


# Axes are for an engine's reshapes: two for each, none at all for each way to go back in time.
BATCHES = [(name, (2, 3)) for name in DISTINCT] + [(name, ()) for name in ("fused", "associative", "newton")]


@pytest.mark.parametrize(("name", "batch"), BATCHES)
def test_any_batch_axes(x64, name, batch):
    of = ("mingru" if name == "associative" else "lstm", True, batch, True, EVEN)
    assert_close(value_and_gradients(name, *of), value_and_gradients("scan", *of), 1e-9)


@functools.cache
def in_precision(cell_name, name, dtype):
    """Value and gradient in the parameters, which are float32, for inputs of a dtype."""
    cell = make(cell_name)
    params, xs = random_params(cell, D), noise((EVEN, B, D), 7, jnp.bfloat16)
    how = engine("newton", tolerance=0.01) if name == "newton" else VARIANTS.get(name, name)
    loss = lambda params, xs: jnp.sum(unroll(cell, params, xs, engine=how)[1].astype(jnp.float32) ** 2)  # noqa: E731
    return jax.jit(jax.value_and_grad(loss))(params, xs.astype(dtype))


@pytest.mark.slow
@pytest.mark.parametrize("name", DISTINCT)
def test_bfloat16(name):
    """Within the rounding of bfloat16, 2^-8, of scan in bfloat16, and gradients of scan in float32."""
    cell_name = "mingru" if name == "associative" else "gru"
    value, gradient = in_precision(cell_name, name, "bfloat16")
    expected, exact = in_precision(cell_name, "scan", "float32")
    assert {g.dtype for g in jax.tree.leaves(gradient)} == {jnp.dtype(jnp.float32)}
    assert float(value) == pytest.approx(float(expected), rel=0.03)
    assert_close(gradient, exact, 0.1)


@functools.cache
def curvature(cell_name, name):
    """The gradient of the gradient's squared norm."""
    cell, params, xs, _ = problem(cell_name, steps=EVEN)
    loss = objective(cell, VARIANTS.get(name, name), {})
    norm = lambda p: sum(jnp.sum(g**2) for g in jax.tree.leaves(jax.grad(loss)(p, xs, None)))  # noqa: E731
    return jax.jit(jax.grad(norm))(params)


@pytest.mark.slow
@pytest.mark.parametrize("name", DISTINCT)
def test_second_derivatives(x64, name):
    """Reverse over reverse."""
    cell_name = "mingru" if name == "associative" else "gru"
    assert_close(curvature(cell_name, name), curvature(cell_name, "scan"), 1e-8)


@pytest.mark.slow
def test_forward_mode_runs_through_scan_and_elsewhere_names_it():
    cell = rnn(H)
    params, xs = random_params(cell, D), noise((T, B, D), 7)
    run = lambda how: lambda xs: unroll(cell, params, xs, engine=how)[1]  # noqa: E731
    along = lambda how: jax.jvp(run(how), (xs,), (jnp.ones_like(xs),))  # noqa: E731
    up, down = (unrolled(cell, params, xs + h, engine="scan")[1] for h in (1e-2, -1e-2))
    assert_close(along("scan")[1], (up - down) / 2e-2, 1e-2)
    for how in ("auto", "fused", "newton", engine("fused", kernels=True)):
        with pytest.raises(ValueError, match='take engine="scan"'):
            along(how)


@functools.cache
def models_alone(factors):
    """scan's gradients for each of some multiples of the parameters."""
    cell, params, xs, _ = problem("gru", steps=EVEN)
    gradient = jax.jit(jax.grad(lambda p: objective(cell, "scan", {})(p, xs, None)))
    return [gradient(jax.tree.map(lambda p, f=factor: f * p, params)) for factor in factors]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fused", "derived", "newton"])
def test_packs_of_models(x64, name):
    """vmap over parameters gives each model's own gradient."""
    cell, params, xs, _ = problem("gru", steps=EVEN)
    gradient = jax.grad(lambda p: objective(cell, VARIANTS[name], {})(p, xs, None))
    packed = jax.jit(jax.vmap(gradient))(jax.tree.map(lambda p: jnp.stack([p, 0.5 * p]), params))
    for n, alone in enumerate(models_alone((1.0, 0.5))):
        assert_close(jax.tree.map(lambda g, n=n: g[n], packed), alone, 1e-9)


@pytest.mark.slow
def test_noise_is_drawn_once_whatever_the_engine():
    noisy = leaky(H)._replace(project=lambda p, xs, key: xs if key is None else xs + jax.random.normal(key, xs.shape))
    params, xs = random_params(noisy, D), jnp.zeros((T, B, D))
    run = lambda how: jax.jit(lambda key: unroll(noisy, params, xs, key=key, engine=how))(jax.random.key(5))  # noqa: E731
    expected = run("scan")
    for name in ("fused", "remat", "newton"):
        assert_close(run(VARIANTS[name] if name != "newton" else "newton"), expected, 1e-5)


# What belongs to one engine.


def memory(cell, params, xs, how):
    loss = lambda p: jnp.mean(unroll(cell, p, xs, engine=how)[1] ** 2)  # noqa: E731
    return jax.jit(jax.grad(loss)).lower(params).compile().memory_analysis().temp_size_in_bytes


@pytest.mark.slow
def test_remat_memory_grows_with_the_square_root_of_length():
    cell = CELLS["lstm"](16)
    params = random_params(cell, D)
    last = lambda t, how: memory(cell, params, jnp.ones((t, 8, D)), how)  # noqa: E731
    plain, remat = ([last(t, how) for t in (256, 4096)] for how in ("scan", VARIANTS["remat"]))
    carries = 4 * 8 * 16  # bytes of one h, which mean(y^2) needs at every step
    assert plain[1] / plain[0] > 12
    assert remat[1] - 2 * 4096 * carries < (plain[1] - 2 * 4096 * carries) / 5


def test_fused_keeps_less_where_it_recomputes():
    cell = CELLS["lstm"](16)
    params, xs = random_params(cell, D), jnp.ones((512, 8, D))
    assert memory(cell, params, xs, engine("fused", recompute=True)) < 0.7 * memory(cell, params, xs, "fused")


def test_associative_refuses_what_is_not_affine():
    cell = CELLS["gru"](H)
    with pytest.raises(ValueError, match="'associative' needs a cell with an Affine structure"):
        unroll(cell, random_params(cell, D), jnp.zeros((T, B, D)), engine="associative")
    memory_cell = SMALL_MEMORY(H)
    probes = jnp.zeros((T, B, H, H))
    with pytest.raises(ValueError, match="takes no probes where a cell brings its own compose"):
        unroll(memory_cell, random_params(memory_cell, D), jnp.zeros((T, B, D)), probes=probes, engine="associative")


def newton_notes(cell, params, xs, **kwargs):
    run = jax.jit(lambda params, xs: unroll(cell, params, xs, engine=engine("newton", **kwargs), notes=True))
    carry, ys, notes = run(params, xs)
    return (carry, ys), {name: float(value) for name, value in notes.items()}


@functools.cache
def long_gru():
    cell = CELLS["gru"](8)
    return cell, cell.init(jax.random.key(0), D), noise((500, 1, D), 1)


@pytest.mark.slow
def test_newton_says_how_many_iterations_it_took():
    cell, params, xs = long_gru()
    result, notes = newton_notes(cell, params, xs)
    assert_close(result, unrolled(cell, params, xs, engine="scan"), 1e-5)
    assert 2 <= notes["newton_iterations"] <= 15
    assert notes["newton_error"] <= 2e-6
    assert notes["newton_fell_back"] == 0


@pytest.mark.slow
def test_newton_falls_back_and_says_so():
    cell, params, xs = long_gru()
    result, notes = newton_notes(cell, params, xs, max_iterations=1)
    assert (notes["newton_iterations"], notes["newton_fell_back"]) == (1, 1)
    assert notes["newton_error"] > 1e-2  # what it had found would not pass for scan's
    assert_close(result, unrolled(cell, params, xs, engine="scan"), 1e-6)


@pytest.mark.slow
def test_newton_takes_the_whole_jacobians_of_small_carries_alone():
    cell = rnn(33)
    params, xs = cell.init(jax.random.key(0), D), noise((20, 1, D))
    auto, dense, diagonal = (newton_notes(cell, params, xs, jacobian=j)[1] for j in ("auto", "dense", "diagonal"))
    assert auto == diagonal
    assert auto["newton_iterations"] > dense["newton_iterations"]


@pytest.mark.slow
def test_newton_converges_on_a_chaotic_cell_by_damping(x64):
    cell = rnn(4, recurrent_init={"name": "normal", "kwargs": {"stddev": 3.0}})
    params = double(cell.init(jax.random.key(0), D))
    xs = noise((40, 1, D), 1, jnp.float64)
    result, notes = newton_notes(cell, params, xs, max_iterations=200)
    assert notes["newton_fell_back"] == 0
    assert_close(result, unrolled(cell, params, xs, engine="scan"), 1e-4)


def test_newton_on_inputs_that_are_not_finite_falls_back():
    cell = make("gru")
    params, xs = random_params(cell, D), jnp.zeros((T, B, D)).at[4].set(jnp.nan)
    (_, ys), notes = newton_notes(cell, params, xs)
    assert notes["newton_fell_back"] == 1
    np.testing.assert_array_equal(np.isnan(ys).any(axis=(1, 2)), np.arange(T) >= 4)


def test_newton_refuses_integers_that_depend_on_floats_and_complex_carries():
    base = counting(H)

    def step(params, carry, x):
        new, y = base.step(params, carry, x)
        return new | {"n": carry["n"] + (carry["h"][..., 0] > 0).astype(jnp.int32)}, y

    params, xs = random_params(base, D), jnp.zeros((T, B, D))
    with pytest.raises(ValueError, match="an integer in this cell's carry depends on a float"):
        unroll(base._replace(step=step), params, xs, engine="newton")
    spinning = base._replace(
        init_carry=lambda p, b: jnp.zeros((*b, D), jnp.complex64),
        step=lambda p, c, x: (1j * c + x.astype(jnp.complex64), c.real),
    )
    with pytest.raises(ValueError, match="needs real carries"):
        unroll(spinning, params, xs, engine="newton")
    assert_close(*(unrolled(spinning, params, xs + 1, engine=e)[1] for e in ("fused", "scan")))


def test_dependence_follows_operations():
    def function(a, b):
        c = a + 1
        return c * b, jnp.sin(b), 2.0, a

    jaxpr = jax.make_jaxpr(function)(1.0, 2.0).jaxpr
    assert depends(jaxpr, [True, False]) == [True, False, False, True]
    assert depends(jaxpr, [False, True]) == [True, True, False, False]


@pytest.mark.parametrize(("cell_name", "alone"), [("mlstm", 64), ("rwkv7", 64), ("gated_deltarule", 4)])
def test_chunks_are_for_the_gradient_where_steps_are_faster_alone(cell_name, alone):
    cell = MAKERS[cell_name](H)
    params, xs = random_params(cell, D), jnp.zeros((64, 2, D))
    chunks = 64 // cell.structure.chunked.steps

    def lengths(function):
        return {int(length) for length in re.findall(r"\blength=(\d+)", str(jax.make_jaxpr(function)(params)))}

    forward = lambda params: jnp.sum(unroll(cell, params, xs)[1])  # noqa: E731
    assert lengths(forward) == {alone}
    assert lengths(jax.grad(forward)) == {chunks}


@pytest.mark.parametrize(
    ("cell_name", "steps", "batch", "flags", "loops", "picked"),
    [
        ("lstm", 4, 2, True, False, "fused"),
        ("mingru", 4096, 1, True, False, "associative"),
        ("mingru", 40, 1, False, False, "fused"),
        ("mingru", 4096, 100, False, False, "fused"),
        ("mingru", 4096, 100, True, False, "scan"),
        ("mingru", 4, 100, True, True, "associative"),
        ("lru", 4096, 1, True, False, "associative"),
        ("lru", 4096, 100, False, False, "scan"),
        ("s4d", 4096, 1, False, True, "scan"),
        ("s6", 4, 1023, False, True, "scan"),
        ("s6", 4, 1024, True, True, "scan"),
        ("deltarule", 4096, 1, True, False, "associative"),
        ("deltarule", 1, 1, True, False, "scan"),
        ("leaky", 50, 2, False, True, "scan"),
    ],
)
def test_auto_picks_by_its_table(monkeypatch, cell_name, steps, batch, flags, loops, picked):
    # Nothing is timed, so that loops are taken where there are some.
    monkeypatch.setattr(calibration, "find", lambda *_: Found("", None if loops else "none", {}, {}, ""))
    monkeypatch.setattr(build, "REGISTERED", set())
    cell = MAKERS[cell_name](H)
    params = random_params(cell, D)
    carry = cell.init_carry(params, (batch,))
    inputs = StepInput(jnp.zeros((steps, batch, D)), jnp.ones((steps, batch), bool) if flags else None)
    assert pick(cell, params, carry, inputs).__module__ == ENGINES[picked].__module__


def test_a_large_state_of_each_feature_is_fused_for_the_gradient_alone(monkeypatch):
    monkeypatch.setattr("rnngen.engines.auto.by_ways", lambda ways, engines: ways)
    cell = MAKERS["s6"](H)
    params = random_params(cell, D)
    ways = pick(cell, params, cell.init_carry(params, (1024,)), StepInput(jnp.zeros((4, 1024, D))))
    assert ways == Ways(forward=SCAN, both=PASS)
