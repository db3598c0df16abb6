"""Archives unpacked whole, and every way in which one could write outside of its folder refused."""

import io
import stat
import tarfile
import zipfile

import pytest
from real_data import error_line

from rnngen.datasets.formats.archives import extract, unpacked

FILES = {"set/a.mid": b"one", "set/deep/b.mid": b"two" * 1000}
KINDS = ("zip", "tar", "tar.gz", "tar.xz")


def write_zip(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def write_tar(path, files, *entries):
    compression = path.suffix[1:] if path.suffix != ".tar" else ""
    with tarfile.open(path, f"w:{compression}") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        for name, kind, target in entries:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, target
            archive.addfile(entry)
    return path


def write(path, files):
    return write_zip(path, files) if path.suffix == ".zip" else write_tar(path, files)


def held(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_unpacked_whole(kind, tmp_path):
    extract(write(tmp_path / f"set.{kind}", FILES), tmp_path / "out")
    assert held(tmp_path / "out") == FILES


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["../evil", "set/../../evil", "/tmp/evil", "..\\evil", "C:\\evil", "C:evil", ".."])
def test_names_that_lead_out_are_refused_and_nothing_is_left(kind, name, tmp_path):
    (tmp_path / "in").mkdir()
    archive = write(tmp_path / f"set.{kind}", FILES | {name: b"evil"})
    line = error_line(extract, archive, tmp_path / "in" / "out")
    assert repr(name) in line
    assert list((tmp_path / "in").iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", archive.name]


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (tarfile.SYMTYPE, "/etc"),
        (tarfile.SYMTYPE, "../.."),
        (tarfile.LNKTYPE, "/etc/passwd"),
        (tarfile.LNKTYPE, "../../x"),
        (tarfile.FIFOTYPE, ""),
        (tarfile.CHRTYPE, ""),
        (tarfile.BLKTYPE, ""),
    ],
)
def test_links_and_devices_are_refused(kind, target, tmp_path):
    archive = write_tar(tmp_path / "set.tar", FILES, ("set/odd", kind, target))
    assert "entry 'set/odd' is neither a file nor a folder" in error_line(extract, archive, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["set.tar"]


def test_a_chain_of_links_that_each_stay_inside_does_not_lead_out(tmp_path):
    """one/two/up is the folder itself; out, which reads as one/two, is then the folder above it."""
    entries = [("one/two/up", tarfile.SYMTYPE, "../.."), ("out", tarfile.SYMTYPE, "one/two/up/..")]
    archive = write_tar(tmp_path / "set.tar", {}, *entries)
    with tarfile.open(archive, "a") as opened:
        opened.addfile(tarfile.TarInfo("out/evil"))
    error_line(extract, archive, tmp_path / "in" / "folder")
    assert not list(tmp_path.rglob("evil"))


def test_links_in_a_zip_are_refused(tmp_path):
    entry = zipfile.ZipInfo("set/link")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive = write_zip(tmp_path / "set.zip", FILES | {entry: b"/etc"})
    assert "'set/link' is neither" in error_line(extract, archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_archive_leaves_nothing(kind, tmp_path):
    archive = write(tmp_path / f"set.{kind}", {"a.bin": bytes(range(256)) * 200})
    whole = archive.read_bytes()
    archive.write_bytes(whole[: len(whole) // 2])
    assert f"set.{kind} cannot be unpacked: " in error_line(extract, archive, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == [archive.name]
    archive.write_bytes(b"no archive at all")
    assert f"set.{kind} cannot be unpacked: " in error_line(extract, archive, tmp_path / "out")


def test_other_files_are_no_archives(tmp_path):
    (tmp_path / "set.rar").write_text("x")
    assert "is not one of .zip, .tar" in error_line(extract, tmp_path / "set.rar", tmp_path / "out")


def test_an_archive_is_unpacked_once_for_its_content(tmp_path, monkeypatch):
    monkeypatch.setenv("RNNGEN_CACHE", str(tmp_path / "cache"))
    archive = write(tmp_path / "set.zip", FILES)
    folder = unpacked(archive)
    assert held(folder) == FILES
    (folder / "mark").write_bytes(b"here before")
    assert unpacked(archive.rename(tmp_path / "moved.zip")) == folder
    assert (folder / "mark").exists()
    assert unpacked(write(tmp_path / "set.zip", {"other": b"x"})) != folder
