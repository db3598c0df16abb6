"""Samples of trained models, from the `samples/` of the folders of trials: text, pictures, sound."""

from itertools import islice
from pathlib import Path
from typing import NamedTuple

from rnngen.report.markup import KINDS, data_uri
from rnngen.runs.sweep import Sweep

PER_SETTING, LARGEST, ALTOGETHER = 3, 1_500_000, 6_000_000  # files, bytes of one (half a minute of sound), of all


class Sample(NamedTuple):
    """A sample's name on the page, its file's name and suffix, and its text or an address that holds it."""

    name: str
    file: str
    kind: str
    content: str


def samples(sweep: Sweep) -> tuple[list[Sample], int]:
    """Return the samples, at most three a setting and 1.5 MB each, and the number of those left out."""
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
    return shown, sum(map(len, found.values())) - len(shown)


def _sample(path: Path, setting: str) -> Sample:
    text = path.suffix == ".txt"
    content = path.read_text(encoding="utf-8", errors="replace") if text else data_uri(path)
    return Sample(f"{setting}: {path.parent.parent.name}/{path.name}", path.name, path.suffix, content)
