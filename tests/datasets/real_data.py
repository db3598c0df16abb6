"""What the tests of corpora share."""

import os

import pytest

needs_data = pytest.mark.skipif("RNNGEN_DATA" not in os.environ, reason="RNNGEN_DATA does not name a folder of sets")


def error_line(call, *arguments, **options):
    """The message of the ValueError that the call raises, which must be one line."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        call(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def sequences(corpus, split):
    """The sequences of a split, as lists."""
    ends = corpus.lengths[split].cumsum()
    assert ends[-1] == len(corpus.values[split])
    return [corpus.values[split][e - n : e].tolist() for e, n in zip(ends, corpus.lengths[split], strict=True)]
