"""Mutated files of data: a loader gives a whole corpus, or refuses in one line that names the file."""

import gzip
import io
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path

import mido
import numpy as np
import pytest
from mutate import Mutator, within
from PIL import Image

from rnngen.datasets import CODECS, mnist
from rnngen.datasets.arrays import arrays
from rnngen.datasets.corpus import SPLITS, Corpus
from rnngen.datasets.formats import archives
from rnngen.datasets.formats.archives import extract
from rnngen.datasets.formats.arrays import open_mat
from rnngen.datasets.formats.midi import read_midi, write_midi
from rnngen.datasets.formats.wav import read_wav, write_wav
from rnngen.datasets.music import load_music
from rnngen.datasets.names import load_names
from rnngen.datasets.series import series
from rnngen.datasets.speech import load_speech
from rnngen.datasets.strokes import load_strokes
from rnngen.datasets.text import load_text
from rnngen.datasets.trajectories import load_trajectories

SECONDS = 20  # that one file may take at the most
WORDS = "anna\nbob\ncarl\ndora\nemma\nfritz\ngüstl\nhans\nida\njo\nkurt\nlea\n"


def npz(**arrays):
    """The bytes of an npz."""
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def splits(what, values, lengths, **more):
    """The bytes of an npz with the same arrays for each split."""
    return npz(**{f"{s}_{what}": values for s in SPLITS} | {f"{s}_lengths": lengths for s in SPLITS} | more)


def zipped(files):
    """The bytes of a zip."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in files.items():
            archive.writestr(name, raw)
    return file.getvalue()


def tarred(files, mode="w:gz"):
    """The bytes of a tar."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:
        for name, raw in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(raw)
            archive.addfile(entry, io.BytesIO(raw))
    return file.getvalue()


def idx(array):
    """The bytes of a gzipped idx file."""
    header = struct.pack(">I", 0x800 + array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return gzip.compress(header + array.astype(np.uint8).tobytes(), 1)


def written(write, suffix, folder):
    """The bytes that `write(path)` writes."""
    write(folder / f"valid{suffix}")
    return (folder / f"valid{suffix}").read_bytes()


def png():
    """The bytes of a small picture."""
    file = io.BytesIO()
    Image.fromarray(np.arange(28 * 4, dtype=np.uint8).reshape(4, 28)).save(file, "PNG")
    return file.getvalue()


def mat(folder):
    """The bytes of a MATLAB file."""
    from scipy import io as matlab

    return written(
        lambda path: matlab.savemat(path, {"X": np.eye(3), "c": np.array([np.eye(2)], object)}), ".mat", folder
    )


def load_mnist_of(path):
    """The idx files beside it stay whole."""
    folder = path.parent / "idx"
    folder.mkdir(exist_ok=True)
    for name in mnist.IDX:
        (folder / name).write_bytes(LABELS if "idx1" in name else IMAGES)
    (folder / mnist.IDX[0]).write_bytes(path.read_bytes())
    return mnist.load_mnist(str(folder))


IMAGES, LABELS = idx(np.zeros((12, 28, 28))), idx(np.arange(12))


def extracted(path):
    """Everything in an archive, in a new folder."""
    folder = path.parent / "unpacked"
    for old in sorted(folder.rglob("*"), reverse=True):
        old.rmdir() if old.is_dir() else old.unlink()
    folder.rmdir() if folder.exists() else None
    extract(path, folder)


def prompt(name, **kwargs):
    """`codec.read` of a file."""
    return lambda path: CODECS[name](**kwargs).read(str(path))


def cases(folder):
    """name -> (valid bytes, suffix, loader of a path)."""
    roll = np.zeros((4, 88), np.uint8)
    roll[1:3, 40] = 1
    midi = written(lambda path: write_midi(roll, path), ".mid", folder)
    wav = written(lambda path: write_wav(np.linspace(-1, 1, 50), path, 8000), ".wav", folder)
    strokes = splits("strokes", np.array([[1, 2, 0], [3, 1, 1], [0, 1, 0]], np.float32), np.array([2, 1]))
    music = splits("frames", np.eye(88, dtype=np.uint8)[:4], np.array([2, 2]))
    letters = npz(train_x=np.ones((9, 3)), train_lengths=np.full(3, 3), test_x=np.ones((3, 3)), test_lengths=[3])
    speech = npz(
        samples=np.arange(6, dtype=np.int16), lengths=np.array([2, 2, 2]), index=np.array([9, 10, 0]),
        is_test=np.array([False, False, True]), sample_rate=8000,
    )  # fmt: skip
    midis, wavs = ({f"{n}{kind}": raw for n in "abc"} for kind, raw in ((".mid", midi), (".wav", wav)))
    csv = b"0.1,0.2,0.3\n-1,2,1e-3\n\n4,5,6\n"
    own = npz(x=np.arange(72.0).reshape(3, 12, 2), y=np.arange(12) % 3, lengths=np.full(12, 2))
    joined = npz(x=np.arange(48.0).reshape(24, 2), y=np.arange(12.0), offsets=np.arange(0, 25, 2))
    long = b"id,at,a,y\n" + b"".join(b"%d,%d,%d.5,%d\n" % (n // 2, n % 2, n, n // 2 % 3) for n in range(24))
    rows = b"day,a,b\n" + b"".join(b"2020-01-%02d,%d,0.5\n" % (n, n % 7) for n in range(1, 31))
    labels, window = {"loss": "cross_entropy", "missing": "mask"}, {"window": 3, "horizon": 2}
    return {
        "midi": (midi, ".mid", read_midi),
        "midi prompt": (midi, ".mid", prompt("music")),
        "wav": (wav, ".wav", read_wav),
        "wav prompt": (wav, ".wav", prompt("audio")),
        "png prompt": (png(), ".png", prompt("pixels")),
        "strokes prompt": (b"1 2 0\n3 4.5 1\n", ".txt", prompt("strokes")),
        "trajectories prompt": (csv, ".csv", prompt("trajectories")),
        "npz of strokes": (strokes, ".npz", lambda path: load_strokes(str(path))),
        "npz of music": (music, ".npz", lambda path: load_music(str(path))),
        "npz of letters": (letters, ".npz", lambda path: load_trajectories(str(path), 0.4)),
        "npz of speech": (speech, ".npz", lambda path: load_speech(str(path))),
        "npz of arrays": (own, ".npz", lambda path: arrays(str(path))),
        "npz of labels": (own, ".npz", lambda path: arrays(str(path), **labels)),
        "npz of joined arrays": (joined, ".npz", lambda path: arrays(str(path), missing="mask")),
        "npz of a series": (npz(values=np.eye(30)), ".npz", lambda path: series(str(path), **window)),
        "table of arrays": (long, ".csv", lambda path: arrays(str(path), sequence="id", time="at", **labels)),
        "table of a series": (rows, ".csv", lambda path: series(str(path), time="day", **window)),
        "series prompt": (rows, ".csv", prompt("series", columns=("a", "b"))),
        "mat": (mat(folder), ".mat", lambda path: open_mat(path, ("X",))),
        "idx": (IMAGES, ".gz", load_mnist_of),
        "names": (WORDS.encode(), ".txt", lambda path: load_names(str(path))),
        "text": (WORDS.encode(), ".txt", lambda path: load_text(str(path))),
        "bytes": (WORDS.encode(), ".txt", lambda path: load_text(str(path), encoding="bytes")),
        "zip": (zipped(midis), ".zip", extracted),
        "tar": (tarred(midis, "w"), ".tar", extracted),
        "tar.gz": (tarred(wavs), ".tar.gz", extracted),
        "zip of midi": (zipped(midis), ".zip", lambda path: load_music(str(path))),
        "zip of wav": (zipped(wavs), ".zip", lambda path: load_speech(str(path))),
    }


def whole(corpus):
    """Whether a corpus is what it says: lengths that cut its values, numbers that are finite."""
    for split in SPLITS if isinstance(corpus, Corpus) else ():
        values, lengths = corpus.values[split], corpus.lengths[split]
        assert len(values) == lengths.sum()
        assert len(lengths)
        assert lengths.min() > 0
        assert np.isfinite(values).all()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A place for the mutated file, beside what nothing may touch."""
    monkeypatch.setenv("RNNGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(mnist, "VALID", 2)
    monkeypatch.setattr(archives, "MOST_BYTES", 10**7)
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def fault(load, path, raw):
    """None where a file is loaded whole, or refused in one line that names it or what it came from."""
    try:
        with within(SECONDS):
            whole(load(path))
    except (ValueError, OSError) as error:
        line = str(error)
        named = path.stem.split(".")[0] in line or "/in/" in line or "cache" in line
        return None if named and "\n" not in line and len(line) < 1100 else f"unclear: {line[:300]!r} of {raw[:300]!r}"
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:300]} of {raw[:300]!r}"
    return None


ARRAYS = (
    *(np.array(3), np.array([]), np.array([np.nan, 1, 2]), np.array([[np.inf] * 3] * 3), np.array(["a", "b"])),
    *(np.zeros((3, 3), complex), np.array([True, False]), np.array([-1, 4]), np.array([2**63, 2**63], np.uint64)),
    *(np.zeros((0, 88)), np.zeros((4, 88), "M8[s]"), np.zeros(3, [("a", int)]), np.full((3, 3), 1e300), b"x"),
    *(np.array([2, 1], np.uint8), np.full((4, 88), np.nan), np.array([[1, 2, np.nan]]), np.array([2**40]), 1.5),
)


def test_mutated_arrays(faults, folder):
    kinds = {name: case for name, case in cases(folder).items() if name.startswith("npz")}
    mutator, found, count = Mutator(2), [], faults.count(150, 3000)
    for _ in range(count):
        name = mutator.random.choice(list(kinds))
        valid, suffix, load = kinds[name]
        with np.load(io.BytesIO(valid)) as opened:
            arrays = dict(opened)
        for _ in range(mutator.random.randint(1, 2)):
            arrays[mutator.random.choice(list(arrays))] = mutator.random.choice((*ARRAYS, *arrays.values()))
        (folder / f"mutated{suffix}").write_bytes(npz(**arrays))
        shown = {
            key: (array.dtype, array.shape) if isinstance(array, np.ndarray) else array for key, array in arrays.items()
        }
        if wrong := fault(load, folder / f"mutated{suffix}", repr(shown)):
            found.append(f"{name}: {wrong}")
    faults.tell("mutated arrays", count, found)


class Payload:
    """What runs when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_pickles_are_refused_and_do_not_run(folder):
    ran = folder / "ran"
    bad = np.array([Payload(ran)], object)
    file = io.BytesIO()
    np.save(file, bad, allow_pickle=True)
    for name, (valid, suffix, load) in cases(folder).items():
        contents = [file.getvalue(), pickle.dumps(Payload(ran))]
        if name.startswith("npz"):
            with np.load(io.BytesIO(valid)) as opened:
                contents += [npz(**dict(opened) | {key: bad}) for key in opened.files]
        for content in contents:
            (folder / f"mutated{suffix}").write_bytes(content)
            assert fault(load, folder / f"mutated{suffix}", content) is None
            assert not ran.exists()
    pickle.loads(pickle.dumps(Payload(ran)))
    assert ran.exists()


OUTSIDE = ("../out.mid", "a/../../out.mid", "/tmp/out.mid", "..\\out.mid", "C:\\out.mid", "C:out.mid")


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize(("pack", "suffix"), [(zipped, ".zip"), (tarred, ".tar.gz")])
def test_entries_stay_in_their_folder(folder, name, pack, suffix):
    (folder / f"a{suffix}").write_bytes(pack({name: b"x"}))
    with pytest.raises(ValueError, match="would be written outside of the folder"):
        extract(folder / f"a{suffix}", folder / "unpacked")
    assert sorted(path.name for path in folder.rglob("*")) == [f"a{suffix}"]


def test_archives_and_files_without_end(folder, monkeypatch):
    (folder / "a.zip").write_bytes(zipped({"a.mid": bytes(2 * 10**7)}))
    with pytest.raises(ValueError, match=r"a\.zip cannot be unpacked: it holds more than"):
        extract(folder / "a.zip", folder / "unpacked")
    monkeypatch.setattr(mnist, "MOST_BYTES", 1000)
    (folder / "a.gz").write_bytes(IMAGES)
    with pytest.raises(ValueError, match="holds more than 1000 bytes"):
        load_mnist_of(folder / "a.gz")


def test_a_pause_of_years_is_refused(folder):
    roll = np.zeros((2, 88), np.uint8)
    roll[0, 40] = 1
    write_midi(roll, folder / "a.mid")
    file = mido.MidiFile(folder / "a.mid")
    file.tracks[0][-1].time = 2**27
    file.ticks_per_beat = 1
    file.save(folder / "a.mid")
    with pytest.raises(ValueError, match=r"a\.mid lasts \d+ steps"):
        read_midi(folder / "a.mid")


def test_mutated_corpora(faults, folder):
    kinds, mutator, found = cases(folder), Mutator(1), []
    for valid, suffix, load in kinds.values():
        path = folder / f"mutated{suffix}"
        path.write_bytes(valid)
        whole(load(path))
    count = faults.count(150, 10_000)
    for number in range(count):
        name = list(kinds)[number % len(kinds)]
        if name == "mat" and number % 7:  # its reader is a process of its own, which takes a moment
            name = "midi"
        valid, suffix, load = kinds[name]
        raw = mutator.bytes(gzip.decompress(valid)) if suffix.endswith("gz") and number % 2 else mutator.bytes(valid)
        raw = gzip.compress(raw, 1) if suffix.endswith("gz") and number % 2 else raw
        path = folder / f"mutated{suffix}"
        path.write_bytes(raw)
        if wrong := fault(load, path, raw):
            found.append(f"{name}: {wrong}")
    assert {path.name for path in folder.parent.iterdir()} <= {"in", "cache"}
    faults.tell("mutated corpus", count, found)
