"""The algebra of spaces."""

import pytest

from rnngen.sweep import axis, chain, product, zipped

A, B = axis("a", [1, 2]), axis("b", "xy")


def test_axis_product_zipped_chain():
    assert A == [{"a": 1}, {"a": 2}]
    assert product(A, B) == [{"a": 1, "b": "x"}, {"a": 1, "b": "y"}, {"a": 2, "b": "x"}, {"a": 2, "b": "y"}]
    assert zipped(A, B) == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]
    assert chain(A, B) == [*A, *B]
    assert len(product(zipped(A, B), axis("seed", range(3)))) == 6


def test_a_mapping_labels_its_values():
    (first, second) = axis("a", {"one": 1, "two": 2})
    assert (first["a"].label, first["a"].value, second["a"].value) == ("one", 1, 2)
    assert [value["a"].label for value in axis("a", {None: 1, 2: 3})] == ["None", "2"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: axis("a", []), "axis 'a' has no values"),
        (lambda: zipped(A, axis("b", [1])), "differ in length: 2, 1"),
        (lambda: product(A, axis("a", [3])), "two axes set 'a'"),
    ],
)
def test_spaces_that_cannot_be(make, message):
    with pytest.raises(ValueError, match=message):
        make()
