"""VRNN: its bounds against the likelihood by numerical integration, and that it trains like any other model."""

import functools
import itertools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import FOUR, assert_close, needs_data, noise, unrolled
from scipy.special import log_expit, logsumexp
from scipy.stats import norm

from rnngen.cells import CELLS
from rnngen.cli.main import main
from rnngen.datasets import CODECS, TASKS
from rnngen.datasets.corpus import SPLITS, Corpus
from rnngen.datasets.feeds import float_feed
from rnngen.datasets.generative import generative
from rnngen.diagnostics import DIAGNOSES, gradient_flow
from rnngen.generation.generate import generate, score
from rnngen.heads import bernoulli
from rnngen.models.latent import SMALLEST, Gaussian
from rnngen.models.vrnn import LATENTS, VRNN, Sizes, vrnn
from rnngen.storage.folder import RunFolder
from rnngen.training import DiagnosticsConfig, Experiment, TrainConfig, build_optimizer, checkpoint, fit
from rnngen.training.compiled import start_state
from rnngen.training.regularizers import omega
from rnngen.types import Batch, InputSpec

BIT = InputSpec(1, feed=float_feed, start=np.zeros(1, np.float32))


def random_params(made, seed=0, sizes=None):
    """Parameters without zeros, so that everything in the model matters; sizes: of parts."""
    leaves, tree = jax.tree_util.tree_flatten_with_path(jax.eval_shape(made.init, jax.random.key(0)))
    size = lambda path: (sizes or {}).get(path[0].key, 0.7)  # noqa: E731
    return jax.tree.unflatten(tree, [size(path) * noise(x.shape, seed + i) for i, (path, x) in enumerate(leaves)])


@functools.cache
def one_dimensional():
    """Of bits with one latent variable a step: small enough to be integrated over.

    Of a sort whose second bit hangs on the first z, and whose encoder is not far off.
    """
    made = VRNN(CELLS["rnn"](2), BIT, bernoulli(1), Sizes(1, 3, 1), jnp.dtype("float32"), "auto")
    sizes = {"encode": 0.3, "prior": 0.3, "see_latent": 1.5, "layer_0": 3.0, "decode": 2.5}
    return made, random_params(made, 2300, sizes)


def log_likelihood(params, bits, grid=np.linspace(-15, 15, 301)):  # noqa: B008
    """log p(x_1, x_2) of the model above in NumPy: the sum over a grid of z_1 and z_2."""
    p = jax.tree.map(lambda x: np.asarray(x, np.float64), params)

    def dense(name, *xs):
        first, second = p[name].get("dense_0"), p[name].get("dense_1")
        y = np.concatenate(xs, axis=-1) @ first["kernel"] + first["bias"]
        return y if second is None else np.maximum(y, 0) @ second["kernel"] + second["bias"]

    h, latent, before, total = np.zeros((1, 2)), np.zeros((1, 3)), np.zeros((1, 1)), np.zeros(1)
    for x in bits:
        seen = np.concatenate([np.maximum(dense("see", before), 0), latent], axis=-1)
        cell = p["layer_0"]
        h = np.tanh(seen @ cell["kernel"] + h @ cell["recurrent_kernel"] + cell["bias"])
        mean, raw = np.split(dense("prior", h), 2, axis=-1)
        prior = norm(mean, np.logaddexp(0, raw) + SMALLEST).logpdf(grid)
        # Every z so far goes on with every z of this step.
        z, h = np.tile(grid, len(h))[:, None], np.repeat(h, len(grid), axis=0)
        latent = np.maximum(dense("see_latent", z), 0)
        logit = dense("decode", latent, h)[:, 0]
        total = (total[:, None] + prior + np.log(grid[1] - grid[0])).ravel() + log_expit(logit if x else -logit)
        before = np.full((len(h), 1), x)
    return logsumexp(total)


PAIRS = [(0, 0), (0, 1), (1, 0), (1, 1)]


@functools.cache
def likelihoods():
    _, params = one_dimensional()
    return np.array([log_likelihood(params, pair) for pair in PAIRS])


def batch_of(spec, values, mask=None, resets=None):
    """Values `[t, b, ...]`, each predicted from those before it."""
    start = np.broadcast_to(spec.start, (1, values.shape[1], *spec.start.shape))
    weights = np.ones(values.shape[:2], np.float32) if mask is None else mask.astype(np.float32)
    return Batch(np.concatenate([start, np.asarray(spec.feed(values[:-1]))]), values, weights, mask, resets)


@functools.cache
def explaining(made):
    return jax.jit(made.explain)


def test_the_integral_is_one():
    assert np.exp(likelihoods()).sum() == pytest.approx(1, abs=1e-4)


def test_the_bounds_lie_below_the_likelihood_and_tighten_with_samples():
    made, params = one_dimensional()
    batch = batch_of(BIT, np.array(PAIRS, np.float32).T[..., None])
    _, terms = explaining(made)(params, batch, None, noise((2, 20_000, 4, 1)))
    terms = jax.tree.map(np.asarray, terms)
    elbo = (terms.log_px - terms.kl).sum(axis=0).mean(axis=0)
    log_w = terms.log_w.sum(axis=0).astype(np.float64)
    bounds = [elbo]
    for k in (2, 10):
        bounds.append((logsumexp(log_w.reshape(-1, k, 4), axis=1) - np.log(k)).mean(axis=0))
    assert (np.diff(bounds, axis=0) > 0).all()
    assert (bounds[-1] < likelihoods()).all()
    assert (likelihoods() - elbo > 0.02).all()
    # The mean of the weights is the likelihood itself, whatever the encoder.
    np.testing.assert_allclose(logsumexp(log_w, axis=0) - np.log(len(log_w)), likelihoods(), atol=0.02)
    np.testing.assert_allclose(log_w.mean(axis=0), elbo, atol=0.02)


@pytest.mark.slow
def test_pairs_are_drawn_as_often_as_they_are_probable():
    made, params = one_dimensional()
    drawn = generate(made.as_model(), params, jax.random.key(1), 2, batch=40_000)[..., 0]
    shares = [np.mean((drawn == np.array(pair)[:, None]).all(axis=0)) for pair in PAIRS]
    np.testing.assert_allclose(shares, np.exp(likelihoods()), atol=4 * 0.5 / np.sqrt(40_000))


def test_the_divergence_in_closed_form_is_that_of_many_samples():
    rng = np.random.RandomState(0)
    one, other = (Gaussian(rng.normal(size=(4, 3)), rng.uniform(0.5, 2, (4, 3))) for _ in range(2))
    z = one.at(rng.normal(size=(400_000, 1, 3)))
    log_ratio = norm(*one).logpdf(z).sum(-1) - norm(*other).logpdf(z).sum(-1)
    np.testing.assert_allclose(one.kl_to(other), log_ratio.mean(axis=0), atol=0.02)
    np.testing.assert_allclose(one.log_prob(z[0]), norm(*one).logpdf(z[0]).sum(-1), rtol=1e-5)
    assert float(np.max(np.abs(one.kl_to(one)))) < 1e-6


# What goes in is no affair of the cell's: each cell with one codec.
KINDS = {"text": {"vocabulary": "abcd.", "end": "."}, "music": {"keys": 3}, "strokes": {"components": 2}}


def codec(kind):
    return CODECS[kind](**KINDS[kind])


def values_of(kind, length=7, batch=3):
    rng = np.random.RandomState(0)
    values = rng.randint(0, 5 if kind == "text" else 2, (length, batch, *([] if kind == "text" else [3])))
    return values.astype(np.int32 if kind == "text" else np.float32)


@functools.cache
def small(kind, cell="gru", samples=1):
    spec, head = codec(kind)[:2]
    made = VRNN(CELLS[cell](4), spec, head, Sizes(2, 5, samples), jnp.dtype("float32"), "auto")
    return made, random_params(made)


each_cell = pytest.mark.parametrize(("cell", "kind"), list(zip(sorted(FOUR), itertools.cycle(KINDS))))


@pytest.mark.slow
@each_cell
def test_the_loss_is_the_bound_and_teaches_every_part(cell, kind):
    made, params = small(kind, cell)
    mask = np.arange(7)[:, None] < [7, 4, 6]
    batch = batch_of(made.spec, values_of(kind), mask)
    run = jax.jit(jax.value_and_grad(lambda p: made.loss(p, batch, key=jax.random.key(5), train=True), has_aux=True))
    (loss, (_, sums)), gradient = run(params)
    own = made.noise(jax.random.split(jax.random.key(5))[0], batch, 1)
    _, terms = explaining(made)(params, batch, None, own)
    kl, log_px = (np.asarray(x)[:, 0][mask].sum() for x in (terms.kl, terms.log_px))
    assert float(loss) == pytest.approx((kl - log_px) / mask.sum(), rel=1e-5)
    assert float(sums["loss"][0]) == pytest.approx(kl - log_px, rel=1e-5)
    assert float(sums["kl"][0]) == pytest.approx(kl, rel=1e-5)
    assert kl > 0
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
        assert float(jnp.abs(leaf).max()) > 0, jax.tree_util.keystr(path)


@pytest.mark.slow
@each_cell
def test_chunks_masks_and_resets_are_those_of_any_model(cell, kind):
    (made, params), values = small(kind, cell), values_of(kind)
    mask, resets, own = np.ones((7, 3), bool), np.zeros((7, 3), bool), np.asarray(noise((7, 1, 3, 2)))
    mask[4:, 1] = False
    whole, explain = batch_of(made.spec, values, mask, resets), explaining(made)
    carry = made.init_carry(params, (3,))
    last, terms = explain(params, whole, carry, own)
    assert not np.asarray(terms.log_px)[4:, :, 1].any()

    parts = []
    for cut in (slice(0, 3), slice(3, 7)):
        after, found = explain(params, jax.tree.map(lambda x, cut=cut: x[cut], whole), carry, own[cut])
        carry = jax.tree.map(lambda x: x[0], after)
        parts.append(found)
    assert_close((after, jax.tree.map(lambda *x: np.concatenate(x), *parts)), (last, terms), 1e-5)

    again = resets.copy()
    again[4, 0] = True
    inputs = whole.inputs.copy()
    inputs[4, 0] = made.spec.start
    _, anew = explain(params, whole._replace(inputs=inputs, resets=again), None, own)
    _, alone = explain(params, batch_of(made.spec, values[4:], mask[4:], resets[4:]), None, own[4:])
    first = lambda tree: jax.tree.map(lambda x: x[-3:, :, :1], tree)  # noqa: E731
    assert_close(first(anew), first(alone), 1e-5)


@pytest.mark.slow
@each_cell
def test_applying_is_stepping_and_the_model_is_a_cell(cell, kind):
    made, params = small(kind, cell)
    model = made.as_model()
    inputs = batch_of(made.spec, values_of(kind)).inputs
    carry, outputs, step = model.init_carry(params, (3,)), [], jax.jit(model.step)
    for x in inputs:
        carry, y = step(params, carry, x)
        outputs.append(y)
    expected = (carry, jnp.stack(outputs))
    assert_close(jax.jit(model.apply)(params, inputs), expected, 1e-5)
    assert_close(unrolled(model.cell, params, inputs, mask=jnp.ones((7, 3), bool)), expected, 1e-5)


@pytest.mark.slow
def test_more_samples_give_a_tighter_bound_in_evaluation_of_whole_sequences_only():
    made, params = small("music", samples=16)
    batch = batch_of(made.spec, np.random.RandomState(1).randint(0, 2, (6, 200, 3)).astype(np.float32))
    loss = jax.jit(made.loss, static_argnames="train")
    sums = loss(params, batch)[1][1]
    assert float(sums["iw_bound"][1]) == float(sums["loss"][1]) == 1200
    assert float(sums["iw_bound"][0]) < float(sums["loss"][0]) - 1
    # It is the bound of whole sequences: the mean over samples inside the logarithm, the sum over steps in it too.
    noise = made.noise(jax.random.split(jax.random.key(0))[1], batch, 16)
    total = np.asarray(explaining(made)(params, batch, None, noise)[1].log_w, np.float64).sum(axis=0)
    assert float(sums["iw_bound"][0]) == pytest.approx(-(logsumexp(total, axis=0) - np.log(16)).sum(), rel=1e-5)
    carry = made.init_carry(params, (200,))
    for other in (loss(params, batch, train=True), loss(params, batch, carry), small("music")[0].loss(params, batch)):
        assert "iw_bound" not in other[1][1]


@pytest.mark.slow
def test_an_evaluation_is_the_same_each_time_and_training_follows_its_key():
    made, params = small("music")
    batch, loss = batch_of(made.spec, values_of("music")), jax.jit(made.loss)
    assert float(loss(params, batch)[0]) == float(loss(params, batch, key=None)[0])
    first, second = (float(loss(params, batch, key=jax.random.key(seed))[0]) for seed in (1, 2))
    assert first != second


def sure(params):
    """Parameters whose encoder leaves almost no noise."""
    bias = params["encode"]["dense_1"]["bias"]
    encode = params["encode"] | {"dense_1": params["encode"]["dense_1"] | {"bias": bias.at[2:].set(-30.0)}}
    return params | {"encode": encode}


@pytest.mark.slow
def test_a_score_is_the_bound_of_the_whole_however_it_is_read():
    made, params = small("music")
    params, values = sure(params), values_of("music", 300, 1)[:, 0]
    batch = batch_of(made.spec, values[:, None])
    _, terms = explaining(made)(params, batch, None, jnp.zeros((300, 1, 1, 2)))
    each = np.asarray(terms.log_px - terms.kl)[:, 0, 0]
    assert score(made.as_model(), params, values)[0] == pytest.approx(each.sum(), rel=1e-3)
    assert score(made.as_model(), params, values[280:], prompt=values[:280])[0] == pytest.approx(
        each[280:].sum(), rel=1e-2
    )


@pytest.mark.slow
def test_a_prompt_is_explained_and_not_only_fed():
    """What comes next depends on what the encoder makes of the last value, to which `apply` is blind."""
    made, params = small("music")
    model, prompt = made.as_model(), values_of("music", 5, 1)[:, 0]
    drawn = functools.partial(generate, model, length=4, prompt=prompt, batch=100)
    found = drawn(sure(params), key=jax.random.key(1))
    other = sure(params) | {"encode": jax.tree.map(lambda x: x + 0.5, sure(params)["encode"])}
    assert (found != drawn(other, key=jax.random.key(1))).any()
    first = generate(model, params, jax.random.key(1), 4, batch=100)
    np.testing.assert_array_equal(first, generate(model, other, jax.random.key(1), 4, batch=100))


@pytest.mark.slow
def test_temperature_zero_draws_the_same_each_time():
    made, params = small("music")
    drawn = [
        generate(made.as_model(), params, jax.random.key(seed), 20, temperature=temperature)
        for temperature in (0, 1)
        for seed in (1, 2)
    ]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert (drawn[2] != drawn[3]).any()


@pytest.mark.slow
def test_bfloat16_keeps_parameters_and_densities_in_float32():
    made, params = small("music", "lstm")
    narrow = VRNN(made.inner, made.spec, made.head, made.sizes, jnp.dtype("bfloat16"), "auto")
    batch = batch_of(made.spec, values_of("music"))
    run = jax.jit(jax.value_and_grad(narrow.loss, has_aux=True))
    (loss, (carry, _)), gradient = run(params, batch)
    assert loss.dtype == jnp.float32
    assert {leaf.dtype for leaf in jax.tree.leaves(gradient)} == {jnp.dtype("float32")}
    assert {leaf.dtype for leaf in jax.tree.leaves(carry)} == {jnp.dtype("bfloat16")}
    assert float(loss) == pytest.approx(float(jax.jit(made.loss)(params, batch)[0]), rel=0.03)


def test_what_it_refuses():
    spec, head = codec("music")[:2]
    with pytest.raises(ValueError, match="num_layers must be 1 for a vrnn, got 2"):
        vrnn()([CELLS["rnn"](3)] * 2, spec, head)
    adding = TASKS["adding"](4)
    with pytest.raises(ValueError, match="a vrnn needs a task that makes sequences, and this one does not"):
        vrnn()([CELLS["rnn"](3)], adding.data.input_spec, adding.objective.head)
    with pytest.raises(ValueError, match="needs a cell with an Affine structure"):
        vrnn()([CELLS["mingru"](3)], spec, head, engine="associative")
    for name in ("latent_dim", "feature_dim", "samples"):
        with pytest.raises(ValueError, match=f"{name} must be a positive whole number, got 0"):
            vrnn(**{name: 0})
    assert LATENTS["none"]() is None


def test_omega_which_goes_through_layers_is_refused():
    made = experiment()
    with pytest.raises(ValueError, match="layer by layer and step by step, which a latent model does not allow"):
        omega().check(made.model, made.task)


@functools.cache
def experiment(diagnoses=()):
    values = np.random.RandomState(0).randint(0, 2, (120, 3)).astype(np.uint8)
    corpus = Corpus(dict.fromkeys(SPLITS, values), dict.fromkeys(SPLITS, np.array([50, 40, 30])), {})
    task = generative("music", CODECS["music"], {"keys": 3}, corpus, chunk=5, baseline=1.0)
    model = vrnn(2, 4)([CELLS["lstm"](3)], task.data.input_spec, task.objective.head)
    settings = {"batch_size": 2, "log_every": 2, "eval_every": 2, "eval_batch_size": 2, "save_every": 2}
    optimizer = build_optimizer("adam", 1e-2, steps=6, clip_norm=1.0)
    diagnose = DiagnosticsConfig(what={name: DIAGNOSES[name]() for name in diagnoses}, examples=1)
    schedule = TrainConfig(6, select="best", **settings)
    return Experiment(model, task, optimizer, schedule, diagnose, 0, program=f"vrnn {diagnoses}")


def stop_at(step):
    def on_row(row):
        if row["step"] == step:
            raise InterruptedError

    return on_row


@pytest.mark.slow
def test_resumed_is_uninterrupted_to_the_bit(tmp_path):
    """Stopped at step 4, of which nothing is saved yet."""
    made, states = experiment(("gradient_flow",)), []
    whole, cut = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "cut")
    for folder in (whole, cut):
        folder.start({})
    with pytest.raises(InterruptedError):
        fit(made, cut, stop_at(4))
    for folder in (whole, cut):
        fit(made, folder)
        state = checkpoint.load(folder.checkpoints, 6, start_state(made))
        states.append([np.asarray(x).tobytes() for x in jax.tree.leaves(state._replace(key=None))])
    assert states[0] == states[1]
    rows = whole.rows("diagnoses")
    assert [row["what"] for row in rows] == ["gradient_flow"] * 2
    assert {"all", "latent/h", "layer_0/h", "layer_0/c"} <= set(rows[0]["half_life"])
    assert all(np.isfinite(row["half_life"]["all"]["steps"]) for row in rows)


@pytest.mark.slow
def test_the_gradient_that_diagnoses_follow_is_that_of_the_model_without_noise():
    made = experiment()
    model, task = made.model, made.task
    params = model.init(jax.random.key(0))
    batch = task.batch("valid", jax.random.key(0), jnp.int32(0), 2)
    found = jax.jit(lambda p: gradient_flow(model, p, batch, task))(params)
    assert set(found) == {"layer_0", "latent"}

    def loss(carry):
        outputs = model.apply(params, batch.inputs, carry, mask=batch.mask, resets=batch.resets.at[0].set(False))[1]
        return -jnp.sum(task.objective.head.log_prob(outputs, batch.targets) * batch.weights)

    # Where the streams begin nothing is reset but the first carry, so that its gradient is to be had from outside.
    batch = batch._replace(resets=batch.resets.at[0].set(False))
    expected = jax.jit(jax.grad(loss))(model.init_carry(params, (2,)))
    found = jax.jit(lambda p: gradient_flow(model, p, batch, task))(params)
    assert_close(jax.tree.map(lambda x: x[0], found), expected, 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(DIAGNOSES) - {"gradient_flow", "length_generalisation"}))
def test_every_diagnosis_makes_a_record(name):
    made, diagnosis = experiment(), DIAGNOSES[name]()
    model, task = made.model, made.task
    diagnosis.check(10, 5)
    params = model.init(jax.random.key(0))
    batch = task.batch("valid", jax.random.key(0), jnp.int32(0), 2)
    record = diagnosis.record(jax.device_get(jax.jit(lambda p: diagnosis.measure(model, p, batch, task))(params)))
    if name == "gate_statistics":
        assert set(record["gates"]) == {"layer_0/i", "layer_0/f", "layer_0/o"}
    if name == "recurrent_eigenvalues":
        assert len(record["jacobian"][0]["real"][0]) == 2 * 3 + 4
    assert record


@pytest.mark.slow
@needs_data
def test_it_trains_on_real_music_with_the_diagnoses_of_any_run(tmp_path, capsys):
    options = {
        "task.name": "music",
        "task.kwargs": "{'chunk': 20}",
        "model.latent.name": "vrnn",
        "model.latent.kwargs": "{'latent_dim': 2, 'feature_dim': 8}",
        "cell.kwargs.hidden_dim": 8,
        "train.steps": 4,
        "train.log_every": 2,
        "train.eval_every": 2,
        "train.eval_batch_size": 32,
        "diagnose.examples": 4,
    }
    arguments = [f"--config.{name}={value}" for name, value in options.items()]
    config, folder = Path(__file__).parents[2] / "configs" / "adding.py", tmp_path / "run"
    assert main(["train", f"--config={config}", f"--workdir={folder}", *arguments]) == 0
    losses = [row["loss"] for row in RunFolder(folder).rows("metrics") if row["split"] == "valid"]
    assert losses[-1] < losses[0]
    assert "half-life of the gradient" in capsys.readouterr().out
    assert main(["sample", str(folder), "--length=16"]) == 0
    assert main(["score", str(folder), f"--file={folder / 'samples' / 'seed0.mid'}"]) == 0
    assert "nats of 16 steps" in capsys.readouterr().out


def test_tokens_that_are_none_are_refused_by_name():
    codec = CODECS["text"](vocabulary="abc")
    model = vrnn(1, 2)([CELLS["rnn"](2)], codec.input_spec, codec.head)
    params, bad = jax.eval_shape(model.init, jax.random.key(0)), np.array([[0], [3]])
    batch = Batch(bad, np.zeros((2, 1), int), np.ones((2, 1), np.float32))
    calls = {
        "inputs": [lambda: model.apply(params, bad), lambda: model.loss(params, batch)],
        "x": [lambda: model.step(params, None, bad)],
    }
    for name, each in calls.items():
        for call in each:
            with pytest.raises(ValueError, match=rf"^{name} must be tokens from 0 to 2, got 3 at \[1, 0\]"):
                call()
