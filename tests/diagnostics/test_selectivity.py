"""Units that were made to tell something are found, by what they were not chosen by."""

import numpy as np
import pytest

from rnngen.diagnostics.properties import input_properties, text_properties
from rnngen.diagnostics.selectivity import scores, selectivity

RANDOM = np.random.RandomState(0)
TEXT = 'He (she [x]) said "no {a}" <b>\nAb'


def test_planted_units_are_found():
    states = RANDOM.normal(size=(400, 9))
    place = np.arange(400) % 37
    inside = RANDOM.uniform(size=400) < 0.3
    states[:, 3] = np.tanh(place / 20)
    states[:, 7] = np.where(inside, -1, 1) + 0.01 * RANDOM.normal(size=400)
    found = selectivity(states, {"inside": inside, "place": place, "never": np.zeros(400, bool)})
    assert list(found) == ["inside", "place"] or list(found) == ["place", "inside"]
    assert found["inside"] == (7, -1.0)
    assert found["place"].unit == 3
    assert found["place"].score == pytest.approx(1.0)


def test_what_is_found_by_chance_is_scored_by_the_other_half():
    """The best of 300 random units looks good on what it was chosen by, and only there."""
    states, coin = RANDOM.normal(size=(100, 300)), RANDOM.uniform(size=100) < 0.5
    assert np.abs(scores(states[:50], coin[:50])).max() > 0.35
    found = [abs(selectivity(RANDOM.normal(size=(100, 300)), {"coin": coin})["coin"].score) for _ in range(20)]
    assert np.median(found) < 0.25


def test_scores_are_those_of_pairs():
    states, true = RANDOM.normal(size=(30, 2)), RANDOM.uniform(size=30) < 0.5
    pairs = np.sign(states[true][:, None] - states[~true][None])
    np.testing.assert_allclose(scores(states, true), pairs.mean(axis=(0, 1)))


def test_properties_of_a_text():
    found = text_properties(TEXT)
    assert all(len(values) == len(TEXT) for values in found.values())
    within = lambda name: "".join(c for c, inside in zip(TEXT, found[name], strict=True) if inside)  # noqa: E731
    assert within("inside double quotes") == '"no {a}'
    assert within("inside parentheses") == "(she [x]"
    assert within("inside square brackets") == "[x"
    assert within("inside braces") == "{a"
    assert within("inside angle brackets") == "<b"
    assert within("capital letter") == "HA"
    assert found["position in the line"][-4:].tolist() == [30, 0, 1, 2]
    assert found["position in the word"][:6].tolist() == [1, 2, 0, 0, 1, 2]


def test_a_bracket_that_closes_nothing_counts_for_nothing():
    assert text_properties(")(a)")["inside parentheses"].tolist() == [False, True, True, False]


def test_properties_of_numbers_and_tokens():
    inputs = np.array([[0.5, 0], [0.1, 1], [0.2, 0], [0.3, 0]])
    found = input_properties(inputs)
    np.testing.assert_array_equal(found["input 0"], inputs[:, 0])
    np.testing.assert_array_equal(found["input 1"], [False, True, False, False])
    np.testing.assert_array_equal(found["input 1 was on before"], [False, True, True, True])
    np.testing.assert_array_equal(found["steps since input 1"], [1, 0, 1, 2])
    tokens = input_properties(np.array([2, 0, 2]))
    np.testing.assert_array_equal(tokens["symbol 2"], [True, False, True])
    np.testing.assert_array_equal(tokens["steps since symbol 0"], [1, 0, 1])


@pytest.mark.parametrize(
    ("states", "message"),
    [
        (np.zeros((9, 400)), r"property 'place' must be \[t\] with the 9 steps of states \[9, 400\], got \[400\]"),
        (np.zeros(400), r"states must be \[t, n\], got an array of shape \[400\]"),
    ],
)
def test_states_the_other_way_round_are_refused(states, message):
    with pytest.raises(ValueError, match=message):
        selectivity(states, {"place": np.arange(400)})
