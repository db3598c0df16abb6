"""A running search: Optuna proposes and prunes, and the trial folders are its memory.

Optuna's study is in memory and rebuilt from the folders, by the same calls in the same order. Each proposal has its own
sampler, seeded by the search's seed and the proposal's number, so that an interrupted search goes on as if it had not
been.
"""

import dataclasses
import math
from pathlib import Path
from typing import Any

from rnngen.config import RunConfig, build, resolve
from rnngen.config.check import ConfigError
from rnngen.registry import nearest
from rnngen.storage.dotted import flatten, metric_place
from rnngen.storage.folder import RunFolder
from rnngen.storage.jsonl import read_json, write_json
from rnngen.storage.plan import proposals
from rnngen.sweep import sampling
from rnngen.sweep.plan import Trial, make_trial, run_folder
from rnngen.sweep.ranges import Choice, Numbers, Search
from rnngen.sweep.space import Labelled


class Study:
    """A `TrialSource` of the trials that a search proposes, one per job."""

    def __init__(self, folder: Path, base: dict, search: Search, retry_failed: bool = False):
        """Resume from the folder. Raises ConfigError for an invalid search, before anything is written."""
        self.folder, self.base, self.search = folder, base, search
        _check(base, search)
        self.study = sampling.make_study(search, resolve(base).to_dict())
        self._built: set[RunConfig] = set()
        self._live: dict[str, _Told] = {}  # by the trial's id
        self._again: list[Trial] = []
        self._asked = 0
        self._rebuild(retry_failed)

    def next(self, running: int, slots: int) -> list[list[Trial]]:
        """Return proposals for the free slots."""
        free = max(slots - running, 0)
        packs, self._again = [[trial] for trial in self._again[:free]], self._again[free:]
        while len(packs) < free and self._asked < self.search.trials:
            trial = self._propose()
            if trial is not None:
                packs.append([trial])
        return packs

    def look(self, trials: list[Trial]) -> None:
        """Ask running trials that do worse than most to stop."""
        if self.search.pruner["name"] == "none":
            return
        for trial in trials:
            run = run_folder(self.folder, trial)
            if self._report(self._live[trial.id], run):
                run.request_stop()

    def over(self, trial: Trial) -> None:
        """Tell Optuna the result of a trial."""
        self._conclude(self._live.pop(trial.id), run_folder(self.folder, trial))

    def _propose(self) -> Trial | None:
        """Propose a new trial; None where the same config was proposed before."""
        number, self._asked = self._asked, self._asked + 1
        proposed, overrides = sampling.ask(self.study, self.search, number)
        trial = make_trial(self.base, overrides, self._built)
        run = run_folder(self.folder, trial)
        run.path.mkdir(parents=True, exist_ok=True)
        before = read_json(run.path / "trial.json")
        record = {"overrides": trial.overrides, "labels": trial.labels, "params": proposed.params}
        numbers = [*(before["numbers"] if before else []), number]
        write_json(run.path / "trial.json", {"numbers": numbers} | record)
        if before:
            self._conclude(_Told(proposed), run)
            return None
        self._live[trial.id] = _Told(proposed)
        return trial

    def _rebuild(self, retry_failed: bool) -> None:
        """Rebuild the study from the folders."""
        found = {number: p for p in proposals(self.folder) for number in p["numbers"]}
        self._asked = max(found, default=-1) + 1
        for number in range(self._asked):
            if number not in found:  # its folder was deleted: it counts, but has no result
                self.study.tell(self.study.ask(), state=sampling.state("FAIL"))
                continue
            proposal = found[number]
            self.study.enqueue_trial(sampling.params_of(proposal, self.search))
            told = _Told(self.study.ask(sampling.distributions(self.search)))
            run = RunFolder(self.folder / "trials" / proposal["id"])
            result, first = run.result(), number == proposal["numbers"][0]
            open_again = result is None or (retry_failed and result["status"] == "failed")
            # Of a shorter search than before, what lies beyond its end is left as it is.
            if first and open_again and number < self.search.trials:
                self._live[proposal["id"]] = told
                trial = make_trial(self.base, _labelled(proposal), self._built)
                self._again.append(trial._replace(id=proposal["id"]))
            else:
                self._conclude(told, run)

    def _conclude(self, told: "_Told", run: RunFolder) -> None:
        """Tell Optuna how a trial ended; a pruned one stays pruned, even if it had trained to its end by then."""
        result = run.result()
        if result is None or result["status"] == "failed":
            self.study.tell(told.proposed, state=sampling.state("FAIL"))
        elif self._report(told, run) or result["status"] == "pruned":
            self.study.tell(told.proposed, state=sampling.state("PRUNED"))
        else:
            self.study.tell(told.proposed, self._score(result))

    def _report(self, told: "_Told", run: RunFolder) -> bool:
        """Report new evaluations, in order, until the pruner stops the trial; return True if it did."""
        if self.search.pruner["name"] == "none":
            return False
        for row in () if told.pruned else run.rows("metrics"):
            if row["split"] == "valid" and row["step"] > told.step and not told.pruned:
                told.proposed.report(self._finite(row[self.search.metric]), row["step"])
                told.step, told.pruned = row["step"], told.proposed.should_prune()
        return told.pruned  # never taken back

    def _score(self, result: dict) -> float:
        place, known = metric_place(self.search.metric), flatten(result)
        if not isinstance(known.get(place), int | float):
            raise ConfigError(f"search: no trial reports {self.search.metric!r}{nearest(place, known)}")
        return math.inf * self._sign() if result["status"] == "diverged" else self._finite(known[place])

    def _finite(self, value: float) -> float:
        """Return the value, or the worst possible one where it is not finite."""
        return math.inf * self._sign() if math.isnan(value) else value

    def _sign(self) -> int:
        return 1 if self.search.mode == "min" else -1


@dataclasses.dataclass
class _Told:
    """A proposal of Optuna's, the last step whose evaluation was reported, and a flag for pruned there."""

    proposed: Any
    step: int = 0
    pruned: bool = False


def planned(base: dict, search: Search) -> list[Trial] | None:
    """Return all trials of a search that does not depend on results; None for one that does.

    Raises ConfigError for an invalid search.
    """
    if search.method != "random" or search.pruner["name"] != "none":
        return None
    return first(base, search, search.trials)


def first(base: dict, search: Search, most: int) -> list[Trial]:
    """Return the first trials of a search, at most so many, as they are before any has a result.

    Raises ConfigError for an invalid search.
    """
    _check(base, search)
    study, built = sampling.make_study(search, resolve(base).to_dict()), set[RunConfig]()
    trials: dict[str, Trial] = {}
    for number in range(min(search.trials, most)):
        trial = make_trial(base, sampling.ask(study, search, number)[1], built)
        trials.setdefault(trial.id, trial)
    return list(trials.values())


def _check(base: dict, search: Search) -> None:
    """Raise ConfigError unless each end of each range makes a valid trial, and the task has the metric."""
    ends = {name: _ends(r) for name, r in search.space.items()}
    middle = {name: values[0] for name, values in ends.items()}
    for name, values in ends.items():
        for value in values:
            try:
                make_trial(base, middle | {name: value})
            except ConfigError as error:
                raise ConfigError(f"search: {name}: {error}") from error
    config = make_trial(base, middle).config
    known = build(config).task.metric_names()
    if "." not in search.metric and search.metric not in known:
        raise ConfigError(f"search: no trial reports {search.metric!r}{nearest(search.metric, known)}")
    if search.method == "gp":
        try:
            import torch  # noqa: F401, for Optuna's Gaussian process
        except ImportError:
            raise ConfigError("search: method 'gp' needs torch: pip install 'rnngen[gp]'") from None


def _ends(r: Numbers | Choice) -> list[Any]:
    return list(r.options.values()) if isinstance(r, Choice) else [r.low, r.high]


def _labelled(proposal: dict) -> dict[str, Any]:
    labels = proposal["labels"]
    return {name: Labelled(labels[name], v) if name in labels else v for name, v in proposal["overrides"].items()}
