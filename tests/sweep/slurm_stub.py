"""The commands of SLURM as submitit uses them, with jobs as processes of this machine. Its folder is $STUB.

submissions        a line per sbatch
<id>.sh            the script
<id>[_<task>].*    pid: its process; state: as sacct tells; requeue: there once it is to be run again; setup
"""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(os.environ["STUB"])


def sbatch(script):
    """Note the script, leave its tasks to a process of their own, and tell its number."""
    with open(HERE / "submissions", "a", encoding="utf-8") as file:
        file.write(script + "\n")
    number = int(os.environ["STUB_FIRST"]) + len((HERE / "submissions").read_text().splitlines())
    text = Path(script).read_text()
    (HERE / f"{number}.sh").write_text(text)
    array = re.search(r"--array=0-(\d+)%(\d+)", text)
    tasks = [f"{number}_{task}" for task in range(int(array[1]) + 1)] if array else [str(number)]
    for name in tasks:
        (HERE / f"{name}.state").write_text("PENDING")
    command = [sys.executable, __file__, "run", str(HERE / f"{number}.sh"), array[2] if array else "1", *tasks]
    # With none of sbatch's own streams, for whoever started that waits for their end.
    with open(HERE / "run.log", "ab") as log:
        subprocess.Popen(command, start_new_session=True, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    print(f"Submitted batch job {number}")


def run(script, at_once, *tasks):
    """Run tasks to their end, some at once."""
    waiting, running = list(tasks), {}
    while waiting or running:
        while waiting and len(running) < int(at_once):
            name = waiting.pop(0)
            running[name] = _start(script, name)
        for name, process in list(running.items()):
            if process.poll() is not None:
                del running[name]
                waiting += _end(name, process.returncode)
        time.sleep(0.05)


def _start(script, name):
    number, _, task = name.partition("_")
    array = {"SLURM_ARRAY_JOB_ID": number, "SLURM_ARRAY_TASK_ID": task} if task else {}
    ids = {"SLURM_JOB_ID": str(10 * int(number) + int(task)) if task else number, "STUB_NAME": name}
    (HERE / f"{name}.state").write_text("RUNNING")
    return subprocess.Popen(["bash", script], env=os.environ | ids | array)


def _end(name, code):
    """Note how a task ended; [name] where it is to be run again."""
    if (HERE / f"{name}.requeue").exists():
        (HERE / f"{name}.requeue").rename(HERE / f"{name}.requeued")
        (HERE / f"{name}.state").write_text("REQUEUED")
        return [name]
    states = {0: "COMPLETED", 137: "OUT_OF_MEMORY"}
    (HERE / f"{name}.state").write_text(states.get(code, "FAILED"))
    return []


def srun(*words):
    """Become the command, printing to the files that are asked for."""
    words, name = list(words), os.environ["STUB_NAME"]
    number, _, task = name.partition("_")
    patterns = {"%A": number, "%a": task, "%j": os.environ["SLURM_JOB_ID"], "%t": "0"}
    while words[0].startswith("--"):
        option = words.pop(0)
        if option in ("--output", "--error"):
            path = words.pop(0)
            for pattern, value in patterns.items():
                path = path.replace(pattern, value)
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            file = os.open(path, os.O_APPEND | os.O_CREAT | os.O_WRONLY)
            os.dup2(file, 1 if option == "--output" else 2)
    (HERE / f"{name}.pid").write_text(str(os.getpid()))
    ranks = {"SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0", "SLURM_NTASKS": "1"}
    os.execvpe(words[0], words, os.environ | ranks | {"SLURM_JOB_NUM_NODES": "1"})


def sacct(*words):
    """The states of all tasks of the jobs asked for."""
    with open(HERE / "questions", "a", encoding="utf-8") as file:
        file.write(" ".join(words) + "\n")
    asked = [words[place + 1] for place, word in enumerate(words) if word == "-j"]
    print("JobID|State|NodeList")
    for path in sorted(HERE.glob("*.state")):
        if path.stem.split("_")[0] in asked:
            print(f"{path.stem}|{path.read_text()}|here")


def scontrol(command, name):
    """Note that a task is to be run again."""
    assert command == "requeue"
    (HERE / f"{name}.requeue").touch()


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
