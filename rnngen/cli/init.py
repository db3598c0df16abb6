"""Copy a shipped config to a file of your own, to be edited.

`rnngen list configs` shows what there is.
"""

from argparse import Namespace

from rnngen.cli.parser import Parser, path

EXAMPLE = "rnngen init adding my_adding.py"


def add_arguments(parser: Parser) -> None:
    """Declare the options."""
    parser.add_argument("name", metavar="NAME", help="name of a shipped config, such as adding or sweeps/demo")
    parser.add_argument("file", metavar="FILE", type=path, nargs="?", help="the copy (default: NAME.py, here)")


def run(options: Namespace) -> int:
    """Write the copy, and say how it is used."""
    from rnngen.config.check import ConfigError
    from rnngen.config.files import OURS, find_config

    source = find_config(OURS + options.name.removeprefix(OURS))
    file = options.file or path(source.name)
    if file.suffix != ".py":
        raise ConfigError(f"{file}: a config's file ends in .py")
    if not file.parent.is_dir():
        raise ConfigError(f"{file}: there is no folder {file.parent}")
    try:
        with open(file, "x", encoding="utf-8") as copy:
            copy.write(source.read_text(encoding="utf-8"))
    except FileExistsError:
        raise ConfigError(f"{file}: is there already; name another file") from None
    command = "sweep" if source.parent.name == "sweeps" else "train"
    print(f"{file}: edit it, then\n  rnngen {command} --config={file} --workdir=runs/{file.stem}")
    return 0
