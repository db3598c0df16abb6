"""Run folders: the complete record of a run.

    config.json        the resolved config
    metrics.jsonl      a row per logged interval and evaluation
    diagnoses.jsonl    a row per diagnosis
    provenance.jsonl   a row per start: versions, git commit, command, device; of one to more steps, those of before
    checkpoints/       see training/checkpoint.py
    lock.json          the process that trains, while there is one, see locks.py
    interface.json     for the use of the model without its data: inputs, head, loss, scaling
    medium.json        the codec of the task's sequences, if it makes any
    signature          of a config that names modules, see trust.py
    stop               a search's request to end at the next evaluation, see `request_stop`
    result.json        status and final numbers; written last, atomically

A sweep's folder holds run folders under `trials/` and their list in `sweep.json`; a search, which makes its trials one
by one, writes each proposal to the trial's `trial.json` instead. Non-finite numbers are written as the strings "nan",
"inf" and "-inf", and text that reads like one of them as "'inf".

In `diagnoses.jsonl`, logarithms of gradients and Jacobians are to base ten, by lag: see `rnngen.diagnostics`.

    records.jsonl.gz   all of this except checkpoints in one file, see `runs.export`; a folder with it reads the same
"""

import os
from pathlib import Path
from typing import Any

from rnngen.storage import jsonl
from rnngen.storage.jsonl import append_row, dumps, parse, read_json, read_rows, replace, write_json
from rnngen.storage.provenance import provenance
from rnngen.storage.trust import sign

# The statuses of a run that trained to an end, and of all that are over: a search may prune a run. The fourth status is
# "failed", and a run without a result is unfinished.
TRAINED = ("finished", "diverged")
OVER = (*TRAINED, "pruned")
TABLES = {"metrics": "metrics.jsonl", "diagnoses": "diagnoses.jsonl", "provenance": "provenance.jsonl"}
LONGEST_ROW = 2**14  # bytes; no row of the metrics is longer


class RunFolder:
    """One run's folder. `path` need not exist; the first write makes it. Methods that read raise DamagedFile."""

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path).expanduser()
        self.name = _name_of(self.path)
        self.checkpoints = self.path / "checkpoints"

    def config(self) -> dict | None:
        """Return the run's config, or None before `start`."""
        return read_json(self.path / "config.json", jsonl.CONFIG)

    def result(self) -> dict | None:
        """Return the final result, or None while the run is not over."""
        return read_json(self.path / "result.json", jsonl.RESULT)

    def start(self, config: Any, **facts: Any) -> None:
        """Delete the remains of interrupted writes, and write the config and a provenance row.

        Args:
          config: a dict, or an object with `to_dict`, such as a `RunConfig`.
          facts: more of the provenance.
        """
        config = config.to_dict() if hasattr(config, "to_dict") else config
        self.path.mkdir(parents=True, exist_ok=True)
        jsonl.tidy(self.path)
        # First, since it says with how many steps a run began that goes on to more.
        self.append("provenance", provenance() | facts)
        write_json(self.path / "config.json", config)
        sign(self.path, config)

    def describe(self, codec: dict | None, interface: dict | None = None) -> None:
        """Write what a task tells of itself, so that its model can be used without the data.

        Args:
          codec: of the sequences that it makes, see `Task.codec`.
          interface: of the model, see `Task.interface`.
        """
        for name, described in (("medium.json", codec), ("interface.json", interface)):
            if described is not None:
                write_json(self.path / name, described)

    def codec(self) -> dict | None:
        """Return the codec that `describe` wrote; None for a task without generation."""
        return read_json(self.path / "medium.json", jsonl.CODEC)

    def interface(self) -> dict | None:
        """Return the interface that `describe` wrote; None for a task without one, or a folder older than these."""
        return read_json(self.path / "interface.json", jsonl.INTERFACE)

    def finish(self, result: dict) -> None:
        """Write the result atomically."""
        write_json(self.path / "result.json", result)

    def forget(self) -> None:
        """Delete the result, so that the run can be resumed."""
        (self.path / "result.json").unlink(missing_ok=True)

    def request_stop(self) -> None:
        """Ask the run, in whatever process, to end as "pruned" at its next evaluation of the valid split."""
        (self.path / "stop").touch()

    def stop_requested(self) -> bool:
        """Return True if `request_stop` was called."""
        return (self.path / "stop").exists()

    def append(self, table: str, row: dict) -> None:
        """Append a row to one of `TABLES`."""
        append_row(self.path / TABLES[table], row)

    def rows(self, table: str) -> list[dict]:
        """Return the rows of one of `TABLES`; an incomplete last line is skipped."""
        return read_rows(self.path / TABLES[table], jsonl.ROWS[table])

    def last_step(self) -> int | None:
        """Return the step of the newest row of the metrics, without reading the others, or None."""
        path = self.path / TABLES["metrics"]
        try:
            with open(path, "rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - LONGEST_ROW))
                whole = file.read().split(b"\n")[:-1]
        except FileNotFoundError:
            return None
        return parse(whole[-1], f"{path}, its last line", jsonl.ROWS["metrics"])["step"] if whole else None

    def rewind(self, step: int) -> None:
        """Drop the metrics and diagnoses after `step`, from which the run is resumed (-1: all)."""
        for table in ("metrics", "diagnoses"):
            kept = [dumps(row) + "\n" for row in self.rows(table) if row["step"] <= step]
            replace(self.path / TABLES[table], "".join(kept))


def _name_of(path: Path) -> str:
    """Return the folder's name, also for "." and ".."."""
    return Path(os.path.abspath(path)).name


class Follower(RunFolder):
    """The folder of a run that several processes train, for those that do not write: only the first does."""

    def start(self, config: dict, **facts: Any) -> None:
        """Do nothing."""

    def describe(self, codec: dict | None, interface: dict | None = None) -> None:
        """Do nothing."""

    def finish(self, result: dict) -> None:
        """Do nothing."""

    def forget(self) -> None:
        """Do nothing."""

    def append(self, table: str, row: dict) -> None:
        """Do nothing."""

    def rewind(self, step: int) -> None:
        """Do nothing."""
