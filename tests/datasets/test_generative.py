"""What the tasks of real sequences share: what is fed and asked for, how it is scored, and what the baselines score."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import draw_batch
from scipy.stats import multivariate_normal

from rnngen.datasets import CODECS
from rnngen.datasets import generative as module
from rnngen.datasets.corpus import SPLITS, Corpus
from rnngen.datasets.generative import bits, gaussian_baseline, generative, marginal_baseline, scored
from rnngen.tasks.sampling import finite_indices, key_numbers

RANDOM = np.random.RandomState(0)
LENGTHS = np.array([5, 9, 2, 8])
# codec -> (its arguments, how a corpus stores its values)
KINDS = {
    "text": ({"vocabulary": "abcd"}, lambda n: RANDOM.randint(0, 4, n).astype(np.uint8)),
    "music": ({"keys": 3}, lambda n: RANDOM.randint(0, 2, (n, 3)).astype(np.uint8)),
    "audio": ({"levels": 8, "components": 2}, lambda n: RANDOM.randint(0, 8, n).astype(np.uint8)),
    "strokes": (
        {"components": 2},
        lambda n: np.concatenate([RANDOM.normal(size=(n, 2)), RANDOM.randint(0, 2, (n, 1))], axis=1).astype(np.float32),
    ),
}


def corpus_of(kind, lengths=LENGTHS):
    values = {split: KINDS[kind][1](lengths.sum()) for split in SPLITS}
    return Corpus(values, dict.fromkeys(SPLITS, lengths), {"vocabulary": "abcd"})


def task_of(kind="text", corpus=None, chunk=0, **options):
    kwargs = KINDS[kind][0]
    return generative(kind, CODECS[kind], kwargs, corpus or corpus_of(kind), chunk=chunk, baseline=1.5, **options)


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_each_value_is_asked_for_and_what_it_is_fed_is_the_value_before(kind):
    corpus = corpus_of(kind)
    task, spec = task_of(kind, corpus), CODECS[kind](**KINDS[kind][0]).input_spec
    batch = draw_batch(task, "valid", 4)
    batch = jax.tree.map(np.asarray, task.data.finish(batch))
    ends = LENGTHS.cumsum()
    for b, (start, end) in enumerate(zip(ends - LENGTHS, ends, strict=True)):
        own = corpus.values["valid"][start:end]
        steps = len(own)
        np.testing.assert_array_equal(batch.targets[:steps, b], own)
        np.testing.assert_array_equal(batch.inputs[0, b], spec.start)
        np.testing.assert_array_equal(batch.inputs[1:steps, b], spec.feed(own[:-1]))
        np.testing.assert_array_equal(batch.mask[:, b], np.arange(9) < steps)
        np.testing.assert_array_equal(batch.weights[:, b], np.arange(9) < steps)
    # As the head draws them, whatever the corpus stores: what is fed in training is what is fed in sampling.
    drawn = task.objective.head.sample(jax.random.key(0), jnp.zeros((9, 4, task.objective.head.num_params)))
    assert (batch.targets.dtype, batch.targets.shape) == (drawn.dtype, drawn.shape)
    assert batch.inputs.dtype == spec.start.dtype


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_host_and_device_make_the_same_of_an_evaluation_split(kind):
    corpus = corpus_of(kind)
    for chunk in (0, 4):
        here, there = (task_of(kind, corpus, chunk, on_device=on) for on in (True, False))
        assert here.data.on_device
        assert not there.data.on_device
        for step in range(2):
            batches = [task.batch("test", jax.random.key(0), jnp.int32(step), 2) for task in (here, there)]
            jax.tree.map(np.testing.assert_array_equal, *batches)


def test_the_loss_is_the_negative_log_probability_of_the_values_that_count():
    task = task_of("text", first_counts=False, more_metrics=bits)
    batch = jax.tree.map(np.asarray, task.data.finish(draw_batch(task, "valid", 4)))
    assert not batch.weights[0].any()
    outputs = RANDOM.normal(size=(9, 4, 4)).astype(np.float32)
    loss, sums = jax.jit(task.objective.loss)(jnp.asarray(outputs), batch)
    log_probs = outputs - np.log(np.exp(outputs).sum(axis=-1, keepdims=True))
    counted = [log_probs[t, b, batch.targets[t, b]] for b, n in enumerate(LENGTHS) for t in range(1, n)]
    assert float(loss) == pytest.approx(-np.mean(counted), rel=1e-5)
    assert float(sums["loss"][0]) == pytest.approx(-np.sum(counted), rel=1e-5)
    assert float(sums["bits"][0]) == pytest.approx(-np.sum(counted) / np.log(2), rel=1e-5)
    assert float(sums["bits"][1]) == float(sums["loss"][1]) == len(counted) == LENGTHS.sum() - 4
    # Training scores every value.
    training = task.data.finish(draw_batch(task, "train", 3))
    np.testing.assert_array_equal(training.weights, training.mask)


def test_frequencies_are_the_loss_of_who_knows_nothing_else():
    train, test = RANDOM.choice(4, 500, p=[0.5, 0.3, 0.2, 0.0]), RANDOM.choice(4, 300, p=[0.4, 0.3, 0.2, 0.1])
    counts = np.array([np.sum(train == c) for c in range(4)])
    by_hand = -np.mean([np.log((counts[c] + 1) / (500 + 4)) for c in test])
    assert marginal_baseline(train, test, 4) == pytest.approx(by_hand)
    head = CODECS["text"]("abcd").head
    outputs = jnp.broadcast_to(jnp.log(jnp.asarray(counts + 1.0, jnp.float32)), (300, 4))
    assert -float(head.log_prob(outputs, test).mean()) == pytest.approx(by_hand, rel=1e-5)


def test_frequencies_of_keys_are_the_loss_of_independent_bits():
    train, test = (RANDOM.uniform(size=(n, 3)) < [0.1, 0.5, 0.9] for n in (400, 200))
    share = (train.sum(axis=0) + 1) / 402
    logits = jnp.broadcast_to(jnp.asarray(np.log(share / (1 - share)), jnp.float32), (200, 3))
    expected = -float(CODECS["music"](keys=3).head.log_prob(logits, test).mean())
    assert marginal_baseline(train.astype(np.uint8), test.astype(np.uint8)) == pytest.approx(expected, rel=1e-5)


def test_the_gaussian_baseline_is_the_density_of_what_was_fitted():
    train, test = RANDOM.normal([1, -2, 0], [0.5, 2, 1], (600, 3)), RANDOM.normal([1, -1, 0], 1, (200, 3))
    fitted = multivariate_normal(train.mean(axis=0), np.diag(train.var(axis=0)))
    assert gaussian_baseline(train, test) == pytest.approx(-fitted.logpdf(test).mean())


@pytest.mark.parametrize("split", ["train", "valid"])
def test_the_host_takes_the_examples_that_the_device_would(split):
    """But for the order of an epoch, which NumPy and JAX shuffle in their own ways."""
    key, size, batch = jax.random.key(3), 10, 3
    on_host = functools.partial(finite_indices, split, batch_size=batch, size=size, xp=np)
    host = [on_host(key_numbers(key), step) for step in range(7)]
    device = [finite_indices(split, key, jnp.int32(step), batch, size) for step in range(7)]
    np.testing.assert_array_equal([w for _, w in host], [w for _, w in device])
    if split == "valid":
        np.testing.assert_array_equal([i for i, _ in host], [i for i, _ in device])
        return
    for drawn in (host, device):
        epochs = [np.concatenate([index for index, _ in drawn[first : first + 3]]) for first in (0, 3)]
        assert all(len(set(epoch.tolist())) == 9 for epoch in epochs)
        assert (epochs[0] != epochs[1]).any()
    np.testing.assert_array_equal(on_host(key_numbers(key), 5)[0], host[5][0])
    assert (on_host(key_numbers(jax.random.key(4)), 5)[0] != host[5][0]).any()
    np.testing.assert_array_equal(on_host(key_numbers(key), 5, batch_size=size)[0], np.arange(size))
    with pytest.raises(ValueError, match="batch_size must be at most the 10 training examples, got 11"):
        on_host(key_numbers(key), 0, batch_size=11)


def test_a_large_corpus_stays_on_the_host(monkeypatch):
    assert task_of("text").data.on_device
    monkeypatch.setattr(module, "ON_DEVICE", LENGTHS.sum() - 1)
    assert not task_of("text").data.on_device
    assert task_of("text", on_device=True).data.on_device


@pytest.mark.slow
def test_what_a_run_stores_makes_the_same_medium_again():
    task = task_of("strokes")
    stored = json.loads(json.dumps(task.codec))
    assert stored == {"name": "strokes", "kwargs": {"components": 2}, "length": 6}  # the median of 5, 9, 2, 8
    again = CODECS[stored["name"]](**stored["kwargs"])
    outputs, value = RANDOM.normal(size=(1, task.objective.head.num_params)), np.array([[0.3, -1.0, 1.0]], np.float32)
    outputs = jnp.asarray(outputs, jnp.float32)
    assert float(again.head.log_prob(outputs, value)[0]) == float(task.objective.head.log_prob(outputs, value)[0])
    # One long text has no usual length.
    assert "length" not in task_of("text", corpus_of("text", np.array([24]))).codec


def test_solved_and_lengths():
    task = task_of("text", solved_below=1.2, corpus=corpus_of("text"))
    assert task.objective.solved({"loss": 1.2})
    assert not task.objective.solved({"loss": 1.21})
    assert not task_of("text").objective.solved({"loss": -1e9})
    assert task.data.lengths["train"] == (9, 9)
    assert task_of("text", chunk=4).data.lengths["valid"] == (4, 4)
    assert task.expected_baseline("test") == 1.5
    assert task.data.sizes == dict.fromkeys(SPLITS, 4)
    assert task.data.chunks is None
    assert task_of("text", chunk=4).batches("train", 2) == 3


def test_corpora_that_cannot_be():
    with pytest.raises(ValueError, match="chunk must be positive, or 0 for whole sequences, got -1"):
        task_of("text", chunk=-1)
    corpus = corpus_of("text")
    with pytest.raises(ValueError, match=f"chunk must be at most 10000, got {10**9}"):
        task_of("text", chunk=10**9)
    empty = corpus._replace(values=corpus.values | {"test": np.zeros(0, np.uint8)})
    with pytest.raises(ValueError, match="the test split is empty"):
        task_of("text", empty)


def test_what_is_scored_is_all_but_first_values_where_these_do_not_count():
    values = np.arange(10)
    corpus = Corpus(dict.fromkeys(SPLITS, values), dict.fromkeys(SPLITS, np.array([4, 1, 5])), {})
    np.testing.assert_array_equal(scored(corpus, "test", first_counts=False), [1, 2, 3, 6, 7, 8, 9])
    assert scored(corpus, "test") is values
