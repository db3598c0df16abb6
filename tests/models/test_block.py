"""A block around a layer: held to plain loops, and run over all steps as it is step by step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import assert_close, double, make_model, noise, slow, unrolled
from jax.flatten_util import ravel_pytree

from rnngen.cells import CELLS
from rnngen.cells.credit import decay, window, with_credit
from rnngen.config import base_config, component
from rnngen.diagnostics import lyapunov_spectrum
from rnngen.diagnostics.activations import activations
from rnngen.diagnostics.eigenvalues import step_jacobians
from rnngen.engines import unroll
from rnngen.heads import HEADS
from rnngen.models import build_model, count_state
from rnngen.models.block import Block, around, block
from rnngen.models.convolution import convolve, short_convolution
from rnngen.models.layers import one_way
from rnngen.models.norms import init_norm, normed
from rnngen.models.segments import compact, restore, shifted
from rnngen.runs.train import train

T, B, D, H = 9, 3, 4, 4
BARE = {"norm": "none", "conv_width": 0, "mlp": 0.0, "residual": False}


def flags(seed=0):
    rng = np.random.default_rng(seed)
    return {"mask": jnp.asarray(rng.random((T, B)) > 0.3), "resets": jnp.asarray(rng.random((T, B)) > 0.75)}


ARRAYS = {"plain": {}, "masked": {"mask": flags()["mask"]}, "reset": {"resets": flags()["resets"]}, "both": flags()}


def blocked(cell="lstm", **parts):
    return around(one_way(CELLS[cell](H)), block(**parts))


def params_of(layer, seed=0):
    """Parameters without zeros or ones, so that every bias and scale counts."""
    shapes = jax.eval_shape(lambda key: layer.init(key, D), jax.random.key(0))
    leaves, tree = jax.tree.flatten(shapes)
    return jax.tree.unflatten(tree, [0.6 * noise(x.shape, seed + i) + 0.1 for i, x in enumerate(leaves)])


def test_steps_that_count_are_moved_together_and_back():
    given, xs = flags(1), noise((T, B, D), 2)

    @jax.jit
    def moved(xs):
        together, numbers = compact(xs, **given)
        back, far = restore(together, given["mask"]), shifted(together, T + 1, None)
        return together, numbers, shifted(together, 2, numbers), back, far

    together, numbers, behind, back, far = map(np.asarray, moved(xs))
    given, xs = jax.tree.map(np.asarray, (given, xs))
    np.testing.assert_array_equal(back, np.where(given["mask"][..., None], xs, 0))
    assert not far.any()
    for b in range(B):
        kept = [t for t in range(T) if given["mask"][t, b]]
        np.testing.assert_array_equal(together[: len(kept), b], xs[np.array(kept), b])
        assert not together[len(kept) :, b].any()
        assert list(numbers[: len(kept), b]) == [int(given["resets"][: t + 1, b].sum()) for t in kept]
    for b in range(B):
        for t in range(T):
            inside = t >= 2 and numbers[t - 2, b] == numbers[t, b]
            np.testing.assert_array_equal(behind[t, b], together[t - 2, b] if inside else np.zeros(D))


@pytest.mark.parametrize("given", ARRAYS.values(), ids=ARRAYS)
def test_a_convolution_of_all_steps_is_that_of_a_loop(x64, given):
    width = 3
    conv, xs, window = short_convolution(width), double(noise((T, B, D), 1)), double(noise((B, width - 1, D), 2))
    params = double({"kernel": noise((width, D), 3), "bias": noise((D,), 4)})
    last, ys = jax.jit(convolve)(params, xs, window, **given)
    stepped = unrolled(conv, params, xs, window, **given)
    assert_close((last, ys), stepped, 1e-12)
    kernel, bias = np.asarray(params["kernel"]), np.asarray(params["bias"])
    for b in range(B):
        past = [np.asarray(window[b, n]) for n in range(width - 1)]
        for t in range(T):
            if "resets" in given and given["resets"][t, b]:
                past = [np.zeros(D)] * (width - 1)
            if "mask" in given and not given["mask"][t, b]:
                np.testing.assert_array_equal(ys[t, b], 0)
                continue
            past = [*past, np.asarray(xs[t, b])]
            np.testing.assert_allclose(ys[t, b], bias + sum(kernel[j] * past[-1 - j] for j in range(width)), rtol=1e-12)
            past = past[1:]
        np.testing.assert_allclose(last[b], np.stack(past), rtol=1e-12)


@pytest.mark.parametrize("kind", ["rms", "layer"])
def test_norms_are_those_of_their_papers(x64, kind):
    xs = double(noise((5, D), 1))
    params = {name: double(noise((D,), 2 + i)) for i, name in enumerate(init_norm(kind, D))}
    for x, y in zip(np.asarray(xs), normed(params, xs), strict=True):
        centred = x - x.mean() if kind == "layer" else x
        expected = centred / np.sqrt((centred**2).mean() + 1e-6) * np.asarray(params["scale"])
        np.testing.assert_allclose(y, expected + np.asarray(params.get("bias", 0.0)), rtol=1e-12)
    narrow = normed(jax.tree.map(lambda p: p.astype(jnp.bfloat16), params), xs.astype(jnp.bfloat16))
    assert narrow.dtype == jnp.bfloat16


def by_hand(params, xs):
    """The block of one example `[t, d]`, RMS norms, a filter of 3 steps, minGRU, an MLP, residuals; in NumPy."""
    p = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    rms = lambda x, scale: x / np.sqrt((x**2).mean() + 1e-6) * scale  # noqa: E731
    sigmoid = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
    past, h, ys = [np.zeros(D)] * 2, np.zeros(H), []
    for x in np.asarray(xs, np.float64):
        past = [*past[-2:], rms(x, p["norm"]["scale"])]
        u = p["conv"]["bias"] + sum(p["conv"]["kernel"][j] * past[-1 - j] for j in range(3))
        z, new = np.split(u @ p["cell"]["kernel"] + p["cell"]["bias"], 2)
        h = (1 - sigmoid(z)) * h + sigmoid(z) * new
        a = x + h
        n, mlp = rms(a, p["mlp"]["norm"]["scale"]), p["mlp"]
        gate = n @ mlp["gate"]
        ys.append(a + (gate * sigmoid(gate) * (n @ mlp["up"])) @ mlp["down"])
    return np.stack(ys)


def test_a_block_is_its_equation(x64):
    layer = blocked("mingru", conv_width=3)
    params, xs = double(params_of(layer)), double(noise((T, B, D), 9))
    _, ys = unroll(layer.cell, params, xs)
    for b in range(B):
        np.testing.assert_allclose(ys[:, b], by_hand(params, xs[:, b]), rtol=1e-10)


PARTS = [{}, *slow({"norm": "layer", "conv_width": 2, "residual": False}, {"conv_width": 0}, {"mlp": 0.0})]


@pytest.mark.parametrize("parts", PARTS)
@pytest.mark.parametrize("cell", ["lstm", *slow("mingru", "lru")])
def test_all_steps_at_once_are_the_steps_one_by_one(cell, parts):
    """Values and gradients in everything, from a carry that is not the first, with holes and borders."""
    layer = blocked(cell, **parts)
    params, xs = params_of(layer), noise((T, B, D), 7)
    like = jax.eval_shape(lambda p: layer.cell.init_carry(layer.cell.prepare(p), (B,)), params)
    carry = jax.tree.map(lambda x: 0.5 * noise(x.shape, 3).astype(x.dtype), like)
    probes = jax.tree.map(lambda x: 0.1 * noise((T, *x.shape), 4).astype(x.dtype), like)
    at_once = lambda p, xs, carry, **options: layer.run(p, xs, carry, **options)[:2]  # noqa: E731
    stepped = lambda p, xs, carry, **options: unroll(layer.cell, p, xs, carry, engine="scan", **options)  # noqa: E731

    def both(way):
        def loss(p, xs, carry, probes):
            last, ys = way(p, xs, carry, probes=probes, **flags())
            return jnp.sum(jnp.cos(ys)) + sum(jnp.sum(jnp.abs(leaf) ** 2) for leaf in jax.tree.leaves(last)), (last, ys)

        without = jax.jit(lambda *given: jax.grad(loss, argnums=(0, 1, 2), has_aux=True)(*given, None))
        with_probes = jax.jit(jax.grad(loss, argnums=(0, 1, 2, 3), has_aux=True))
        return without(params, xs, carry), with_probes(params, xs, carry, probes)

    parts = lambda tree: jax.tree.map(lambda x: jnp.stack([x.real, x.imag]), tree)  # noqa: E731
    assert_close(parts(both(at_once)), parts(both(stepped)), 2e-5)


def test_a_chunk_goes_on_where_the_one_before_ended():
    layer, given = blocked(), flags()
    params, xs = params_of(layer), noise((T, B, D), 7)

    def run(carry, some):
        return layer.run(params, xs[some], carry, engine="scan", **{k: v[some] for k, v in given.items()})[:2]

    @jax.jit
    def in_chunks():
        carry, ys = None, []
        for some in (slice(0, 2), slice(2, 3), slice(3, T)):
            carry, y = run(carry, some)
            ys.append(y)
        return run(None, slice(None)), (carry, jnp.concatenate(ys))

    assert_close(*in_chunks(), 1e-6)


def test_a_block_without_parts_is_its_layer():
    layer, plain = around(one_way(CELLS["lstm"](H)), block(**BARE)), one_way(CELLS["lstm"](H))
    params, xs = params_of(layer), noise((T, B, D), 7)
    assert set(params) == {"cell"}
    last, ys, _ = layer.run(params, xs)
    expected = plain.run(params["cell"], xs)
    assert_close((last["cell"], ys), expected[:2], 1e-7)


def test_where_an_input_projection_and_the_last_norm_are():
    head = HEADS["gaussian"](1)
    shapes = lambda d, **parts: build_model([CELLS["gru"](H)] * 2, d, head, block=block(**parts)).param_shapes  # noqa: E731
    assert set(shapes(2)) == {"inlet", "layer_0", "layer_1", "norm", "head"}
    assert shapes(2)["inlet"]["kernel"].shape == (2, H)
    assert set(shapes(H)) == {"layer_0", "layer_1", "norm", "head"}
    assert set(shapes(2, residual=False)) == {"inlet", "layer_0", "layer_1", "norm", "head"}
    assert set(shapes(2, norm="none")) == {"inlet", "layer_0", "layer_1", "head"}
    assert set(shapes(2, **BARE)) == {"layer_0", "layer_1", "head"}
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(shapes(2)))


def model_of_blocks():
    model, _ = make_model("gru", hidden_dim=H, layers=2, block=block(conv_width=3), engine="scan")
    return model, model.init(jax.random.key(0)), noise((T, 2), 7)


def test_a_model_of_blocks_steps_as_it_applies():
    model, params, xs = model_of_blocks()
    last, outputs = jax.jit(model.apply)(params, xs)
    step, carry = jax.jit(model.step), model.init_carry(params, ())
    for x, expected in zip(xs, outputs, strict=True):
        carry, output = step(params, carry, x)
        assert_close(output, expected, 1e-5)
    assert_close(carry, last, 1e-5)
    assert count_state(model) == 2 * (H + 2 * H)


@pytest.mark.slow
def test_diagnoses_of_a_model_see_through_its_blocks():
    model, params, xs = model_of_blocks()
    last, outputs = jax.jit(model.apply)(params, xs)
    jacobian = step_jacobians(model.cell, params, xs, steps=(3,))[0]
    prepared, (entering, _) = model.cell.prepare(params), model.apply(params, xs[:3])
    flat, tree = ravel_pytree(entering)
    after = lambda x: ravel_pytree(model.cell.step(prepared, tree(x), model.cell.project(prepared, xs[3]))[0])[0]  # noqa: E731
    singular = jnp.linalg.svdvals(jax.jacobian(after)(flat))
    np.testing.assert_allclose(jnp.linalg.svdvals(jacobian), singular, atol=1e-5)
    exponents = lyapunov_spectrum(model.cell, params, xs).exponents
    assert exponents.shape == (count_state(model),)
    assert jnp.isfinite(exponents[:2]).all()
    seen = activations(model, params, xs)["layer_1"]
    assert set(seen.gates) == {"r", "z"}
    assert_close(jax.tree.map(lambda leaf: leaf[-1], seen.carry), last["layer_1"], 1e-5)
    assert_close(model.decode(params, seen.output), outputs, 1e-5)


def test_what_is_masked_may_hold_anything():
    """Through the linear layer before the first block, forward and backward."""
    model, _ = make_model("gru", hidden_dim=H, block=block(), engine="scan")
    params, mask = model.init(jax.random.key(0)), flags()["mask"]
    xs = noise((T, B, 2), 7)

    @jax.jit
    def gradient(xs):
        return jax.grad(lambda p: jnp.sum(jnp.where(mask[..., None], model.apply(p, xs, mask=mask)[1], 0)))(params)

    holes = [gradient(jnp.where(mask[..., None], xs, hole)) for hole in (0.0, jnp.nan)]
    assert float(jnp.abs(holes[0]["inlet"]["kernel"]).max()) > 0
    assert_close(holes[1], holes[0], 1e-7)


def test_credit_is_changed_in_the_cell_of_a_block_alone():
    """A decay of the gradient in the cell's carry: as all steps at once, so one by one."""
    inner = with_credit(CELLS["lstm"](H), decay(alpha=0.5))
    layer = around(one_way(inner), Block())
    params, xs = params_of(layer), noise((T, B, D), 7)
    ways = (lambda p: layer.run(p, xs)[1], lambda p: unroll(layer.cell, p, xs)[1])
    at_once, stepped = (jax.jit(jax.grad(lambda p, way=way: jnp.sum(way(p)[-1])))(params) for way in ways)
    assert_close(at_once, stepped, 2e-5)
    plain = jax.jit(jax.grad(lambda p: jnp.sum(around(one_way(CELLS["lstm"](H)), Block()).run(p, xs)[1][-1])))(params)
    assert float(jnp.abs(plain["cell"]["kernel"] - at_once["cell"]["kernel"]).max()) > 1e-3
    assert around(one_way(with_credit(CELLS["lstm"](H), window(2))), Block()).cell.credit.window == 2


def test_recurrent_dropout_is_of_the_cell_within():
    model, _ = make_model("gru", hidden_dim=H, block=block(), recurrent_dropout=0.5)
    params, xs = model.init(jax.random.key(0)), noise((T, B, 2), 7)
    run = jax.jit(lambda key: model.apply(params, xs, key=key, train=True)[1])
    assert not jnp.allclose(run(jax.random.key(1)), run(jax.random.key(2)))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"conv_width": 1}, "conv_width must be 0, or a whole number of at least 2, got 1"),
        ({"mlp": -1.0}, "mlp must be 0 or positive"),
        ({"norm": "batch"}, "norm must be one of rms, layer, none, got 'batch'"),
    ],
)
def test_what_makes_no_block_is_refused(parts, message):
    with pytest.raises(ValueError, match=message):
        block(**parts)


def test_blocks_of_two_widths_and_of_both_ends_are_refused():
    head = HEADS["gaussian"](1)
    uneven = build_model([CELLS["gru"](4), CELLS["gru"](5)], 2, head, block=block())
    with pytest.raises(ValueError, match="residual needs an input as wide as its layer, got 4 and 5"):
        uneven.init(jax.random.key(0))
    with pytest.raises(ValueError, match="block: is around a layer that reads one way"):
        build_model(CELLS["gru"](4), 2, head, block=block(), bidirectional=True)


@pytest.mark.slow
def test_a_run_of_blocks_is_trained_measured_and_restored(tmp_path):
    config = base_config()
    config.task = component("latch", length=12, eval_size=32)
    config.cell = component("mingru", hidden_dim=4)
    config.model.update({"block": component("block", conv_width=2), "num_layers": 2})
    config.train.update({"steps": 4, "batch_size": 4, "log_every": 2, "eval_every": 0, "eval_batch_size": 32})
    config.diagnose.update({"examples": 4, "what": ("gradient_flow", "lyapunov_spectrum", "memory", "use")})
    run = train(config, tmp_path / "run")
    assert run.result["status"] == "finished"
    assert run.result["half_life"]["initial"] > 0
    assert run.result["state"] == 2 * (4 + 4)
    assert "layer_0/conv" in run.diagnoses["curves"].dropna().iloc[0]
    model, params = run.restore()
    assert model.cell.init_carry(params, ())["layer_1"]["conv"].shape == (1, 4)
