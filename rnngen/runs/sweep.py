"""A sweep, read once from its folder or from an export: its trials, their settings, and their records."""

import functools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from rnngen.registry import nearest
from rnngen.runs import settings
from rnngen.runs.notebook import sweep_html
from rnngen.runs.run import Run
from rnngen.storage.dotted import flatten, lower_is_better, metric_place
from rnngen.storage.folder import TRAINED


class Sweep:
    """The runs of a sweep; also a single run, of which reports and figures are made as of a sweep.

    Every table is read on first use, and cached; reading raises DamagedFile for a file that rnngen did not write.

    Attributes:
      path: the folder.
      plan: the folder's record of the sweep, `{"config", "trials", "search"}`; None for a single run.
      runs: in the order of the plan.
    """

    def __init__(self, path: str | os.PathLike, plan: dict | None, runs: Sequence[Run]):
        self.path, self.plan, self.runs = Path(path), plan, list(runs)

    def __len__(self) -> int:
        return len(self.runs)

    def __iter__(self) -> Iterator[Run]:
        return iter(self.runs)

    def __getitem__(self, trial: str) -> Run:
        return next(run for run in self.runs if run.name == trial)

    def __repr__(self) -> str:
        counts = ", ".join(f"{number} {status}" for status, number in self.status.items())
        return f"Sweep({os.fspath(self.path)!r}: {counts or 'no trials'})"

    def _repr_html_(self) -> str:
        return sweep_html(self)

    def as_sweep(self) -> "Sweep":
        """Return itself, as `Run.as_sweep` returns a sweep."""
        return self

    @property
    def name(self) -> str:
        """The folder's name."""
        return Path(os.path.abspath(self.path)).name

    @property
    def config(self) -> dict:
        """The config that the trials change; of a single run its own."""
        return self.plan["config"] if self.plan else self.runs[0].config or {}

    @property
    def search(self) -> dict:
        """The search's `{"method", "metric", "mode", "trials"}`; empty where the trials were listed."""
        return (self.plan or {}).get("search") or {}

    @functools.cached_property
    def axes(self) -> pd.DataFrame:
        """The values that each trial changes: index trial, a column a dotted name; of a single run its cell's name."""
        return settings.axes(self.plan, self.runs)

    @functools.cached_property
    def settings(self) -> list[str]:
        """The columns of `axes` that tell settings apart, which seeds and folds do not."""
        return settings.names(self.axes, self.is_search)

    @functools.cached_property
    def is_search(self) -> bool:
        """True for a search, and where nearly every trial has a number of its own on one of the axes."""
        return bool(self.search) or settings.has_distinct_numbers(self.axes)

    @functools.cached_property
    def setting_names(self) -> pd.Series:
        """The setting of each trial in words: its labels, and other differences between trials of the same labels."""
        return settings.in_words(self.axes, self.settings, (self.plan or {"trials": []})["trials"])

    @functools.cached_property
    def outcomes(self) -> pd.DataFrame:
        """The result of each trial with dotted names, index trial, column `status` at least; without its config."""
        frame = pd.DataFrame([*self._flat_results.values()], index=pd.Index([*self._flat_results], name="trial"))
        return frame if "status" in frame else frame.assign(status=pd.Series(dtype=str))

    @property
    def status(self) -> dict[str, int]:
        """The number of trials of each status."""
        return {str(status): int(number) for status, number in self.outcomes["status"].value_counts().items()}

    @functools.cached_property
    def results(self) -> pd.DataFrame:
        """A row a trial: `trial`, its result with dotted names, and its config as `config.task.name` and so on."""
        return self._with_config([{"trial": ""} | row | {"trial": name} for name, row in self._flat_results.items()])

    @functools.cached_property
    def _flat_results(self) -> dict[str, dict]:
        return {run.name: flatten(run.result or {"status": "unfinished"}) for run in self.runs}

    @functools.cached_property
    def metrics(self) -> pd.DataFrame:
        """A row a logged interval and evaluation of each trial, with its `trial` and its config."""
        return self._table("metrics")

    @functools.cached_property
    def diagnoses(self) -> pd.DataFrame:
        """A row a diagnosis of each trial, with its `trial` and its config."""
        return self._table("diagnoses")

    @functools.cached_property
    def provenance(self) -> pd.DataFrame:
        """A row a start of each trial, with its `trial` and its config."""
        return self._table("provenance")

    def labelled(self, table: str) -> pd.DataFrame:
        """Return a table with columns `curve`, the cell or else the first axis, and `panel`, the others, in words."""
        return self._with_labels(getattr(self, table))

    def diagnosed(self, what: str) -> pd.DataFrame:
        """Return the rows of one diagnosis, `labelled`; none where it was not made."""
        rows = self.diagnoses
        return rows if rows.empty else self._with_labels(rows[rows["what"] == what])

    def moments(self, rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
        """Part rows of diagnoses into those at initialisation, and the last of each trial that trained to an end."""
        trained = self.outcomes.index[self.outcomes["status"].isin(TRAINED)]
        last = rows.groupby("trial")["step"].transform("max")
        ended = rows["trial"].isin(trained) & (rows["step"] == last)
        return {"at initialisation": rows[rows["step"] == rows["step"].min()], "after training": rows[ended]}

    def best(self, metric: str = "", mode: str = "") -> Run:
        """Return the trial that did best on the valid split.

        Args:
          metric: "loss", another metric of the task, or a dotted name of the results such as "metrics.test.accuracy".
            Default: what the search looks for, else the loss.
          mode: "min" or "max"; default: the search's, "min" for a loss or an error and "max" for anything else.

        Raises:
          ValueError: no trial has such a number, or mode is neither.
        """
        metric = metric or self.search.get("metric", "loss")
        mode = mode or (self.search.get("mode") if metric == self.search.get("metric") else None) or _usual_mode(metric)
        if mode not in ("min", "max"):
            raise ValueError(f"mode must be min or max, got {mode!r}")
        scores = self.scores(metric)
        if scores.empty:
            numbers = self.outcomes.select_dtypes("number")
            known = [name.removeprefix("metrics.valid.") for name in numbers]
            raise ValueError(f"no trial of {self.path} has a number {metric!r}{nearest(metric, known)}")
        return self[scores.idxmin() if mode == "min" else scores.idxmax()]

    def _with_labels(self, records: pd.DataFrame) -> pd.DataFrame:
        return records if records.empty else records.merge(self._labels, left_on="trial", right_index=True)

    @functools.cached_property
    def _labels(self) -> pd.DataFrame:
        return settings.curves(self.axes, self.settings)

    def scores(self, metric: str) -> pd.Series:
        """Return the numbers that `best` compares, index trial; trials without one are left out."""
        column = next((name for name in (metric, metric_place(metric)) if name in self.outcomes), None)
        if column is None:
            return pd.Series(dtype=float)
        return pd.to_numeric(self.outcomes[column], errors="coerce").dropna()

    def _table(self, table: str) -> pd.DataFrame:
        rows = [{"trial": ""} | row | {"trial": run.name} for run in self.runs for row in run.rows(table)]
        return self._with_config(rows)

    def _with_config(self, rows: list[dict]) -> pd.DataFrame:
        # Joined at the end: a sweep has far more rows than configs.
        if not rows:
            return pd.DataFrame()
        configs = [self._configs[trial] for trial in dict.fromkeys(row["trial"] for row in rows)]
        return pd.DataFrame(rows).merge(pd.DataFrame(configs), on="trial", how="left")

    @functools.cached_property
    def _configs(self) -> dict[str, dict]:
        labels = {trial["id"]: trial.get("labels", {}) for trial in (self.plan or {"trials": []})["trials"]}
        found = {}
        for run in self.runs:
            named = {f"label.{name}": label for name, label in labels.get(run.name, {}).items()}
            config = {f"config.{key}": value for key, value in flatten(run.config or {}).items()}
            found[run.name] = {"trial": run.name} | named | config
        return found


def _usual_mode(metric: str) -> str:
    return "min" if lower_is_better(metric) else "max"
