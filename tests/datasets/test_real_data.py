"""Each shipped config of real sequences, shrunk: trained on its set, and what it makes looked at.

Of the largest sets a few sequences are enough. An untrained model must be near what it is before it knows anything, and
the baseline of its result that of a second count here.
"""

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import jax
import numpy as np
import pytest
from conftest import DATA, READING, needs_data
from PIL import Image
from scipy import stats

from rnngen.cli.main import main
from rnngen.config import resolve
from rnngen.config.check import call, load_module
from rnngen.datasets.formats.midi import read_midi
from rnngen.datasets.formats.wav import read_wav
from rnngen.datasets.names import load_names
from rnngen.datasets.speech import load_speech
from rnngen.datasets.trajectories import load_trajectories
from rnngen.runs.train import run
from rnngen.storage.folder import RunFolder

ROOT, SETS, LENGTH = Path(__file__).parents[2], Path(DATA), 20


@pytest.fixture(autouse=True)
def quickly_compiled():
    """Compiling is most of it, and how fast the programs are is not what is tested."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


# What the best predictor without memory loses on test, from the files.


def counted(train, test, classes):
    """Add-one frequencies."""
    counts = Counter(train)
    return -sum(n * math.log((counts[x] + 1) / (len(train) + classes)) for x, n in Counter(test).items()) / len(test)


def bits(train, test):
    """The same for vectors of bits, each bit by itself."""
    on = (train.sum(axis=0) + 1.0) / (len(train) + 2.0)
    return -stats.bernoulli.logpmf(test, on).sum(axis=1).mean()


def gaussians(train, test):
    return -stats.norm.logpdf(test, train.mean(axis=0), train.std(axis=0)).sum(axis=1).mean()


def char_rnn_baseline(path):
    text = (SETS / "text" / "input.txt").read_text()
    cut = int(0.9 * len(text))
    return counted(text[:cut], text[cut:], len(set(text)))


def names_baseline(path):
    corpus = load_names()
    return counted(corpus.values["train"].tolist(), corpus.values["test"].tolist(), 27)


def music_baseline(path):
    """Of all frames but the first of a piece, which is not scored."""
    file = np.load(SETS / "music" / "jsb_chorales.npz")

    def later(split):
        pieces = np.split(file[f"{split}_frames"], np.cumsum(file[f"{split}_lengths"])[:-1])
        return np.concatenate([piece[1:] for piece in pieces]).astype(int)

    return bits(later("train"), later("test"))


def binarised_baseline(path):
    file = np.load(path)
    return bits(*(np.unpackbits(file[split]).reshape(-1, 1).astype(int) for split in ("train", "test")))


def strokes_baseline(path):
    file = np.load(SETS / "strokes" / "kanji_short.npz")
    train, test = (file[f"{split}_strokes"].astype(float) for split in ("train", "test"))
    scale = train[:, :2].std()
    pen = bits(train[:, 2:].astype(int), test[:, 2:].astype(int))
    return gaussians(train[:, :2] / scale, test[:, :2] / scale) + pen


def speech_baseline(path):
    corpus = load_speech(path)
    return counted(corpus.values["train"].tolist(), corpus.values["test"].tolist(), 256)


def trajectories_baseline(path):
    corpus = load_trajectories()
    return gaussians(corpus.values["train"].astype(float), corpus.values["test"].astype(float))


# A part of a set, as a file like the whole.


def every_hundredth_image(folder):
    """The test images are sorted by digit."""
    file = np.load(SETS / "binarized_mnist" / "binarized_mnist_packed.npz")
    np.savez(folder / "part.npz", **{split: file[split][::100] for split in ("train", "valid", "test")})
    return str(folder / "part.npz")


def one_speakers_zeros(folder):
    file = np.load(SETS / "speech" / "fsdd.npz")
    chosen = (file["speaker"] == 0) & (file["digit"] == 0)
    parts = {name: file[name][chosen] for name in ("lengths", "index", "is_test")}
    samples = file["samples"][np.repeat(chosen, file["lengths"])]
    np.savez(folder / "part.npz", samples=samples, sample_rate=file["sample_rate"], **parts)
    return str(folder / "part.npz")


# What was made: the files beside each other under the name of the seed.


def is_text(stem, symbols):
    made = stem.with_suffix(".txt").read_bytes().decode()
    assert len(made) == LENGTH
    assert set(made) <= set(symbols)


def is_char_rnn(stem):
    is_text(stem, (SETS / "text" / "input.txt").read_text())


def is_names(stem):
    is_text(stem, "\nabcdefghijklmnopqrstuvwxyz")


def is_music(stem):
    roll = read_midi(stem.with_suffix(".mid"))
    assert roll.shape == (LENGTH, 88)
    assert 0.3 < roll.mean() < 0.7  # an untrained model leaves every key to chance
    samples, rate = read_wav(stem.with_suffix(".wav"))
    assert len(samples) / rate == pytest.approx(LENGTH / 4, abs=2)  # four steps a second, and the last notes ring on


def is_image(stem):
    with Image.open(stem.with_suffix(".png")) as image:
        grey = np.asarray(image)
    assert grey.shape == (88, 88)  # three by three for each pixel, and a border
    assert set(np.unique(grey)) == {0, 96, 255}
    assert (grey != 96).sum() == 9 * LENGTH


def is_drawing(stem):
    movements = np.loadtxt(stem.with_suffix(".txt"))
    assert movements.shape == (LENGTH, 3)
    assert set(movements[:, 2]) == {0, 1}
    # A line from each lift of the pen to the next; a lift at the very end begins none.
    assert len(svg_paths(stem)) == movements[:-1, 2].sum() + 1


def is_letter(stem):
    assert np.loadtxt(stem.with_suffix(".csv"), delimiter=",").shape == (LENGTH, 3)
    assert len(svg_paths(stem)) == LENGTH


def svg_paths(stem):
    return ElementTree.parse(stem.with_suffix(".svg")).findall(".//{http://www.w3.org/2000/svg}path")


def is_speech(stem):
    samples, rate = read_wav(stem.with_suffix(".wav"))
    assert (len(samples), rate) == (LENGTH, 8000)
    assert samples.std() > 0.01


class Case(NamedTuple):
    """baseline: from the path that the task was given. looks: at what is made, None: nothing can be.

    untrained: the loss of the answer that prefers nothing, None: a density has no such. factor: what a model that has
    learned nothing loses at most, in units of the baseline. eval_batch: large enough for few steps.
    part: (folder) -> a file to read instead of the set's. pixels_per_step: of the task; 0: it has none.
    """

    baseline: Callable[[str], float]
    looks: Callable[[Path], None] | None
    untrained: float | None = None
    factor: float = 1.5
    eval_batch: int = 55
    part: Callable[[Path], str] | None = None
    pixels_per_step: int = 0


CASES = {
    "char_rnn": Case(char_rnn_baseline, is_char_rnn, math.log(65)),
    "names": Case(names_baseline, is_names, math.log(27)),
    "music": Case(music_baseline, is_music, 88 * math.log(2), factor=6),  # 88 even odds, where hardly four keys sound
    "mnist": Case(lambda path: math.log(10), None, math.log(10), eval_batch=625, pixels_per_step=28),
    "binarised_mnist": Case(binarised_baseline, is_image, math.log(2), 2, 125, every_hundredth_image),
    "strokes": Case(strokes_baseline, is_drawing),
    "speech": Case(speech_baseline, is_speech, factor=2, eval_batch=5, part=one_speakers_zeros),
    "trajectories": Case(trajectories_baseline, is_letter, eval_batch=75),
}


def shrunk(name, case, folder):
    """The shipped config with 16 units for two updates, evaluated in few large batches."""
    path = str(ROOT / "configs" / f"{name}.py")
    config = call(path, load_module(path), "get_config")
    config.cell.kwargs.hidden_dim = 16
    config.diagnose.what = ()
    # An odd batch is not shared between devices, and so compiles faster.
    config.train.update({"steps": 2, "log_every": 2, "eval_every": 2, "save_every": 0, "batch_size": 5})
    config.train.eval_batch_size = case.eval_batch
    if case.pixels_per_step:
        config.task.kwargs.pixels_per_step = case.pixels_per_step
    if case.part is not None:
        config.task.kwargs.path = case.part(folder)
    return resolve(config)


@pytest.mark.slow
@needs_data
@pytest.mark.parametrize("name", CASES)
def test_a_shipped_config_trains_on_its_set_and_makes_what_can_be_opened(name, tmp_path, capsys):
    case, folder = CASES[name], tmp_path / "run"
    config = shrunk(name, case, tmp_path)
    result = run(config, folder)
    assert (result["status"], result["step"]) == ("finished", 2)
    baseline = case.baseline(config.task.kwargs["path"])
    assert result["baseline"] == pytest.approx(baseline, rel=1e-5)
    valid = [row["loss"] for row in RunFolder(folder).rows("metrics") if row["split"] == "valid"]
    assert 0.99 * baseline < valid[0] < case.factor * baseline
    assert case.untrained is None or valid[0] == pytest.approx(case.untrained, rel=0.02)
    assert all(math.isfinite(loss) for split in result["metrics"].values() for loss in split.values())

    status = main(["sample", str(folder), f"--length={LENGTH}"])
    if case.looks is None:
        assert status == 2
        assert "makes no sequences" in capsys.readouterr().err
    else:
        assert status == 0
        case.looks(folder / "samples" / "seed0")


def test_all_shipped_configs_of_real_sets_are_here():
    from_sets = {path.stem for path in ROOT.glob("configs/*.py") if reads_a_set(path)}
    assert from_sets == set(CASES)


def reads_a_set(path):
    return call(str(path), load_module(str(path)), "get_config").task.name in READING
