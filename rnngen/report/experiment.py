"""The script of an experiment: its command line, and the figures, page and table of its records."""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from rnngen import report
from rnngen.report.tables import cost, markdown
from rnngen.runs import open_sweep, record_folders
from rnngen.runs.sweep import Sweep
from rnngen.storage.jsonl import DamagedFile

BEFORE, AFTER = "half_life.initial", "half_life.final"  # columns of results


def present(folder: Path, table: Callable[[Sweep], pd.DataFrame]) -> list[Sweep]:
    """Write the reports of all records in a folder, print the experiment's own table and the cost of each.

    Returns:
      The records.
    """
    sweeps = [open_sweep(one) for one in record_folders(folder)]
    for sweep in sweeps:
        told = markdown(table(sweep))  # first, since records of another experiment have none
        print(*report.write(sweep), sep="\n")
        print(told, cost(sweep), sep="\n\n")
    return sweeps


def spread(values: pd.Series, digits: int) -> str:
    """Return `median [least, greatest]` with so many decimals."""
    return "{:.{n}f} [{:.{n}f}, {:.{n}f}]".format(values.median(), values.min(), values.max(), n=digits)


def steps(half_life: float, longest: float) -> str:
    """Return a half-life in steps, or `>longest` beyond; half-lives of a gradient that does not fall are infinite."""
    return f"{half_life:.1f}" if half_life <= longest else f">{longest:.0f}"


def before_and_after(frame: pd.DataFrame, longest: float) -> str:
    """Return the median half-lives before and after training of `outcomes`, as `2.1 to >1000`; "-" of none."""
    # The lower of two in the middle, since the mean of two may be infinite.
    middle = [frame[moment].quantile(0.5, interpolation="lower") for moment in (BEFORE, AFTER)]
    return " to ".join("-" if np.isnan(half_life) else steps(half_life, longest) for half_life in middle)


def outcomes(sweep: Sweep, *columns: str) -> pd.DataFrame:
    """Return a row a trial that has a result: its axes, and what came of it.

    Args:
      sweep: the records.
      *columns: of the results, that are needed beside these.

    Returns:
      Axes and `columns`; `solved` (bool), `updates` until then, `loss` on valid, and the half-lives `BEFORE` and
      `AFTER` training, nan where they were not measured.
    """
    results = sweep.results.set_index("trial")
    frame = sweep.axes.join(results[["solved", "step", "metrics.valid.loss", *columns]], how="inner")
    frame = frame.join(results.reindex(columns=[BEFORE, AFTER]))
    frame["solved"] = frame["solved"].fillna(False).astype(bool)
    frame["step"] = frame["step"].where(frame["solved"])
    return frame.rename(columns={"step": "updates", "metrics.valid.loss": "loss"})


def half_lives(sweep: Sweep) -> pd.DataFrame:
    """Return the half-life of the gradient of all layers, as `gradient_flow` found it: `trial`, `step`, `half_life`."""
    flows = sweep.diagnosed("gradient_flow")
    return flows[["trial", "step"]].assign(half_life=[float(of["all"]["steps"]) for of in flows["half_life"]])


def at_best_rate(frame: pd.DataFrame, by: list[str], rate: str, judged: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the trials whose learning rate is the best of their group.

    The best rate solves the most seeds; of equal ones in the fewest updates, then with the least loss.

    Args:
      frame: a row a trial, with the columns `by` and `rate`, `solved` (bool), `updates` until then, and `loss`.
      by: columns of a group, within which a rate is chosen.
      rate: the column of learning rates.
      judged: the trials that the choice is made on; None: all.

    Returns:
      The rows of `frame`.
    """
    of = frame if judged is None else judged
    scores = of.groupby([*by, rate], sort=False).agg(
        solved=("solved", "mean"), updates=("updates", "median"), loss=("loss", "median")
    )
    order = scores.sort_values(["solved", "updates", "loss"], ascending=[False, True, True], kind="stable")
    return frame.merge(order.reset_index().groupby(by, sort=False).head(1)[[*by, rate]], on=[*by, rate])


def command(says: str | None, home: Path, run: Callable[[Path], object]) -> None:
    """Parse the command line of an experiment's script, `--help` or the folder of records, and run it.

    Exits with status 2 and one line for a folder that holds no records, or none of such an experiment.

    Args:
      says: the script's docstring.
      home: the folder of the committed records, the default.
      run: gets the folder.
    """
    parser = argparse.ArgumentParser(description=says, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "folder", nargs="?", type=Path, default=home, help="records to draw and to tell of: %(default)s"
    )
    folder = parser.parse_args().folder
    try:
        run(folder)
    except (FileNotFoundError, DamagedFile, report.NothingToDraw) as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    except KeyError as error:
        parser.exit(2, f"{parser.prog}: {folder} holds another experiment: its records have no {error}\n")
