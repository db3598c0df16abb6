"""Norms of the carry along a sequence, against a step at a time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import assert_close, noise, one_cell, one_step, random_params

from rnngen.diagnostics import carry_norms

T, B, D, H = 7, 3, 2, 4

norms_of = jax.jit(carry_norms, static_argnames="cell")


@pytest.mark.slow
def test_equal_those_of_single_steps(cell_name):
    cell = one_cell(cell_name, H)
    params, xs = random_params(cell, D), noise((T, B, D), 2)
    found = norms_of(cell, params, xs)
    carries = [cell.init_carry(cell.prepare(params), (B,))]
    for x in xs:
        carries.append(jax.tree.map(np.asarray, one_step(cell, params, carries[-1], x)[0]))
    for t, carry in enumerate(carries[1:]):
        named = carry if isinstance(carry, dict) else {"h": carry}
        last = carries[-1] if isinstance(carry, dict) else {"h": carries[-1]}
        for name, leaf in named.items():
            assert_close(found["norm"][name][t], np.linalg.norm(leaf, axis=-1), 1e-5)
            assert_close(found["to_last"][name][t], np.linalg.norm(leaf - last[name], axis=-1), 1e-5)


def test_padding_holds_the_carry_and_a_reset_starts_afresh():
    cell = one_cell("rnn", H)
    params, xs = random_params(cell, D), noise((T, B, D), 2)
    mask = jnp.ones((T, B), bool).at[4:].set(False)
    norms = norms_of(cell, params, xs, mask=mask)
    np.testing.assert_array_equal(norms["norm"]["h"][4:], np.tile(norms["norm"]["h"][3], (3, 1)))
    np.testing.assert_array_equal(norms["to_last"]["h"][3:], 0)
    resets = jnp.zeros((T, B), bool).at[2].set(True)
    after, fresh = norms_of(cell, params, xs, resets=resets), norms_of(cell, params, xs[2:])
    assert_close(after["norm"]["h"][2:], fresh["norm"]["h"])
