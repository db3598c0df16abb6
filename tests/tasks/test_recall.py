"""The recall tasks against plain Python: what is asked for, where, and that it was said before."""

import math
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import draw_batch, means, slow

from rnngen.tasks import (
    associative_recall,
    copy_memory,
    fuzzy_recall,
    induction_heads,
    mqar,
    noisy_recall,
    selective_copying,
)
from rnngen.tasks.in_context import key_motifs
from rnngen.tasks.recall import draw_places


def examples(task, n=200, seed=0, split="train"):
    """(inputs, targets, weights) of each example, without its padding."""
    batch = jax.tree.map(np.asarray, draw_batch(task, split, n, seed))
    for b in range(n):
        there = slice(None) if batch.mask is None else batch.mask[:, b]
        yield batch.inputs[there, b].tolist(), batch.targets[there, b].tolist(), batch.weights[there, b].tolist()


def asked_of(weights):
    assert set(weights) <= {0, 1}
    return [t for t, weight in enumerate(weights) if weight]


def check_pairs(inputs, pairs, vocabulary):
    """The dictionary that a sequence begins with."""
    said = dict(zip(inputs[: 2 * pairs : 2], inputs[1 : 2 * pairs : 2], strict=True))
    assert len(said) == pairs == len(set(said.values()))
    assert all(1 <= k < vocabulary // 2 <= v < vocabulary for k, v in said.items())
    return said


@pytest.mark.parametrize("length", [16, *slow(500)])
def test_associative_recall(length):
    task = associative_recall(length, min_length=7, pairs=3, vocabulary=11)
    assert task.objective.head.num_params == 6
    seen = set()
    for inputs, targets, weights in examples(task):
        said = check_pairs(inputs, 3, 11)
        assert inputs[6:-1] == [0] * (len(inputs) - 7)
        assert targets[-1] == said[inputs[-1]] - 5
        assert asked_of(weights) == [len(inputs) - 1]
        seen.add(len(inputs))
    assert length > 16 or seen == set(range(7, 17))


@pytest.mark.parametrize(("length", "noise"), [(20, False), (21, True)])
def test_mqar(length, noise):
    task = mqar(length, min_length=16, pairs=4, vocabulary=13, noise=noise)
    for inputs, targets, weights in examples(task):
        said, asked = check_pairs(inputs, 4, 13), asked_of(weights)
        assert sorted(inputs[t] for t in asked) == sorted(said)
        assert all(targets[t] == said[inputs[t]] - 6 for t in asked)
        assert all(t % 2 == 0 and t >= 8 for t in asked)
        rest = [token for t, token in enumerate(inputs) if t >= 8 and t not in asked]
        assert noise or set(rest) <= {0}
        assert set(rest) <= set(range(13))


def test_distances_of_queries_follow_the_power_law():
    """Two places out of three, against the successive draws that define them."""
    power, weights = 0.3, [i ** (0.3 - 1) for i in (1, 2, 3)]
    total = sum(weights)
    expected = {
        (a, b): weights[a] / total * weights[b] / (total - weights[a]) for a in range(3) for b in range(3) if a != b
    }
    keys = jax.random.split(jax.random.key(0), 20_000)
    drawn = jax.jit(jax.vmap(lambda key: draw_places(key, 2, 5, jnp.int32(3), power)))(keys)
    counts = Counter(map(tuple, np.asarray(drawn).tolist()))
    assert set(counts) == set(expected)
    for pair, share in expected.items():
        assert counts[pair] / 20_000 == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / 20_000))


@pytest.mark.parametrize(
    "task",
    [associative_recall(16, min_length=9, pairs=4, vocabulary=16), mqar(24, min_length=16, pairs=4, vocabulary=16)],
    ids=["associative_recall", "mqar"],
)
def test_needs_are_the_values_asked_for(task):
    batch = draw_batch(task, size=50)
    sources, reads = task.needs(batch)
    assert sources.shape[1] == 50
    np.testing.assert_array_equal(
        jnp.take_along_axis(batch.inputs, sources, 0) - 8, jnp.take_along_axis(batch.targets, reads, 0)
    )
    assert (jnp.take_along_axis(batch.weights, reads, 0) == 1).all()
    assert float(batch.weights.sum()) == reads.size


@pytest.mark.parametrize("label", ["each", "end"])
@pytest.mark.parametrize("length", [21, *slow(501)])
def test_noisy_recall(label, length):
    task = noisy_recall(length, min_length=3, pairs=4, values=3, noise=0.3, noise_tokens=5, label=label)
    quiet = Counter()
    for inputs, targets, weights in examples(task):
        said, asked = {}, []
        for t in range(0, len(inputs) - 1, 2):
            first, second = inputs[t : t + 2]
            quiet[first < 7] += 1
            if first >= 7:
                assert 7 <= second < 12
                continue
            assert first < 4
            if first in said:
                asked.append(t)
                assert targets[t] == said[first] - 4 or label == "end"
            assert said.setdefault(first, second) == second
            assert 4 <= second < 7
        assert targets[-1] == said[inputs[-1]] - 4
        assert asked_of(weights) == [*(asked if label == "each" else []), len(inputs) - 1]
    assert 0.6 < quiet[True] / quiet.total() < 0.85


def read_fuzzy(inputs, key_tokens, blank):
    """(key, step of its last token, value) of each pair of motifs; a value ends where the next key begins."""
    found, t = [], next(t for t, token in enumerate(inputs) if token != blank)
    while t < len(inputs):
        key, value = [], []
        while t < len(inputs) and inputs[t] < key_tokens:
            key.append(inputs[t])
            t += 1
        last = t - 1
        while t < len(inputs) and inputs[t] >= key_tokens:
            value.append(inputs[t])
            t += 1
        assert blank not in value
        found.append((tuple(key), last, tuple(value)))
    return found


@pytest.mark.parametrize("label", ["each", "end"])
@pytest.mark.parametrize("length", [40, *slow(500)])
def test_fuzzy_recall(label, length):
    task, sizes = fuzzy_recall(length, min_length=11, pairs=3, vocabulary=12, label=label), Counter()
    for inputs, targets, weights in examples(task):
        *blocks, (key, last, partial) = read_fuzzy(inputs, 5, 11)
        said, asked = {}, {}
        for known, step, value in blocks:
            assert 1 <= len(known) == len(set(known)) <= 3
            assert 1 <= len(value) <= 3
            if known in said and label == "each":
                asked |= {step + n: token - 5 for n, token in enumerate(value)}
            assert said.setdefault(known, value) == value
            sizes[len(known), len(value)] += 1
        assert said[key][: len(partial)] == partial
        assert len(partial) == len(said[key]) - 1
        asked |= {last + n: token - 5 for n, token in enumerate(said[key])}
        assert asked_of(weights) == sorted(asked)
        assert {t: targets[t] for t in asked} == asked
        assert len(said) <= 3
    assert set(sizes) == {(k, v) for k in (1, 2, 3) for v in (1, 2, 3)}


def test_key_motifs_have_uniform_sizes():
    motifs, sizes, scores = key_motifs(4, 3)
    assert Counter(sizes.tolist()) == {1: 4, 2: 12, 3: 24}
    assert len({tuple(m[:s]) for m, s in zip(motifs.tolist(), sizes, strict=True)}) == 40
    for size in (1, 2, 3):
        assert np.exp(scores[sizes == size].astype(float)).sum() == pytest.approx(1, rel=1e-6)


@pytest.mark.parametrize("length", [12, *slow(4096)])
def test_selective_copying(length):
    task = selective_copying(length, min_length=4 if length == 12 else None, count=4, vocabulary=5)
    places = Counter()
    for inputs, targets, weights in examples(task, n=500 if length == 12 else 20):
        asked = asked_of(weights)
        assert asked == list(range(len(inputs) - 4, len(inputs)))
        assert [token for token in inputs if token < 5] == targets[-4:]
        assert inputs[-4:] == [6] * 4
        assert inputs[:-4].count(5) == len(inputs) - 8
        places.update(t for t, token in enumerate(inputs) if token < 5)
    assert length > 12 or set(places) == set(range(12))
    batch = draw_batch(task, size=50)
    sources, reads = task.needs(batch)
    np.testing.assert_array_equal(
        jnp.take_along_axis(batch.inputs, sources, 0), jnp.take_along_axis(batch.targets, reads, 0)
    )


@pytest.mark.parametrize("length", [9, *slow(500)])
def test_induction_heads(length):
    task, places = induction_heads(length, min_length=3, vocabulary=6), set()
    for inputs, targets, weights in examples(task, n=400):
        first, second = (t for t, token in enumerate(inputs) if token == 6)
        assert second == len(inputs) - 1 == asked_of(weights)[0]
        assert targets[-1] == inputs[first + 1]
        places.add((len(inputs), first))
    assert length > 9 or places == {(n, t) for n in range(3, 10) for t in range(n - 2)}
    batch = draw_batch(task, size=50)
    sources, _ = task.needs(batch)
    np.testing.assert_array_equal(jnp.take_along_axis(batch.inputs, sources, 0)[0], batch.targets[-1])


@pytest.mark.parametrize("variant", ["arjovsky", "bai"])
def test_copy_memory_of_another_vocabulary_and_count(variant):
    task = copy_memory(4, min_length=1, variant=variant, vocabulary=3, count=2)
    arjovsky = variant == "arjovsky"
    blank, lowest = (3, 0) if arjovsky else (0, 1)
    for inputs, targets, _ in examples(task, n=50):
        read = inputs if arjovsky else [int(value) for (value,) in inputs]
        wait = len(read) - 4
        assert all(lowest <= symbol < lowest + 3 for symbol in read[:2])
        assert read[2:] == [blank] * (wait - 1) + ([4, blank, blank] if arjovsky else [4, 4, 4])
        assert targets == [blank] * (wait + 2) + read[:2]
    assert task.objective.baseline(4) == pytest.approx(2 * math.log(3) / 8)


@pytest.mark.parametrize(
    ("task", "classes"),
    [
        (associative_recall(17, pairs=3, vocabulary=10), 5),
        (noisy_recall(31, pairs=4, values=3), 3),
        (fuzzy_recall(40, pairs=3, vocabulary=12), 6),
        (induction_heads(9, vocabulary=4), 4),
    ],
    ids=["associative_recall", "noisy_recall", "fuzzy_recall", "induction_heads"],
)
def test_labels_are_uniform_given_the_token(task, classes):
    """Which is what the baseline says: chi-square of the labels within each token, 4.5 standard deviations at most."""
    assert task.expected_baseline("test") == pytest.approx(math.log(classes))
    pairs = Counter()
    for inputs, targets, weights in examples(task, n=3000):
        t = asked_of(weights)[0]  # one of a sequence, so that draws are independent
        pairs[inputs[t], targets[t]] += 1
    for token in {token for token, _ in pairs}:
        counts = np.array([pairs[token, label] for label in range(classes)])
        chi = ((counts - counts.mean()) ** 2 / counts.mean()).sum()
        assert chi < classes - 1 + 4.5 * math.sqrt(2 * (classes - 1))


def test_a_dictionary_answers_every_query():
    task = mqar(24, pairs=4, vocabulary=16)
    batch = jax.tree.map(np.asarray, draw_batch(task, size=32))
    outputs = np.zeros((*batch.weights.shape, 8), np.float32)
    for b in range(32):
        said = dict(zip(batch.inputs[:8:2, b], batch.inputs[1:8:2, b], strict=True))
        for t in range(8, 24):
            outputs[t, b, said.get(batch.inputs[t, b], 8) - 8] = 40
    metrics = means(task.objective.loss(outputs, batch)[1])
    assert (metrics["accuracy"], metrics["sequence_accuracy"]) == (1, 1)
    assert metrics["loss"] < 1e-6
    assert task.objective.solved(metrics)
    assert means(task.objective.loss(0 * outputs, batch)[1])["loss"] == pytest.approx(task.expected_baseline("test"))


def test_evaluation_is_fixed_and_apart_from_training():
    task = mqar(16, pairs=2, vocabulary=32, train_size=200, eval_size=200)
    splits = {split: [tuple(x) for x, _, _ in examples(task, 200, split=split)] for split in ("train", "valid", "test")}
    assert splits["test"] == [tuple(x) for x, _, _ in examples(task, 200, seed=9, split="test")]
    assert len({example for of in splits.values() for example in of}) == 600


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: mqar(pairs=20, vocabulary=32), "pairs must be at most the 15 keys of a vocabulary of 32, got 20"),
        (lambda: mqar(31), "length must be at least 32, got 31 with 8 pairs"),
        (lambda: associative_recall(16), "length must be at least 17, got 16 with 8 pairs"),
        (lambda: associative_recall(eval_length=5), "eval_length must be at least 17, got 5 with 8 pairs"),
        (lambda: associative_recall(pairs=0), "pairs must be a positive whole number, got 0"),
        (lambda: associative_recall(vocabulary=3), "pairs must be at most the 0 keys of a vocabulary of 3, got 8"),
        (lambda: noisy_recall(noise=1.0), r"noise must be in \[0, 1\), got 1.0"),
        (lambda: noisy_recall(2), "length must be at least 3, got 2"),
        (lambda: fuzzy_recall(10), "length must be at least 11, got 10"),
        (lambda: fuzzy_recall(pairs=8, vocabulary=4), "pairs must be at most the 1 keys of at most 3 tokens"),
        (lambda: fuzzy_recall(vocabulary=100), "make 112,945 keys, and 10,000 are the most"),
        (lambda: selective_copying(5, count=6), "length must be at least 6, got 5"),
        (lambda: induction_heads(2), "length must be at least 3, got 2"),
        (lambda: copy_memory(vocabulary=0), "vocabulary must be a positive whole number, got 0"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()
