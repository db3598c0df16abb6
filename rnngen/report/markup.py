"""HTML pages from the files of `templates/`, where every text that goes in is escaped."""

import base64
import functools
from pathlib import Path
from typing import Any

import jinja2

KINDS = {
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".wav": "audio/wav",
    ".mid": "audio/midi",
}


def render(template: str, **values: Any) -> str:
    """Return the page that a template makes of these values."""
    return _templates().get_template(template).render(values)


def data_uri(path: Path) -> str:
    """Return the file within an address; its kind is one of `KINDS`."""
    return f"data:{KINDS[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode()}"


@functools.cache
def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("rnngen.report"),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
