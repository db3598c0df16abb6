"""Mutated configs, launches, spaces and command lines: refused in one line, or built so that they train."""

import functools
import itertools
import resource
import types
from pathlib import Path

import jax
import pytest
from conftest import READING
from mutate import ODD, Mutator, within

from rnngen.cells import CELLS
from rnngen.cli.main import main
from rnngen.config import base_config, build, component, resolve
from rnngen.config.check import ConfigError, call, set_override
from rnngen.config.resolve import COMPONENTS
from rnngen.datasets import TASKS
from rnngen.diagnostics import DIAGNOSES
from rnngen.models import count_params
from rnngen.sweep import ranges
from rnngen.sweep.launch import base_launch, resolve_launch
from rnngen.sweep.plan import plan
from rnngen.sweep.ranges import search
from rnngen.sweep.sampling import make_study
from rnngen.sweep.study import planned
from rnngen.training import sharding
from rnngen.training.compiled import _first_state, _train_program
from rnngen.training.prefetch import feed_shapes

NAMES = (
    *(name for _, table, _ in COMPONENTS.values() for name in table),
    *DIAGNOSES,
    *("accuracy", "best", "bfloat16", "hochreiter", "../lstm", "nowhere:x", ":", "os:system"),
    *("rnngen.cells:lstm", "rnngen.cells:nothing", "rnngen.cells:"),
)
SECONDS = 20  # that one config may take at the most
MODEST = 10_000  # parameters of what is traced
MEMORY = 8 * 2**30  # bytes that all may take


OF_TASK = {
    "text": {"source": "python", "chunk": 4, "eval_steps": 64},
    "associative_recall": {"pairs": 2},
    "mqar": {"pairs": 2, "vocabulary": 8},
    "selective_copying": {"count": 3},
}


def of(name, **kwargs):
    return component(name, **kwargs).to_dict()


def small(cell, task, **more):
    """A config that needs no data and whose program is quick to trace, with every argument of every part in it."""
    config = base_config().to_dict()
    config["cell"] = of(cell, hidden_dim=4)
    sizes = {"length": 12, "eval_size": 8} if task not in ("digits", "text") else {}
    sizes |= OF_TASK.get(task, {})
    config["task"] = of(task, **sizes)
    config["train"] |= {"steps": 4, "batch_size": 2, "log_every": 2, "eval_every": 2, "save_every": 2}
    config["train"] |= {"eval_batch_size": 4}
    config["diagnose"] = {"every": 2, "what": [of("gradient_flow")], "examples": 2}
    for place, value in more.items():
        set_override(config, place.replace("__", "."), value)
    return resolve(config).to_dict()


# Each is made when it is drawn, as most never are.
BASES = [
    functools.partial(small, cell, task)
    for cell, task in itertools.product(CELLS, sorted(set(TASKS) - READING | {"text"}))
]
BASES += [
    lambda: small("gru", "latch", optim__regularizer=of("omega"), model__engine=of("fused")),
    lambda: small("rnn", "adding", optim__regularizer=of("flossing", exponents=2), optim__name="adamw"),
    lambda: small("mingru", "latch", model__engine=of("newton"), optim__schedule=of("cosine")),
    lambda: small("lstm", "text", model__latent=of("vrnn", latent_dim=2, feature_dim=3), optim__name="sgd"),
    lambda: small("lstm", "text", model__embed_dim=3, model__dropout=0.1, optim__schedule=of("warmup_cosine")),
    lambda: small("rnn", "adding", model__param_budget=300, model__head_init=of("normal")),
    lambda: small("gru", "latch", diagnose__what=[of("length_generalisation", task="latch", lengths=[5, 6])]),
    lambda: small("gru", "latch", train__flop_budget=1e6),
    lambda: small("gru", "digits", diagnose__what=sorted(set(DIAGNOSES) - {"length_generalisation"})),
]
FIRST = BASES[0]()


def fault(action, given):
    """None where the action works, or refuses in one line; else what is wrong."""
    try:
        with within(SECONDS):
            action(given)
    except ConfigError as error:
        line = str(error)
        return (
            None if line and "\n" not in line and len(line) < 1100 else f"unclear: {line[:300]!r} of {written(given)}"
        )
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:300]} of {written(given)}"
    return None


def written(given):
    """The value, as far as it can be written."""
    try:
        return repr(given)[:2000]
    except RecursionError:
        return "a deep one"


TRACED = set()


def train_abstractly(config):
    """Resolve, build, and trace the programs of what is accepted."""
    with jax.debug_key_reuse(False):  # which stores a mark for every key of a batch, and a budget traces any
        resolved = resolve(config)
    assert resolve(resolved.to_dict()) == resolved
    experiment = build(resolved)
    if experiment.program not in TRACED and is_modest(experiment):
        TRACED.add(experiment.program)
        _trace(experiment)


def _trace(experiment):
    """The program of training, by shapes alone."""
    state = jax.eval_shape(lambda: _first_state(experiment))
    steps = experiment.train.lengths()[0]
    fed = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), feed_shapes(experiment, 1, steps))
    jax.eval_shape(_train_program(experiment, sharding.mesh_of(1), steps), state, fed)


def is_modest(experiment):
    """Whether tracing is quick, and allocates little."""
    task, schedule = experiment.task, experiment.train
    examples = max(schedule.examples(task), schedule.eval_batch_size, experiment.diagnose.examples)
    steps = max(task.data.lengths["valid"][1], task.data.lengths["train"][1])
    batches = task.batches("valid", schedule.eval_batch_size)
    return count_params(experiment.model) < MODEST and examples * steps * batches < 10**6


@pytest.fixture(autouse=True)
def little_memory():
    """A value that would take all memory is an error of its own test, and does not end the process."""
    used = Path("/proc/self/statm")
    before = resource.getrlimit(resource.RLIMIT_AS)
    if used.exists():
        size = int(used.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """A set that would be fetched is refused at once, as where there is no network."""

    def refused(name, file):
        raise ValueError(f"{file} could not be fetched")

    monkeypatch.setattr("rnngen.datasets.paths.fetch", refused)
    monkeypatch.delenv("RNNGEN_DATA", raising=False)


def test_mutated_configs(faults):
    count = faults.count(150, 10_000)
    mutator = Mutator(1, NAMES)
    found = [fault(train_abstractly, mutator.value(mutator.random.choice(BASES)())) for _ in range(count)]
    faults.tell("mutated config", count, filter(None, found))


OVERRIDES = {
    "cell.name": "gru",
    "seed": 3,
    "task.kwargs": {"length": 5},
    "optim.learning_rate": 0.1,
    "cell": FIRST["cell"],
}
SPACE = [{"cell.name": "gru", "seed": seed, "optim.learning_rate": 0.1} for seed in range(3)]
SEARCH = {
    "method": "random",
    "space": {"optim.learning_rate": [0.1, 0.2], "task.kwargs.length": [5, 6], "cell.name": ["gru", "rnn"]},
    "metric": "loss",
    "mode": "min",
    "trials": 3,
    "seed": 1,
    "pruner": {"name": "asha", "first": 2, "factor": 4},
}
LAUNCH = base_launch().to_dict() | {"pack": 2, "executor": component("slurm", workers=2).to_dict()}
RANGES = {"uniform": [0.1, 0.2], "loguniform": [0.1, 1.0], "integers": [1, 5, 2], "choice": [["gru", "rnn"]]}


def written_in_a_file(make):
    """What `get_sweep()` of a config file gives."""
    return call("mine.py", types.SimpleNamespace(get_sweep=make), "get_sweep")


def ranges_of(given):
    """Each kind of range."""
    for name, arguments in given.items() if isinstance(given, dict) else ():
        if name in RANGES:
            written_in_a_file(lambda name=name, arguments=arguments: getattr(ranges, name)(*arguments))


def search_sweep(arguments):
    """What a driver asks of a search before it begins."""
    made = written_in_a_file(lambda: search(**arguments))
    if made.trials < 100:
        planned(FIRST, made)
        make_study(made, FIRST)


@pytest.mark.parametrize(
    ("name", "action", "base"),
    [
        ("mutated overrides", lambda given: plan(FIRST, [given]), OVERRIDES),
        ("mutated space", lambda given: plan(FIRST, given), SPACE),
        ("mutated search", search_sweep, SEARCH),
        ("mutated ranges", ranges_of, RANGES),
        ("mutated launch", lambda given: resolve_launch(given if isinstance(given, dict) else {}), LAUNCH),
    ],
)
def test_mutated_sweeps(faults, name, action, base):
    count = faults.count(30, 2000)
    mutator = Mutator(2, NAMES)
    found = [fault(action, mutator.value(base)) for _ in range(count)]
    faults.tell(name, count, filter(None, found))


KEYS = (
    "cell.name",
    "cell.kwargs.hidden_dim",
    "task.kwargs.length",
    "train.steps",
    "model.dropout",
    "seed",
    "optim.name",
)
COMMANDS = ("train", "sweep")


def command_line(random, folder):
    """A command line of which one part at least is wrong."""
    plain = [value for value in ODD if isinstance(value, str | int | float | None)]
    # What stderr could not show as it is, it escapes; the one that pytest puts in its place does not.
    wrong = str(random.choice(plain)).encode("utf-8", "replace").decode() or " "
    key = random.choice(KEYS)
    given = random.choice(
        [
            f"--config.{key}x={wrong}",
            f"--config.{key}.x.y={wrong}",
            f"--config.{wrong}={key}",
            f"--{wrong}",
            f"x{wrong}",
        ]
    )
    arguments = [f"--config={folder}/mine.py", f"--workdir={folder}/out", "--config.seed=-1", given]
    random.shuffle(arguments)
    return [random.choice(COMMANDS), *arguments]


def test_mutated_command_lines(faults, tmp_path, capsys):
    mine = "from rnngen.config import base_config as get_config\nget_sweep = lambda: [{'seed': 1}]\n"
    (tmp_path / "mine.py").write_text(mine)
    count, mutator, found = faults.count(150, 3000), Mutator(3), []
    for _ in range(count):
        arguments = command_line(mutator.random, tmp_path)
        try:
            with within(SECONDS):
                status = main(arguments)
        except Exception as error:
            found.append(f"{type(error).__name__}: {error} of {arguments}")
            continue
        caught = capsys.readouterr()
        if status != 2 or caught.err.count("\n") != 1 or caught.out:
            found.append(f"{status} {caught.err!r} of {arguments}")
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix == ".py" or path.name == "out") == ["mine.py"]
    faults.tell("mutated command line", count, found)
