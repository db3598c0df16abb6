"""Train all trials of a sweep, or those that are left.

The trials are those of the file's get_sweep(). The same command continues an unfinished sweep, and one whose
file has more values, axes or trials adds the missing ones.
"""

from argparse import Namespace

from rnngen.cli.parser import CONFIG_NOTES, LAUNCH_NOTES, Parser, add_config_arguments, check_needed, whole

EXAMPLE = "rnngen sweep --config=demo --workdir=runs/demo --workers=2"


def add_arguments(parser: Parser) -> None:
    """Declare the options."""
    add_config_arguments(parser, "config|launch", CONFIG_NOTES + LAUNCH_NOTES)
    parser.add_argument("--workers", metavar="N", type=whole(0), default=0, help="worker processes; 0: one a core")
    parser.add_argument("--retry_failed", action="store_true", help="train failed trials again")
    parser.add_argument("--detach", action="store_true", help="submit the jobs to a cluster's queue and return")
    about = "list the trials and estimate their time from some steps of one of each program; write nothing"
    parser.add_argument("--dry_run", action="store_true", help=about)


def run(options: Namespace) -> int:
    """Train all trials of the file's get_sweep(); 1 where one failed."""
    check_needed(options, folder=not options.dry_run)
    from rnngen import runtime
    from rnngen.cli.overrides import load_config
    from rnngen.config import complete
    from rnngen.config.check import error_at
    from rnngen.config.files import space_of
    from rnngen.sweep.launch import resolve_launch

    loaded = load_config(options.config, options.rest, sweeping=True)
    base, launch = complete(loaded.config), resolve_launch(loaded.launch, options.workers)
    with error_at("JAX"):
        runtime.start(training=True)
    space = space_of(options.config, loaded.module)
    if options.dry_run:
        from rnngen.cli import dry_run

        return dry_run.show(options.workdir, base, space, launch)
    return _run(options, base, launch, space, getattr(loaded.module, "__doc__", None))


def _run(options: Namespace, base: dict, launch: dict, space, about: str | None) -> int:
    from rnngen.cli import report
    from rnngen.sweep.campaign import held
    from rnngen.sweep.progress import Progress

    folder, given = options.workdir, {name: getattr(options, name) for name in ("take_over", "retry_failed", "detach")}
    with held(folder, base, space, launch, **given) as sweep:
        if sweep.left and about:
            print(about.strip(), end="\n\n", flush=True)  # what it is, and what it will cost
        if options.detach:
            print(f"{sweep.detach()} jobs submitted; rnngen status {folder} tells how they are")
            return 0
        with Progress(sweep) as shown:
            sweep.run(shown.over)
        return report.show(folder)
