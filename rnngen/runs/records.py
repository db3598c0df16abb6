"""The records of runs and sweeps, read back as DataFrames.

    records.jsonl.gz   all of this but checkpoints in one file, see `pack`; a folder that holds it reads like the sweep
"""

import gzip
import itertools
import os
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnngen.storage import jsonl
from rnngen.storage.dotted import flatten
from rnngen.storage.folder import TABLES, RunFolder
from rnngen.storage.jsonl import DamagedFile, append_row, dumps, parse, read_json, read_rows, replace, write_json
from rnngen.storage.provenance import provenance

if TYPE_CHECKING:
    import pandas as pd

PACKED = "records.jsonl.gz"
MOST_PACKED = 2**30  # bytes of packed records; a small file can hold any number of zeros


class PackedRun:
    """A run as `pack` kept it; read like a `RunFolder`."""

    def __init__(self, path: Path, packed: dict):
        self.path, self.name, self._packed = path, path.name, packed

    def config(self) -> dict | None:
        """The config it was made for."""
        return self._packed["config"]

    def result(self) -> dict | None:
        """The final result, None where it was not over."""
        return self._packed["result"]

    def rows(self, table: str) -> list[dict]:
        """The rows of one of `TABLES`."""
        return self._packed[table]


def pack(folder: str | os.PathLike, out: str | os.PathLike, digits: int = 4) -> Path:
    """Write the records of a run's or sweep's folder to one small file, `out/records.jsonl.gz`, and return its path.

    Checkpoints, logs, tracebacks, the rows of the train split and the command line stay behind; floats keep `digits`
    significant digits, integers all.
    Raises FileNotFoundError where `folder` holds neither a run nor a sweep.
    """
    lines = [{"sweep": sweep(folder)}]
    for run in runs(folder):
        tables = {table: run.rows(table) for table in TABLES}
        tables["metrics"] = [row for row in tables["metrics"] if row["split"] != "train"]
        # What a stranger may read: nothing of the folders and the checkout of whoever ran it.
        private = ("command", "git_commit", "git_dirty")
        tables["provenance"] = [{k: v for k, v in row.items() if k not in private} for row in tables["provenance"]]
        result = {k: v for k, v in (run.result() or {}).items() if k != "traceback"}
        rounded = _rounded(tables | {"result": result or None}, digits)
        lines.append({"trial": run.name, "config": run.config()} | rounded)
    out = Path(out).expanduser()
    out.mkdir(parents=True, exist_ok=True)
    text = "".join(dumps(line) + "\n" for line in lines)
    # No time in the header: the same records give the same bytes.
    (out / PACKED).write_bytes(gzip.compress(text.encode(), mtime=0))
    return out / PACKED


def _rounded(value: Any, digits: int) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(v, digits) for key, v in value.items()}
    if isinstance(value, list):
        return [_rounded(v, digits) for v in value]
    return float(f"{value:.{digits}g}") if isinstance(value, float) else value


def sweep(folder: str | os.PathLike) -> dict | None:
    """The sweep that a folder holds, `{"config": ..., "trials": [{"id", "overrides"}, ...]}`; None: none."""
    folder = Path(folder).expanduser()
    packed = _packed(folder, lines=1)  # the runs below it are most of the file
    found = packed[0]["sweep"] if packed else read_json(folder / "sweep.json", jsonl.SWEEP)
    if found and "search" in found and not packed:
        return found | {"trials": proposals(folder)}
    return found and found | {"trials": [_labelled(trial) for trial in found["trials"]]}


def proposals(folder: str | os.PathLike) -> list[dict]:
    """What a search proposed, `{"id", "numbers", "overrides", "labels", "params"}`, in the order of its proposals."""
    files = (Path(folder).expanduser() / "trials").glob("*/trial.json")
    return sorted(
        (_labelled(read_json(f, jsonl.PROPOSAL)) | {"id": f.parent.name} for f in files),
        key=lambda p: p["numbers"][0],
    )


def _labelled(trial: dict) -> dict:
    """A trial whose labels are text, also "inf" in a folder that was written when this came back as the number."""
    labels = {name: str(label) for name, label in trial.get("labels", {}).items()}
    return trial | {"labels": labels} if labels else trial


def _packed(folder: Path, lines: int | None = None) -> list[dict]:
    path = folder / PACKED
    try:
        with gzip.open(path) as file:
            raw = file.read(MOST_PACKED + 1)
    except FileNotFoundError:
        return []
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DamagedFile(f"{path}: not the records that pack writes: {error}") from error
    if len(raw) > MOST_PACKED:
        raise DamagedFile(f"{path}: not the records that pack writes: more than {MOST_PACKED} bytes")
    shapes = itertools.chain([jsonl.PACKED_SWEEP], itertools.repeat(jsonl.PACKED_RUN))
    rows = raw.removesuffix(b"\n").split(b"\n")[:lines]
    found = [parse(row, f"{path}, line {n}", s) for n, (row, s) in enumerate(zip(rows, shapes, strict=False), 1)]
    if (double := jsonl.repeated(run["trial"] for run in found[1:])) is not None:
        raise DamagedFile(f"{path}: trial {double!r} is there twice")
    return found


def load(folder: str | os.PathLike, table: str = "metrics") -> "pd.DataFrame":
    """The records of a run's or a sweep's folder, one row a record.

    table: "metrics", "diagnoses", "provenance", or "results" (one row a run). Every row carries its run's
    folder name as `trial` and the resolved config as columns `config.task.name` and so on. Where an axis of the sweep
    has labels, `axis("optim.clip_norm", {"clipped": 1.0, ...})`, these are the column `label.optim.clip_norm`.

    Raises FileNotFoundError where `folder` holds neither a run nor a sweep, ValueError for an unknown table,
    DamagedFile for a file that was not written so.
    """
    import pandas as pd  # here: loading it takes as long as a small run's start, and who trains needs none

    folder = Path(folder).expanduser()
    if table != "results" and table not in TABLES:
        raise ValueError(f"table must be one of results, {', '.join(TABLES)}, got {table!r}")
    rows, configs = [], []
    labels = {trial["id"]: trial.get("labels", {}) for trial in (sweep(folder) or {"trials": []})["trials"]}
    for run in runs(folder):
        config = {f"label.{name}": label for name, label in labels.get(run.name, {}).items()}
        config |= {f"config.{key}": value for key, value in flatten(run.config() or {}).items()}
        found = [flatten(run.result() or {"status": "unfinished"})] if table == "results" else run.rows(table)
        rows += [{"trial": ""} | row | {"trial": run.name} for row in found]
        configs += [{"trial": run.name} | config] if found else []
    # Joined at the end: a sweep has far more rows than configs.
    return pd.DataFrame(rows).merge(pd.DataFrame(configs), on="trial", how="left") if rows else pd.DataFrame()


def runs(folder: str | os.PathLike) -> list[RunFolder] | list[PackedRun]:
    """The runs in a folder: itself, or a sweep's trials in the order of the sweep.

    Raises FileNotFoundError where `folder` holds neither a run nor a sweep.
    """
    folder = Path(folder).expanduser()
    if packed := _packed(folder):
        return [PackedRun(folder / "trials" / run["trial"], run) for run in packed[1:]]
    if (folder / "config.json").exists():
        return [RunFolder(folder)]
    found = sweep(folder)
    if found is None:
        raise FileNotFoundError(f"{folder} holds neither a run (config.json) nor a sweep (sweep.json)")
    return [RunFolder(folder / "trials" / trial["id"]) for trial in found["trials"]]
