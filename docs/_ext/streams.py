"""What a cell of a notebook writes, in one piece: myst-nb begins a new line wherever a program's output was cut."""

from myst_nb.core import render


def whole(outputs):
    """Join the parts of each stream as they were written."""
    joined: list[dict] = []
    streams: dict[str, dict] = {}
    for output in outputs:
        if output["output_type"] == "stream" and output["name"] in streams:
            streams[output["name"]]["text"] += output["text"]
            continue
        joined.append(output)
        if output["output_type"] == "stream":
            streams[output["name"]] = output
    return joined


def setup(app):
    """Put it in the place of myst-nb's own."""
    render.coalesce_streams = whole
    return {"parallel_read_safe": True, "parallel_write_safe": True}
