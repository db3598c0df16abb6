"""The table of a sweep for a paper: a plain `tabular` that needs no package.

pandas' `Styler.to_latex` refuses equal headings and leaves `<`, `>`, `|` and a row's first `[` to LaTeX.
"""

import re

import pandas as pd

from rnngen.report.columns import Column, columns
from rnngen.runs.settings import NOTHING

# Beside TeX's own ten: three signs that its first fonts lack, and the dash of a cell without a value.
_ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    NOTHING: "--",
} | {sign: f"\\{sign}" for sign in "_%&#${}"}
_NUMBER = re.compile(r"(?<![\w.])(-?)(inf|\d+(?:\.\d+)?)(?:e([+-]\d+))?(?![\w.])")


def latex(rows: pd.DataFrame) -> str:
    """Write the table as a LaTeX `tabular`: medians as `0.12 [0.1, 0.15]`, words to the left and numbers to the right.

    Compiles in any LaTeX without a package; where booktabs is loaded, its rules can take the place of the horizontal
    lines.

    Args:
      rows: the table of `summary`.

    Returns:
      The `tabular`.
    """
    found = columns(rows)
    sides = "".join("l" if column.values is None else "r" for column in found)
    lines = [[escape(column.heading) for column in found], *zip(*map(_cells, found), strict=True)]
    head, *body = [f"{_safe(' & '.join(line))} \\\\" for line in lines]
    rows_of_tex = [f"\\begin{{tabular}}{{{sides}}}", r"\hline", head, r"\hline", *body, r"\hline", r"\end{tabular}"]
    return "\n".join(rows_of_tex) + "\n"


def escape(text: str) -> str:
    """The text with every sign that LaTeX would read as a command made to print as itself."""
    return "".join(_ESCAPES.get(sign, sign) for sign in text)


def _cells(column: Column) -> list[str]:
    return [escape(text) if column.values is None else _NUMBER.sub(_mathematics, escape(text)) for text in column.texts]


def _mathematics(found: re.Match) -> str:
    """Powers, infinities and minus signs as mathematics; other numbers as they are."""
    sign, digits, power = found.groups()
    digits = digits.replace("inf", r"\infty")
    if power:
        return rf"${sign}{digits} \times 10^{{{int(power)}}}$"
    return f"${sign}{digits}$" if sign or "infty" in digits else digits


def _safe(line: str) -> str:
    """A line that the end of the one before does not swallow: LaTeX reads a bracket or star after it as an option."""
    return f"{{}}{line}" if line.startswith(("[", "*")) else line
