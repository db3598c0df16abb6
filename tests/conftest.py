"""Strict JAX for every test, and the small pieces that many of them share."""

import functools
import os
from pathlib import Path
from zlib import crc32

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnngen.cells import CELLS, Cell
from rnngen.datasets import TASKS
from rnngen.diagnostics import DIAGNOSES
from rnngen.engines import unroll
from rnngen.models.stack import build_model
from rnngen.testing.case import noise
from rnngen.training import DiagnosticsConfig, Experiment, TrainConfig, build_optimizer

# LLVM's optimiser is half of what it takes to compile a small program, and not what is tested: not here, and not in the
# processes that tests start. Read when JAX starts, which importing it does not do.
FLAGS = ["--xla_backend_optimization_level=0", "--xla_llvm_disable_expensive_passes=true"]
# Nor are its newer emitters of fused operations, which take as long again; later versions have no others, and end a
# process that asks.
if jax.__version_info__ < (0, 11):
    FLAGS.append("--xla_cpu_use_fusion_emitters=false")
os.environ.setdefault("XLA_FLAGS", " ".join(FLAGS))
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_debug_key_reuse", True)
# So that training shares its batches between devices, as it does wherever there are two cores.
jax.config.update("jax_num_cpu_devices", 2)
# Compiling is most of what the tests do, and many compile the same.
jax.config.update("jax_compilation_cache_dir", str(Path(__file__).parent.parent / ".pytest_cache" / "compiled"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


# Tasks that read the files of a set, which may have to be downloaded; all others need nothing but this repository.
READING = {"binarised_mnist", "mnist", "music", "names", "speech", "strokes", "text", "trajectories"}
OWN = {"arrays", "series"}  # of data of one's own
READING |= OWN
DATA = os.environ.get("RNNGEN_DATA", "")
needs_data = pytest.mark.skipif(not DATA, reason="RNNGEN_DATA does not name a folder of sets")


@pytest.fixture
def x64():
    """Double precision within a test."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def store(tmp_path, monkeypatch):
    """The folder of stored arrays, which ends with the test."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / "rnngen" / "arrays"


# The cells that tests of diagnoses, models and training go through; those of cells and engines go through all.
FOUR = {name: CELLS[name] for name in ("gru", "lstm", "mingru", "rnn")}


def slow(*values):
    """Parameters that are tried with the slow tests."""
    return [pytest.param(value, marks=pytest.mark.slow) for value in values]


@pytest.fixture(params=["lstm", "mingru", *slow("gru", "rnn")])
def cell_name(request):
    """Each of the four, of which one that is gated and one that is affine are quick."""
    return request.param


@functools.cache
def one_cell(name, hidden_dim, **options):
    """The same object whenever asked, so that what is jitted over a cell is compiled once for all tests of it."""
    return CELLS[name](hidden_dim, **options)


# Outside of jit every call of `unroll` compiles its loop anew, and an operation at a time what is around it.
unrolled = jax.jit(unroll, static_argnames=("cell", "engine", "reverse"))


@functools.partial(jax.jit, static_argnames="cell")
def one_step(cell, params, carry, x):
    """(carry, y) of one step from a raw input: what a loop in plain Python repeats."""
    prepared = cell.prepare(params)
    return cell.step(prepared, carry, cell.project(prepared, x))


def counting_cell(step):
    """A cell whose carry has two floats and a whole number that counts the steps: `step(h, n, u)` is the next h."""
    return Cell(
        init=lambda key, d: {},
        init_carry=lambda params, batch: {"h": jnp.zeros((*batch, 2)), "n": jnp.zeros(batch, jnp.int32)},
        step=lambda p, c, u: ({"h": step(c["h"], c["n"][..., None], u), "n": c["n"] + 1}, c["h"]),
        output_dim=2,
    )


def double(tree):
    """Float leaves as float64."""
    return jax.tree.map(lambda x: x.astype(jnp.float64) if jnp.issubdtype(x.dtype, jnp.floating) else x, tree)


def random_params(cell, input_dim, seed=0, scale=0.5):
    """Parameters of the sizes that `init` draws and `scale` more, with no zeros in them, so that every bias counts."""
    leaves, tree = jax.tree.flatten(jax.eval_shape(lambda key: cell.init(key, input_dim), jax.random.key(seed)))
    size = lambda shape: (scale**2 + (1 / shape[0] if len(shape) == 2 else 0)) ** 0.5  # noqa: E731
    return jax.tree.unflatten(tree, [size(x.shape) * noise(x.shape, seed + i, x.dtype) for i, x in enumerate(leaves)])


@functools.cache
def _sampler(sample, split, size):
    return jax.jit(lambda key, step: sample(split, key, step, size))


def draw_batch(task, split="train", size=4, seed=1, step=0):
    """A task's batch, by one program for all its steps and seeds."""
    return _sampler(task.data.sample, split, size)(jax.random.key(seed), jnp.int32(step))


def means(sums):
    """{metric: mean} from {metric: (sum, count)}."""
    return {name: float(total) / float(count) for name, (total, count) in sums.items()}


def assert_close(actual, expected, tolerance=1e-6):
    """Equal trees to an absolute and relative tolerance; NaN fails."""
    jax.tree.map(lambda a, e: _close(a, e, tolerance), actual, expected)


def _close(actual, expected, tolerance):
    assert actual.shape == expected.shape
    assert jnp.result_type(actual) == jnp.result_type(expected)
    # In NumPy, which compiles nothing for a new shape.
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    assert np.isfinite(expected).all()
    assert (np.abs(actual - expected) <= tolerance * (1 + np.abs(expected))).all(), np.abs(actual - expected).max()


def make_model(cell="gru", task=None, hidden_dim=6, layers=1, **options):
    """A small model of a task (default: adding, eight steps)."""
    task = task or TASKS["adding"](8, eval_size=20)
    cells = [CELLS[cell](hidden_dim)] * layers
    return build_model(cells, task.data.input_spec, task.objective.head, task.objective.loss, **options), task


def make_experiment(cell="gru", steps=4, seed=0, task=None, diagnose=(), optimizer="adam", **schedule):
    """A small experiment that logs every two steps."""
    model, task = make_model(cell, task)
    settings = {"batch_size": 4, "log_every": 2, "eval_every": 2, "eval_batch_size": 8} | schedule
    optim = build_optimizer(optimizer, 1e-2, steps=steps, clip_norm=1.0)
    what = {name: DIAGNOSES[name]() for name in diagnose}
    return Experiment(
        model, task, optim, TrainConfig(steps, **settings), DiagnosticsConfig(what=what, examples=4), seed
    )


def pytest_addoption(parser):
    parser.addoption("--faults", action="store_true", help="inject every fault as often as tests/README.md says")
    parser.addoption("--part", metavar="N/M", help="the quick tests and, of the slow ones, part N of M, from 0 on")


def pytest_configure(config):
    """The full counts are of all tests, and a part is of the slow ones too."""
    if (config.getoption("--faults") or config.getoption("--part")) and config.option.markexpr == "not slow":
        config.option.markexpr = ""


def pytest_collection_modifyitems(config, items):
    """Leave out the slow tests of other parts."""
    if chosen := config.getoption("--part"):
        others = {test for test in items if test.get_closest_marker("slow") and not is_in_part(test.nodeid, chosen)}
        config.hook.pytest_deselected(items=list(others))
        items[:] = [test for test in items if test not in others]


def is_in_part(test, chosen):
    """Whether a test, by its name, is in a part such as 0/4; each is in one part of the four."""
    part, slash, parts = chosen.partition("/")
    if not (slash and part.isdigit() and parts.isdigit() and int(part) < int(parts)):
        raise pytest.UsageError(f"--part: {chosen!r} is no part such as 0/4, which is the first of four")
    return crc32(test.encode()) % int(parts) == int(part)


class Faults:
    """How often a test injects its fault, and what came of it."""

    def __init__(self, full, record):
        self._full, self._record = full, record

    def count(self, short, full):
        """`short`, or `full` with --faults."""
        return full if self._full else short

    def tell(self, fault, tried, lost):
        """Put the fault into the table at the end, and fail where anything was lost."""
        lost = list(lost)
        self._record("fault", [fault, tried, len(lost)])
        print(*lost[:5], sep="\n")  # in full, as an assertion does not
        assert not lost


@pytest.fixture
def faults(request, record_property):
    """See `Faults`."""
    return Faults(request.config.getoption("--faults"), record_property)


def pytest_terminal_summary(terminalreporter):
    """The faults that were injected: how often, and how often something was lost."""
    told = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if name == "fault" and report.when == "call":
                    fault, tried, lost = value
                    before = told.get(fault, (0, 0))
                    told[fault] = (before[0] + tried, before[1] + lost)
    if told:
        terminalreporter.section("faults")
        width = max(map(len, told))
        terminalreporter.write_line(f"{'fault':<{width}}  tried   lost")
        for fault, (tried, lost) in sorted(told.items()):
            terminalreporter.write_line(f"{fault:<{width}}  {tried:>5}  {lost:>5}")
