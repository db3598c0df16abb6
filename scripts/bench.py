"""Measure every performance figure of rnngen.

    python scripts/bench.py layers     one recurrent layer, against torch, Flax, Haiku and Equinox
    python scripts/bench.py cells      every cell of the zoo, auto against a plain scan
    python scripts/bench.py steps      a whole training step, against torch and Flax
    python scripts/bench.py lengths    engines against the length of the sequence, time and memory
    python scripts/bench.py compile    seconds to compile
    python scripts/bench.py diagnoses  gradients in the carry against a training step, Lyapunov spectra
    python scripts/bench.py sweeps     a whole sweep against plain torch and Flax; the driver at 10,000 trials
    python scripts/bench.py generation characters a second on one core; how long training waits for the host's data
    python scripts/bench.py saving     how long a save interrupts training; how fast a finished sweep returns
    python scripts/bench.py credits    a training step with a changed gradient through the carry, against the plain one
    python scripts/bench.py rules      learning rules against back-propagation: time, and numbers kept for each example
    python scripts/bench.py soak       memory, files and threads over 10,000 trials and 500,000 steps: flat or growing
    python scripts/bench.py all        all of these

Contenders are timed interleaved; a ratio is the median over repeats of the ratio within a repeat, its interval the
bootstrap's 95 % over repeats. `--out FILE.json` stores every single time, and the machine it was measured on.
"""

import argparse
import sys
from pathlib import Path

import jax
from benchmarks import (
    cells,
    compiling,
    credits,
    diagnoses,
    generation,
    layers,
    lengths,
    machine,
    rules,
    saving,
    soak,
    steps,
    sweeps,
)
from benchmarks.protocol import Bench, BenchError, Options, Row
from benchmarks.tables import table

from rnngen import runtime
from rnngen.storage import jsonl

BENCHES: dict[str, Bench] = {
    "layers": layers.BENCH,
    "cells": cells.BENCH,
    "steps": steps.BENCH,
    "lengths": lengths.BENCH,
    "compile": compiling.BENCH,
    "diagnoses": diagnoses.BENCH,
    "sweeps": sweeps.BENCH,
    "generation": generation.BENCH,
    "saving": saving.BENCH,
    "soak": soak.BENCH,
    "credits": credits.BENCH,
    "rules": rules.BENCH,
}


# Cores kept busy by others, above which a case is marked in what is printed.
NOISY = 0.1


def main(arguments: list[str] | None = None) -> int:
    """Run the benches; 1 where a contender computes something else, 2 (from argparse) for bad options."""
    parser = _parser()
    flags = parser.parse_args(arguments)
    options = _options(parser, flags)
    chosen = _chosen(parser, flags, options)
    facts = machine.facts(_prepare(flags.default_malloc, options.devices))
    if flags.out and facts["vectors"] is None:
        parser.error("argument --out: this processor's vectors are not known, and a record has to name them")
    print(f"{facts['cpu']}, {facts['vectors']}, {facts['cores']} cores, JAX devices: {len(facts['devices'])}")
    try:
        rows, summary = _run(chosen, options)
    except BenchError as error:
        print(f"bench.py: {error}", file=sys.stderr)
        return 1
    if flags.out:
        record = {"options": vars(flags) | options._asdict(), "machine": facts, "rows": rows, "summary": summary}
        jsonl.write_json(Path(flags.out), record)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench.py", description=__doc__.splitlines()[0])
    parser.add_argument("bench", choices=[*BENCHES, "all"], help="what to measure")
    parser.add_argument("--repeats", type=_count, metavar="N", help="timed calls of each contender (15, or 3)")
    parser.add_argument("--devices", type=_count, metavar="N", help="CPU devices to make of the cores (one a core)")
    parser.add_argument(
        "--only", metavar="TEXT", default="", help="only cases with this in their name, such as 'gru 750'"
    )
    parser.add_argument("--longest", type=_count, metavar="T", help="longest sequence of `lengths` (65536)")
    parser.add_argument("--quick", action="store_true", help="tiny shapes and two repeats: does it run?")
    parser.add_argument("--default_malloc", action="store_true", help="leave the memory allocator as it is")
    parser.add_argument("--out", metavar="FILE.json", help="write all that was measured to this file")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a positive whole number, got {text!r}")
    return int(text)


def _options(parser: argparse.ArgumentParser, flags: argparse.Namespace) -> Options:
    options = Options(flags.repeats, flags.devices or runtime.count_cores(), flags.quick, flags.longest)
    if flags.longest and flags.longest < lengths.shortest(options):
        parser.error(f"argument --longest: must be at least {lengths.shortest(options)}, got {flags.longest}")
    if flags.out and not Path(flags.out).resolve().parent.is_dir():
        parser.error(f"argument --out: there is no folder {Path(flags.out).parent}")
    return options


def _chosen(parser, flags: argparse.Namespace, options: Options) -> dict[str, list[str]]:
    """Return {bench: names of its cases}."""
    benches = list(BENCHES) if flags.bench == "all" else [flags.bench]
    names = {bench: list(BENCHES[bench].cases(options)) for bench in benches}
    chosen = {bench: [name for name in cases if flags.only in name] for bench, cases in names.items()}
    if not any(chosen.values()):
        known = ", ".join(name for cases in names.values() for name in cases)
        parser.error(f"argument --only: no case has {flags.only!r} in its name, there are {known}")
    return {bench: cases for bench, cases in chosen.items() if cases}


def _prepare(default_malloc: bool, devices: int) -> bool:
    """Set JAX up before it starts; returns whether the allocator keeps freed memory."""
    # Compiled programs from disk would hide what compiling costs.
    jax.config.update("jax_enable_compilation_cache", False)
    if default_malloc:
        jax.config.update("jax_num_cpu_devices", devices)
        return False
    runtime.prepare(devices=devices)
    return runtime.keep_memory()


def _run(chosen: dict[str, list[str]], options: Options) -> tuple[list[Row], dict[str, list[Row]]]:
    """Measure and print case by case: (rows of all benches, {bench: rows of its summary})."""
    rows, summary = [], {}
    for name, cases in chosen.items():
        bench, found = BENCHES[name], []
        print("\n".join([f"\n== {name}", *bench.notes(options)]), flush=True)
        for case in cases:
            before = machine.used()
            measured = bench.measure(bench.cases(options)[case], options)
            others = machine.used_by_others(before, machine.used())
            print(f"\n{case}\n{table(measured, bench.columns)}", flush=True)
            if others is not None and others > NOISY:
                print(f"! other programs kept {others:.2f} cores busy meanwhile: not to be trusted", flush=True)
            found += [{"bench": name, "case": case, "used_by_others": others} | row for row in measured]
        rows += found
        summary[name] = bench.summarise(found)
        if summary[name]:
            print(f"\n{name}, summary\n{table(summary[name], bench.summary_columns)}")
    return rows, summary


if __name__ == "__main__":
    sys.exit(main())
