"""Names, character by character: many short sequences, each with a symbol for its end."""

from rnngen.datasets.corpus import Corpus
from rnngen.datasets.formats.symbols import Encoder, code_points, decoded
from rnngen.datasets.generative import bits, generative, marginal_baseline
from rnngen.datasets.paths import find_files
from rnngen.datasets.sequences import join, select, split_indices
from rnngen.datasets.text import text_codec
from rnngen.storage.provenance import sha256_of
from rnngen.tasks.task import Task


def load_names(path: str = "", valid: float = 0.1, test: float = 0.1, seed: int = 0) -> Corpus:
    """Load distinct names, shuffled and split. Values: tokens `[n]`; a sequence is a name and a final newline.

    The vocabulary is the newline and then every character of the file, sorted. Duplicates are removed, so that no name
    of valid or test occurs in training.

    Args:
      path: a UTF-8 file with one name per line; "": the set `names`.
      valid, test: shares.
      seed: of the shuffle.

    Returns:
      The sequences of each split, and metadata.

    Raises:
      ValueError: the file is not UTF-8, or has too few names for the shares.
    """
    (file,) = find_files("names", path, ("names.txt",))
    lines = [line.strip() for line in decoded(file.read_bytes(), str(file)).split("\n")]
    names = list(dict.fromkeys(line for line in lines if line))
    chosen = split_indices(len(names), valid, test, seed, f"distinct names in {file}")
    if not len(chosen["valid"]) or not len(chosen["test"]):
        raise ValueError(f"valid and test must be shares above 0, got {valid!r} and {test!r}")
    vocabulary = "\n" + "".join(sorted(set("".join(names))))
    encode = Encoder(vocabulary)
    values, lengths = join([encode(code_points(name + "\n"), str(file)) for name in names])
    parts = {split: select(values, lengths, indices) for split, indices in chosen.items()}
    rule = f"distinct names, shuffled by RandomState({seed}): valid {valid:g}, test {test:g}, the rest train"
    facts = {
        "files": {file.name: sha256_of(file)},
        "vocabulary": vocabulary,
        "names": sum(map(bool, lines)),
        "distinct": len(names),
        "split": rule,
    }
    return Corpus.of(parts, facts)


def names(path: str = "", *, chunk: int = 64, valid: float = 0.1, test: float = 0.1, seed: int = 0) -> Task:
    """Predict each character of a name, and the newline that ends it, from those before it. Inputs: tokens `[t, b]`.

    Loss: nats per character, including the newline; `bits` likewise. Baseline: each character's frequency. The
    literature has no threshold for these splits.

    Args:
      path, valid, test, seed: see `load_names`.
      chunk: steps of a chunk of a stream, between which the carry goes on and the gradient does not; 0: whole
        sequences.

    Returns:
      The task.
    """
    corpus = load_names(path, valid, test, seed)
    vocabulary = corpus.facts["vocabulary"]
    baseline = marginal_baseline(corpus.values["train"], corpus.values["test"], len(vocabulary))
    kwargs = {"vocabulary": vocabulary, "end": vocabulary[0]}
    return generative("text", text_codec, kwargs, corpus, chunk=chunk, baseline=baseline, more_metrics=bits)
