"""Pieces of HTML; every text that goes in is escaped here."""

import base64
import html
import math
from collections.abc import Iterable
from pathlib import Path

from rnngen.report.columns import Column

KINDS = {
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".wav": "audio/wav",
    ".mid": "audio/midi",
}
_IN_SCRIPT = {math.inf: "Infinity", -math.inf: "-Infinity"}


def element(tag: str, *inside: str, **attributes: str) -> str:
    """`<tag attributes>inside</tag>`; `inside` is HTML, attributes are texts. `class_` is the attribute class."""
    named = "".join(f' {name.rstrip("_")}="{html.escape(value)}"' for name, value in attributes.items())
    return f"<{tag}{named}>{''.join(inside)}</{tag}>"


def text(tag: str, words: object, **attributes: str) -> str:
    """An element around plain text."""
    return element(tag, html.escape(str(words)), **attributes)


def section(heading: str, name: str, *inside: str) -> str:
    """A section with its heading and an address within the page; nothing where it holds nothing."""
    return element("section", text("h2", heading), *inside, id=name) + "\n" if any(inside) else ""


def details(summary: str, *inside: str) -> str:
    """Something that opens on demand."""
    return element("details", text("summary", summary), *inside)


def pairs(rows: Iterable[tuple[str, str]], **attributes: str) -> str:
    """A list of names and what stands for each; rows without the latter are passed over."""
    return element("dl", *(text("dt", name) + text("dd", said) for name, said in rows if said), **attributes)


def table(columns: list[Column], caption: str) -> str:
    """A table that the page's script lets readers sort, within a box of its own that scrolls."""
    sides = ["number" if column.values is not None else "words" for column in columns]
    named = zip(columns, sides, strict=True)
    head = "".join(text("th", column.heading, scope="col", class_=side) for column, side in named)
    cells = zip(*[_cells(column, first=not place) for place, column in enumerate(columns)], strict=True)
    body = "\n".join(element("tr", *line) for line in cells)
    # Classes of <col> do not align cells, so that each number's cell is told by what it is sorted by.
    inside = element("caption", html.escape(caption)) + element("thead", element("tr", head)) + element("tbody", body)
    return scrolling(element("table", inside, class_="sortable"), caption)


def scrolling(inside: str, name: str) -> str:
    """A box that scrolls when it is too wide or too high, and that a keyboard reaches."""
    return element("div", inside, class_="scroll", tabindex="0", role="region", **{"aria-label": name})


def data_uri(path: Path) -> str:
    """The file within an address; its kind is one of `KINDS`."""
    return f"data:{KINDS[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode()}"


def _cells(column: Column, first: bool) -> list[str]:
    tag, scope = ("th", {"scope": "row"}) if first else ("td", {})
    if column.values is None:
        return [text(tag, cell, **scope) for cell in column.texts]
    pairs_of = zip(column.texts, column.values, strict=True)
    return [_number(tag, cell, **scope, **{"data-v": _IN_SCRIPT.get(v, f"{v:.9g}")}) for cell, v in pairs_of]


def _number(tag: str, cell: str, **attributes: str) -> str:
    """A number; where there is little room, its range goes below it, whole."""
    middle, bracket, rest = cell.partition(" [")
    if not bracket:
        return text(tag, cell, **attributes)
    return element(tag, text("span", middle), " ", text("span", f"[{rest}"), class_="range", **attributes)
