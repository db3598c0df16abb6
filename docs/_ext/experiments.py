"""The README of the experiments as the head of a section: as a page it also lists those of each experiment."""

PAGES = """
```{toctree}
:hidden:
:glob:

*/README
```
"""


def list_pages(app, docname, source):
    """Append what only the docs need."""
    if docname == "experiments/README":
        source[0] += PAGES


def setup(app):
    """Register the hook."""
    app.connect("source-read", list_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
