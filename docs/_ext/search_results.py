"""What the search knows of each page beside its words: its first line, shown below its title, and its keywords.

It is a script, and not fetched from the page: a page that is read from a folder may fetch nothing.
"""

import json
import re
from pathlib import Path

from docutils import nodes
from sphinx.search.en import SearchEnglish

MOST = 160  # letters of a first line


def first_line(doctree):
    """Return the beginning of a page's first paragraph."""
    own = (p for p in doctree.findall(nodes.paragraph) if isinstance(p.parent, nodes.section | nodes.document))
    paragraph = next((p for p in own if p.astext().strip()), None)
    text = " ".join(paragraph.astext().replace("\\", "").split()) if paragraph is not None else ""  # TeX, bare
    return text if len(text) <= MOST else f"{text[:MOST].rsplit(' ', 1)[0]} ..."


def keywords(doctree):
    """Return the stems of the words that the head of a page names as its keywords."""
    given = " ".join(meta["content"] for meta in doctree.findall(nodes.meta) if meta.get("name") == "keywords")
    stem = SearchEnglish({}).stem
    return sorted({stem(word.lower()) for word in re.findall(r"\w+", given)})


def read(app, doctree):
    """Remember what is known of a page."""
    app.env.metadata[app.env.docname]["found"] = [first_line(doctree), keywords(doctree)]


def write(app, error):
    """Write the script."""
    if error is None and app.builder.format == "html":
        known = {name: of["found"] for name, of in sorted(app.env.metadata.items()) if "found" in of}
        script = f"const PAGES = {json.dumps(known, ensure_ascii=False)};\n"
        (Path(app.outdir) / "_static" / "pages.js").write_text(script, encoding="utf-8")


def load(app, pagename, templatename, context, doctree):
    """Load it on the search page, and after all others the script that orders the results."""
    if pagename == "search":
        app.add_js_file("pages.js")
        app.add_js_file("results.js", loading_method="defer")


def setup(app):
    """Register the hooks."""
    app.connect("doctree-read", read)
    app.connect("html-page-context", load)
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
