"""Helpers that every floor uses."""

import gc

import jax
import jax.numpy as jnp
import numpy as np

from rnngen.types import named, shapes_of


def test_shapes_are_computed_and_nothing_is_left_of_it():
    def double(x, y):
        return {"sum": x + y, "both": jnp.stack([x, y])}

    def ask():
        return shapes_of(double, jax.ShapeDtypeStruct((3,), jnp.float32), np.zeros(3, np.float32))

    found = ask()
    assert (found["sum"].shape, found["both"].shape, found["both"].dtype) == ((3,), (2, 3), jnp.float32)
    for _ in range(5):
        ask()
    gc.freeze()  # what others left: going through it takes seconds
    before = len(gc.get_objects())
    for _ in range(40):
        ask()
    gc.collect()
    left = len(gc.get_objects()) - before
    gc.unfreeze()
    assert left < 40


def test_leaves_have_their_paths_as_names():
    tree = {"layer_0": {"h": np.zeros(1), "c": np.ones(2)}, "layer_1": [np.full(3, 2.0)]}
    assert [(name, len(leaf)) for name, leaf in named(tree)] == [("layer_0/c", 2), ("layer_0/h", 1), ("layer_1/0", 3)]
    assert [name for name, _ in named(np.zeros(2))] == ["h"]
