"""Strict JAX for every test, and the small pieces that many of them share."""

from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from rnngen.cells import CELLS
from rnngen.diagnostics.diagnoses import DIAGNOSES
from rnngen.models import build_model
from rnngen.tasks import TASKS
from rnngen.train import Diagnose, Experiment, Schedule, build_optimizer

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_debug_key_reuse", True)
# So that training shares its batches between devices, as it does wherever there are two cores.
jax.config.update("jax_num_cpu_devices", 2)
# Compiling is most of what the tests do, and many compile the same.
jax.config.update("jax_compilation_cache_dir", str(Path(__file__).parent.parent / ".pytest_cache" / "compiled"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


@pytest.fixture
def x64():
    """Double precision within a test."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(params=sorted(CELLS))
def cell_name(request):
    """Each built-in cell; a new one joins the tests by being in `CELLS`."""
    return request.param


def double(tree):
    """Float leaves as float64."""
    return jax.tree.map(lambda x: x.astype(jnp.float64) if jnp.issubdtype(x.dtype, jnp.floating) else x, tree)


def random_params(cell, input_dim, seed=0, scale=0.5):
    """Parameters with no zeros in them, so that every bias counts."""
    params = cell.init(jax.random.key(seed), input_dim)
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(seed + 100), len(leaves))
    noisy = [x + scale * jax.random.normal(k, x.shape, x.dtype) for x, k in zip(leaves, keys, strict=True)]
    return jax.tree.unflatten(tree, noisy)


def assert_close(actual, expected, tolerance=1e-6):
    """Equal trees to an absolute and relative tolerance; NaN fails."""
    jax.tree.map(lambda a, e: _close(a, e, tolerance), actual, expected)


def _close(actual, expected, tolerance):
    assert actual.shape == expected.shape
    assert jnp.isfinite(expected).all()
    assert bool((jnp.abs(actual - expected) <= tolerance * (1 + jnp.abs(expected))).all())


def make_model(cell="gru", task=None, hidden_dim=6, layers=1, **options):
    """A small model of a task (default: adding, eight steps)."""
    task = task or TASKS["adding"](8, eval_size=20)
    cells = [CELLS[cell](hidden_dim)] * layers
    return build_model(cells, task.input_spec, task.head, task.loss, **options), task


def make_experiment(cell="gru", steps=4, seed=0, task=None, diagnose=(), optimizer="adam", **schedule):
    """A small experiment that logs every two steps."""
    model, task = make_model(cell, task)
    settings = {"batch_size": 4, "log_every": 2, "eval_every": 2, "eval_batch_size": 8} | schedule
    optim = build_optimizer(optimizer, 1e-2, steps=steps, clip_norm=1.0)
    what = {name: DIAGNOSES[name]() for name in diagnose}
    return Experiment(model, task, optim, Schedule(steps, **settings), Diagnose(what=what, examples=4), seed)
