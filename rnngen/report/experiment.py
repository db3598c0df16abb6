"""The script of an experiment: its command line, and the figures, page and table of its records."""

import argparse
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from rnngen import report
from rnngen.report.tables import cost, markdown
from rnngen.runs import open_sweep, record_folders
from rnngen.runs.sweep import Sweep
from rnngen.storage.jsonl import DamagedFile


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


def median_steps(half_lives: pd.Series, longest: float) -> str:
    """Return the median of half-lives in steps; `>longest` beyond, "-" of none, and of two in the middle the lower."""
    if half_lives.isna().all():
        return "-"
    middle = half_lives.quantile(0.5, interpolation="lower")  # the mean of two may be infinite
    return f"{middle:.1f}" if middle <= longest else f">{longest:.0f}"


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
