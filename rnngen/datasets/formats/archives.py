"""Safe unpacking of untrusted archives: nothing is written outside of the folder."""

import lzma
import os
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO

from rnngen.registry import one_line
from rnngen.runtime import cache_folder
from rnngen.storage.provenance import sha256_of

MOST_BYTES = 2**35  # of all files; a small archive can unpack to any number of zeros
SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz")
_OF_PYTHON = (OSError, EOFError, RuntimeError, UnicodeDecodeError, OverflowError)
_BROKEN = (*_OF_PYTHON, tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error)


def is_archive(path: Path) -> bool:
    """Return True if the name has the suffix of an archive that `extract` reads."""
    return path.is_file() and path.name.lower().endswith(SUFFIXES)


def unpacked(archive: Path) -> Path:
    """Return the folder in the cache with the archive's files, named by its sha256 and unpacked if it is missing."""
    folder = cache_folder() / "unpacked" / sha256_of(archive)
    if not folder.is_dir():
        extract(archive, folder)
    return folder


def extract(archive: Path, folder: Path) -> None:
    """Unpack the files of a .zip, .tar, .tar.gz or .tar.xz into the new `folder`: all of them or none.

    Raises ValueError naming the entry for an absolute name, one with `..`, a link or a device, and where the archive
    is damaged or holds more than `MOST_BYTES`. All links are refused: a chain of links that each stay inside can still
    lead outside.
    """
    if not is_archive(archive):
        raise ValueError(f"{archive} is not one of {', '.join(SUFFIXES)}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=folder.parent) as temporary:
        whole = Path(temporary) / "whole"
        whole.mkdir()
        left = MOST_BYTES
        try:
            for name, file in _zip_files(archive) if archive.name.lower().endswith(".zip") else _tar_files(archive):
                left -= _write(whole / name, file, left)
        except _BROKEN as error:
            reason = str(error).partition("\n")[0]  # tarfile adds a line for every compression that it tried
            raise ValueError(f"{archive} cannot be unpacked: {one_line(reason, 200)}") from error
        try:
            os.rename(whole, folder)
        except OSError:
            if not folder.is_dir():  # else another process was first
                raise


def _write(path: Path, file: BinaryIO, left: int) -> int:
    """Write a file of at most `left` bytes; return its size."""
    path.parent.mkdir(parents=True, exist_ok=True)
    size = 0
    with open(path, "wb") as out:
        while piece := file.read(1 << 20):
            size += out.write(piece)
            if size > left:
                raise OSError(f"it holds more than {MOST_BYTES} bytes")
    return size


def _zip_files(archive: Path) -> Iterator[tuple[str, BinaryIO]]:
    with zipfile.ZipFile(archive) as opened:
        for entry in opened.infolist():
            mode = stat.S_IFMT(entry.external_attr >> 16)  # 0 if the writer did not set it
            kind_is_known = mode in (0, stat.S_IFREG, stat.S_IFDIR)
            _check(archive, entry.filename, kind_is_known)
            if not entry.is_dir():
                with opened.open(entry) as file:
                    yield entry.filename, file  # type: ignore[misc]


def _tar_files(archive: Path) -> Iterator[tuple[str, BinaryIO]]:
    with tarfile.open(archive) as opened:
        for entry in opened:
            _check(archive, entry.name, entry.isreg() or entry.isdir())
            file = opened.extractfile(entry)
            if file is not None:
                yield entry.name, file  # type: ignore[misc]


def _check(archive: Path, name: str, plain: bool) -> None:
    kinds = (PurePosixPath(name), PureWindowsPath(name))
    if any(path.anchor or ".." in path.parts for path in kinds):
        raise ValueError(f"{archive}: entry {name!r} would be written outside of the folder; nothing was unpacked")
    if not plain:
        raise ValueError(f"{archive}: entry {name!r} is neither a file nor a folder; nothing was unpacked")
