"""Softmax, temperature, and exactly the classes that top-k and top-p keep."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import noise

from rnngen.heads import categorical, check_sampling


def support(logits, n=4000, **options):
    """The classes that come up in n draws, with how often."""
    logits = np.broadcast_to(np.asarray(logits, np.float32), (n, len(logits)))
    sample = jax.jit(functools.partial(categorical(logits.shape[-1]).sample, **options))
    drawn = sample(jax.random.key(0), logits)
    return dict(zip(*np.unique(np.asarray(drawn), return_counts=True), strict=True))


def nucleus(probabilities, top_k, top_p):
    """The kept classes by the definition, one at a time."""
    kept, reached = [], 0.0
    order = sorted(range(len(probabilities)), key=lambda i: (-probabilities[i], i))[: top_k or None]
    total = sum(probabilities[i] for i in order)
    for i in order:
        if reached >= top_p * total:
            break
        kept.append(i)
        reached += probabilities[i]
    return set(kept)


def test_sums_to_one_and_is_stable():
    head = categorical(5)
    logits = jnp.array([[1e4, 0.0, -1e4, 3.0, 2.0], [0.1, 0.2, 0.3, 0.4, 0.5]])
    log_probs = jnp.stack([head.log_prob(logits, jnp.full(2, c)) for c in range(5)])
    np.testing.assert_allclose(jnp.exp(log_probs).sum(axis=0), 1, rtol=1e-6)
    assert bool(jnp.isfinite(log_probs).all())


def test_targets_may_be_bytes():
    logits, targets = noise((8, 256)), np.array([0, 1, 127, 128, 200, 254, 255, 255], np.uint8)
    log_probs = np.asarray(jax.nn.log_softmax(logits))[np.arange(8), targets]
    np.testing.assert_allclose(categorical(256).log_prob(logits, targets), log_probs, rtol=1e-6)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_samples_follow_the_logits_over_the_temperature(temperature):
    logits = np.array([0.0, 1.0, 2.0])
    drawn = support(logits, 20000, temperature=temperature)
    expected = np.exp(logits / temperature) / np.exp(logits / temperature).sum()
    np.testing.assert_allclose([drawn[c] / 20000 for c in range(3)], expected, atol=0.015)


@pytest.mark.parametrize(("top_k", "top_p"), [(1, 1.0), (3, 1.0), (9, 1.0), (0, 0.01), (0, 0.5), (0, 0.9), (4, 0.7)])
@pytest.mark.parametrize("temperature", [0.7, 1.5])
def test_what_comes_up_is_what_is_kept(top_k, top_p, temperature):
    logits = np.asarray(noise((7,), seed=5), np.float64)
    probabilities = np.exp(logits / temperature) / np.exp(logits / temperature).sum()
    drawn = support(logits, temperature=temperature, top_k=top_k, top_p=top_p)
    kept = nucleus(probabilities, top_k, top_p)
    assert set(drawn) == kept
    left = {c: probabilities[c] / sum(probabilities[i] for i in kept) for c in kept}
    for c in kept:  # and among these the proportions stay
        assert drawn[c] / 4000 == pytest.approx(left[c], abs=0.03)


def test_the_class_that_crosses_top_p_is_kept():
    logits = np.log([0.125, 0.5, 0.125, 0.25])
    assert set(support(logits, top_p=0.74)) == {1, 3}
    assert set(support(logits, top_p=0.76)) == {0, 1, 3}
    assert set(support(logits, top_p=0.49)) == {1}


def test_ties_go_to_the_lower_number():
    assert set(support([1.0, 1.0, 1.0, 0.0, 1.0], top_k=2)) == {0, 1}
    assert set(support(np.zeros(300), 300, top_k=2)) == {0, 1}
    assert set(support([0.0, 1.0, 1.0], temperature=0)) == {1}


def test_greedy_whatever_is_kept():
    assert set(support([0.0, 3.0, 2.0], temperature=0, top_k=2, top_p=0.5)) == {1}
    with jax.debug_nans(True):
        assert categorical(3).sample(jax.random.key(0), jnp.array([1e4, 3.0, 2.0]), 1e-50) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -1}, r"temperature must be finite and at least 0 \(0 is greedy\), got -1"),
        ({"temperature": 1.0, "top_k": -1}, r"top_k must be a whole number, at least 0 \(0 keeps all\), got -1"),
        ({"temperature": 1.0, "top_k": 2.5}, "top_k must be a whole number"),
        ({"temperature": 1.0, "top_p": 0.0}, "top_p must be above 0 and at most 1"),
        ({"temperature": 1.0, "top_p": 1.1}, "top_p must be above 0 and at most 1"),
        ({"temperature": 1.0, "top_p": float("nan")}, "top_p must be above 0 and at most 1"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        check_sampling(**options)
    with pytest.raises(ValueError, match=message):
        categorical(3).sample(jax.random.key(0), jnp.zeros(3), **options)
