"""Downloads from a server on this machine: whole, cut in the middle, wrong, and not there."""

import hashlib
import os
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from real_data import error_line, needs_data

from rnngen.datasets import fetch as fetching
from rnngen.datasets.fetch import ADDRESSES, Address, fetch
from rnngen.storage.provenance import sha256_of

CONTENT = bytes(range(256)) * 400
TOTAL = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        if self.path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write({"/wrong": CONTENT[::-1], "/cut": CONTENT[: len(CONTENT) // 2]}.get(self.path, CONTENT))

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A set "here" whose one file is at the path that the test sets, and a cache of its own."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("RNNGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    def serve(path):
        address = Address(f"http://127.0.0.1:{server.server_port}{path}", TOTAL)
        monkeypatch.setitem(fetching.ADDRESSES, "here", {"a.bin": address})

    server.serve = serve
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def cached(tmp_path):
    return [path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_a_file_is_downloaded_once(server, tmp_path):
    server.serve("/whole")
    file = fetch("here", "a.bin")
    assert file == tmp_path / "cache" / "here" / "a.bin"
    assert file.read_bytes() == CONTENT
    assert fetch("here", "a.bin") == file
    assert server.asked == ["/whole"]
    assert cached(tmp_path) == ["a.bin"]


def test_a_connection_cut_in_the_middle_leaves_nothing(server, tmp_path):
    server.serve("/cut")
    line = error_line(fetch, "here", "a.bin")
    assert "a.bin could not be fetched from http://127.0.0.1" in line
    assert str(len(CONTENT) // 2) in line
    assert cached(tmp_path) == []
    server.serve("/whole")
    assert fetch("here", "a.bin").read_bytes() == CONTENT


def test_other_bytes_are_refused_with_both_sums(server, tmp_path):
    server.serve("/wrong")
    line = error_line(fetch, "here", "a.bin")
    assert TOTAL in line
    assert hashlib.sha256(CONTENT[::-1]).hexdigest() in line
    assert cached(tmp_path) == []


def test_a_damaged_copy_is_replaced_and_only_by_a_whole_one(server):
    server.serve("/whole")
    file = fetch("here", "a.bin")
    file.write_bytes(CONTENT[:100])
    server.serve("/cut")
    error_line(fetch, "here", "a.bin")
    assert file.read_bytes() == CONTENT[:100]
    server.serve("/whole")
    assert fetch("here", "a.bin").read_bytes() == CONTENT


def test_what_is_not_there_is_one_line(server, monkeypatch):
    server.serve("/missing")
    assert "404" in error_line(fetch, "here", "a.bin")
    monkeypatch.setitem(fetching.ADDRESSES, "here", {"a.bin": Address("http://127.0.0.1:1/x", TOTAL)})
    assert "refused" in error_line(fetch, "here", "a.bin")


def test_a_cache_that_cannot_be_written_is_one_line(server, tmp_path, monkeypatch):
    server.serve("/whole")
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("RNNGEN_CACHE", str(tmp_path / "file"))
    assert "could not be fetched" in error_line(fetch, "here", "a.bin")


def test_every_address_names_one_commit_and_a_whole_sum():
    for files in ADDRESSES.values():
        for file, (url, total) in files.items():
            assert re.fullmatch(rf"https://raw\.githubusercontent\.com/[^/]+/[^/]+/[0-9a-f]{{40}}/(.+/)?{file}", url)
            assert re.fullmatch("[0-9a-f]{64}", total)


@needs_data
def test_the_sums_are_those_of_the_real_files():
    held = {
        (name, file): Path(os.environ["RNNGEN_DATA"], name, file) for name, files in ADDRESSES.items() for file in files
    }
    found = {key: sha256_of(path) for key, path in held.items() if path.exists()}
    assert found
    assert found == {(name, file): ADDRESSES[name][file].sha256 for name, file in found}
