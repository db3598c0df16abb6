"""check_cell lets every built-in cell pass, and finds every planted fault and names it."""

import pytest
from faulty import FAULTS, is_wider_than_it_says
from my_lab import leaky

from rnngen.cells import CELLS
from rnngen.testing import LAWS, check_cell, examine_cell

SIZES = {name: {"key_dim": 2} for name in ("deltaproduct", "deltarule", "gated_deltarule", "mlstm", "rwkv7")}
SIZES |= {name: {"state_dim": 2} for name in ("s4d", "s6")}


QUICK = {"mingru"}  # what is gated is tried in test_cli_check.py


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in CELLS])
def test_built_in_cells_keep_every_law(name):
    check_cell(CELLS[name](3, **SIZES.get(name, {})))


PLANTED = [*list(FAULTS)[:12], *(pytest.param(fault, marks=pytest.mark.slow) for fault in list(FAULTS)[12:])]


@pytest.mark.slow
@pytest.mark.parametrize("fault", PLANTED, ids=lambda fault: fault.__name__)
def test_a_planted_fault_is_named(fault):
    report = examine_cell(fault(), measure=False)
    print(report)
    assert report.broken[0] == FAULTS[fault]


@pytest.mark.slow
def test_a_report_says_what_was_measured():
    report = examine_cell(leaky(4))
    assert not report.broken
    assert len(report.findings) == len(LAWS) - 5  # nothing is claimed, and nothing observed
    text = str(report)
    for said in ("64 parameters with 16", "float32[4]", "no structure declared", "fused", "newton", "diagonal=True"):
        assert said in text
    assert "halves every 6.58 steps" in text  # ln 2 / -ln 0.9


def test_a_broken_law_fails_a_test_of_ones_own():
    with pytest.raises(
        AssertionError, match=r"the cell breaks output\n(.|\n)*y is float64\[4\], and output_dim says \[5\]"
    ):
        check_cell(is_wider_than_it_says())


def test_something_else_than_a_cell():
    with pytest.raises(ValueError, match="expected a Cell, got"):
        examine_cell(leaky)
