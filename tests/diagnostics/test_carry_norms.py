"""Norms of the carry along a sequence, against unrolling to each step."""

import jax
import jax.numpy as jnp
import numpy as np
from conftest import assert_close, random_params

from rnngen.cells import CELLS
from rnngen.diagnostics import carry_norms
from rnngen.engines import unroll

T, B, D, H = 7, 3, 2, 4


def test_equal_those_of_shorter_unrolls(cell_name):
    cell = CELLS[cell_name](H)
    params, xs = random_params(cell, D), jax.random.normal(jax.random.key(2), (T, B, D))
    found = carry_norms(cell, params, xs)
    carries = [unroll(cell, params, xs[:t])[0] for t in range(1, T + 1)]
    for t, carry in enumerate(carries):
        named = carry if isinstance(carry, dict) else {"h": carry}
        last = carries[-1] if isinstance(carry, dict) else {"h": carries[-1]}
        for name, leaf in named.items():
            assert_close(found["norm"][name][t], jnp.linalg.norm(leaf, axis=-1), 1e-5)
            assert_close(found["to_last"][name][t], jnp.linalg.norm(leaf - last[name], axis=-1), 1e-5)


def test_padding_holds_the_carry_and_a_reset_starts_afresh():
    cell = CELLS["rnn"](H)
    params, xs = random_params(cell, D), jax.random.normal(jax.random.key(2), (T, B, D))
    mask = jnp.ones((T, B), bool).at[4:].set(False)
    norms = carry_norms(cell, params, xs, mask=mask)
    np.testing.assert_array_equal(norms["norm"]["h"][4:], np.tile(norms["norm"]["h"][3], (3, 1)))
    np.testing.assert_array_equal(norms["to_last"]["h"][3:], 0)
    resets = jnp.zeros((T, B), bool).at[2].set(True)
    assert_close(
        carry_norms(cell, params, xs, resets=resets)["norm"]["h"][2:], carry_norms(cell, params, xs[2:])["norm"]["h"]
    )
