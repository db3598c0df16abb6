"""A report on checks, run one after another, with a line on each."""

import sysconfig
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rnngen.testing.case import Broken

Law = Callable[[Any], None]
# Folders whose files are not the user's.
OURS, PYTHONS = str(Path(__file__).parent.parent), sysconfig.get_path("stdlib")
NAME_WIDTH = 13


class Finding(NamedTuple):
    """The outcome of one check.

    Attributes:
      law: the name of the check.
      says: the requirement, in one line.
      wrong: the reason for a failure; "" if it passes.
    """

    law: str
    says: str
    wrong: str = ""

    def __str__(self):
        line = f"{'BAD' if self.wrong else 'ok '}  {self.law:<{NAME_WIDTH}}  {self.says}"
        return f"{line}\n     {'':<{NAME_WIDTH}}  {self.wrong}" if self.wrong else line


class Report(NamedTuple):
    """The outcome of all checks.

    Attributes:
      findings: in the order in which the checks ran.
      facts: lines about a cell or task that passes all of them.
      untried: True if other checks did not run, since they depend on a failed one.
    """

    findings: tuple[Finding, ...]
    facts: tuple[str, ...] = ()
    untried: bool = False

    @property
    def broken(self) -> tuple[str, ...]:
        """Return the names of the failed checks."""
        return tuple(finding.law for finding in self.findings if finding.wrong)

    def __str__(self):
        return "\n".join([*map(str, self.findings), *self.rest()])

    def require(self, what: str) -> None:
        """Raise AssertionError with the whole report where a check fails.

        Args:
          what: the thing checked, in a word.
        """
        assert not self.broken, f"the {what} breaks {', '.join(self.broken)}\n{self}"

    def rest(self) -> list[str]:
        """Make the lines after those of the findings.

        Returns:
          The lines.
        """
        untried = ["all other checks depend on this one, and were not run"] if self.untried else []
        return [*untried, *self.facts]


def try_laws(
    basic: Sequence[Law],
    others: Sequence[Law],
    find_wrong: Callable[[Law], str],
    on_finding: Callable[[Finding], object],
    facts: Callable[[], Sequence[str]] = tuple,
) -> Report:
    """Run checks in order.

    Args:
      basic: the checks on which all others depend; after a failure no other is run, since it would fail for a less
        clear reason.
      others: the other checks.
      find_wrong: runs a check and returns the reason of a failure, or "".
      on_finding: gets each finding as it is made.
      facts: makes the lines about what passes all checks.
    """
    findings: list[Finding] = []
    for law in (*basic, *others):
        findings.append(Finding(law.__name__, (law.__doc__ or "").strip(), find_wrong(law)))
        on_finding(findings[-1])
        if findings[-1].wrong and law in basic:
            return Report(tuple(findings), untried=True)
    report = Report(tuple(findings))
    return report if report.broken else report._replace(facts=tuple(facts()))


def describe_failure(attempt: Callable[[], object]) -> str:
    """Call a function, and return in one line why it failed, or ""."""
    try:
        attempt()
    except Broken as broken:
        return str(broken)
    except Exception as error:  # a user's function may raise anything
        first = (str(error).strip().splitlines() or [""])[0]
        return f"raised {type(error).__name__}{_place(error)}: {first:.300}"
    return ""


def _place(error: Exception) -> str:
    """Name the last line of the user's own files on the way to an error."""
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [f for f in frames if "site-packages" not in f.filename and not f.filename.startswith((OURS, PYTHONS))]
    return f" in {Path(theirs[-1].filename).name}, line {theirs[-1].lineno}" if theirs else ""
