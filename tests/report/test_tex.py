"""The table for a paper."""

import numpy as np
import pandas as pd

from rnngen.report import latex, summary
from rnngen.runs import open_sweep

pytest_plugins = ["handmade_sweep"]


def test_latex_escapes_and_keeps_numbers():
    rows = pd.DataFrame({"a_b%": [r"x_1 & #$50{}~^\ <|>", "[y]"], "loss": [1.23456e-5, -np.inf], "n": [12345, 3]})
    lines = latex(rows).splitlines()
    assert lines[0] == r"\begin{tabular}{lrr}"
    assert lines[2] == r"a b\% & loss & n \\"
    assert lines[4] == (
        r"x\_1 \& \#\$50\{\}\textasciitilde{}\textasciicircum{}\textbackslash{} "
        r"\textless{}\textbar{}\textgreater{} & $1.23 \times 10^{-5}$ & 12345 \\"
    )
    assert lines[5] == r"{}[y] & $-\infty$ & 3 \\"
    assert lines[-1] == r"\end{tabular}"


def test_latex_of_a_summary(sweep):
    line = r"lstm & 40 & 3 & 3 & 0 & 0.2 [0.1, 0.3] & 0.5 & 0.333 [0.0615, 0.792] & 2 & 20 [10, 30] \\"
    assert line in latex(summary(open_sweep(sweep))).splitlines()
