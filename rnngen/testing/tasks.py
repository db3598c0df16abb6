"""The checks of a task: `check_task` in a test, `rnngen check-task` at a terminal."""

from collections.abc import Callable

from rnngen.tasks import Task
from rnngen.tasks.sampling import SPLITS
from rnngen.testing import task_data, task_laws
from rnngen.testing.report import Finding, Law, Report, describe_failure, try_laws
from rnngen.testing.task_case import TaskCase

CONTRACT: tuple[Law, ...] = (task_laws.batches, task_data.weights, task_laws.loss)
REST: tuple[Law, ...] = (
    task_laws.compiles_once,
    task_data.repeatable,
    task_data.fresh,
    task_data.fixed,
    task_data.sizes,
    task_data.disjoint,
    task_laws.adds_up,
    task_laws.padding,
    task_laws.baseline,
)
TASK_LAWS: dict[str, Law] = {law.__name__: law for law in (*CONTRACT, *REST)}
# The tasks to which a check applies; all others apply to every task.
APPLIES: dict[Law, Callable[[Task], bool]] = {
    task_laws.compiles_once: lambda task: not task.data.on_device,
    task_data.fresh: lambda task: task.data.sizes["train"] is None,
    task_data.sizes: lambda task: task.data.chunks is None,
    task_data.disjoint: lambda task: task.data.sizes["train"] is not None,
}


def examine_task(
    task: Task, measure: bool = True, on_finding: Callable[[Finding], object] = lambda finding: None
) -> Report:
    """Run every check of a task. Finite splits are drawn completely.

    Args:
      task: the task.
      measure: also describe its data and its baseline if it passes all checks.
      on_finding: gets each finding as it is made.

    Returns:
      What was found.

    Raises:
      ValueError: `task` is not a Task.
    """
    if not isinstance(task, Task):
        raise ValueError(f"expected a Task, got {task!r:.80}")
    case = TaskCase(task)
    rest = [law for law in REST if law not in APPLIES or APPLIES[law](task)]
    describe = (lambda: facts(case)) if measure else tuple
    return try_laws(CONTRACT, rest, lambda law: describe_failure(lambda: law(case)), on_finding, describe)


def check_task(task: Task) -> None:
    """Run every check of a task, in a test of your own.

    Args:
      task: the task.

    Raises:
      AssertionError: a check fails; the message is the whole report.
    """
    examine_task(task, measure=False).require("task")


def facts(case: TaskCase) -> list[str]:
    """Describe the data and the baseline of a task that passes its checks, in lines."""
    task, batch = case.task, case.draw("train")
    reached, error = case.best_constant
    arrays = {"inputs": batch.inputs, "targets": batch.targets}
    shown = [f"{name} {x.dtype}[{', '.join(['t', 'b', *map(str, x.shape[2:])])}]" for name, x in arrays.items()]
    counts = {split: "endless" if (size := task.data.sizes[split]) is None else f"{size:,}" for split in SPLITS}
    return [
        f"{', '.join(shown)}; {len(batch.weights)} steps, {task.objective.head.num_params} outputs",
        "; ".join(f"{split} {count}" for split, count in counts.items()),
        f"baseline {task.expected_baseline('test'):.4g}; constant outputs reach {reached:.4g} +- {error:.2g} on test",
    ]
