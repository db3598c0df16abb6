"""Where a set's file is looked for, in which order, and what is said where it is nowhere."""

import pytest
from real_data import error_line

from rnngen.datasets import paths
from rnngen.datasets.paths import existing, find_files
from rnngen.runtime import cache_folder

ONE = ("input.txt",)
TWO = ("a.mat", "b.mat")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """RNNGEN_DATA, with a set of one file; what would be fetched instead is told by its name."""
    monkeypatch.setenv("RNNGEN_DATA", str(tmp_path / "sets"))
    monkeypatch.setattr(paths, "fetch", lambda name, file: write(tmp_path / "fetched" / file, "fetched"))
    write(tmp_path / "sets" / "text" / "input.txt", "held")
    return tmp_path


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def read(name, path, *choices):
    return [file.read_text() for file in find_files(name, path, *choices)]


def test_a_path_comes_before_the_data_folder_and_that_before_the_address(folder, monkeypatch):
    own = write(folder / "own" / "input.txt", "own")
    assert read("text", str(own), ONE) == ["own"]
    assert read("text", str(own.parent), ONE) == ["own"]
    assert read("text", str(write(folder / "other name.txt", "any")), ONE) == ["any"]
    assert read("text", "", ONE) == ["held"]
    (folder / "sets" / "text" / "input.txt").unlink()
    assert read("text", "", ONE) == ["fetched"]
    monkeypatch.delenv("RNNGEN_DATA")
    assert read("text", "", ONE) == ["fetched"]


def test_the_home_folder_may_be_a_tilde(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("RNNGEN_DATA", "~/sets")
    assert read("text", "", ONE) == ["held"]
    assert read("text", "~/sets/text/input.txt", ONE) == ["held"]


def test_a_form_of_several_files_counts_only_as_a_whole(folder):
    place = folder / "sets" / "some"
    write(place / "a.mat", "a")
    line = error_line(find_files, "some", str(place), ("all.npz",), TWO)
    assert line == f"{place} does not hold all.npz or a.mat and b.mat; there is a.mat"
    write(place / "b.mat", "b")
    assert read("some", str(place), ("all.npz",), TWO) == ["a", "b"]
    write(place / "all.npz", "all")
    assert read("some", "", ("all.npz",), TWO) == ["all"]
    assert "give the folder that holds them" in error_line(find_files, "some", str(place / "a.mat"), TWO)
    assert "give the folder that holds them" in error_line(find_files, "some", str(place / "a.mat"), ("all.npz",), TWO)


def test_a_path_that_does_not_exist_is_never_passed_over(folder):
    line = error_line(find_files, "text", str(folder / "sets" / "text" / "inptu.txt"), ONE)
    assert line.endswith("inptu.txt does not exist; did you mean 'input.txt'?")
    assert "is not a folder" in error_line(existing, str(folder / "no" / "where.txt"))


def test_a_large_folder_is_not_listed(tmp_path):
    for i in range(50):
        write(tmp_path / f"chorale-{i}.mid", "x")
    line = error_line(existing, str(tmp_path / "chorale-50.mid"))
    assert "did you mean 'chorale-5.mid'?" in line or "did you mean 'chorale-0.mid'?" in line
    assert error_line(existing, str(tmp_path / "zzz")).endswith("zzz does not exist")


def test_an_empty_file_is_said_to_be_empty(folder):
    assert error_line(find_files, "text", str(write(folder / "empty.txt", "")), ONE).endswith("empty.txt is empty")


def test_a_set_that_is_nowhere_names_every_way_to_it(folder, monkeypatch):
    write(folder / "sets" / "strokes" / "kanji_short.npz", "x")
    line = error_line(find_files, "strokes", "", ("kanji_shrt.npz",))
    assert "no public address" in line
    assert "`path`" in line
    assert f"put it into {folder / 'sets' / 'strokes'}, which holds kanji_short.npz" in line
    monkeypatch.delenv("RNNGEN_DATA")
    assert "set RNNGEN_DATA to a folder that holds strokes/x.npz" in error_line(find_files, "strokes", "", ("x.npz",))
    monkeypatch.setenv("RNNGEN_DATA", str(folder / "nowhere"))
    assert "RNNGEN_DATA is" in error_line(find_files, "strokes", "", ("x.npz",))


def test_what_cannot_be_fetched_names_the_other_ways(folder, monkeypatch):
    def fetch(name, file):
        raise ValueError("no network")

    monkeypatch.setattr(paths, "fetch", fetch)
    line = error_line(find_files, "names", "", ("names.txt",))
    assert line == f"no network; or give its place as `path`, or put it into {folder / 'sets' / 'names'}"


def test_the_cache_has_a_place_of_its_own(monkeypatch, tmp_path):
    monkeypatch.setenv("RNNGEN_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("RNNGEN_CACHE")
    assert cache_folder().name == "rnngen"
