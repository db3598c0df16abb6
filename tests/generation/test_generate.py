"""What is drawn is what a plain loop draws, what is read is what one pass over the whole reads, however long it is."""

import contextlib
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import FOUR, assert_close, noise

from rnngen.cells import CELLS
from rnngen.datasets import CODECS, TASKS
from rnngen.generation.generate import PIECE, generate, score, stream
from rnngen.models.stack import build_model
from rnngen.tasks.losses import nll_loss

# The end is not the first symbol, which every sequence begins after.
KINDS = {
    "text": {"vocabulary": "abcd."},
    "text, ended": {"vocabulary": "abcd.", "end": "."},
    "strokes": {"components": 2},
    "audio": {"levels": 8, "components": 2},
    "text, ended by the first": {"vocabulary": ".abcd", "end": "."},  # as names are
}


@functools.cache
def made(kind="text", cell="gru", layers=1, embed_dim=0):
    """A model and parameters so large that each value depends on those before."""
    codec = CODECS[kind.split(",")[0]](**KINDS[kind])
    model = build_model(
        [CELLS[cell](6)] * layers, codec.input_spec, codec.head, nll_loss(codec.head), embed_dim=embed_dim
    )
    leaves, tree = jax.tree.flatten(jax.eval_shape(model.init, jax.random.key(0)))
    size = 0.5 if kind == "strokes" else 1.0  # the density of a narrow Gaussian magnifies what rounding leaves
    return model, jax.tree.unflatten(tree, [size * noise(x.shape, i) for i, x in enumerate(leaves)])


@functools.cache
def steps_of(kind, **options):
    model, _ = made(kind, **options)
    return jax.jit(model.step), jax.jit(model.head.sample, static_argnames=("temperature",))


def plain_loop(kind, prompt, length, batch=1, seed=1, temperature=1.0, **options):
    """Step after step in Python: values `[length, batch, ...]`."""
    (model, params), (step, sample) = made(kind, **options), steps_of(kind, **options)
    spec, drawn = model.input_spec, []
    fresh = model.init_carry(params, (batch,))
    start = jnp.broadcast_to(jnp.asarray(spec.start), (batch, *spec.start.shape))
    carry, x = fresh, start
    for n in range(-len(prompt), length):
        carry, outputs = step(params, carry, x)
        if n < 0:
            value = jnp.broadcast_to(prompt[n], (batch, *prompt.shape[1:]))
        else:
            value = sample(jax.random.fold_in(jax.random.key(seed), n), outputs, temperature=temperature)
            drawn.append(value)
        x = spec.feed(value)
        if spec.end is not None and (ended := value == spec.end).any():
            x = jnp.where(ended, start, x)
            carry = jax.tree.map(lambda f, c, e=ended: jnp.where(e[:, None], f, c), fresh, carry)
    return np.stack(drawn)


def prompt_of(kind, length, seed=2):
    """Random values, with ends among them where there is one."""
    draw = np.random.RandomState(seed)
    if kind == "strokes":
        return draw.normal(size=(length, 3)).astype(np.float32)
    return draw.randint(0, 5, length).astype(np.int32)


def assert_same(found, expected):
    assert found.dtype == expected.dtype
    if np.issubdtype(found.dtype, np.integer):
        np.testing.assert_array_equal(found, expected)
    else:
        assert_close(found, expected, 1e-4)


@contextlib.contextmanager
def compilations():
    """A list that grows with every program that is compiled meanwhile."""
    compiled = []

    def listen(event, duration, **details):
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield compiled
    finally:
        jax.monitoring.clear_event_listeners()


@pytest.mark.slow
@pytest.mark.parametrize(("cell", "kind"), list(zip(sorted(FOUR), itertools.cycle(KINDS))))
def test_what_is_drawn_is_what_a_plain_loop_draws(cell, kind):
    options = {"layers": 2, "embed_dim": 3 if kind == "text" else 0}
    model, params = made(kind, cell, **options)
    found = generate(model, params, jax.random.key(1), 30, batch=3)
    assert_same(found, plain_loop(kind, prompt_of(kind, 0), 30, 3, cell=cell, **options))
    assert np.std(found, axis=(0, 1)).min() > 0
    if model.input_spec.end is not None:
        assert (found[:-1] == model.input_spec.end).any()


@pytest.mark.slow
@pytest.mark.parametrize("length", [1, PIECE - 1, PIECE, PIECE + 1, 600])
def test_a_prompt_that_is_read_in_pieces_is_a_prompt_that_is_read_step_by_step(length):
    for kind, cell in (("text, ended by the first", "lstm"), ("strokes", "rnn")):
        model, params = made(kind, cell)
        prompt = prompt_of(kind, length)
        found = generate(model, params, jax.random.key(1), 3, prompt=prompt, batch=50)
        assert_same(found, plain_loop(kind, prompt, 3, 50, cell=cell))


def test_a_prompt_that_ends_a_sequence_leaves_nothing_behind():
    model, params = made("text, ended", "lstm")
    drawn = functools.partial(generate, model, params, jax.random.key(1), 6, batch=50)
    np.testing.assert_array_equal(drawn(prompt=[0, 3, 1, 4]), drawn())
    assert (drawn(prompt=[0, 3, 1, 2]) != drawn()).any()


def test_one_sequence_is_a_batch_of_one():
    model, params = made("strokes", "rnn")
    one = generate(model, params, jax.random.key(1), 20)
    assert one.shape == (20, 3)
    assert_same(one, generate(model, params, jax.random.key(1), 20, batch=1)[:, 0])


@pytest.mark.slow
def test_a_longer_sequence_begins_like_a_shorter_one_whatever_the_pieces():
    model, params = made("text")
    long = generate(model, params, jax.random.key(1), PIECE + 40)
    for length, piece in ((20, 7), (21, 7), (7, 7), (PIECE, PIECE), (40, 1)):
        pieces = list(stream(model, params, jax.random.key(1), length, piece=piece))
        assert [len(values) for values in pieces] == [piece] * (length // piece) + [length % piece] * bool(
            length % piece
        )
        np.testing.assert_array_equal(np.concatenate(pieces), long[:length])
    assert (generate(model, params, jax.random.key(2), 40) != long[:40]).any()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["text", "audio"])
def test_temperature_reaches_the_head(kind):
    model, params = made(kind)
    for temperature in (0.3, 0.0):
        found = generate(model, params, jax.random.key(1), 30, batch=2, temperature=temperature)
        assert_same(found, plain_loop(kind, prompt_of(kind, 0), 30, 2, temperature=temperature))
    again = generate(model, params, jax.random.key(5), 30, batch=2, temperature=0)
    np.testing.assert_array_equal(again, found)


def test_top_k_and_top_p_reach_the_head():
    model, params = made("text")
    drawn = functools.partial(generate, model, params, jax.random.key(1), 40)
    greedy = drawn(temperature=0.0)
    assert (greedy != drawn()).any()
    # With one class left the temperature has nothing to say.
    np.testing.assert_array_equal(drawn(top_k=1, temperature=9.0), greedy)
    np.testing.assert_array_equal(drawn(top_p=1e-6), greedy)


def test_a_second_call_compiles_nothing_and_a_long_sequence_needs_no_more_than_a_short_one():
    """One program draws all lengths, so that its memory and a step's time cannot depend on the length."""
    model, params = made("text", "gru")
    prompt = prompt_of("text", 300)
    list(stream(model, params, jax.random.key(0), 1000, prompt=prompt))
    score(model, params, prompt)
    held, lengths = [], []
    with compilations() as compiled:
        for values in stream(model, params, jax.random.key(3), 10_000, prompt=prompt[:257]):
            held.append(sum(x.nbytes for x in jax.live_arrays()))
            lengths.append(len(values))
        score(model, params, np.concatenate([prompt] * 4))
    assert not compiled
    assert sum(lengths) == 10_000
    assert len(set(held)) == 1


@functools.cache
def whole_pass(kind, cell):
    model, _ = made(kind, cell)

    def log_probs(params, values):
        spec = model.input_spec
        inputs = jnp.concatenate([jnp.asarray(spec.start)[None], spec.feed(values)[:-1]])
        return model.head.log_prob(model.apply(params, inputs[:, None])[1], values[:, None])[:, 0]

    return jax.jit(log_probs)


@pytest.mark.parametrize("length", [1, PIECE - 1, PIECE, PIECE + 1, 600])
def test_a_score_is_that_of_one_pass_over_the_whole(length):
    for kind, cell in (("text", "gru"), ("strokes", "rnn")):
        (model, params), values = made(kind, cell), prompt_of(kind, length)
        if kind == "strokes":
            values[:, 2] = values[:, 2] > 0
        expected = np.asarray(whole_pass(kind, cell)(params, values), np.float64)
        nats, steps = score(model, params, values)
        assert steps == length
        assert nats == pytest.approx(expected.sum(), rel=1e-4)
        for cut in {length // 3, length - 1} - {0}:
            nats, steps = score(model, params, values[cut:], prompt=values[:cut])
            assert steps == length - cut
            assert nats == pytest.approx(expected[cut:].sum(), rel=1e-4)


def test_sequences_that_end_are_scored_as_if_alone():
    model, params = made("text, ended", "lstm")
    parts = [[0, 1, 4], [2, 4], [4], [3, 3, 1]]
    together, steps = score(model, params, np.concatenate(parts))
    assert steps == 9
    assert together == pytest.approx(sum(score(model, params, part)[0] for part in parts), rel=1e-5)
    # Were the carry to go on, or the end be fed instead of the start, it would be another number.
    endless, _ = score(*made("text", "lstm"), np.concatenate(parts))
    assert abs(together - endless) > 0.1


def test_all_possible_continuations_have_a_probability_of_one():
    model, params = made("text")
    pairs = [score(model, params, [a, b], prompt=[1, 2])[0] for a in range(5) for b in range(5)]
    assert np.exp(pairs).sum() == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize(
    ("kind", "how", "message"),
    [
        ("text", {"temperature": -0.5}, "temperature must be finite and at least 0 .*, got -0.5"),
        ("text", {"temperature": "hot"}, "temperature must be a number, got 'hot'"),
        ("text", {"temperture": 1}, "temperture: this model's head takes .*; did you mean 'temperature'"),
        ("text", {"top_p": 0.0}, "top_p must be above 0 and at most 1"),
        ("text", {"top_k": -1}, "top_k must be a whole number, at least 0"),
        ("strokes", {"top_k": 3}, "top_k: this model's head takes temperature only"),
        ("text", {"length": 0}, "length must be a positive whole number, got 0"),
        ("text", {"batch": 0}, "batch must be a positive whole number, got 0"),
        ("text", {"prompt": [1, 5]}, r"prompt must be tokens from 0 to 4, got 5 at \[1\]"),
        ("text", {"prompt": [[1], [2]]}, r"prompt must be int32 \[t\], got int64 \[2, 1\]"),
        ("text", {"prompt": "abc"}, r"prompt must be int32 \[t\]"),
        ("text", {"prompt": [0.5]}, r"prompt must be int32 \[t\], got float64 \[1\]"),
        ("strokes", {"prompt": [[1.0, 2.0]]}, r"prompt must be float32 \[t, 3\], got float64 \[1, 2\]"),
    ],
)
def test_what_is_wrong_is_named_before_anything_is_drawn(kind, how, message):
    model, params = made(kind, "gru" if kind == "text" else "rnn")
    with pytest.raises(ValueError, match=message):
        stream(model, params, jax.random.key(0), **{"length": 5} | how)


def test_nothing_to_score():
    with pytest.raises(ValueError, match="there is nothing to score"):
        score(*made("text"), [])
    with pytest.raises(ValueError, match="values must be tokens from 0 to 4"):
        score(*made("text"), [-1])


def test_a_model_of_a_task_that_makes_no_sequences():
    task = TASKS["adding"](4)
    model = build_model([CELLS["rnn"](3)], task.data.input_spec, task.objective.head, task.objective.loss)
    with pytest.raises(ValueError, match="it makes no sequences"):
        generate(model, model.init(jax.random.key(0)), jax.random.key(0), 3)
