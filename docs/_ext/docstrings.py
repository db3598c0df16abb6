"""From the docstrings as they read in a terminal to the pages of the API reference.

A docstring may hold Markdown's tables, paragraphs of equations, and stars and bars as mathematics has them.
"""

import inspect
import re

from rnngen.cells import CELLS

EARLY = 400  # before napoleon, which makes fields of "Args"


def with_blocks(text):
    """Return a docstring in lines: a paragraph of equations as a literal block, a table of Markdown as a directive."""
    lines = []
    for paragraph in re.split(r"\n\s*\n", text):
        rows = paragraph.splitlines()
        if len(rows) > 1 and sum(" = " in row for row in rows) > len(rows) / 2:
            lines += ["::", "", *(f"    {row}" for row in rows)]
        elif rows and all(row.startswith("|") for row in rows):
            lines += table(rows)
        else:
            lines += as_rst(paragraph).splitlines()
        lines.append("")
    return lines


def table(rows):
    """Return a table of Markdown as a `list-table`."""
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows if not re.fullmatch(r"[|:\s-]+", row)]
    lines = [f"   {'*' if n == 0 else ' '} - {cell}" for row in cells for n, cell in enumerate(row)]
    return [".. list-table::", "   :header-rows: 1", "", *lines]


def as_rst(text):
    """Return a paragraph with code between double backticks, and without meaning in the stars and bars elsewhere."""
    parts = [part if n % 2 else escape(part) for n, part in enumerate(text.split("`"))]
    for n in range(2, len(parts), 2):
        parts[n] = "\\ " + parts[n] if parts[n][:1].isalnum() else parts[n]
    return "``".join(parts)


def escape(text):
    """Escape stars and bars, but not the stars before the name of an argument."""
    return re.sub(r"(?m)^(\s*\*{1,2}\w+:)|([*|])", lambda found: found[1] or f"\\{found[2]}", text)


def rewrite(app, what, name, obj, options, lines):
    """Rewrite a docstring; that of a built-in cell gets the equations and the paper at the head of its file."""
    head = inspect.getdoc(inspect.getmodule(obj)) if what == "function" and obj in CELLS.values() else ""
    lines[:] = with_blocks(head or "") + with_blocks("\n".join(lines))


def skip_plain_fields(app, what, name, obj, skip, options):
    """Leave out a field of a NamedTuple, which the "Attributes" of the class describe."""
    return True if (getattr(obj, "__doc__", None) or "").startswith("Alias for field number") else None


def name_functions(app, what, name, obj, options, signature, returns):
    """Show a function that is a default by its name."""
    shown = re.sub(r"<function <lambda>>", "...", signature or "")
    return re.sub(r"<function ([\w.]+)>", r"\1", shown) or None, returns


def setup(app):
    """Register the hooks."""
    app.connect("autodoc-process-signature", name_functions)
    app.connect("autodoc-process-docstring", rewrite, priority=EARLY)
    app.connect("autodoc-skip-member", skip_plain_fields)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
