"""A report on laws: tried one after another, each finding in words for a person to act on."""

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
    """One law that was tried.

    Attributes:
      law: its name.
      says: what it asks, in one line.
      wrong: what breaks it; "" where it is kept.
    """

    law: str
    says: str
    wrong: str = ""

    def __str__(self):
        line = f"{'BAD' if self.wrong else 'ok '}  {self.law:<{NAME_WIDTH}}  {self.says}"
        return f"{line}\n     {'':<{NAME_WIDTH}}  {self.wrong}" if self.wrong else line


class Report(NamedTuple):
    """What came of all laws.

    Attributes:
      findings: in the order in which the laws were tried.
      facts: lines about what keeps them all.
      untried: True where other laws were not tried, since they rest on a broken one.
    """

    findings: tuple[Finding, ...]
    facts: tuple[str, ...] = ()
    untried: bool = False

    @property
    def broken(self) -> tuple[str, ...]:
        """The names of the laws that are broken."""
        return tuple(finding.law for finding in self.findings if finding.wrong)

    def __str__(self):
        return "\n".join([*map(str, self.findings), *self.rest()])

    def rest(self) -> list[str]:
        """The lines after those of the findings."""
        untried = ["the other laws rest on this one, and were not tried"] if self.untried else []
        return [*untried, *self.facts]


def try_laws(
    basic: Sequence[Law],
    others: Sequence[Law],
    find_wrong: Callable[[Law], str],
    on_finding: Callable[[Finding], object],
) -> Report:
    """Try laws in order.

    Args:
      basic: the laws on which all that follow rest; after a broken one, no other is tried, since what breaks the
        contract fails in any other way too, and says less of why.
      others: the other laws.
      find_wrong: says what breaks a law, "" for nothing.
      on_finding: gets each finding as it is made.
    """
    findings: list[Finding] = []
    for law in (*basic, *others):
        findings.append(Finding(law.__name__, (law.__doc__ or "").strip(), find_wrong(law)))
        on_finding(findings[-1])
        if findings[-1].wrong and law in basic:
            return Report(tuple(findings), untried=True)
    return Report(tuple(findings))


def describe_failure(attempt: Callable[[], object]) -> str:
    """Run something, and describe in one line why it failed; "" where it did not."""
    try:
        attempt()
    except Broken as broken:
        return str(broken)
    except Exception as error:  # a user's function may fail in any way
        first = (str(error).strip().splitlines() or [""])[0]
        return f"raised {type(error).__name__}{_place(error)}: {first:.300}"
    return ""


def _place(error: Exception) -> str:
    """Name the last line of the user's own files on the way to an error."""
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [f for f in frames if "site-packages" not in f.filename and not f.filename.startswith((OURS, PYTHONS))]
    return f" in {Path(theirs[-1].filename).name}, line {theirs[-1].lineno}" if theirs else ""
