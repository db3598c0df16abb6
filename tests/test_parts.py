"""The slow tests in parts, `scripts/test --part 0/4`."""

import pytest
from conftest import is_in_part


@pytest.mark.parametrize("parts", [1, 4])
def test_every_test_is_in_one_part_and_the_parts_are_alike(parts):
    names = [f"tests/test_a.py::test_b[{number}]" for number in range(400)]
    within = [[is_in_part(name, f"{part}/{parts}") for name in names] for part in range(parts)]
    assert all(sum(found) == 1 for found in zip(*within, strict=True))
    assert min(map(sum, within)) > 0.7 * len(names) / parts


@pytest.mark.parametrize("chosen", ["4/4", "1", "a/b", "-1/4", "0/0"])
def test_what_is_no_part_is_told(chosen):
    with pytest.raises(pytest.UsageError, match="such as 0/4"):
        is_in_part("tests/test_a.py::test_b", chosen)
