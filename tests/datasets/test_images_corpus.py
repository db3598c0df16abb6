"""MNIST's idx files and its fixed binarisation, in both of the forms that it comes in."""

import gzip
import struct

import numpy as np
import pytest
from real_data import error_line, needs_data
from scipy import io

from rnngen.datasets import mnist
from rnngen.datasets.mnist import load_binarised_mnist, load_mnist

RNG = np.random.RandomState(0)
IMAGES = RNG.randint(0, 256, size=(12, 28, 28)).astype(np.uint8)
LABELS = RNG.randint(0, 10, size=12).astype(np.uint8)
BITS = {
    split: RNG.randint(0, 2, size=(n, 784)).astype(np.uint8) for split, n in (("train", 6), ("valid", 3), ("test", 4))
}


def idx(array, kind=8):
    return struct.pack(f">HBB{array.ndim}I", 0, kind, array.ndim, *array.shape) + array.tobytes()


def packed(raw):
    return gzip.compress(raw, mtime=0)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Twelve training images, of which the last five are valid, and four test images."""
    monkeypatch.setattr(mnist, "VALID", 5)
    for file, array in zip(mnist.IDX, (IMAGES, LABELS, IMAGES[:4], LABELS[:4]), strict=True):
        (tmp_path / file).write_bytes(packed(idx(array)))
    return tmp_path


def test_mnist_is_split_in_its_order(folder):
    data = load_mnist(str(folder))
    flat = IMAGES.reshape(12, 784)
    for split, (images, labels) in {
        "train": (flat[:7], LABELS[:7]),
        "valid": (flat[7:], LABELS[7:]),
        "test": (flat[:4], LABELS[:4]),
    }.items():
        np.testing.assert_array_equal(data.pixels[split], images)
        np.testing.assert_array_equal(data.labels[split], labels)
    assert len(data.facts["files"]) == 4
    assert "the last 5 of the training images" in data.facts["split"]


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (0, b"not gzip", "is not a whole gzip file"),
        (0, packed(idx(IMAGES))[:-2000], "is not a whole gzip file"),
        (0, packed(idx(LABELS)), "does not begin as an idx file of bytes with 3 axes: 00000801"),
        (1, packed(idx(LABELS, kind=13)), "does not begin as an idx file of bytes with 1 axes: 00000d01"),
        (0, packed(idx(IMAGES)[:9]), "ends within its header"),
        (0, packed(idx(IMAGES)[:-1]), "has 9407 values, but its header says [12, 28, 28]"),
        (1, packed(idx(LABELS) + b"x"), "has 13 values, but its header says [12]"),
        (1, packed(idx(LABELS[:-1])), "images must have the shape [11, 28, 28], got [12, 28, 28]"),
        (2, packed(idx(IMAGES[:4, :27])), "images must have the shape [4, 28, 28], got [4, 27, 28]"),
        (2, b"", "t10k-images-idx3-ubyte.gz is empty"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_damaged_file_is_named(folder, file, content, message):
    (folder / mnist.IDX[file]).write_bytes(content)
    line = error_line(load_mnist, str(folder))
    assert message in line
    assert mnist.IDX[file - file % 2] in line or mnist.IDX[file] in line


def test_mnist_is_a_folder_of_four_files(folder):
    assert "give the folder that holds them" in error_line(load_mnist, str(folder / mnist.IDX[0]))
    (folder / mnist.IDX[3]).unlink()
    assert f"{folder} does not hold" in error_line(load_mnist, str(folder))
    for file in (0, 1):
        array = (IMAGES, LABELS)[file][:5]
        (folder / mnist.IDX[file]).write_bytes(packed(idx(array)))
    (folder / mnist.IDX[3]).write_bytes(packed(idx(LABELS[:4])))
    assert "has 5 images, of which the last 5 are valid" in error_line(load_mnist, str(folder))


def write_amat(folder, **changes):
    for file, bits in zip(mnist.AMAT, (BITS | changes).values(), strict=True):
        with open(folder / file, "wb") as out:
            io.savemat(out, {"X": bits.astype(float)})


@pytest.mark.slow
def test_both_forms_of_the_binarisation_are_the_same(tmp_path):
    np.savez(tmp_path / "own.npz", **{split: np.packbits(bits, axis=1) for split, bits in BITS.items()})
    write_amat(tmp_path)
    for path in (tmp_path / "own.npz", tmp_path):
        data = load_binarised_mnist(str(path))
        assert data.labels == {}
        for split, bits in BITS.items():
            np.testing.assert_array_equal(data.pixels[split], bits)
            assert data.pixels[split].dtype == np.uint8
    write_amat(tmp_path, train=BITS["train"].T)
    np.testing.assert_array_equal(load_binarised_mnist(str(tmp_path)).pixels["train"], BITS["train"])


@pytest.mark.slow
def test_a_damaged_binarisation_is_named(tmp_path):
    np.savez(tmp_path / "own.npz", **BITS)
    assert "own.npz: train must be uint8 [n, 98]" in error_line(load_binarised_mnist, str(tmp_path / "own.npz"))
    write_amat(tmp_path, valid=2 * BITS["valid"])
    assert "valid.amat: X has pixels that are not 0 or 1" in error_line(load_binarised_mnist, str(tmp_path))
    write_amat(tmp_path, test=BITS["test"][:, 1:])
    assert "test.amat: X must be [n, 784], got [4, 783]" in error_line(load_binarised_mnist, str(tmp_path))


@needs_data
def test_real_mnist():
    data = load_mnist()
    assert [len(v) for v in data.pixels.values()] == [len(v) for v in data.labels.values()] == [55000, 5000, 10000]
    assert data.labels["train"][:5].tolist() == [5, 0, 4, 1, 9]
    assert data.labels["test"][:5].tolist() == [7, 2, 1, 0, 4]
    total = sum(int(data.pixels[split].sum(dtype=np.int64)) for split in ("train", "valid"))
    assert total / (60000 * 784 * 255) == pytest.approx(0.1307, abs=5e-5)  # the mean that everyone subtracts


@needs_data
def test_real_binarisation():
    """Independent pixels, counted in train with a half added, have 205.79 nats an image of test."""
    data = load_binarised_mnist()
    assert [len(v) for v in data.pixels.values()] == [50000, 10000, 10000]
    on = (data.pixels["train"].sum(axis=0, dtype=float) + 0.5) / 50001
    share = data.pixels["test"].mean(axis=0)
    assert -(share * np.log(on) + (1 - share) * np.log1p(-on)).sum() == pytest.approx(205.79, abs=5e-3)
    digits = load_mnist().pixels["test"] / 255
    assert np.corrcoef(share, digits.mean(axis=0))[0, 1] > 0.999  # the order of the pixels is MNIST's
