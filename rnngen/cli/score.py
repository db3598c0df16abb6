"""Print the log-likelihood of a sequence under a run."""

import math
from argparse import Namespace

from rnngen.cli.parser import Parser, add_run_arguments

EXAMPLE = 'rnngen score runs/char_rnn --text="To be, or not to be"'


def add_arguments(parser: Parser) -> None:
    """Declare the options."""
    parser.add_argument("--text", metavar="TEXT", help="sequence to score: text, or the name of a file")
    parser.add_argument("--file", metavar="FILE", help="file that holds the sequence")
    add_run_arguments(parser)


def run(options: Namespace) -> int:
    """Print the log-likelihood, in nats, and in nats and bits a step."""
    from rnngen import runtime
    from rnngen.cli.given import given_text
    from rnngen.config.check import ConfigError, error_at
    from rnngen.generation.generator import load_generator

    with error_at("JAX"):
        runtime.start()
    generator = load_generator(options.folder, options.trust)
    given = given_text("text", options.text, options.file, generator)
    if given is None:
        raise ConfigError(f"score: give --text=TEXT or --file=FILE{'' if generator.codec.show else ' (here a file)'}")
    with error_at("score"):
        nats, steps = generator.score(given)
    each = -nats / steps
    print(f"log-likelihood {nats:.4f} nats of {steps} steps: {each:.4f} nats, {each / math.log(2):.4f} bits a step")
    return 0
