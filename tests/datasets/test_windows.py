"""Windows on a corpus hold every step once, in order, and know where sequences begin."""

import jax.numpy as jnp
import numpy as np
import pytest

from rnngen.datasets import windows
from rnngen.datasets.corpus import SPLITS, Corpus
from rnngen.datasets.windows import chunks_of, rows, stream_places, stream_sample, warmup_of, whole_sample

LENGTHS = np.array([5, 2, 9, 4, 4])
STARTS = np.array([0, 5, 7, 16, 20])


def corpus(lengths=LENGTHS):
    values = np.arange(lengths.sum()) * 10
    return Corpus(dict.fromkeys(SPLITS, values), dict.fromkeys(SPLITS, lengths), {})


def identity(key, epoch, count):
    return np.arange(count)


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4], [3, 0, 4, 2, 1]])
def test_an_epoch_of_streams_reads_the_sequences_in_their_order(order):
    """2 streams of 3 chunks of 4: all 24 steps."""
    places = [stream_places(np, LENGTHS, np.array(order), 2, 4, n) for n in range(3)]
    joined = np.concatenate([p[0] for p in places]).T.ravel()
    expected = np.concatenate([np.arange(STARTS[i], STARTS[i] + LENGTHS[i]) for i in order])
    np.testing.assert_array_equal(joined, expected)
    begins = np.concatenate([p[1] for p in places]).T.ravel()
    np.testing.assert_array_equal(begins, np.isin(expected, STARTS))
    opens = np.concatenate([p[2] for p in places])
    assert opens[0].all()
    assert not opens[1:].any()


@pytest.mark.slow
def test_numpy_and_jax_agree():
    for number in range(3):
        one = stream_places(np, LENGTHS, np.array([3, 0, 4, 2, 1]), 2, 4, number)
        other = stream_places(jnp, LENGTHS, jnp.array([3, 0, 4, 2, 1]), 2, 4, jnp.int32(number))
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("chunk", [1, 4, 100])
def test_evaluation_rows_hold_every_step_once_and_no_sequence_is_cut(count, chunk):
    table = rows(LENGTHS, count, chunk)
    assert table.places.shape[0] % chunk == 0
    np.testing.assert_array_equal(np.sort(table.places[table.places >= 0]), np.arange(24))
    for column in range(count):
        filled = table.places[:, column][table.places[:, column] >= 0]
        inside = ~np.isin(filled, STARTS)
        np.testing.assert_array_equal(filled[inside], filled[np.flatnonzero(inside) - 1] + 1)
        np.testing.assert_array_equal(table.begins[: len(filled), column], ~inside)


def test_one_long_sequence_is_cut_evenly():
    table = rows(np.array([10]), 4, 2)
    np.testing.assert_array_equal(
        table.places[table.warmup :], [[0, 2, 5, 7], [1, 3, 6, 8], [-1, 4, -1, 9], [-1, -1, -1, -1]]
    )
    assert table.begins[table.warmup :].sum() == 1


def test_before_the_parts_of_one_sequence_stands_what_warms_their_carry(monkeypatch):
    """All that comes before a part, or in whole chunks at least `WARMUP` steps of it."""
    whole = rows(np.array([10]), 4, 2)
    assert whole.warmup == 8
    monkeypatch.setattr(windows, "WARMUP", 3)
    short = rows(np.array([10]), 4, 2)
    np.testing.assert_array_equal(short.places[:4], [[-1, -1, 1, 3], [-1, -1, 2, 4], [-1, 0, 3, 5], [-1, 1, 4, 6]])
    for table in (whole, short):
        before = table.places[: table.warmup + 1]
        np.testing.assert_array_equal(np.diff(before, axis=0)[before[:-1] >= 0], 1)
        assert [row[row >= 0].size for row in before[:-1].T] == [min(table.warmup, first) for first in (0, 2, 5, 7)]
        assert table.opens[0].all()
        assert not table.opens[1:].any()
    assert rows(LENGTHS, 4, 2).warmup == rows(np.array([10]), 1, 2).warmup == 0


def test_what_warms_a_carry_has_no_weight():
    made = corpus(np.array([10]))
    sample = stream_sample(np, made, made.values, 2, identity, first_counts=True)
    count = warmup_of(made, 2)("valid", 4)
    assert count == 4
    assert chunks_of(made, 2)("valid", 4) == 2
    windows = [sample("valid", None, n, 4) for n in range(-count, 2)]
    assert not any(w.counts.any() for w in windows[:count])
    assert sum(w.counts.sum() for w in windows) == 10
    exists = np.concatenate([w.exists for w in windows])
    np.testing.assert_array_equal(exists.sum(axis=0), [2, 5, 7, 10])
    # A carry is begun by none of the steps that count, but for those that begin the sequence.
    resets = np.concatenate([w.resets for w in windows])
    assert resets[0].all()
    assert [n for n in np.flatnonzero(resets[1:].any(axis=1)) + 1 if not windows[n // 2].begins[n % 2].any()] == []


def test_the_parts_of_one_sequence_differ_by_a_step_at_most():
    """30 steps in 22 parts: numbers that floats would round to the wrong side of a whole one."""
    table = rows(np.array([30]), 22, 1)
    parts = (table.places[table.warmup :] >= 0).sum(axis=0)
    np.testing.assert_array_equal(np.cumsum(parts), [n * 30 // 22 for n in range(1, 23)])


def test_a_window_holds_the_value_before_and_starts_anew_where_a_sequence_begins():
    made = corpus()
    sample = stream_sample(np, made, made.values, 4, identity, first_counts=False)
    windows = [sample("train", None, n, 2) for n in range(3)]
    values = np.concatenate([w.values for w in windows])
    previous = np.concatenate([w.previous for w in windows])
    begins = np.concatenate([w.begins for w in windows])
    np.testing.assert_array_equal(previous[~begins], values[~begins] - 10)
    resets = np.concatenate([w.resets for w in windows])
    assert resets[0].all()
    np.testing.assert_array_equal(resets[1:], begins[1:])
    assert all((w.counts == 1).all() for w in windows)  # training scores every step
    evaluated = sample("valid", None, 0, 2)
    np.testing.assert_array_equal(evaluated.counts, 1 - evaluated.begins)


def test_the_next_epoch_has_an_order_of_its_own():
    made, asked = corpus(), []
    sample = stream_sample(np, made, made.values, 4, lambda *a: asked.append(a) or np.arange(5), True)
    for step in (0, 2, 3, 5, 6):
        sample("train", "key", step, 2)
    assert asked == [("key", epoch, 5) for epoch in (0, 0, 1, 1, 2)]


def test_whole_sequences_are_padded_and_masked():
    made = corpus()
    indices = lambda split, key, step, size, count: (np.array([1, 3]), np.ones(2, np.float32))  # noqa: E731
    window = whole_sample(np, made, made.values, indices, True)("valid", None, 0, 2)
    assert window.values.shape == (9, 2)
    np.testing.assert_array_equal(window.exists.sum(axis=0), [2, 4])
    np.testing.assert_array_equal(window.counts, window.exists)
    np.testing.assert_array_equal(window.values[:4, 1], made.values["valid"][16:20])
    assert window.resets is None


def test_too_little_data_for_a_chunk():
    with pytest.raises(ValueError, match="2 streams with chunks of 13 steps need 26 steps of data, and there are 24"):
        chunks_of(corpus(), 13)("train", 2)
