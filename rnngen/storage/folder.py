"""Run folders: the truth of what was trained.

    config.json        the resolved config
    metrics.jsonl      a row per logged interval and evaluation
    diagnoses.jsonl    a row per diagnosis
    provenance.jsonl   a row per start: versions, git commit, command, device
    checkpoints/       see training/checkpoint.py
    lock.json          there while a process trains: which, see locks.py
    signature          there where the config names modules, see trust.py
    stop               there where a search has asked the run to end at its next evaluation, see `request_stop`
    result.json        status and final numbers; written last, atomically

A sweep's folder holds run folders under `trials/` and their list in `sweep.json`; a search, which makes its trials one
by one, keeps what it proposed in each trial's `trial.json` instead. Numbers that JSON does not have are written as the
strings "nan", "inf" and "-inf"; text that reads so as "'inf".

In `diagnoses.jsonl` the logs of gradients and Jacobians are to base ten, and by lag: see `rnngen.diagnostics`.

    records.jsonl.gz   all of this but checkpoints in one file, see `runs.export`; a folder that holds it reads the same
"""

import os
from pathlib import Path
from typing import Any

from rnngen.storage import jsonl
from rnngen.storage.jsonl import append_row, dumps, parse, read_json, read_rows, replace, write_json
from rnngen.storage.provenance import provenance
from rnngen.storage.trust import sign

# The statuses of a run that trained to an end, and of one that is not gone on with: a search may prune it. The fourth
# is "failed", and a run without a result is unfinished.
TRAINED = ("finished", "diverged")
OVER = (*TRAINED, "pruned")
TABLES = {"metrics": "metrics.jsonl", "diagnoses": "diagnoses.jsonl", "provenance": "provenance.jsonl"}
LONGEST_ROW = 2**14  # bytes of a row of the metrics, and more


class RunFolder:
    """One run's folder. `path` need not exist; the first write makes it. What reads raises DamagedFile."""

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path).expanduser()
        self.name = _name_of(self.path)
        self.checkpoints = self.path / "checkpoints"

    def config(self) -> dict | None:
        """The config it was made for, None where there is none yet."""
        return read_json(self.path / "config.json", jsonl.CONFIG)

    def result(self) -> dict | None:
        """The final result, None while the run is not over."""
        return read_json(self.path / "result.json", jsonl.RESULT)

    def start(self, config: Any, **facts: Any) -> None:
        """Write the config, and a provenance row with `facts` in it, where nothing is left of writes that were cut.

        Args:
          config: a dict, or what has a `to_dict`, as a `RunConfig` has.
          facts: more of the provenance.
        """
        config = config.to_dict() if hasattr(config, "to_dict") else config
        self.path.mkdir(parents=True, exist_ok=True)
        jsonl.tidy(self.path)
        write_json(self.path / "config.json", config)
        sign(self.path, config)
        self.append("provenance", provenance() | facts)

    def describe(self, codec: dict | None) -> None:
        """Write how sequences of its task are made and shown, so that this needs no data later."""
        if codec is not None:
            write_json(self.path / "medium.json", codec)

    def codec(self) -> dict | None:
        """What `describe` wrote; None where its task makes no sequences."""
        return read_json(self.path / "medium.json", jsonl.CODEC)

    def finish(self, result: dict) -> None:
        """Write the result, whole or not at all."""
        write_json(self.path / "result.json", result)

    def forget(self) -> None:
        """Drop the result, so that the run is gone on with."""
        (self.path / "result.json").unlink(missing_ok=True)

    def request_stop(self) -> None:
        """Ask the run, wherever it is trained, to end as "pruned" at its next evaluation of the valid split."""
        (self.path / "stop").touch()

    def stop_requested(self) -> bool:
        """Whether `request_stop` was called."""
        return (self.path / "stop").exists()

    def append(self, table: str, row: dict) -> None:
        """Add a row to one of `TABLES`."""
        append_row(self.path / TABLES[table], row)

    def rows(self, table: str) -> list[dict]:
        """The rows of one of `TABLES`; a torn last line is passed over."""
        return read_rows(self.path / TABLES[table], jsonl.ROWS[table])

    def last_step(self) -> int | None:
        """The step of the newest row of the metrics, looked up without reading the others; None: there is none."""
        path = self.path / TABLES["metrics"]
        try:
            with open(path, "rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - LONGEST_ROW))
                whole = file.read().split(b"\n")[:-1]
        except FileNotFoundError:
            return None
        return parse(whole[-1], f"{path}, its last line", jsonl.ROWS["metrics"])["step"] if whole else None

    def rewind(self, step: int) -> None:
        """Drop the metrics and diagnoses of later steps than `step`, which is resumed from (-1: all)."""
        for table in ("metrics", "diagnoses"):
            kept = [dumps(row) + "\n" for row in self.rows(table) if row["step"] <= step]
            replace(self.path / TABLES[table], "".join(kept))


def _name_of(path: Path) -> str:
    """The folder's name, also where it is given as "." or ".."."""
    return Path(os.path.abspath(path)).name


class Follower(RunFolder):
    """The folder of a run that several processes train, for those that only read: the first of them writes."""

    def start(self, config: dict, **facts: Any) -> None:
        """Nothing."""

    def describe(self, codec: dict | None) -> None:
        """Nothing."""

    def finish(self, result: dict) -> None:
        """Nothing."""

    def append(self, table: str, row: dict) -> None:
        """Nothing."""

    def rewind(self, step: int) -> None:
        """Nothing."""
