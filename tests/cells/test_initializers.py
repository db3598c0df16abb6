"""Each initialiser has the property that it is named for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnngen.cells import INITIALIZERS, get_initializer, gru, rnn
from rnngen.cells.initializers import gate_kernel, identity, normal, orthogonal, sparse


def fresh_key():
    return jax.random.key(3)


def test_orthogonal_scaled():
    kernel = orthogonal(2.0)(fresh_key(), (32, 32), jnp.float32)
    np.testing.assert_allclose(kernel @ kernel.T, 4 * np.eye(32), atol=1e-4)


def test_each_gate_is_orthogonal_on_its_own():
    for block in jnp.split(gate_kernel(orthogonal(), fresh_key(), 16, 16, 3), 3, axis=1):
        np.testing.assert_allclose(block @ block.T, np.eye(16), atol=1e-5)


def test_normal_has_an_absolute_standard_deviation():
    for shape in ((300, 300), (30, 3000)):
        assert float(jnp.std(normal(0.01)(fresh_key(), shape, jnp.float32))) == pytest.approx(0.01, rel=0.02)


def test_identity_scaled():
    np.testing.assert_array_equal(identity(0.5)(fresh_key(), (3, 3), jnp.float32), 0.5 * np.eye(3))


def test_glorot_and_lecun_variances():
    for name, variance in (("glorot", 2 / 500), ("lecun", 1 / 200)):
        kernel = get_initializer(name)(fresh_key(), (200, 300), jnp.float32)
        assert float(jnp.var(kernel)) == pytest.approx(variance, rel=0.05)


@pytest.mark.parametrize("jitted", [False, True])
def test_sparse_fan_in_and_spectral_radius(jitted):
    init = lambda key: sparse(fan_in=15, spectral_radius=0.95)(key, (50, 50), jnp.float32)  # noqa: E731
    kernel = np.asarray((jax.jit(init) if jitted else init)(fresh_key()))
    np.testing.assert_array_equal((kernel != 0).sum(axis=0), 15)
    assert np.abs(np.linalg.eigvals(kernel)).max() == pytest.approx(0.95, rel=1e-4)


def test_square_kernels_only():
    for init in (identity(), sparse()):
        with pytest.raises(ValueError, match="square kernel"):
            init(fresh_key(), (2, 3), jnp.float32)


def test_named_in_every_way():
    by_mapping = get_initializer({"name": "normal", "kwargs": {"stddev": 0.1}})(fresh_key(), (5, 5), jnp.float32)
    by_path = get_initializer({"name": "rnngen.cells.initializers:normal", "kwargs": {"stddev": 0.1}})
    np.testing.assert_array_equal(by_mapping, by_path(fresh_key(), (5, 5), jnp.float32))
    ones = lambda key, shape, dtype: jnp.ones(shape, dtype)  # noqa: E731
    np.testing.assert_array_equal(gru(2, kernel_init=ones).init(fresh_key(), 3)["kernel"], 1)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("glorott", "did you mean 'glorot'"),
        ({"name": "normal", "kwargs": {"sd": 1}}, "initialiser 'normal'"),
        ({"nam": "normal"}, "given by name and kwargs"),
        ("rnngen.cells.initializers:nomal", "did you mean 'normal'"),
    ],
)
def test_bad_specs(spec, message):
    with pytest.raises(ValueError, match=message):
        get_initializer(spec)


def test_pascanu_and_irnn_are_arguments():
    smart = rnn(50, recurrent_init="sparse", kernel_init={"name": "normal", "kwargs": {"stddev": 0.01}})
    params = smart.init(fresh_key(), 6)
    assert int((params["recurrent_kernel"] != 0).sum()) == 50 * 15
    irnn = rnn(8, activation="relu", recurrent_init="identity")
    np.testing.assert_array_equal(irnn.init(fresh_key(), 2)["recurrent_kernel"], np.eye(8))


@pytest.mark.parametrize("name", sorted(INITIALIZERS))
def test_every_initialiser_fills_a_square_kernel(name):
    kernel = get_initializer(name)(fresh_key(), (16, 16), jnp.float32)
    assert kernel.shape == (16, 16)
    assert bool(jnp.isfinite(kernel).all())
