"""`rnngen sample` and `rnngen score`: what a trained run makes of itself, and what it makes of others' sequences."""

import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from rnngen import process
from rnngen.configcheck import ConfigError, at_place
from rnngen.lookup import nearest
from rnngen.making import Maker, load_maker

AT_ONCE = 16  # symbols that are shown together


def sample(arguments: list[str]) -> int:
    """`rnngen sample`."""
    folder, options = _parse("sample", arguments, _sampling_flags)
    how = {name: options[name].value for name in ("temperature", "top_k", "top_p") if options[name].present}
    process.prepare()
    maker = load_maker(folder)
    prompt = _given(options.prompt, options.prompt_file, maker, "prompt")
    asked = {"prompt": prompt, "length": options.length, "seed": options.seed} | how
    stem = "-".join([f"seed{options.seed}", *(f"{name}{value:g}" for name, value in how.items())])
    out = Path(options.out or Path(folder) / "samples")
    sequences = at_place("sample", lambda: _drawn(maker, options.batch, asked))
    out.mkdir(parents=True, exist_ok=True)
    for file in maker.medium.write(sequences, out / stem):
        print(file, file=sys.stderr)
    return 0


def _drawn(maker: Maker, batch: int, asked: dict[str, Any]) -> list[np.ndarray]:
    """The sequences; text is shown: one as it is drawn, several after one another."""
    show = maker.medium.show
    if batch == 1 and show is not None:
        return [_shown(maker, show, asked)]
    sequences = maker.sequences(batch, **asked)
    for number, values in enumerate(sequences if show else []):
        print(f"--- {number}", show(values), sep="\n", flush=True)  # type: ignore[misc]
    return sequences


def _shown(maker: Maker, show: Callable[[np.ndarray], str], asked: dict[str, Any]) -> np.ndarray:
    """One sequence, its prompt first; bytes of one character that two pieces share are shown when it is whole."""
    before = maker.read(asked["prompt"])
    drawn = maker.pieces(piece=AT_ONCE, **asked)
    first = next(drawn)  # before anything is printed: here an argument may be refused
    values, shown = np.zeros(0, first.dtype), 0
    for piece in itertools.chain([] if before is None else [before.astype(first.dtype)], [first], drawn):
        values = np.concatenate([values, piece])
        text = show(values)
        sys.stdout.write(text[shown:])
        sys.stdout.flush()
        shown = len(text)
    print()
    return values


def score(arguments: list[str]) -> int:
    """`rnngen score`."""
    folder, options = _parse("score", arguments, _scoring_flags)
    process.prepare()
    maker = load_maker(folder)
    given = _given(options.text, options.file, maker, "text")
    if given is None:
        raise ConfigError(f"score: give --text=TEXT or --file=FILE{'' if maker.medium.show else ' (here a file)'}")
    nats, steps = at_place("score", lambda: maker.score(given))
    each = -nats / steps
    print(f"log-likelihood {nats:.4f} nats of {steps} steps: {each:.4f} nats, {each / np.log(2):.4f} bits a step")
    return 0


def _given(text: str | None, file: str | None, maker: Maker, what: str) -> str | None:
    """What `medium.read` takes: text itself where the medium is text, else the name of a file."""
    if text is not None and file is not None:
        raise ConfigError(f"give --{what} or a file, not both")
    if maker.medium.show is None or file is None:
        return text if file is None else file
    try:
        return Path(file).read_bytes().decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: not UTF-8 at byte {error.start}") from error


def _sampling_flags(values: flags.FlagValues) -> None:
    flags.DEFINE_string("prompt", None, "what comes before: text, or the name of a file", flag_values=values)
    flags.DEFINE_string("prompt_file", None, "a file that holds the prompt", flag_values=values)
    flags.DEFINE_integer("length", 0, "steps; 0: as long as the medium's usual sequence", 0, flag_values=values)
    flags.DEFINE_float("temperature", 1.0, "1: the model's own distribution; 0: the most probable", flag_values=values)
    flags.DEFINE_integer("top_k", 0, "draw from the k most probable tokens; 0: from all", flag_values=values)
    flags.DEFINE_float("top_p", 1.0, "draw from the most probable tokens of this share", flag_values=values)
    flags.DEFINE_integer("batch", 1, "how many sequences", 1, flag_values=values)
    flags.DEFINE_integer("seed", 0, "of the draws", 0, flag_values=values)
    flags.DEFINE_string("out", None, "folder of the files; default: RUN/samples", flag_values=values)


def _scoring_flags(values: flags.FlagValues) -> None:
    flags.DEFINE_string("text", None, "what to score: text, or the name of a file", flag_values=values)
    flags.DEFINE_string("file", None, "a file that holds it", flag_values=values)


def _parse(command: str, arguments: list[str], define: Callable) -> tuple[str, flags.FlagValues]:
    values = flags.FlagValues()
    define(values)
    known = list(values)
    for argument in arguments:
        name = argument.lstrip("-").split("=")[0]
        if argument.startswith("-") and name.removeprefix("no") not in known and name not in known:
            raise ConfigError(f"{command}: no such option --{name}{nearest(name, known)}")
    try:
        rest = values(["rnngen", *arguments])[1:]
    except (flags.Error, ValueError) as error:
        raise ConfigError(f"{command}: {error}") from error
    if len(rest) != 1:
        raise ConfigError(f"{command} takes one folder: rnngen {command} RUN, got {' '.join(rest) or 'none'}")
    return rest[0], values
