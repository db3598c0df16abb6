"""Look inside a trained run: units, saliency, dynamics.

Writes RUN/inspect.html: what units tell, which inputs the predictions depend on, and the fixed points.
"""

from argparse import Namespace
from pathlib import Path

from rnngen.cli.parser import Parser, add_run_arguments, whole

EXAMPLE = "rnngen inspect runs/char_rnn --steps=200"


def add_arguments(parser: Parser) -> None:
    """Declare the options."""
    parser.add_argument("--text", metavar="TEXT", help="input: text, or the name of a file (default: validation data)")
    parser.add_argument("--file", metavar="FILE", help="file that holds the input")
    parser.add_argument("--steps", metavar="N", type=whole(2), help="steps of the input, at most (default: 600)")
    add_run_arguments(parser)


def run(options: Namespace) -> int:
    """Write inspection.json and the page, and print what was found."""
    from rnngen import runtime
    from rnngen.config.check import error_at
    from rnngen.generation.analysis import inspect_run
    from rnngen.report import inspect_page
    from rnngen.runs.train import check_writable
    from rnngen.storage.jsonl import write_json

    folder = options.folder
    with error_at("JAX"):
        runtime.start()
    subject = _subject(options)
    check_writable(folder)
    record = inspect_run(subject)
    write_json(folder / "inspection.json", {"run": _about(folder)} | record)
    for unit in record["units"]["found"]:
        print(f"{unit['unit']} tells {unit['property']}: {unit['score']:+.2f}")
    points = record["fixed_points"].get("points", [])
    stable = sum(not point["growing"] for point in points)
    print(f"{len(points)} points where the carry rests or lingers, {stable} of them stable")
    for file in [folder / "inspection.json", *inspect_page.write(folder)]:
        print(file)
    return 0


def _about(folder: Path) -> dict:
    from rnngen.config import Component
    from rnngen.config.check import as_call
    from rnngen.storage.folder import RunFolder

    run = RunFolder(folder)
    config, step = run.config() or {}, (run.result() or {}).get("step", 0)
    return {part: as_call(Component.of(config[part])) for part in ("cell", "task")} | {"step": step}


def _subject(options: Namespace):
    from rnngen.cli.given import given_text
    from rnngen.generation.analysis import STEPS, given_subject, load_subject
    from rnngen.generation.generator import load_generator

    steps = STEPS if options.steps is None else options.steps
    if options.text is None and options.file is None:
        return load_subject(options.folder, steps, options.trust)
    generator = load_generator(options.folder, options.trust)
    return given_subject(generator, given_text("text", options.text, options.file, generator) or "", steps)
