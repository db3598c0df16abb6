"""Draw sequences from a trained run.

Text is shown as it is drawn; text, MIDI, WAV, PNG or SVG files go to RUN/samples.
"""

import sys
from argparse import Namespace

from rnngen.cli.parser import Parser, add_run_arguments, path, whole

EXAMPLE = 'rnngen sample runs/char_rnn --prompt="ROMEO:" --length=500 --temperature=0.8'
SAMPLING = ("temperature", "top_k", "top_p")


def add_arguments(parser: Parser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add("--prompt", metavar="TEXT", help="beginning of the sequence: text, or the name of a file")
    add("--prompt_file", metavar="FILE", help="file that holds the prompt")
    add("--length", metavar="N", type=whole(0), default=0, help="steps; 0: the usual length of the data")
    add("--temperature", metavar="T", type=float, help="0: always the most probable (default: 1, the model's own)")
    add("--top_k", metavar="K", type=int, help="draw from the K most probable tokens (default: 0, all)")
    add("--top_p", metavar="P", type=float, help="draw from the most probable tokens of this share (default: 1)")
    add("--batch", metavar="N", type=whole(1), default=1, help="number of sequences")
    add("--seed", metavar="N", type=whole(0, 2**32 - 1), default=0, help="seed of the draws")
    add_run_arguments(parser)
    add(
        "--out", metavar="DIR", type=path, help="folder of the MIDI, WAV, PNG, SVG or text files (default: RUN/samples)"
    )


def run(options: Namespace) -> int:
    """Draw the sequences, show text as it is drawn, and write the files."""
    from rnngen import runtime
    from rnngen.cli.given import given_text
    from rnngen.cli.streaming import draw
    from rnngen.config.check import error_at
    from rnngen.generation.generator import load_generator
    from rnngen.runs.train import check_writable

    sampling = {name: value for name in SAMPLING if (value := getattr(options, name)) is not None}
    out = options.out or options.folder / "samples"
    with error_at("JAX"):
        runtime.start()
    generator = load_generator(options.folder, options.trust)
    check_writable(out)
    prompt = given_text("prompt", options.prompt, options.prompt_file, generator)
    asked = {"prompt": prompt, "length": options.length, "seed": options.seed} | sampling
    with error_at("sample"):
        sequences = draw(generator, options.batch, asked)
    stem = "-".join([f"seed{options.seed}", *(f"{name}{value:g}" for name, value in sampling.items())])
    out.mkdir(parents=True, exist_ok=True)
    for file in generator.codec.write(sequences, out / stem):
        print(file, file=sys.stderr)
    return 0
