"""The plan of a sweep in its folder: `sweep.json` or, for a search, the `trial.json` of each proposal."""

from pathlib import Path

from rnngen.storage import jsonl
from rnngen.storage.jsonl import read_json


def read_plan(folder: Path) -> dict | None:
    """Return `{"config": ..., "trials": [{"id", "overrides"}, ...]}` of a sweep's folder, None for any other.

    All of its trials are there, also those of `left_out`.
    """
    plan = read_json(folder / "sweep.json", jsonl.SWEEP)
    if plan is None:
        return None
    return plan | {"trials": proposals(folder)} if "search" in plan else with_text_labels(plan)


def left_out(plan: dict, trial: dict) -> bool:
    """Return True for a trial of the folder that the sweep's command, as it was last given, does not have.

    A list marks those of values that it no longer has; a search has as many proposals as it says.
    """
    if plan.get("search"):
        return trial.get("numbers", [0])[0] >= plan["search"]["trials"]
    return trial.get("left_out", False)


def proposals(folder: Path) -> list[dict]:
    """Return the proposals of a search, `{"id", "numbers", "overrides", "labels", "params"}`, in their order."""
    files = (folder / "trials").glob("*/trial.json")
    found = [_with_text_labels(read_json(file, jsonl.PROPOSAL)) | {"id": file.parent.name} for file in files]
    return sorted(found, key=lambda proposal: proposal["numbers"][0])


def with_text_labels(plan: dict) -> dict:
    """Return the plan with labels that are text, also "inf" where an older folder holds the number."""
    return plan | {"trials": [_with_text_labels(trial) for trial in plan["trials"]]}


def _with_text_labels(trial: dict) -> dict:
    labels = {name: str(label) for name, label in trial.get("labels", {}).items()}
    return trial | {"labels": labels} if labels else trial
