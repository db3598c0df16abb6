"""What is kept by a name is made once, and given up when others were asked for since."""

from rnngen.registry import LRUCache


def test_the_last_asked_for_are_kept():
    kept, made = LRUCache(2), []
    make = lambda name: kept.get(name, lambda: made.append(name) or name.upper())  # noqa: E731
    assert [make(name) for name in "abaca"] == ["A", "B", "A", "C", "A"]
    assert made == ["a", "b", "c"]  # c drove out b, which had waited longest
    make("b")
    assert made == ["a", "b", "c", "b"]
