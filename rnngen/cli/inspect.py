"""`rnngen inspect`: one page on what a trained run has learned to do."""

from pathlib import Path

from absl import flags

from rnngen import runtime
from rnngen.cli.sample import given_text
from rnngen.config.check import ConfigError, as_call, at_place
from rnngen.generation.analysis import STEPS, Subject, given_subject, inspect_run, load_subject
from rnngen.generation.generator import load_generator
from rnngen.report import inspect_page
from rnngen.runs.train import check_writable
from rnngen.storage.folder import RunFolder
from rnngen.storage.jsonl import write_json


def inspect(arguments: list[str]) -> int:
    """`rnngen inspect`."""
    folder, options = _parse(arguments)
    at_place("JAX", runtime.start)
    subject = _subject(folder, options)
    check_writable(folder)
    record = inspect_run(subject)
    run = RunFolder(folder)
    config = run.config() or {}
    about = {
        "cell": as_call(config["cell"]),
        "task": as_call(config["task"]),
        "step": (run.result() or {}).get("step", 0),
    }
    write_json(folder / "inspection.json", {"run": about} | record)
    for unit in record["units"]["found"]:
        print(f"{unit['unit']} tells {unit['property']}: {unit['score']:+.2f}")
    points = record["fixed_points"].get("points", [])
    print(
        f"{len(points)} points where the carry rests or lingers, {sum(not p['growing'] for p in points)} of them stable"
    )
    for path in [folder / "inspection.json", *inspect_page.write(folder)]:
        print(path)
    return 0


def _subject(folder: Path, options: flags.FlagValues) -> Subject:
    if options.text is None and options.file is None:
        return load_subject(folder, options.steps)
    generator = load_generator(folder)
    return given_subject(generator, given_text("text", options.text, options.file, generator) or "", options.steps)


def _parse(arguments: list[str]) -> tuple[Path, flags.FlagValues]:
    values = flags.FlagValues()
    flags.DEFINE_string("text", None, "what to look at it with", flag_values=values)
    flags.DEFINE_string("file", None, "a file of what to look at it with", flag_values=values)
    flags.DEFINE_integer("steps", STEPS, "of a sequence, at most", lower_bound=2, flag_values=values)
    try:
        rest = values(["rnngen", *arguments])[1:]
    except (flags.Error, ValueError) as error:
        raise ConfigError(f"inspect: {error}") from error
    if len(rest) != 1:
        raise ConfigError("inspect takes one run: rnngen inspect RUN [--text=TEXT|--file=FILE] [--steps=N]")
    return Path(rest[0]).expanduser(), values
