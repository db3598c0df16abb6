"""check_task lets every built-in task pass, and finds every planted fault and names it."""

import faulty_tasks
import pytest
from conftest import READING

from rnngen.cli.main import main
from rnngen.datasets import TASKS
from rnngen.tasks import latch
from rnngen.testing import TASK_LAWS, check_task, examine_task

SMALL = {
    "adding": [{"length": 8}, {"length": 8, "min_length": 5, "eval_length": 12, "variant": "anywhere"}],
    "copy_memory": [{"length": 5}, {"length": 5, "variant": "bai", "train_size": 60, "eval_size": 50}],
    "delayed_xor": [{"length": 9, "min_length": 6, "delay": 4}],
    "latch": [{"length": 8}],
    "temporal_order": [{"length": 12}],
    "parity": [{"length": 6, "eval_length": (7, 9)}],
    "even_pairs": [{"length": 8}],
    "cycle_navigation": [{"length": 8}],
    "modular_counting": [{"length": 8, "label": "each"}],
    "modular_arithmetic": [{"length": 9}, {"length": 9, "brackets": True}],
    "word_problem": [{"length": 6, "tokens": "generators"}],
    "dyck": [{"length": 8, "depth": 2}],
    "counter_language": [{"length": 9, "letters": 3}],
    "reverse_string": [{"length": 4}],
    "duplicate_string": [{"length": 4}],
    "bucket_sort": [{"length": 4}],
    "associative_recall": [{"length": 9, "pairs": 3, "vocabulary": 10}],
    "mqar": [{"length": 16, "min_length": 12, "pairs": 3, "vocabulary": 10, "train_size": 60, "eval_size": 50}],
    "noisy_recall": [{"length": 13}],
    "fuzzy_recall": [{"length": 24, "pairs": 2}],
    "selective_copying": [{"length": 9, "count": 3}],
    "induction_heads": [{"length": 9, "min_length": 5}],
    "digits": [{}],
    "text": [{"source": "python"}],
}
QUICK = (faulty_tasks.has_more_features_than_it_says, faulty_tasks.has_a_negative_weight)


def test_every_task_that_needs_no_data_is_tried():
    assert set(SMALL) == set(TASKS) - READING | {"text"}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kwargs"), [(name, kwargs) for name, tried in SMALL.items() for kwargs in tried])
def test_built_in_tasks_keep_every_law(name, kwargs):
    check_task(TASKS[name](**kwargs))


@pytest.mark.parametrize(
    "fault",
    [f if f in QUICK else pytest.param(f, marks=pytest.mark.slow) for f in faulty_tasks.FAULTS],
    ids=lambda fault: fault.__name__,
)
def test_a_planted_fault_breaks_its_law_and_no_other(fault):
    law, message = faulty_tasks.FAULTS[fault]
    report = examine_task(fault(), measure=False)
    assert report.broken == (law,), report
    assert message in str(report)


def test_every_law_has_a_fault_that_breaks_it():
    assert {law for law, _ in faulty_tasks.FAULTS.values()} == set(TASK_LAWS)


def test_something_else_than_a_task():
    with pytest.raises(ValueError, match="expected a Task, got"):
        examine_task(latch)
    with pytest.raises(AssertionError, match=r"the task breaks batches\n"):
        check_task(faulty_tasks.has_more_features_than_it_says())


@pytest.mark.slow
def test_the_command(capsys):
    assert main(["check-task", "my_lab:short_latch", "--length=8"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("my_lab:short_latch(length=8)\nok   batches")
    assert "train endless; valid 20; test 20\nbaseline 0.6931; constant outputs reach 0.69" in said
    assert said.endswith('config.task = component("my_lab:short_latch", ...)\n')
    assert main(["check-task", "faulty_tasks:never_goes_on"]) == 1
    assert capsys.readouterr().out.endswith("broken: fresh\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "check-task: the following arguments are required: NAME"),
        (["addin"], "unknown task 'addin'; did you mean 'adding'?"),
        (["adding", "--lenght=3"], "config.task.kwargs.lenght: adding has no such argument; did you mean 'length'?"),
        (["adding", "--length=0"], "length must be a positive whole number, got 0"),
        (["adding", "length=3"], "unexpected argument 'length=3': arguments of the task are --NAME=VALUE"),
        (["my_lab:leaky", "--hidden-dim=3"], "my_lab:leaky makes a Cell, not a Task"),
    ],
)
def test_bad_input_is_one_line(capsys, arguments, message):
    assert main(["check-task", *arguments]) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert (said.out, said.err.count("\n")) == ("", 1)
