"""Images, strokes and trajectories: what is written shows the values, and read again it is the values."""

import os
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rnngen.datasets import CODECS
from rnngen.datasets.image_codec import BACKGROUND, BORDER, ZOOM

SPACE = "{http://www.w3.org/2000/svg}"
MOVEMENTS = np.array([[5, 5, 0], [1, 2, 0], [3, -1, 1], [10, 0, 1], [-4, 4, 0], [0, 7, 0]], np.float32)


def paths(file):
    """The points `[n, 2]` of every path of an SVG, and their widths."""
    root = ElementTree.parse(file).getroot()
    found = list(root.iter(f"{SPACE}path"))
    words = [e.get("d").replace("M", " ").replace("L", " ").split() for e in found]
    return [np.array(w, float).reshape(-1, 2) for w in words], np.array([float(e.get("stroke-width")) for e in found])


def view_box(file):
    left, top, width, height = map(float, ElementTree.parse(file).getroot().get("viewBox").split())
    return np.array([left, top]), np.array([left + width, top + height])


def strokes_of(scale):
    return CODECS["strokes"](scale=scale, components=2), MOVEMENTS / np.array([scale, scale, 1], np.float32)


@pytest.mark.parametrize("scale", [1.0, 99.71, 3e-3])
def test_strokes_round_trip(tmp_path, scale):
    codec, _ = strokes_of(scale)
    values = np.random.RandomState(0).normal(size=(50, 3)).astype(np.float32)
    values[:, 2] = values[:, 2] > 1
    _, table = codec.write([values], tmp_path / "a")
    read = codec.read(str(table))
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, values)


def test_strokes_are_drawn_from_lift_to_lift(tmp_path):
    codec, values = strokes_of(99.71)
    picture, _ = codec.write([values], tmp_path / "a")
    lines, widths = paths(picture)
    points = np.cumsum(MOVEMENTS[:, :2], axis=0)
    np.testing.assert_allclose(lines[0], points[:3], rtol=1e-5)
    np.testing.assert_allclose(lines[1], points[[3, 3]], rtol=1e-5)  # a dot
    np.testing.assert_allclose(lines[2], points[4:], rtol=1e-5)
    assert len(lines) == 3
    assert len(set(widths)) == 1
    low, high = view_box(picture)
    assert (low < points.min(axis=0)).all()
    assert (high > points.max(axis=0)).all()


def test_a_drawing_without_extent_is_still_a_picture(tmp_path):
    codec, _ = strokes_of(1.0)
    for values in (np.zeros((0, 3), np.float32), np.zeros((1, 3), np.float32)):
        picture, _ = codec.write([values], tmp_path / "a")
        low, high = view_box(picture)
        assert (high > low).all()


def test_strokes_begin_with_a_lifted_pen():
    np.testing.assert_array_equal(strokes_of(1.0)[0].input_spec.start, [0, 0, 1])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2 0\n\n3 4\n", r"p\.txt, line 3: must be 3 numbers, got '3 4'"),
        ("1 2 x\n", r"p\.txt, line 1: must be 3 numbers, got '1 2 x'"),
        ("1 2 0\n1 nan 0\n", r"p\.txt, line 2: must be 3 numbers"),
        ("1e39 2 0\n", r"p\.txt, line 1: must be 3 numbers"),
        ("1 2 0\n3 4 2\n", r"p\.txt: the third number of movement 2 must be 0 or 1, got 2"),
    ],
)
def test_strokes_that_are_none(tmp_path, text, message):
    (tmp_path / "p.txt").write_text(text)
    with pytest.raises(ValueError, match=message):
        strokes_of(1.0)[0].read(str(tmp_path / "p.txt"))


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_trajectories_round_trip(tmp_path, channels):
    values = np.random.RandomState(0).normal(size=(40, channels)).astype(np.float32)
    codec = CODECS["trajectories"](channels=channels, rate=50.0)
    picture, table = codec.write([values], tmp_path / "a")
    np.testing.assert_array_equal(codec.read(str(table)), values)
    lines, widths = paths(picture)
    way = np.concatenate([[[0, 0]], np.cumsum(values[:, :2], axis=0) / 50]) * (1, -1)  # y is upwards
    np.testing.assert_allclose(lines, np.stack([way[:-1], way[1:]], axis=1), atol=1e-6)
    if channels == 2:
        assert len(set(widths)) == 1
    else:
        force = np.cumsum(values[:, 2])
        assert np.corrcoef(widths, force)[0, 1] == pytest.approx(1, abs=1e-4)
        assert widths.min() > 0
    with pytest.raises(ValueError, match=rf"a\.csv, line 1: must be {channels + 1} numbers"):
        CODECS["trajectories"](channels=channels + 1).read(str(table))


def test_a_trajectory_that_stands_still(tmp_path):
    picture, _ = CODECS["trajectories"]().write([np.zeros((3, 3), np.float32)], tmp_path / "a")
    lines, widths = paths(picture)
    np.testing.assert_array_equal(lines, np.zeros((3, 2, 2)))
    assert np.isfinite(widths).all()


def save(grey, path):
    Image.fromarray(np.asarray(grey, np.uint8)).save(path)
    return str(path)


@pytest.mark.parametrize("levels", [2, 16, 256])
def test_pixels_round_trip(tmp_path, levels):
    side, codec = 6, CODECS["pixels"](side=6, levels=levels)
    values = np.random.RandomState(0).randint(levels, size=4 * side)  # the upper four rows
    read = codec.read(save(np.rint(values * (255 / (levels - 1))).reshape(4, side), tmp_path / "a.png"))
    np.testing.assert_array_equal(read, values[:, None] if levels == 2 else values)
    assert read.dtype == (np.float32 if levels == 2 else np.int32)


@pytest.mark.parametrize("levels", [2, 16])
def test_the_sheet_shows_every_image(tmp_path, levels):
    side, random = 5, np.random.RandomState(0)
    values = [random.randint(levels, size=25) for _ in range(6)] + [random.randint(levels, size=12)]
    shape = (-1, 1) if levels == 2 else (-1,)
    (file,) = CODECS["pixels"](side=side, levels=levels).write([v.reshape(shape) for v in values], tmp_path / "a")
    sheet = np.asarray(Image.open(file))
    cell = side * ZOOM + BORDER
    assert sheet.shape == (3 * cell + BORDER, 3 * cell + BORDER)
    for i, v in enumerate(values):
        top, left = i // 3 * cell + BORDER, i % 3 * cell + BORDER
        image = sheet[top : top + side * ZOOM, left : left + side * ZOOM]
        np.testing.assert_array_equal(image, image[::ZOOM, ::ZOOM].repeat(ZOOM, 0).repeat(ZOOM, 1))
        expected = np.full(25, BACKGROUND)
        expected[: len(v)] = np.rint(v * 255 / (levels - 1))
        np.testing.assert_array_equal(image[::ZOOM, ::ZOOM].ravel(), expected)
    assert (sheet[:BORDER] == BACKGROUND).all()
    assert (sheet[:, cell : cell + BORDER] == BACKGROUND).all()


def test_longer_sequences_go_on_below(tmp_path):
    (file,) = CODECS["pixels"](side=2).write([np.ones((7, 1), np.float32), np.zeros((4, 1))], tmp_path / "a")
    sheet = np.asarray(Image.open(file))
    assert sheet.shape[0] == 4 * ZOOM + 2 * BORDER
    assert (sheet == 255).sum() == 7 * ZOOM**2
    assert (sheet == 0).sum() == 4 * ZOOM**2


def test_half_is_where_white_begins_and_colours_become_grey(tmp_path):
    codec = CODECS["pixels"](side=2)
    np.testing.assert_array_equal(codec.read(save([[127, 128]], tmp_path / "a.png"))[:, 0], [0, 1])
    colours = [[[250, 250, 250], [250, 0, 0]], [[0, 0, 0], [0, 255, 0]]]
    np.testing.assert_array_equal(codec.read(save(colours, tmp_path / "b.png"))[:, 0], [1, 0, 0, 1])


def test_images_of_another_size_or_kind(tmp_path):
    codec = CODECS["pixels"](side=2)
    for shape, found in (((3, 2), "2 x 3"), ((2, 3), "3 x 2")):
        with pytest.raises(ValueError, match=rf"a\.png has {found} pixels: give 2 across and at most 2 down"):
            codec.read(save(np.zeros(shape), tmp_path / "a.png"))
    Image.fromarray(np.full((2, 2), 40000, np.uint16)).save(tmp_path / "b.png")
    with pytest.raises(ValueError, match=r"b\.png is not an image that can be read: its kind 'I"):
        codec.read(str(tmp_path / "b.png"))


@pytest.mark.skipif("RNNGEN_DATA" not in os.environ, reason="RNNGEN_DATA does not name the folder of data sets")
def test_a_real_kanji_and_a_real_letter(tmp_path):
    """A kanji is drawn in as many lines as its pen is lifted; both come back from their tables unchanged."""
    folder = Path(os.environ["RNNGEN_DATA"])
    kanji = np.load(folder / "strokes" / "kanji_short.npz")
    first = kanji["train_strokes"][: kanji["train_lengths"][0]].astype(np.float32)
    picture, table = CODECS["strokes"]().write([first], tmp_path / "kanji")
    assert len(paths(picture)[0]) == first[:, 2].sum()
    np.testing.assert_array_equal(CODECS["strokes"]().read(str(table)), first)
    letters = np.load(folder / "trajectories" / "chartraj.npz")
    first = letters["train_x"][: letters["train_lengths"][0]]
    picture, table = CODECS["trajectories"]().write([first], tmp_path / "letter")
    np.testing.assert_array_equal(CODECS["trajectories"]().read(str(table)), first)
    assert len(paths(picture)[0]) == len(first)


def test_a_byte_order_mark_before_a_table_is_no_number(tmp_path):
    (tmp_path / "a.csv").write_text("0.5,0.25,0\n", encoding="utf-8-sig")
    np.testing.assert_array_equal(CODECS["trajectories"]().read(str(tmp_path / "a.csv")), [[0.5, 0.25, 0]])
    (tmp_path / "b.txt").write_text("1 2 0\n", encoding="utf-8-sig")
    np.testing.assert_array_equal(CODECS["strokes"]().read(str(tmp_path / "b.txt")), [[1, 2, 0]])
