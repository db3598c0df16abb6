"""Laws of unrolling, for every cell: a Python loop, split in two, masked, reset, backwards, probed."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import assert_close, double, noise, one_cell, one_step, random_params, unrolled

from rnngen.cells import CELLS, Cell
from rnngen.engines import unroll

T, B, D, H = 7, 3, 2, 4
TOLERANCE = 1e-5


@functools.cache
def problem(cell_name):
    cell = one_cell(cell_name, H, learned_carry=True)
    return cell, random_params(cell, D), noise((T, B, D), 7)


@pytest.fixture
def setup(cell_name):
    return problem(cell_name)


def python_loop(cell, params, xs, mask=None):
    """A step at a time, the mask in NumPy."""
    carry, ys = cell.init_carry(cell.prepare(params), xs.shape[1:-1]), []
    for t, x in enumerate(xs):
        new, y = one_step(cell, params, carry, x)
        exists = np.ones((B, 1), bool) if mask is None else np.asarray(mask[t])[:, None]
        carry = jax.tree.map(lambda a, b, exists=exists: np.where(exists, a, b), new, carry)
        ys.append(np.where(exists, y, 0))
    return carry, np.stack(ys)


@pytest.mark.parametrize("engine", ["auto", "scan"])
def test_equals_a_python_loop(setup, engine):
    cell, params, xs = setup
    assert_close(unrolled(cell, params, xs, engine=engine), python_loop(cell, params, xs), TOLERANCE)


def test_split_equals_whole(setup):
    cell, params, xs = setup
    whole = unrolled(cell, params, xs)
    carry, first = unrolled(cell, params, xs[:3])
    carry, second = unrolled(cell, params, xs[3:], carry)
    assert_close((carry, jnp.concatenate([first, second])), whole, TOLERANCE)


def test_any_number_of_batch_axes(setup):
    """None, one and two of them, with the same sequences along each."""
    cell, params, xs = setup
    batch = unrolled(cell, params, xs)[1]
    one_by_one = jnp.stack([unrolled(cell, params, xs[:, i])[1] for i in range(B)], axis=1)
    assert_close(batch, one_by_one, TOLERANCE)
    grid = jnp.stack([xs, xs[:, ::-1]], axis=1)
    assert_close(unrolled(cell, params, grid)[1], jnp.stack([batch, batch[:, ::-1]], axis=1), TOLERANCE)


def test_causal(setup):
    """y_s depends on x_t exactly where t <= s."""
    cell, params, xs = setup
    jacobian = jax.jit(jax.jacobian(lambda xs: jnp.sum(unroll(cell, params, xs)[1], axis=-1)))(xs[:, 0])
    depends = np.abs(jacobian).sum(axis=-1) > 0
    np.testing.assert_array_equal(depends, np.tril(np.ones((T, T), bool)))


@pytest.mark.slow
def test_mask_in_the_middle(setup):
    cell, params, xs = setup
    mask = jnp.ones((T, B), bool).at[2:6, 0].set(False).at[5:, 1].set(False)
    carry, ys = unrolled(cell, params, xs, mask=mask)
    assert_close((carry, ys), python_loop(cell, params, xs, mask), TOLERANCE)
    last, _ = unrolled(cell, params, jnp.concatenate([xs[:2], xs[6:]]))
    assert_close(*(jax.tree.map(lambda c: c[0], tree) for tree in (carry, last)), TOLERANCE)


def test_nan_in_padding_harms_neither_values_nor_gradients(setup):
    cell, params, xs = setup
    mask = jnp.ones((T, B), bool).at[5:].set(False)
    loss = lambda params, xs: jnp.sum(unroll(cell, params, xs, mask=mask)[1] ** 2)  # noqa: E731
    run = jax.jit(jax.value_and_grad(loss))
    assert_close(run(params, xs.at[5:].set(jnp.nan)), run(params, xs), TOLERANCE)


@pytest.mark.parametrize("name", CELLS)
def test_double_precision_is_taken_down_to_that_of_the_parameters(x64, name):
    """As NumPy hands it over, with JAX_ENABLE_X64; and `init` draws in single precision there too."""
    cell = CELLS[name](H)
    params = jax.eval_shape(lambda key: cell.init(key, D), jax.random.key(0))
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype(jnp.float32)}
    # By a scan, as `auto` would build each cell's loops.
    shapes = lambda xs: jax.eval_shape(functools.partial(unroll, cell, engine="scan"), params, xs)  # noqa: E731
    single, double = (shapes(jax.ShapeDtypeStruct((T, B, D), dtype)) for dtype in (jnp.float32, jnp.float64))
    assert single == double
    if name == "lru":
        xs, params = np.random.RandomState(0).normal(size=(T, B, D)), cell.init(jax.random.key(0), D)
        assert_close(unroll(cell, params, xs)[1], unroll(cell, params, xs.astype(np.float32))[1], 0)


@pytest.mark.parametrize("name", CELLS)
def test_sizes_may_be_numpys(name):
    ours, theirs = CELLS[name](H), CELLS[name](np.int64(H))
    params, same = (jax.jit(lambda key, cell=cell: cell.init(key, D))(jax.random.key(0)) for cell in (ours, theirs))
    assert_close(same, params, 0)
    run = lambda cell: jax.eval_shape(functools.partial(unroll, cell), params, noise((T, B, D)))  # noqa: E731
    assert run(ours) == run(theirs)


def test_reset_equals_a_fresh_batch(setup):
    cell, params, xs = setup
    resets = jnp.zeros((T, B), bool).at[4, 1].set(True)
    _, ys = unrolled(cell, params, xs, resets=resets)
    _, fresh = unrolled(cell, params, xs[4:])
    _, plain = unrolled(cell, params, xs)
    assert_close(ys[4:, 1], fresh[:, 1], TOLERANCE)
    assert_close(ys[:, 0], plain[:, 0], TOLERANCE)


def test_reverse(setup):
    cell, params, xs = setup
    carry, ys = unrolled(cell, params, xs, reverse=True)
    there, flipped = unrolled(cell, params, xs[::-1])
    assert_close((carry, ys), (there, flipped[::-1]), TOLERANCE)


def test_reverse_with_resets_keeps_sequences_apart(setup):
    """Two packed sequences read backwards equal each read backwards on its own."""
    cell, params, xs = setup
    resets = jnp.zeros((T, B), bool).at[0].set(True).at[4].set(True)
    _, ys = unrolled(cell, params, xs, resets=resets, reverse=True)
    # The second first: read backwards it starts the row, and the first is what a reset makes of the rest.
    second = unrolled(cell, params, xs[:3:-1])[1][::-1]
    first = unrolled(cell, params, jnp.concatenate([xs[3::-1], xs[:3]]))[1][3::-1]
    assert_close(ys, jnp.concatenate([first, second]), TOLERANCE)


def test_mask_and_reset_at_the_same_step(setup):
    cell, params, xs = setup
    mask = jnp.ones((T, B), bool).at[3].set(False)
    resets = jnp.zeros((T, B), bool).at[3].set(True)
    _, ys = unrolled(cell, params, xs, mask=mask, resets=resets)
    assert_close(ys[4:], unrolled(cell, params, xs[4:])[1], TOLERANCE)


def test_probes_move_the_carry_that_enters_a_step(setup):
    cell, params, xs = setup
    carry, _ = unrolled(cell, params, xs[:3])
    probe = jax.tree.map(lambda c: jnp.zeros((T, *c.shape)).at[3].set(0.3), carry)
    _, ys = unrolled(cell, params, xs, probes=probe)
    moved = jax.tree.map(lambda c: c + 0.3, carry)
    assert_close(ys[3:], unrolled(cell, params, xs[3:], moved)[1], TOLERANCE)


# What `record` sees, against a loop over `cell.step` in plain Python and double precision.


def flags():
    """A mask with a hole in the middle, and a reset within and beside it."""
    mask = jnp.ones((T, B), bool).at[2:4, 0].set(False).at[5:, 1].set(False)
    return mask, jnp.zeros((T, B), bool).at[4, 1].set(True).at[3, 0].set(True).at[2, 2].set(True)


def recorded(params, carry, inputs, after):
    """Everything that a step offers, and a number of another shape."""
    return {"entering": carry, "u": inputs.u, "leaving": after, "total": sum(map(jnp.sum, jax.tree.leaves(after)))}


def recording_loop(cell, params, xs, mask, resets, probes, order):
    """(carry, ys, recorded), the reset, the probe, the step and the mask of each step by NumPy."""
    prepared = cell.prepare(params)
    fresh = carry = cell.init_carry(prepared, (B,))
    choose = lambda t, flag, a, b: jax.tree.map(lambda a, b: np.where(flag[t][:, None], a, b), a, b)  # noqa: E731
    seen, ys = {}, {}
    for t in order:
        u = cell.project(prepared, np.where(mask[t][:, None], xs[t], 0))
        entering = choose(t, resets, fresh, carry)
        entering = jax.tree.map(lambda c, p, t=t: jnp.asarray(c + p[t]), entering, probes)
        new, y = cell.step(prepared, entering, u)
        carry = choose(t, mask, new, entering)
        ys[t] = np.where(mask[t][:, None], y, 0)
        total = np.sum([np.sum(leaf) for leaf in jax.tree.leaves(carry)])
        seen[t] = {"entering": entering, "u": u, "leaving": carry, "total": total}
    stack = lambda of: jax.tree.map(lambda *leaves: np.stack(leaves), *(of[t] for t in range(T)))  # noqa: E731
    return carry, stack(ys), stack(seen)


@pytest.mark.slow
@pytest.mark.parametrize("reverse", [False, True])
def test_record_equals_a_python_loop(setup, x64, reverse):
    cell, params, xs = setup
    params, xs, (mask, resets) = double(params), double(xs), flags()
    carry = cell.init_carry(cell.prepare(params), (B,))
    probes = jax.tree.map(lambda c: 0.1 * noise((T, *c.shape), 3, c.dtype), carry)
    run = jax.jit(functools.partial(unroll, cell, reverse=reverse, record=recorded))
    found = run(params, xs, mask=mask, resets=resets, probes=probes)
    # Read backwards, a sequence begins after the step that ends it.
    begins = jnp.concatenate([resets[1:], jnp.zeros_like(resets[:1])]) if reverse else resets
    order = range(T)[::-1] if reverse else range(T)
    assert_close(found, recording_loop(cell, params, xs, mask, begins, probes, order), 1e-12)


def test_recording_changes_neither_values_nor_gradients(setup):
    cell, params, xs = setup
    mask, resets = flags()

    def loss(params, record):
        out = unroll(cell, params, xs, mask=mask, resets=resets, engine="scan", record=record)
        return jnp.sum(jnp.sin(out[1])), out[:2]

    run = jax.jit(jax.value_and_grad(loss, has_aux=True), static_argnames="record")
    assert_close(run(params, recorded), run(params, None), TOLERANCE)


def test_gradients_go_through_what_is_recorded(setup):
    """The sum of a carry's squares, recorded step by step, has the gradient of the ys that equal it."""
    cell, params, xs = setup
    record = lambda params, carry, inputs, after: cell.step(params, carry, inputs.u)[1]  # noqa: E731
    by = lambda place: jax.jit(  # noqa: E731
        jax.grad(lambda p: jnp.sum(unroll(cell, p, xs, engine="scan", record=record)[place] ** 2))
    )(params)
    assert_close(by(2), by(1), TOLERANCE)


def test_record_under_vmap_is_each_on_its_own(setup):
    cell, params, xs = setup
    run = functools.partial(unroll, cell, params, record=recorded)
    together = jax.jit(jax.vmap(run))(jnp.stack([xs, 2 * xs]))
    assert_close(together, jax.tree.map(lambda *x: jnp.stack(x), *map(jax.jit(run), (xs, 2 * xs))), TOLERANCE)


def test_record_and_notes_come_last_and_only_where_asked_for():
    cell, params, xs = problem("gru")
    record = lambda params, carry, inputs, after: None  # noqa: E731
    sizes = [len(unroll(cell, params, xs, record=r, notes=n)) for r in (None, record) for n in (False, True)]
    assert sizes == [2, 3, 3, 4]
    _, _, nothing, notes = unroll(cell, params, xs[:0], record=recorded, notes=True)
    assert (nothing["total"].shape, notes) == ((0,), {})
    remat = {"name": "scan", "kwargs": {"remat": True}}
    assert_close(*(unroll(cell, params, xs, engine=e, record=recorded)[2] for e in (remat, "scan")), TOLERANCE)
    with pytest.raises(ValueError, match="record: engine 'newton' does not go step by step; leave it out"):
        unroll(cell, params, xs, engine="newton", record=record)


def test_key_reaches_project_only():
    noisy = Cell(
        init=lambda key, d: {},
        init_carry=lambda params, batch: jnp.zeros((*batch, D)),
        step=lambda params, carry, u: (carry + u, carry + u),
        output_dim=D,
        project=lambda params, xs, key=None: xs if key is None else xs + jax.random.normal(key, xs.shape),
    )
    xs = jnp.zeros((T, B, D))
    _, ys = unroll(noisy, {}, xs, key=jax.random.key(5))
    assert_close(ys, jnp.cumsum(jax.random.normal(jax.random.key(5), xs.shape), axis=0), TOLERANCE)
    assert not unroll(noisy, {}, xs)[1].any()


def test_prepare_runs_once_and_is_differentiated():
    calls = []

    def prepare(params):
        calls.append(1)
        return {"decay": jnp.tanh(params["decay"])}

    cell = Cell(
        init=lambda key, d: {},
        init_carry=lambda params, batch: jnp.ones((*batch, D)),
        step=lambda params, carry, u: (params["decay"] * carry,) * 2,
        output_dim=D,
        prepare=prepare,
    )
    last = lambda decay: unroll(cell, {"decay": decay}, jnp.zeros((3, D)))[1][-1, 0]  # noqa: E731
    assert float(jax.grad(last)(0.5)) == pytest.approx(3 * np.tanh(0.5) ** 2 * (1 - np.tanh(0.5) ** 2), rel=1e-5)
    assert len(calls) == 1


def test_integer_carries_pass_through_every_option():
    counter = Cell(
        init=lambda key, d: {},
        init_carry=lambda params, batch: {"n": jnp.zeros(batch, jnp.int32)},
        step=lambda params, carry, u: ({"n": carry["n"] + 1}, carry["n"][..., None].astype(jnp.float32) + u),
        output_dim=1,
    )
    mask = jnp.ones((T, B), bool).at[2].set(False)
    resets = jnp.zeros((T, B), bool).at[4].set(True)
    probes = {"n": jnp.zeros((T, B), jnp.int32)}
    carry, ys = unroll(counter, {}, jnp.zeros((T, B, 1)), mask=mask, resets=resets, probes=probes)
    np.testing.assert_array_equal(ys[:, 0, 0], [0, 1, 0, 2, 0, 1, 2])
    np.testing.assert_array_equal(carry["n"], 3)


@pytest.mark.slow
def test_gradients_are_finite_differences(setup, x64):
    cell, params, xs = setup
    params, xs = double(params), double(xs)
    run = jax.jit(jax.value_and_grad(lambda p: jnp.sum(jnp.sin(unroll(cell, p, xs)[1]))))
    gradient = run(params)[1]
    direction = jax.tree.map(lambda p: np.random.RandomState(p.size).normal(size=p.shape), params)
    move = lambda s: float(run(jax.tree.map(lambda p, d: p + s * d, params, direction))[0])  # noqa: E731
    slope = sum(np.sum(g * d) for g, d in zip(jax.tree.leaves(gradient), jax.tree.leaves(direction), strict=True))
    assert (move(1e-5) - move(-1e-5)) / 2e-5 == pytest.approx(float(slope), rel=1e-7)


def test_bfloat16_computes_in_bfloat16_near_float32(setup):
    cell, params, xs = setup
    carry, ys = unrolled(cell, params, xs.astype(jnp.bfloat16))
    assert {leaf.dtype for leaf in jax.tree.leaves((carry, ys))} == {jnp.dtype(jnp.bfloat16)}
    assert_close(ys.astype(jnp.float32), unrolled(cell, params, xs)[1], 0.06)


def test_second_call_compiles_nothing(setup):
    cell, params, xs = setup
    unrolled(cell, params, xs)
    programs = unrolled._cache_size()
    unrolled(cell, jax.tree.map(lambda p: p + 1, params), xs + 1)
    assert unrolled._cache_size() == programs


@pytest.mark.parametrize(
    ("engine", "message"),
    [
        ("scann", "unknown engine 'scann'; did you mean 'scan'"),
        ({"name": "scan", "kwargs": {"remap": True}}, "engine 'scan' has no argument 'remap'; did you mean 'remat'"),
        ({"name": "fused", "kwargs": {"chunk": 0}}, "chunk must be a positive whole number, got 0"),
        ({"name": "scan", "kwargs": {"unroll": 0}}, "unroll must be a positive whole number, got 0"),
        ({"name": "newton", "kwargs": {"jacobian": "dens"}}, "unknown jacobian 'dens'; did you mean 'dense'"),
        ({"name": "newton", "kwargs": {"tolerance": -1.0}}, "tolerance, max_iterations and block must be positive"),
    ],
)
def test_unknown_engine(engine, message):
    cell, params, xs = problem("gru")
    with pytest.raises(ValueError, match=message):
        unroll(cell, params, xs, engine=engine)


@pytest.mark.parametrize(
    ("xs", "message"),
    [
        (np.zeros((T, B, D)).tolist(), "xs: expected arrays, got a list"),
        (list(np.zeros((T, B, D))), r"xs: expected one array \[t, \*b, d\], got a list of 7; see jnp.stack"),
        (np.zeros(D), r"xs: expected the axes \[t, \*b, d\], got one, \[2\]"),
        (np.zeros(()), "xs: expected arrays with one leading axis t"),
        (None, "xs: expected arrays with leading axes t, .*got None"),
        ("text", "xs: expected arrays, got a str"),
    ],
)
def test_what_is_no_sequence_is_named(setup, xs, message):
    cell, params, _ = setup
    with pytest.raises(ValueError, match=message):
        unroll(cell, params, xs)


def test_flags_and_parameters_that_are_no_arrays_are_named():
    cell, params, xs = problem("gru")
    flags = [[True] * B] * T
    for name in ("mask", "resets"):
        with pytest.raises(ValueError, match=f"{name}: expected arrays, got a list"):
            unroll(cell, params, xs, **{name: flags})
    with pytest.raises(ValueError, match="params: expected arrays, got a dict"):
        unroll(cell, params | {"bias": [0.0] * 12}, xs)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mask": jnp.ones((T, B))}, "mask: expected booleans, got float32"),
        ({"resets": jnp.ones((T, B), jnp.int32)}, "resets: expected booleans, got int32"),
        ({"mask": jnp.ones((T + 1, B), bool)}, "mask: axis t: expected 7 as in xs, got 8"),
        ({"mask": jnp.ones((T, B + 1), bool)}, r"mask: axis b: expected 3, got 4 \(of \[7, 4\]\)"),
        ({"resets": jnp.ones((T,), bool), "mask": jnp.ones((T, B), bool)}, r"resets: expected 2 axes, \[7, 3\], got 1"),
        ({"carry": {"g": 0}}, "carry: expected the structure"),
        (
            {"params": {"kernel": (D + 1, 2)}},
            r"axis d has 2 features, for which params\['kernel'\]: axis 0: expected 2, got 3",
        ),
    ],
)
def test_what_does_not_fit_is_named(setup, options, message):
    cell, params, xs = setup
    if "params" in options:
        options, params = {}, random_params(cell, D + 1)
    with pytest.raises(ValueError, match=message):
        unroll(cell, params, xs, **options)


def test_a_carry_of_another_batch_is_named(setup):
    cell, params, xs = setup
    carry = cell.init_carry(cell.prepare(params), (2,))
    with pytest.raises(ValueError, match=r"carry.*: axis 0: expected 3, got 2"):
        unroll(cell, params, xs, carry)
    probes = jax.tree.map(lambda c: jnp.zeros((T - 1, B, *c.shape[1:])), carry)
    with pytest.raises(ValueError, match=r"probes.*: axis t: expected 7, got 6"):
        unroll(cell, params, xs, probes=probes)
