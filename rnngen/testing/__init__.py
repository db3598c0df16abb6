"""The laws that every cell keeps, for cells of one's own: `check_cell` in a test, `rnngen check-cell` at a terminal."""

from rnngen.testing.report import LAWS, Finding, Report, check_cell, examine_cell

__all__ = ["LAWS", "Finding", "Report", "check_cell", "examine_cell"]
