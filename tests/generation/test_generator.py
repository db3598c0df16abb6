"""What a run's folder makes without its data: each codec end to end, and the command lines around it."""

import functools
import shutil
import sys
import wave
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import jax
import mido
import numpy as np
import pytest
from PIL import Image

from rnngen.cli.main import main
from rnngen.cli.streaming import AT_ONCE, texts
from rnngen.config import base_config, build, component, resolve
from rnngen.datasets.corpus import SPLITS
from rnngen.datasets.formats.wav import write_wav
from rnngen.generation.generator import load_generator
from rnngen.runs.train import run
from rnngen.storage.folder import RunFolder
from rnngen.training import checkpoint
from rnngen.training.compiled import start_state

TEXT = "the quick brown fox jumps over the lazy dog.\n" * 8
NAMES = "\n".join(a + b + c for a in "abc" for b in "eio" for c in ("l", "n", "ra"))
RANDOM = np.random.RandomState(0)


def split_arrays(what, make):
    """`train_strokes`, `train_lengths` and so on: three sequences of ten a split."""
    lengths = {f"{split}_lengths": np.array([10, 10, 10]) for split in SPLITS}
    return {f"{split}_{what}": make(30) for split in SPLITS} | lengths


def write_music(folder):
    np.savez(folder / "music.npz", **split_arrays("frames", lambda n: RANDOM.randint(0, 2, (n, 88)).astype(np.uint8)))
    return "music.npz"


def write_images(folder):
    packed = {split: RANDOM.randint(0, 256, (4, 98)).astype(np.uint8) for split in SPLITS}
    np.savez(folder / "binarized_mnist_packed.npz", **packed)
    return "binarized_mnist_packed.npz"


def write_strokes(folder):
    moves = lambda n: np.concatenate([RANDOM.normal(size=(n, 2)) * 7, RANDOM.randint(0, 2, (n, 1))], axis=1)  # noqa: E731
    np.savez(folder / "strokes.npz", **split_arrays("strokes", moves))
    return "strokes.npz"


def write_speech(folder):
    (folder / "wavs").mkdir()
    for i in range(10):
        write_wav(np.sin(np.arange(60) * (0.1 + 0.05 * i)), folder / "wavs" / f"{i}.wav", 4000)
    return "wavs"


def write_trajectories(folder):
    moves = {f"{part}_x": RANDOM.normal(size=(50, 3)) for part in ("train", "test")}
    lengths = {f"{part}_lengths": np.array([10] * 5) for part in ("train", "test")}
    np.savez(folder / "trajectories.npz", **moves | lengths)
    return "trajectories.npz"


def write_words(words, folder):
    (folder / "words.txt").write_text(words, encoding="utf-8")
    return "words.txt"


# task -> (what writes its corpus, its arguments)
CORPORA = {
    "binarised_mnist": (write_images, {}),
    "music": (write_music, {"chunk": 5}),
    "names": (functools.partial(write_words, NAMES), {"chunk": 4}),
    "speech": (write_speech, {"chunk": 8, "levels": 16, "components": 2}),
    "strokes": (write_strokes, {"chunk": 5, "components": 2}),
    "text": (functools.partial(write_words, TEXT), {"chunk": 8}),
    "trajectories": (write_trajectories, {"chunk": 5}),
}


def config_of(task, path, **train):
    config = base_config()
    config.cell = component("rnn", hidden_dim=4)
    config.task = component(task, path=str(path), **CORPORA[task][1])
    config.diagnose.update({"what": (), "examples": 1})
    config.train.update({"steps": 1, "log_every": 1, "eval_every": 0, "save_every": 0, "batch_size": 1} | train)
    config.train.eval_batch_size = 1
    return config


def save(folder, config, **states):
    """A run's folder as training leaves it, without the training; states: what to change of the first state."""
    made, record = build(config), RunFolder(folder)
    record.start(config, data=dict(made.task.data.facts))
    record.describe(made.task.codec)
    checkpoint.save(record.checkpoints, start_state(made)._replace(**states))


@functools.cache
def made_run(task, folder):
    """A run's folder whose corpus is no more. The text is trained on; to compile that for all would take minutes."""
    corpus = folder / f"corpus_{task}"
    corpus.mkdir()
    config = resolve(config_of(task, corpus / CORPORA[task][0](corpus)))
    (run if task == "text" else lambda config, folder: save(folder, config))(config, folder / task)
    shutil.rmtree(corpus)
    return folder / task


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """task -> the folder of a run."""
    folder = tmp_path_factory.mktemp("runs")
    return lambda task: made_run(task, folder)


def sampled(capsys, folder, *arguments):
    """(what is printed, the files written)."""
    assert main(["sample", str(folder), *map(str, arguments)]) == 0
    caught = capsys.readouterr()
    files = [Path(line) for line in caught.err.splitlines()]
    assert files
    assert all(file.is_file() for file in files)
    return caught.out, files


def scored(capsys, folder, argument):
    """(nats, steps)."""
    assert main(["score", str(folder), argument]) == 0
    out = capsys.readouterr().out
    words = out.split()
    assert words[0] == "log-likelihood"
    assert float(words[6]) == pytest.approx(-float(words[1]) / int(words[4]), abs=1e-4)
    assert float(words[8]) == pytest.approx(float(words[6]) / np.log(2), abs=2e-4)
    return float(words[1]), int(words[4])


def test_text(runs, capsys):
    out, (file,) = sampled(capsys, runs("text"), "--prompt=the ", "--length=300")
    assert out == file.read_text(encoding="utf-8") + "\n"
    assert out.startswith("the ")
    assert len(out) == 4 + 300 + 1
    assert set(out) <= set(TEXT)
    parent = runs("text") / "samples"
    assert file == parent / "seed0.txt"
    nats, steps = scored(capsys, runs("text"), "--text=quick fox")
    assert steps == 9
    model, params, codec, _ = load_generator(runs("text"))
    values = codec.read("quick fox")
    inputs = np.concatenate([[0], values[:-1]])[:, None]
    _, outputs = model.apply(params, inputs)
    assert nats == pytest.approx(float(model.head.log_prob(outputs[:, 0], values).sum()), abs=1e-3)
    (parent / "own.txt").write_bytes(b"quick fox")
    assert scored(capsys, runs("text"), f"--file={parent / 'own.txt'}") == (nats, 9)


@pytest.mark.slow
def test_names(runs, capsys):
    out, files = sampled(capsys, runs("names"), "--batch=3", "--length=40", "--temperature=0.7", "--top_k=4")
    assert [file.name for file in files] == [f"seed0-temperature0.7-top_k4_{i}.txt" for i in range(3)]
    texts = [file.read_text(encoding="utf-8") for file in files]
    assert out == "".join(f"--- {i}\n{text}\n" for i, text in enumerate(texts))
    assert len(set(texts)) == 3
    # As long as a usual name where nothing is said.
    _, (file,) = sampled(capsys, runs("names"), "--prompt_file", files[0], "--out", files[0].parent / "other")
    assert file == files[0].parent / "other" / "seed0.txt"
    assert len(file.read_text(encoding="utf-8")) == 40 + 4


@pytest.mark.slow
def test_music(runs, capsys):
    _, files = sampled(capsys, runs("music"), "--length=12")
    assert [file.name for file in files] == ["seed0.mid", "seed0.wav"]
    assert any(message.type == "note_on" for track in mido.MidiFile(files[0]).tracks for message in track)
    with wave.open(str(files[1])) as sound:
        assert sound.getnframes() / sound.getframerate() >= 12 * 0.25
    _, steps = scored(capsys, runs("music"), f"--file={files[0]}")
    assert steps == 12
    read = load_generator(runs("music")).read
    before = read(str(files[0]))
    _, again = sampled(capsys, runs("music"), f"--prompt={files[0]}", "--length=3", "--seed=4", "--batch=2")
    for file in again[:2]:
        np.testing.assert_array_equal(read(str(file))[:12], before)
        assert len(read(str(file))) == 15


@pytest.mark.slow
def test_images(runs, capsys):
    _, (sheet,) = sampled(capsys, runs("binarised_mnist"), "--batch=4")
    with Image.open(sheet) as image:
        assert set(np.unique(np.asarray(image))) == {0, 96, 255}
        assert np.mean(np.asarray(image) == 96) < 0.15  # all 784 pixels are drawn
    upper = sheet.with_name("upper.png")
    Image.fromarray(np.eye(14, 28, dtype=np.uint8) * 255).save(upper)
    assert scored(capsys, runs("binarised_mnist"), f"--text={upper}")[1] == 14 * 28
    assert sampled(capsys, runs("binarised_mnist"), f"--prompt={upper}", "--length=392")[1] == [sheet]


@pytest.mark.slow
def test_strokes(runs, capsys):
    _, files = sampled(capsys, runs("strokes"), "--length=20")
    assert [file.name for file in files] == ["seed0.svg", "seed0.txt"]
    assert ElementTree.parse(files[0]).getroot().tag.endswith("svg")
    # In the units of the corpus that is no more.
    movements = np.loadtxt(files[1])
    assert movements.shape == (20, 3)
    values = load_generator(runs("strokes")).read(str(files[1]))
    scale = RunFolder(runs("strokes")).rows("provenance")[0]["data"]["scale"]
    np.testing.assert_allclose(values[:, :2] * scale, movements[:, :2], rtol=1e-5)
    assert scored(capsys, runs("strokes"), f"--file={files[1]}")[1] == 20


@pytest.mark.slow
def test_speech(runs, capsys):
    _, (file,) = sampled(capsys, runs("speech"), "--length=50")
    with wave.open(str(file)) as sound:
        assert (sound.getframerate(), sound.getnframes()) == (4000, 50)
    assert scored(capsys, runs("speech"), f"--file={file}")[1] == 50
    assert load_generator(runs("speech")).length == 60


@pytest.mark.slow
def test_trajectories(runs, capsys):
    _, files = sampled(capsys, runs("trajectories"), "--batch=2")
    assert [file.name for file in files] == ["seed0_0.svg", "seed0_1.svg", "seed0_0.csv", "seed0_1.csv"]
    assert np.loadtxt(files[2], delimiter=",").shape == (10, 3)
    assert scored(capsys, runs("trajectories"), f"--file={files[2]}")[1] == 10


@pytest.mark.slow
def test_the_same_seed_makes_the_same_files(runs, capsys):
    found = []
    for seed in (7, 7, 8):
        _, files = sampled(capsys, runs("strokes"), f"--seed={seed}", "--length=5", "--batch=2")
        found.append([file.read_bytes() for file in files])
        shutil.rmtree(files[0].parent)
    assert found[0] == found[1]
    assert found[0] != found[2]
    assert found[0][0] != found[0][1]


@pytest.fixture
def words(tmp_path):
    (tmp_path / "words.txt").write_text(TEXT, encoding="utf-8")
    return tmp_path / "words.txt"


def test_the_best_parameters_are_used_where_a_run_is_judged_by_them(tmp_path, words):
    config = resolve(config_of("text", words))
    last = jax.tree.map(lambda x: x + 1, start_state(build(config)).params)
    best = jax.tree.map(lambda x: x + 2, last)
    for name, state, chosen in (("last", {"params": last}, last), ("best", {"params": last, "best": best}, best)):
        save(tmp_path / name, config, **state)
        found = load_generator(tmp_path / name).params
        jax.tree.map(np.testing.assert_array_equal, found, chosen)


class Stdout:
    """What was written, in the order of it, and `None` for each flush."""

    def __init__(self):
        self.seen = []

    def write(self, text):
        self.seen.append(text)

    def flush(self):
        self.seen.append(None)


def test_text_is_shown_as_it_is_drawn(runs, monkeypatch):
    shown = Stdout()
    monkeypatch.setattr(sys, "stdout", shown)
    assert main(["sample", str(runs("text")), f"--length={3 * AT_ONCE + 1}", "--prompt=fox"]) == 0
    pieces = [text for text in shown.seen if text]
    assert [len(text) for text in pieces[:5]] == [3, AT_ONCE, AT_ONCE, AT_ONCE, 1]
    for text in pieces[:5]:
        assert shown.seen[shown.seen.index(text) + 1] is None


@pytest.mark.slow
def test_a_character_of_several_bytes_is_shown_when_it_is_whole(tmp_path, words, capsys):
    config = config_of("text", words)
    config.task.kwargs.encoding = "bytes"
    save(tmp_path / "run", resolve(config))
    prompt = "€" * 11 + "ß𝄞"  # 39 bytes; the first piece that is drawn may not go on with a character
    out, (file,) = sampled(capsys, tmp_path / "run", f"--prompt={prompt}", "--length=100")
    assert file.read_bytes().startswith(prompt.encode())
    assert len(file.read_bytes()) == 39 + 100
    assert out == file.read_bytes().decode("utf-8", "replace") + "\n"
    torn = tmp_path / "torn.txt"
    torn.write_bytes("€".encode()[:2])
    assert scored(capsys, tmp_path / "run", f"--file={torn}")[1] == 2
    out, (file,) = sampled(capsys, tmp_path / "run", f"--prompt_file={torn}", "--length=9")
    assert file.read_bytes()[:2] == torn.read_bytes()


@pytest.mark.parametrize("text", ["aß€𝄞" * 9, "𝄞" * 20, "€" * 20, "plain"])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 16])
def test_pieces_of_bytes_show_the_whole_text(text, size):
    from rnngen.datasets import CODECS

    values = np.frombuffer(text.encode(), np.uint8)
    pieces = [values[i : i + size] for i in range(0, len(values), size)]
    found = list(texts(CODECS["bytes"]().show, pieces))
    assert "".join(shown for shown, _ in found) == text
    assert np.concatenate([piece for _, piece in found]).tobytes() == text.encode()
    assert all("\ufffd" not in shown for shown, _ in found)


def refused(capsys, before, *arguments):
    """The one line on stderr; nothing else is printed, and no file is written."""
    files = set(before.rglob("*"))
    assert main([str(argument) for argument in arguments]) == 2
    caught = capsys.readouterr()
    assert caught.out == ""
    assert caught.err.startswith("rnngen: ")
    assert caught.err.count("\n") == 1
    assert set(before.rglob("*")) == files
    return caught.err


@pytest.mark.parametrize(
    ("task", "options", "message"),
    [
        ("text", ["--temperature=-0.5"], "temperature must be finite and at least 0"),
        ("text", ["--temperature", "-1"], "temperature must be finite and at least 0"),
        ("text", ["--top_p=0"], "top_p must be above 0 and at most 1"),
        ("text", ["--top_p=1.5"], "top_p must be above 0 and at most 1"),
        ("text", ["--top_k=-2"], "top_k must be a whole number, at least 0"),
        ("text", ["--top_k=two"], "--top_k: invalid int value: 'two'"),
        ("text", ["--length=-1"], "--length: must be a whole number of at least 0, got '-1'"),
        ("text", ["--seed=-1"], "--seed: must be a whole number from 0 to 4294967295, got '-1'"),
        ("text", ["--temprature=1"], "sample: unknown option '--temprature'; did you mean '--temperature'?"),
        ("text", ["--prompt=fox#"], "character 3 is '#', which is not in the vocabulary: the model never saw it"),
        ("text", ["--prompt=fox", "--prompt_file=fox.txt"], "give --prompt or a file of it, not both"),
        ("text", ["--prompt_file=nowhere.txt"], "nowhere.txt"),
        ("text", ["more"], "sample: unexpected argument 'more'"),
        ("strokes", ["--top_k=3"], "top_k: this model's head takes temperature only"),
        ("strokes", ["--prompt=nowhere.txt"], "nowhere.txt cannot be read"),
    ],
)
def test_samples_that_cannot_be(runs, capsys, task, options, message):
    folder = runs(task)
    assert message in refused(capsys, folder, "sample", folder, *options)


@pytest.mark.parametrize(
    ("task", "options", "message"),
    [
        ("text", [], "give --text=TEXT or --file=FILE\n"),
        ("strokes", [], "give --text=TEXT or --file=FILE (here a file)\n"),
        ("text", ["--text=", ""], "score: unexpected argument ''"),
        ("text", ["--text="], "there is nothing to score"),
        ("text", ["--text=a", "--file=b"], "give --text or a file of it, not both"),
        ("text", ["--text=£"], "character 0 is '£'"),
        ("text", ["--fil=b"], "score: unknown option '--fil'; did you mean '--file'?"),
    ],
)
def test_scores_that_cannot_be(runs, capsys, task, options, message):
    folder = runs(task)
    assert message in refused(capsys, folder, "score", folder, *options)


def test_a_file_that_is_not_utf_8(runs, capsys, tmp_path):
    (tmp_path / "latin.txt").write_bytes("gr\xfc".encode("latin-1"))
    for command, option in (("score", "--file"), ("sample", "--prompt_file")):
        said = refused(capsys, runs("text"), command, runs("text"), f"{option}={tmp_path / 'latin.txt'}")
        assert "latin.txt is not UTF-8: invalid start byte at byte 2" in said


def test_folders_that_make_nothing(capsys, tmp_path, words):
    (tmp_path / "empty").mkdir()
    sweep = tmp_path / "sweep"
    (sweep / "trials" / "one").mkdir(parents=True)
    (sweep / "trials" / "one" / "config.json").write_text("{}")
    config = base_config()
    config.task = component("adding", length=5)
    RunFolder(tmp_path / "adding").start(resolve(config))
    begun, config = RunFolder(tmp_path / "begun"), resolve(config_of("text", words))
    begun.start(config)
    begun.describe(build(config).task.codec)
    for name, message in {
        "nowhere": "nowhere: no such folder",
        "empty": "empty: holds no run (config.json)",
        "sweep": f"sweep: holds a sweep: give one of its trials, such as {sweep / 'trials' / 'one'}",
        "adding": "adding: its task makes no sequences; rnngen.generation.analysis.load_subject gives its model",
        "begun": "begun: has saved no checkpoint yet: train it first",
    }.items():
        assert message in refused(capsys, tmp_path, "sample", tmp_path / name)
        assert message in refused(capsys, tmp_path, "score", tmp_path / name, "--text=a")
    assert "sample: the following arguments are required: RUN" in refused(capsys, tmp_path, "sample")


def test_where_files_cannot_be_written(runs, capsys, words):
    said = refused(capsys, words.parent, "sample", runs("text"), f"--out={words / 'samples'}")
    assert "words.txt is not a folder" in said
