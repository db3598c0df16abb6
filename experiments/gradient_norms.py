"""Does a cell that solves a task lengthen its gradient's reach?

Draws the norm of dL/dh_t against t on a log axis, one curve a cell with its range over seeds, at
initialisation and after training, from the records of a sweep such as `configs/sweeps/demo.py`:

    python experiments/gradient_norms.py runs/demo

After Arjovsky, Shah and Bengio 2016, figure 4. See README.md beside this file.
"""

import sys
from pathlib import Path

from rnngen.report.figures import gradient_norms
from rnngen.report.style import save


def main(folder: str) -> None:
    """Draw the figure of a sweep's folder into its `figures/`, and say where."""
    figure = gradient_norms(folder, leaf="layer_0/h", against="t")
    if figure is None:
        sys.exit(f"{folder} has no gradient-flow records: run it with config.diagnose.what=('gradient_flow',)")
    for path in save(figure, Path(folder) / "figures" / "gradient_norms_over_time"):
        print(path)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python experiments/gradient_norms.py SWEEP_FOLDER")
    main(sys.argv[1])
