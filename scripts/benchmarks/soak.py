"""Does anything grow? Memory, open files and threads of a sweep of very many trials, and of one very long run.

A row is a process, the driver or a worker, or the run's own: its greatest memory, files and threads in the tenth of the
work that follows the first `settled` units, and the same in the last tenth, before the report is made. Flat means that
their ratio is near 1. Workers that took each other's place are one row.
Linux alone tells them, in `/proc`.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from .protocol import Bench, BenchError, Options, Row
from .tables import number, text

FILE = """
from rnngen.config import base_config, component
from rnngen.sweep import axis


def get_config():
    config = base_config()
    config.cell = component("gru", hidden_dim=8)
    config.task = component("adding", length=10, eval_size=100)
    config.train.update({{"steps": {steps}, "batch_size": 8, "eval_batch_size": 100}})
    config.train.update({{"log_every": {every}, "eval_every": {every}, "save_every": {every}}})
    config.diagnose.what = ()
    return config


def get_sweep():
    return axis("seed", range({trials}))
"""
MEASURES = ("rss_mb", "files", "threads")
SECONDS = 1.0  # between looks


class Soak(NamedTuple):
    """A sweep of `trials` runs of `steps` updates, or one run; settled: trials, or rows, before the first look."""

    trials: int
    steps: int
    every: int
    settled: int


def cases(options: Options) -> dict[str, Any]:
    """Return ten thousand short trials on two workers, and half a million updates of one run."""
    if options.quick:
        return {"sweep": Soak(12, 4, 2, 4), "run": Soak(1, 400, 20, 4)}
    return {"10,000 trials of 20 steps": Soak(10_000, 20, 10, 500), "500,000 steps": Soak(1, 500_000, 500, 50)}


def measure(case: Soak, options: Options) -> list[Row]:
    """Return a row a process."""
    with tempfile.TemporaryDirectory() as name:
        file, folder, out = Path(name, "file.py"), Path(name, "out"), Path(name, "printed.txt")
        file.write_text(FILE.format(**case._asdict()))
        what = ["train"] if case.trials == 1 else ["sweep", "--workers=2"]
        command = [sys.executable, "-m", "rnngen", *what, f"--config={file}", f"--workdir={folder}"]
        began = time.perf_counter()
        with open(out, "w") as printed, subprocess.Popen(command, stdout=printed, stderr=subprocess.PIPE) as process:
            looks = list(_looks(process, case, folder, out))
            status = process.wait()
        if status:
            raise BenchError(f"rnngen {what[0]} ended with status {status}: {out.read_text()[-300:]}")
        seconds = time.perf_counter() - began
    return _rows(looks, case, seconds)


def _looks(process: subprocess.Popen, case: Soak, folder: Path, out: Path):
    """Yield (units done, {pid: measures}) once a second."""
    while process.poll() is None:
        time.sleep(SECONDS if case.steps > 1000 or case.trials > 100 else 0.05)
        children = _children(process.pid) if case.trials > 1 else []
        found = {pid: seen for pid in (process.pid, *children) if (seen := _seen(pid))}
        if found:
            yield _done(case, folder, out), found


def _done(case: Soak, folder: Path, out: Path) -> int:
    if case.trials > 1:
        return len(re.findall(r"(?m)^\d+/\d+ ", out.read_text()))
    rows = folder / "metrics.jsonl"
    return rows.read_bytes().count(b'"train"') if rows.exists() else 0


def _children(pid: int) -> list[int]:
    """Return the workers: children that have run Python for a while, not the compilers that they start."""
    pids = [int(word) for path in Path(f"/proc/{pid}/task").glob("*/children") for word in path.read_text().split()]
    return [child for child in pids if b"spawn_main" in _command(child)]


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _seen(pid: int) -> dict[str, float]:
    try:
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return {
            "rss_mb": int(status["VmRSS"].split()[0]) / 1024,
            "files": len(os.listdir(f"/proc/{pid}/fd")),
            "threads": int(status["Threads"]),
            "cpu_seconds": (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK"),
        }
    except (OSError, KeyError):  # it has just ended
        return {}


def _rows(looks: list, case: Soak, seconds: float) -> list[Row]:
    total = max(done for done, _ in looks)
    during = [(done, found) for done, found in looks if done < total]  # then comes the report
    if case.trials == 1:
        return [_row("run", [(done, of) for done, found in during for of in found.values()], case, seconds)]
    driver = next(iter(looks[0][1]))
    workers = [(done, [of for pid, of in found.items() if pid != driver]) for done, found in during]
    largest = [(done, {name: max(of[name] for of in each) for name in each[0]}) for done, each in workers if each]
    alone = [(done, found[driver]) for done, found in during if driver in found]
    return [_row("driver", alone, case, seconds), _row("larger worker", largest, case, seconds)]


def _row(role: str, seen: list[tuple[int, dict]], case: Soak, seconds: float) -> Row:
    total = max(done for done, _ in seen)
    early = [of for done, of in seen if case.settled <= done <= case.settled + total / 10] or [seen[0][1]]
    late = [of for done, of in seen if done >= 0.9 * total] or [seen[-1][1]]
    row: Row = {"contender": role, "seconds": seconds, "times": [seconds], "repeats": 1, "units": total}
    for name in MEASURES:
        before, after = (max(of[name] for of in part) for part in (early, late))
        row |= {f"{name}_before": before, f"{name}_after": after, f"{name}_ratio": after / before}
    settled = [(done, of["cpu_seconds"]) for done, of in seen if done >= case.settled] or [(0, 0.0)]
    (first, began), (last, ended) = settled[0], settled[-1]
    # A worker may have taken another's place, with a clock of its own.
    row["ms_a_unit"] = 1e3 * (ended - began) / max(last - first, 1) if role != "larger worker" else float("nan")
    row |= {"ratio": row["rss_mb_ratio"], "ratio_interval": [row["rss_mb_ratio"]] * 2}
    return row


BENCH = Bench(
    cases=cases,
    measure=measure,
    columns={
        "process": text("contender"),
        "s": number("seconds", 0),
        "units": number("units", 0),
        "MB before": number("rss_mb_before", 0),
        "after": number("rss_mb_after", 0),
        "ratio": number("rss_mb_ratio", 3),
        "files": number("files_after", 0),
        "files ratio": number("files_ratio", 3),
        "threads": number("threads_after", 0),
        "threads ratio": number("threads_ratio", 3),
        "CPU ms a unit": number("ms_a_unit", 2),
    },
)
