"""What every codec owes: prompts refused in words, values that its head draws, inputs that its model is fed."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnngen.datasets import CODECS

MEMBERS = {
    "audio": {"levels": 32, "components": 2},
    "bytes": {},
    "music": {"keys": 5},
    "pixels": {"side": 4},
    "pixels, many levels": {"side": 4, "levels": 16},
    "series": {"columns": ["a", "b"], "mean": [5.0, -1.0], "scale": [2.0, 0.5], "components": 2},
    "series, some missing": {"columns": ["a", "b"], "mean": [5.0, -1.0], "scale": [2.0, 0.5], "missing": True},
    "strokes": {"scale": 2.5, "components": 2},
    "text": {"vocabulary": "\nabc"},
    "trajectories": {"channels": 3},
}


def member(name):
    return CODECS[name.split(",")[0]](**json.loads(json.dumps(MEMBERS[name])))


def drawn(codec, length=10, seed=0):
    """Values `[t, ...]` as a model would draw them."""
    outputs = jnp.asarray(np.random.RandomState(seed).normal(size=(length, codec.head.num_params)), jnp.float32)
    return np.asarray(jax.jit(codec.head.sample)(jax.random.key(seed), outputs))


def test_every_medium_is_a_member():
    assert {name.split(",")[0] for name in MEMBERS} == set(CODECS)


@pytest.mark.parametrize("name", sorted(MEMBERS))
def test_what_is_drawn_becomes_an_input_like_the_first(name):
    """One step's input has the shape, the type and the range of the start, whatever the values' type on disk."""
    codec = member(name)
    spec, values = codec.input_spec, drawn(codec)
    fed = spec.feed(jnp.asarray(values))
    assert fed.shape == (10, *([] if spec.tokens else [spec.dim]))
    assert fed.shape[1:] == spec.start.shape
    assert fed.dtype == spec.start.dtype
    np.testing.assert_array_equal(spec.feed(jnp.asarray(values[3])), fed[3])
    np.testing.assert_array_equal(spec.feed(jnp.asarray(values).reshape(5, 2, *values.shape[1:]))[1, 1], fed[3])
    if np.issubdtype(values.dtype, np.integer):
        np.testing.assert_array_equal(spec.feed(jnp.asarray(values.astype(np.uint8))), fed)


@pytest.mark.parametrize(("name", "levels"), [("audio", 32), ("pixels, many levels", 16)])
def test_levels_are_fed_from_minus_one_to_one(name, levels):
    fed = member(name).input_spec.feed(jnp.arange(levels))
    np.testing.assert_allclose(fed[:, 0], np.linspace(-1, 1, levels), atol=1e-6)


@pytest.mark.parametrize("name", sorted(MEMBERS))
def test_written_files_are_named_after_the_path(name, tmp_path):
    codec, path = member(name), tmp_path / "at 0.5"
    one = codec.write([drawn(codec)], path)
    assert all(file.exists() and file.stem == "at 0.5" for file in one)
    three = codec.write([drawn(codec, 16, seed) for seed in range(3)], path)
    assert set(tmp_path.iterdir()) == set(one) | set(three)
    if name.startswith("pixels"):
        assert one == three == [tmp_path / "at 0.5.png"]
    else:
        assert {file.stem for file in three} == {"at 0.5_0", "at 0.5_1", "at 0.5_2"}


@pytest.mark.parametrize("name", sorted(set(MEMBERS) - {"text", "bytes"}))
def test_a_prompt_that_is_no_such_file(name, tmp_path):
    for content in (None, b"", b"\xff\xfe a text that is no prompt"):
        file = tmp_path / "prompt.x"
        if content is not None:
            file.write_bytes(content)
        if content == b"" and name in ("strokes", "trajectories"):
            assert member(name).read(str(file)).shape == (0, 3)
            continue
        with pytest.raises(ValueError, match=r"prompt\.x") as caught:
            member(name).read(str(file))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "kwargs", "message"),
    [
        ("audio", {"rate": 0}, "rate must be a positive whole number"),
        ("audio", {"levels": 1}, "levels must be a whole number from 2 to 65536, got 1"),
        ("music", {"keys": 89}, "keys must be at most 88, got 89"),
        ("pixels", {"side": 0}, "side must be a positive whole number"),
        ("pixels", {"levels": 1}, "levels must be from 2 to 256, got 1"),
        ("pixels", {"levels": 257}, "levels must be from 2 to 256, got 257"),
        ("series", {"columns": []}, "columns must be a positive whole number, got 0"),
        ("series", {"mean": [1.0], "scale": [0.0]}, "scale must be positive, got 0.0"),
        ("series", {"mean": [1.0], "scale": [1.0, 2.0]}, "scale must be 1 finite numbers"),
        ("strokes", {"scale": 0.0}, "scale must be positive, got 0.0"),
        ("text", {"vocabulary": ""}, "vocabulary must hold at least one character"),
        ("text", {"vocabulary": "aba"}, "vocabulary has 'a' more than once"),
        ("trajectories", {"channels": 1}, "channels must be at least 2, x and y, got 1"),
        ("trajectories", {"rate": -1.0}, "rate must be positive, got -1.0"),
    ],
)
def test_bad_arguments(name, kwargs, message):
    with pytest.raises(ValueError, match=message):
        CODECS[name](**kwargs)
