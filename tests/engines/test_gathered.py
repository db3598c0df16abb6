"""Cells that compose chunks of steps themselves, against a scan; and the triangular inverse in it against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import assert_close, double, noise, random_params

from rnngen.cells import CELLS
from rnngen.cells.householder import inverse
from rnngen.engines import unroll

T, D, H, K = 11, 2, 3, 4
MAKERS = {
    "gated": lambda: CELLS["gated_deltarule"](H, key_dim=K, min_eigenvalue=-1.0),
    "mlstm": lambda: CELLS["mlstm"](H, key_dim=K, forget_bias=0.5),
    "rwkv7": lambda: CELLS["rwkv7"](H, key_dim=K),
    "product": lambda: CELLS["deltaproduct"](H, key_dim=K, factors=3),
    "residual": lambda: CELLS["residual"](H, cell="deltarule", kwargs={"key_dim": K}),
}


def setting(name, batch):
    """A cell in chunks of 4 steps, so that there are two and a rest; its parameters, inputs, a carry, and flags."""
    cell = MAKERS[name]()
    structure = cell.structure._replace(chunked=cell.structure.chunked._replace(steps=4))
    flags = [jnp.asarray(np.random.RandomState(n).uniform(size=(T, *batch)) < p) for n, p in ((3, 0.7), (4, 0.3))]
    params = double(random_params(cell, D))
    start = cell.init_carry(cell.prepare(params), batch)
    carry = jax.tree.map(lambda x: noise(x.shape, 5, jnp.float64), start)
    arrays = (params, noise((T, *batch, D), 7, jnp.float64), carry)
    return cell._replace(structure=structure), arrays, {"mask": flags[0], "resets": flags[1]}


def found(cell, arrays, engine, options):
    """Outputs, last carry, and the gradients in parameters, inputs and the carry."""

    def loss(params, xs, carry):
        last, ys = unroll(cell, params, xs, carry, engine=engine, **options)
        ends = sum(jnp.sum(jnp.cos(leaf)) for leaf in jax.tree.leaves(last))
        return jnp.sum(jnp.sin(ys)) + ends, (ys, last)

    return jax.jit(jax.value_and_grad(loss, (0, 1, 2), has_aux=True))(*arrays)


@pytest.mark.parametrize(
    ("name", "batch", "given"),
    [
        *((name, (2,), ("mask", "resets")) for name in ("gated", "mlstm", "rwkv7")),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in [
                ("gated", (), ()),
                ("mlstm", (), ()),
                ("rwkv7", (2, 2), ()),
                ("product", (2, 2), ("resets",)),
                ("residual", (2,), ("mask",)),
            ]
        ),
    ],
)
def test_chunks_are_a_scan(x64, name, batch, given):
    cell, arrays, flags = setting(name, batch)
    options = {flag: flags[flag] for flag in given}
    assert_close(found(cell, arrays, "associative", options), found(cell, arrays, "scan", options), 1e-10)


def test_chunks_keep_no_carry_of_a_step():
    """The gradient of a long sequence takes less memory than the carries of its steps."""
    steps, cell = 512, CELLS["deltarule"](64)
    params, xs = random_params(cell, D), jnp.ones((steps, 4, D))

    def memory(engine):
        loss = lambda p: jnp.mean(unroll(cell, p, xs, engine=engine)[1] ** 2)  # noqa: E731
        return jax.jit(jax.grad(loss)).lower(params).compile().memory_analysis().temp_size_in_bytes

    carries = steps * 4 * 16 * 64 * 4
    assert memory("associative") < carries < memory("scan")


@pytest.mark.parametrize("size", [1, 2, 7, 16])
def test_inverse_is_numpys_where_a_power_series_would_lose_all_digits(size):
    """The same key, written with a beta of two, at every step: powers of N reach a million."""
    below = jnp.tril(jnp.full((size, size), 2.0), -1)
    exact = np.linalg.inv(np.eye(size) + np.asarray(below, np.float64))
    np.testing.assert_allclose(inverse(below), exact, atol=1e-6)
    along = jnp.tril(noise((size, size)), -1)
    derivative = jax.jvp(inverse, (below,), (along,))[1]
    np.testing.assert_allclose(derivative, -exact @ np.asarray(along) @ exact, rtol=1e-4, atol=1e-4)
