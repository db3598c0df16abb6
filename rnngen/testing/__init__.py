"""Checks of the contracts of cells and tasks, `check_cell` and `check_task`, for tests of your own."""

from rnngen.testing.cells import LAWS, check_cell, examine_cell
from rnngen.testing.report import Finding, Report
from rnngen.testing.tasks import TASK_LAWS, check_task, examine_task

__all__ = ["LAWS", "TASK_LAWS", "Finding", "Report", "check_cell", "check_task", "examine_cell", "examine_task"]
