"""List config keys, shipped configs, and everything that a config can name.

Keys with their defaults, meanings and choices; cells, controls, tasks, engines, initialisers, latent models, blocks,
optimisers, schedules, regularisers, diagnoses, codecs, executors and trackers with their arguments.
"""

import argparse
import contextlib
import hashlib
import sys
from pathlib import Path

from rnngen.cli.parser import Parser
from rnngen.registry import nearest
from rnngen.storage.caches import cache_folder
from rnngen.storage.jsonl import replace

EXAMPLE = "rnngen list cells --long"
PARTS = (
    *("config", "configs", "cells", "controls", "tasks", "initialisers", "engines", "latent_models", "blocks"),
    *("optimisers", "schedules", "regularisers", "diagnoses", "codecs", "executors", "trackers"),
)


def add_arguments(parser: Parser) -> None:
    """Declare the options."""
    about = f"one part alone: {', '.join(PARTS)}"
    parser.add_argument("part", metavar="PART", type=part, nargs="?", help=about)
    parser.add_argument("--long", action="store_true", help="also equations, papers, structure and engines")


def part(text: str) -> str:
    """Convert an argument to one of `PARTS`."""
    name = text.replace("-", "_")
    if name not in PARTS:
        raise argparse.ArgumentTypeError(f"no such part {text!r}{nearest(name, PARTS)}")
    return name


def run(options: argparse.Namespace) -> int:
    """Print the keys of a config, the shipped configs, and every component that a config can name, or one of these.

    The text is kept, since reading it off the code means to import all of it, JAX too.
    """
    kept = cache_folder() / "lists" / f"{_version()}-{options.part or 'all'}{'-long' if options.long else ''}"
    try:
        text = kept.read_text(encoding="utf-8")
    except OSError:
        from rnngen.cli.catalogue import lines

        text = "".join(f"{line}\n" for line in lines(options.part, options.long))
        with contextlib.suppress(OSError):
            _keep(kept, text)
    print(text, end="")
    return 0


def _version() -> str:
    """Return a name of the code as it is here: any edit or installation changes it."""
    home = Path(__file__).parents[1]
    files = [*home.rglob("*.py"), *(home / "configs").rglob("*.py")]
    found = sorted((str(file), (facts := file.stat()).st_ctime_ns, facts.st_size) for file in files)
    return hashlib.sha256(repr((sys.version, found)).encode()).hexdigest()[:16]


def _keep(file: Path, text: str) -> None:
    """Write the text, and delete those of other versions."""
    file.parent.mkdir(parents=True, exist_ok=True)
    for other in file.parent.iterdir():
        if not other.name.startswith(file.name.partition("-")[0]):
            other.unlink(missing_ok=True)
    replace(file, text)
