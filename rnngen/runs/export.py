"""The export: all records of a run or a sweep but its checkpoints in one small file, which reads like the folder."""

import gzip
import itertools
import os
import zlib
from pathlib import Path
from typing import Any

from rnngen.storage import jsonl
from rnngen.storage.folder import TABLES, RunFolder
from rnngen.storage.jsonl import DamagedFile, dumps, parse
from rnngen.storage.plan import left_out, read_plan, with_text_labels

EXPORT = "records.jsonl.gz"
MOST_BYTES = 2**30  # unpacked; a small file can hold any number of zeros
# An export is for strangers: it holds nothing of its author's folders and checkout.
PRIVATE = ("command", "git_commit", "git_dirty")


class ExportedRun:
    """One run of an export, read like a `RunFolder`."""

    def __init__(self, path: Path, record: dict):
        self.path, self.name, self._record = path, path.name, record

    def config(self) -> dict | None:
        """Return the resolved config."""
        return self._record["config"]

    def result(self) -> dict | None:
        """Return the final result, None for a run that was not over."""
        return self._record["result"]

    def rows(self, table: str) -> list[dict]:
        """Return the rows of one of `TABLES`."""
        return self._record[table]


def read_folder(folder: Path, all: bool = False) -> tuple[dict | None, list[RunFolder] | list[ExportedRun]]:
    """Read what a folder holds: the plan of its sweep, None for a single run, and its runs in the order of the plan.

    Args:
      folder: of a run, a sweep or an export.
      all: with the trials that the sweep's command, as it was last given, leaves out.

    Raises:
      FileNotFoundError: the folder holds neither a run, a sweep nor an export.
      DamagedFile: a file was not written by rnngen.
    """
    plan, runs = _read_all(folder)
    if plan is None or all:
        return plan, runs
    without = {trial["id"] for trial in plan["trials"] if left_out(plan, trial)}
    kept = [trial for trial in plan["trials"] if trial["id"] not in without]
    return plan | {"trials": kept}, [run for run in runs if run.name not in without]  # type: ignore[return-value]


def _read_all(folder: Path) -> tuple[dict | None, list[RunFolder] | list[ExportedRun]]:
    if lines := _read_export(folder):
        plan = lines[0]["sweep"] and with_text_labels(lines[0]["sweep"])
        return plan, [ExportedRun(folder / "trials" / line["trial"], line) for line in lines[1:]]
    if (folder / "config.json").exists():
        return None, [RunFolder(folder)]
    plan = read_plan(folder)
    if plan is None:
        raise FileNotFoundError(f"{folder} holds neither a run (config.json) nor a sweep (sweep.json)")
    return plan, [RunFolder(folder / "trials" / trial["id"]) for trial in plan["trials"]]


def export(folder: str | os.PathLike, out: str | os.PathLike, digits: int = 4) -> Path:
    """Write the records of a run's or sweep's folder to `out/records.jsonl.gz`.

    Checkpoints, logs, tracebacks, the rows of the train split and the command line are left out.

    Args:
      folder: of a run or a sweep.
      out: folder that gets the file; it may be the same.
      digits: significant digits of floats; integers keep all.

    Returns:
      The file. The same records give the same bytes.

    Raises:
      FileNotFoundError: `folder` holds neither a run nor a sweep.
    """
    plan, runs = read_folder(Path(folder).expanduser(), all=True)
    lines = [{"sweep": plan}, *(_line(run, digits) for run in runs)]
    out = Path(out).expanduser()
    out.mkdir(parents=True, exist_ok=True)
    text = "".join(dumps(line) + "\n" for line in lines)
    (out / EXPORT).write_bytes(gzip.compress(text.encode(), mtime=0))
    return out / EXPORT


def _line(run: RunFolder | ExportedRun, digits: int) -> dict:
    tables = {table: run.rows(table) for table in TABLES}
    tables["metrics"] = [row for row in tables["metrics"] if row["split"] != "train"]
    tables["provenance"] = [{k: v for k, v in row.items() if k not in PRIVATE} for row in tables["provenance"]]
    result = {k: v for k, v in (run.result() or {}).items() if k != "traceback"}
    return {"trial": run.name, "config": run.config()} | _rounded(tables | {"result": result or None}, digits)


def _rounded(value: Any, digits: int) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(v, digits) for key, v in value.items()}
    if isinstance(value, list):
        return [_rounded(v, digits) for v in value]
    return float(f"{value:.{digits}g}") if isinstance(value, float) else value


def _read_export(folder: Path) -> list[dict]:
    path = folder / EXPORT
    try:
        with gzip.open(path) as file:
            raw = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return []
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DamagedFile(f"{path}: not the records that export writes: {error}") from error
    if len(raw) > MOST_BYTES:
        raise DamagedFile(f"{path}: not the records that export writes: more than {MOST_BYTES} bytes")
    shapes = itertools.chain([jsonl.EXPORTED_SWEEP], itertools.repeat(jsonl.EXPORTED_RUN))
    rows = raw.removesuffix(b"\n").split(b"\n")
    found = [parse(row, f"{path}, line {n}", s) for n, (row, s) in enumerate(zip(rows, shapes, strict=False), 1)]
    if (double := jsonl.repeated(run["trial"] for run in found[1:])) is not None:
        raise DamagedFile(f"{path}: trial {double!r} is there twice")
    return found
