"""`rnngen sample` and `rnngen score`: what a trained run makes of itself, and what it makes of others' sequences."""

import itertools
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from rnngen import runtime
from rnngen.config.check import ConfigError, at_place
from rnngen.generation.generator import Generator, load_generator
from rnngen.runs.train import check_writable

AT_ONCE = 16  # symbols that are shown together
CUT = "\ufffd"  # what bytes that are no character yet look like
HOW = ("temperature", "top_k", "top_p")

Show = Callable[[np.ndarray], str]


def sample(arguments: list[str]) -> int:
    """`rnngen sample`."""
    folder, options = _parse("sample", arguments, _sampling_flags)
    how = {name: options[name].value for name in HOW if options[name].present}
    out = Path(options.out).expanduser() if options.out else folder / "samples"
    at_place("JAX", runtime.start)
    generator = load_generator(folder)
    check_writable(out)
    prompt = given_text("prompt", options.prompt, options.prompt_file, generator)
    asked = {"prompt": prompt, "length": options.length, "seed": options.seed} | how
    sequences = at_place("sample", lambda: _drawn(generator, options.batch, asked))
    stem = "-".join([f"seed{options.seed}", *(f"{name}{value:g}" for name, value in how.items())])
    out.mkdir(parents=True, exist_ok=True)
    for file in generator.codec.write(sequences, out / stem):
        print(file, file=sys.stderr)
    return 0


def _drawn(generator: Generator, batch: int, asked: dict[str, Any]) -> list[np.ndarray]:
    """The sequences; text is shown: one as it is drawn, several one after another."""
    show = generator.codec.show
    if show is None:
        return generator.sequences(batch, **asked)
    if batch == 1:
        return [_shown(generator, show, asked)]
    sequences = generator.sequences(batch, **asked)
    for number, values in enumerate(sequences):
        _say(f"--- {number}\n{show(values)}\n")
    return sequences


def _shown(generator: Generator, show: Show, asked: dict[str, Any]) -> np.ndarray:
    """One sequence, its prompt first, shown piece by piece."""
    before, drawn = generator.read(asked["prompt"]), generator.pieces(piece=AT_ONCE, **asked)
    pieces = itertools.chain([] if before is None else [before], drawn)
    values = []
    for text, piece in _texts(show, pieces):
        _say(text)
        values.append(piece)
    _say("\n")
    return np.concatenate(values)


def _say(text: str) -> None:
    """Show it, while there is somebody who reads: the files are written all the same."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        runtime.discard_output()


def _texts(show: Show, pieces: Iterable[np.ndarray]) -> Iterable[tuple[str, np.ndarray]]:
    """Each piece, and what to show with it: bytes of a character that the next piece will complete wait for it."""
    waiting = None
    for piece in pieces:
        left = piece if waiting is None else np.concatenate([waiting, piece])
        whole = _whole(show, left)
        yield show(left[:whole]), piece
        waiting = left[whole:]
    if waiting is not None:
        yield show(waiting), waiting[:0]


def _whole(show: Show, values: np.ndarray) -> int:
    """How many of the values to show now: all but at most three at the end, of a character that has four bytes."""
    counts = range(len(values), len(values) - 4, -1)
    return next((count for count in counts if not show(values[:count]).endswith(CUT)), counts[-1])


def score(arguments: list[str]) -> int:
    """`rnngen score`."""
    folder, options = _parse("score", arguments, _scoring_flags)
    at_place("JAX", runtime.start)
    generator = load_generator(folder)
    given = given_text("text", options.text, options.file, generator)
    if given is None:
        raise ConfigError(f"score: give --text=TEXT or --file=FILE{'' if generator.codec.show else ' (here a file)'}")
    nats, steps = at_place("score", lambda: generator.score(given))
    each = -nats / steps
    print(f"log-likelihood {nats:.4f} nats of {steps} steps: {each:.4f} nats, {each / np.log(2):.4f} bits a step")
    return 0


def given_text(what: str, text: str | None, file: str | None, generator: Generator) -> str | None:
    """What `codec.read` takes: text itself where the codec is text, else the name of a file."""
    if text is not None and file is not None:
        raise ConfigError(f"give --{what} or a file of it, not both")
    if file is None or generator.codec.show is None:
        return text if file is None else file
    raw = Path(file).expanduser().read_bytes()
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        text = raw.decode("utf-8", "surrogateescape")  # as a terminal hands it over; a model of bytes reads any
        try:
            generator.codec.read(text)
        except ValueError:
            raise ConfigError(f"{file} is not UTF-8: {error.reason} at byte {error.start}") from None
        return text


def _sampling_flags(values: flags.FlagValues) -> None:
    flags.DEFINE_string("prompt", None, "what comes before: text, or the name of a file", flag_values=values)
    flags.DEFINE_string("prompt_file", None, "a file that holds the prompt", flag_values=values)
    flags.DEFINE_integer("length", 0, "steps; 0: as long as the codec's usual sequence", 0, flag_values=values)
    flags.DEFINE_float("temperature", 1.0, "1: the model's own distribution; 0: the most probable", flag_values=values)
    flags.DEFINE_integer("top_k", 0, "draw from the k most probable tokens; 0: from all", flag_values=values)
    flags.DEFINE_float("top_p", 1.0, "draw from the most probable tokens of this share", flag_values=values)
    flags.DEFINE_integer("batch", 1, "how many sequences", 1, flag_values=values)
    flags.DEFINE_integer("seed", 0, "of the draws", 0, 2**32 - 1, flag_values=values)
    flags.DEFINE_string("out", None, "folder of the files; default: RUN/samples", flag_values=values)


def _scoring_flags(values: flags.FlagValues) -> None:
    flags.DEFINE_string("text", None, "what to score: text, or the name of a file", flag_values=values)
    flags.DEFINE_string("file", None, "a file that holds it", flag_values=values)


def _parse(command: str, arguments: list[str], define: Callable) -> tuple[Path, flags.FlagValues]:
    """The one folder, and the options."""
    values = flags.FlagValues()
    define(values)
    try:
        folders = values(["rnngen", *arguments])[1:]
    except (flags.Error, ValueError) as error:
        raise ConfigError(f"{command}: {error}") from error
    if len(folders) != 1:
        raise ConfigError(f"{command} takes one folder: rnngen {command} RUN, got {' '.join(folders) or 'none'}")
    return Path(folders[0]).expanduser(), values
