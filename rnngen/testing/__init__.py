"""The laws that every cell and every task keeps: `check_cell`, `check_task` in a test of your own."""

from rnngen.testing.cells import LAWS, check_cell, examine_cell
from rnngen.testing.report import Finding, Report
from rnngen.testing.tasks import TASK_LAWS, check_task, examine_task

__all__ = ["LAWS", "TASK_LAWS", "Finding", "Report", "check_cell", "check_task", "examine_cell", "examine_task"]
