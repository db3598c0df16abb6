"""The command line: `rnngen <command>`, see `USAGE`. Bad input: one line, exit status 2."""

import io
import os
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import jax

from rnngen import runtime
from rnngen.cli.bar import Bar
from rnngen.cli.check_cell import check_cell
from rnngen.cli.list import list_all
from rnngen.cli.options import parse
from rnngen.cli.sample import sample, score
from rnngen.config import complete, resolve
from rnngen.config.check import ConfigError, at_place, call
from rnngen.registry import nearest
from rnngen.runs import records
from rnngen.runs.train import check_writable, run
from rnngen.storage import locks, preemption, trackers
from rnngen.storage.jsonl import DamagedFile
from rnngen.sweep import progress
from rnngen.sweep.campaign import begin
from rnngen.sweep.launch import resolve_launch

USAGE = """usage: rnngen <command> [options]

  rnngen train --config=FILE --workdir=DIR [--log=tensorboard] [--distributed] [--take_over=SECONDS]
               [--config.KEY=VALUE ...]
      train one run; the same command goes on with a run that was stopped
  rnngen sweep --config=FILE --workdir=DIR [--workers=N] [--retry_failed] [--detach] [--take_over=SECONDS]
               [--config.KEY=VALUE ...] [--launch.executor.name=local|ray|slurm] [--launch.pack=auto|off|N]
               [--launch.log=tensorboard]
      run all trials of the file's get_sweep(); the same command finishes what is missing
  rnngen status DIR
      how far a sweep is: done, running, failed, the best so far, the time left
  rnngen sample RUN [--prompt=TEXT|FILE] [--length=N] [--temperature=1.0] [--top_k=K] [--top_p=P] [--batch=N] [--seed=N]
                [--out=DIR]
      what a trained run makes: text to the terminal as it is drawn; text, MIDI, WAV, PNG or SVG files in RUN/samples
  rnngen score RUN --text=TEXT|--file=FILE
      the log-likelihood that a trained run gives to a sequence
  rnngen inspect RUN [--text=TEXT|--file=FILE] [--steps=N]
      inside a trained run, as RUN/inspect.html: what its units tell, what predictions hang on, where its dynamics rest
  rnngen report DIR
      rewrite the table and the figures of a run's or sweep's folder, or of packed records, there and in folders within
  rnngen pack DIR OUT
      the records of a run's or sweep's folder, without checkpoints, as OUT/records.jsonl.gz
  rnngen doctor [DIR]
      what is wrong with this installation, or with a run's or sweep's folder, and what the next start would do
  rnngen check-cell NAME [--ARGUMENT=VALUE ...]
      whether a cell, built in or package.module:factory, keeps every law of cells; its speed and memory horizon
  rnngen list [--long]
      every key of a config, with its default; cells, tasks, engines, initialisers, latent models, optimisers,
      schedules, regularisers, diagnoses, media, executors and sinks, with their arguments; --long: also equations,
      papers, structure and engines

  rnngen --version

exit status: 0 done; 1 a trial failed, a run diverged, or doctor found something; 2 bad input, or nothing can be
written; 75 train or sweep was stopped by SIGTERM or Ctrl-C, and the same command goes on; 130 another was stopped"""


def main(argv: list[str] | None = None) -> int:
    """Run one command line (default: this process's); returns the exit status."""
    arguments = sys.argv[1:] if argv is None else argv
    # As `python -m` does: cells and tasks of one's own are found from where one stands.
    sys.path.insert(0, os.getcwd())
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # what this terminal cannot show is no reason to stop
    try:
        status = _perform(arguments)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # the reader of our output has seen enough
        runtime.discard_output()
        return 0
    except (ConfigError, DamagedFile, locks.HeldError, OSError) as error:
        print(f"rnngen: {' '.join(str(error).split())}", file=sys.stderr)
        return runtime.ended(2)
    except preemption.Preempted as stopped:
        print(f"rnngen: stopped {stopped}; the same command goes on", file=sys.stderr)
        return preemption.PREEMPTED
    except KeyboardInterrupt:
        print("rnngen: stopped", file=sys.stderr)
        return 130


def _perform(arguments: list[str]) -> int:
    if not arguments or {"-h", "--help", "help"} & set(arguments):
        print(USAGE)
        return 0 if arguments else 2
    if arguments == ["--version"]:
        print(f"rnngen {metadata.version('rnngen')}")
        return 0
    if arguments[0] not in COMMANDS:
        raise ConfigError(f"no such command {arguments[0]!r}{nearest(arguments[0], COMMANDS)}")
    return COMMANDS[arguments[0]](arguments[1:])


def train(arguments: list[str]) -> int:
    """`rnngen train`."""
    options = parse(arguments)
    config = resolve(options.config)
    at_place("--log", lambda: trackers.check(options.log))
    runtime.prepare()
    if options.distributed:
        at_place("--distributed", runtime.join)
    at_place("JAX", lambda: runtime.start(training=True))
    first = not options.distributed or jax.process_index() == 0
    with preemption.listening(), Bar(config["train"]["steps"]) as bar:
        begin, row = (bar.begin, bar.row) if first else (lambda: None, lambda row: None)
        result = run(config, options.workdir, row, options.log, options.take_over, begin)
    if not first:
        return 0 if result["status"] == "finished" else 1
    test = ", ".join(f"{k} {v:.4g}" for k, v in result.get("metrics", {}).get("test", {}).items())
    solved = "solved" if result["solved"] else "not solved"
    print(
        f"{result['status']} at step {result['step']}: test {test}; without memory {result['baseline']:.4g}; {solved}"
    )
    if result["half_life"]:
        print(
            "half-life of the gradient: {initial:.3g} steps before training, {final:.3g} after".format(
                **result["half_life"]
            )
        )
    print(f"records: {options.workdir}")
    return 0 if result["status"] == "finished" else 1


def sweep(arguments: list[str]) -> int:
    """`rnngen sweep`."""
    options = parse(arguments, sweeping=True)
    from rnngen import report  # here, as in report(): Matplotlib takes longer to load than most commands run

    folder, base = options.workdir, complete(options.config)
    launch = resolve_launch(options.launch, options.workers)
    at_place("JAX", lambda: runtime.start(training=True))
    space = call(options.path, options.module, "get_sweep")
    check_writable(folder)
    # Longer than its workers, which it waits for.
    with preemption.listening(grace=preemption.GRACE + 8), locks.hold(folder, options.take_over):
        campaign = begin(folder, base, space, launch, options.retry_failed, options.detach)
        if campaign.left and options.module.__doc__:
            print(options.module.__doc__.strip(), end="\n\n", flush=True)  # what it is, and what it will cost
        if options.detach:
            print(f"{campaign.detach()} jobs submitted; rnngen status {folder} tells how they are")
            return 0
        with progress.Progress(campaign) as shown:
            campaign.run(shown.over)
        return _show_report(folder, report)


def status(arguments: list[str]) -> int:
    """`rnngen status`."""
    (folder,) = _folders(arguments, "status takes one folder: rnngen status DIR", 1)
    print("\n".join(progress.status(folder)))
    return 0


def report(arguments: list[str]) -> int:
    """`rnngen report`."""
    (folder,) = _folders(arguments, "report takes one folder: rnngen report DIR", 1)
    from rnngen import report

    return max(_show_report(one, report) for one in report.folders(folder))


def pack(arguments: list[str]) -> int:
    """`rnngen pack`."""
    folder, out = _folders(arguments, "pack takes two folders: rnngen pack DIR OUT", 2)
    print(records.pack(folder, out))
    return 0


def inspect(arguments: list[str]) -> int:
    """`rnngen inspect`."""
    from rnngen.cli.inspect import inspect  # here, as in report(): SciPy and Matplotlib take half a second to load

    return inspect(arguments)


def doctor(arguments: list[str]) -> int:
    """`rnngen doctor`."""
    folders = _folders(arguments, "doctor takes one folder, or none: rnngen doctor [DIR]", 0, 1)
    at_place("JAX", runtime.start)
    from rnngen.cli.doctor import examine, installation

    bad = 0
    for finding in examine(*folders) if folders else installation():
        print(f"{'ok ' if finding.good else 'BAD'}  {finding.line}", flush=True)
        bad += not finding.good
    return 1 if bad else 0


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "train": train,
    "sweep": sweep,
    "status": status,
    "sample": sample,
    "score": score,
    "inspect": inspect,
    "report": report,
    "pack": pack,
    "doctor": doctor,
    "list": list_all,
    "check-cell": check_cell,
}


def _folders(arguments: list[str], usage: str, *numbers: int) -> list[Path]:
    """The arguments of a command that takes folders, as many as one of the numbers, and nothing else."""
    if len(arguments) not in numbers or any(argument.startswith("-") for argument in arguments):
        raise ConfigError(usage)
    return [Path(argument).expanduser() for argument in arguments]


def _show_report(folder: Path, report) -> int:
    """Write the report, show its table and failures; 1 where a trial failed."""
    from rnngen.report import screen

    written = report.write(folder)
    screen.show(report.summary(folder))
    for path in written:
        print(path)
    failed = report.failures(folder)
    for line in failed:
        print(f"failed: {line}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
