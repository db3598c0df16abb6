"""What trained models made, from the `samples/` of trials' folders: text, pictures, sound."""

from itertools import islice
from pathlib import Path

from rnngen.report.markup import KINDS, data_uri, element, text
from rnngen.runs.sweep import Sweep

PER_SETTING, LARGEST, ALTOGETHER = 3, 1_500_000, 6_000_000  # files, bytes of one (half a minute of sound), of all


def samples(sweep: Sweep) -> str:
    """Return the samples as HTML, at most three a setting and 1.5 MB each; nothing where there are none."""
    found: dict[str, list[Path]] = {}
    for run in sweep:
        files = sorted(path for path in (run.path / "samples").glob("*") if path.suffix in (*KINDS, ".txt"))
        found.setdefault(str(sweep.setting_names[run.name]), []).extend(files)
    shown, room = [], ALTOGETHER
    for setting, files in found.items():
        small = [path for path in files if path.stat().st_size <= min(LARGEST, room)]
        for path in islice(small, PER_SETTING):
            room -= path.stat().st_size
            shown.append(_sample(path, setting))
    left_out = sum(map(len, found.values())) - len(shown)
    note = f"{left_out:,} more stand in the trials' folders: too many of one setting, or too large."
    return "".join(shown) + (text("p", note, class_="note") if left_out else "")


def _sample(path: Path, setting: str) -> str:
    name = f"{setting}: {path.parent.parent.name}/{path.name}"
    return element("figure", text("figcaption", name), _content(path, name))


def _content(path: Path, name: str) -> str:
    if path.suffix == ".txt":
        return text("pre", path.read_text(encoding="utf-8", errors="replace"))
    if path.suffix == ".wav":
        return element("audio", controls="", src=data_uri(path), **{"aria-label": name})
    if path.suffix == ".mid":
        return text("a", f"Download {path.name}", href=data_uri(path), download=path.name)
    return f'<div class="card">{element("img", src=data_uri(path), alt=name).removesuffix("</img>")}</div>'
