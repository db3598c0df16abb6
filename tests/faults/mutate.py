"""Seeded mutators of nested values such as configs, of bytes, and of values within JSON; and a watch over time."""

import contextlib
import copy
import json
import math
import random
import signal
import string
from collections.abc import Callable
from typing import Any


def _nested(depth: int) -> list:
    value: list = []
    for _ in range(depth):
        value = [value]
    return value


ODD: tuple[Any, ...] = (
    *(0, 1, -1, 2, 3, 7, 2**31, 2**63, 10**9, 10**30, -(10**30), 0.0, -0.0, 0.5, 1.0, 1e-320, 1e308),
    *(math.inf, -math.inf, math.nan, True, False, None, "", " ", "nan", "inf", "x", "1e999", "none", "\0", "\ud800"),
    *("\u202e\U0001f600e\u0301", "a\nb", "../../outside", "/outside", "..", "<script>", "a" * 300, "os:system"),
    *([], {}, [[]], {"": None}, [1, "a", None], {"name": 3}, {"name": "gru"}, {"name": "gru", "kwargs": []}),
    *({"kwargs": {}}, {"name": "lstm", "kwargs": {"hidden_dim": "x"}}),
)
TEXTS = (b"NaN", b"1e999", b"-1e999", b"\xff\xfe", b"\0", b"\n\n", b'"', b"{", b"[" * 3000, b"null", b"\\ud800", b"..")
Place = tuple[Any, Any]  # a container, and the key of what it holds


@contextlib.contextmanager
def within(seconds):
    """Fail what takes longer."""

    def late(*_):
        raise AssertionError(f"took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Mutator:
    """Everything follows from the seed. names: what a config may name, among which names are exchanged."""

    def __init__(self, seed: int, names: tuple[str, ...] = ()):
        self.random, self.names = random.Random(seed), names

    def value(self, original: Any, most: int = 3) -> Any:
        """A copy of a nested value with one to `most` changes, or another value in its place."""
        tree = {"": copy.deepcopy(original)}
        for _ in range(self.random.randint(1, most)):
            tree = tree or {"": None}
            container, key = self.random.choice(_places(tree))
            self.random.choice(self._changes(tree))(container, key)
        if self.random.random() < 0.01 and tree:  # last, for nothing copies it
            container, key = self.random.choice(_places(tree))
            container[key] = _nested(5000)
        return tree.get("")

    def bytes(self, raw: bytes) -> bytes:
        """A copy of a file with one to three damages, in a few cases all of it."""
        if self.random.random() < 0.03:
            return self.random.choice((b"", b"\0" * 64, self.random.randbytes(200)))
        for _ in range(self.random.randint(1, 3)):
            start, stop = sorted(self.random.randint(0, len(raw)) for _ in range(2))
            stop = min(stop, start + self.random.choice((1, 4, 64, 10**6)))
            raw = raw[:start] + self._damaged(raw[start:stop]) + raw[stop:]
        return raw

    def json(self, raw: bytes) -> bytes:
        """A copy of a JSON file, or of one of JSON lines, with one of its values changed."""
        lines = raw.decode().splitlines() if raw.count(b"\n}") == 0 else [raw.decode()]
        number = self.random.randrange(len(lines))
        try:
            lines[number] = json.dumps(self.value(json.loads(lines[number])))
        except RecursionError:
            lines[number] = "[" * 5000 + "]" * 5000
        return ("\n".join(lines) + "\n").encode("utf-8", "surrogatepass")

    def _damaged(self, piece: bytes) -> bytes:
        damages: list[Callable[[], bytes]] = [
            lambda: b"",
            lambda: piece * 2,
            lambda: self.random.randbytes(len(piece)),
            lambda: bytes(byte ^ 1 << self.random.randrange(8) for byte in piece),
            lambda: self.random.choice(TEXTS) + piece,
            lambda: self.random.choice(TEXTS),
        ]
        return self.random.choice(damages)()

    def _changes(self, tree: dict) -> list[Callable[[Any, Any], None]]:
        def replace(container: Any, key: Any) -> None:
            container[key] = self.odd()

        def delete(container: Any, key: Any) -> None:
            del container[key]

        def rename(container: Any, key: Any) -> None:
            if isinstance(container, dict):
                container[self._other_key(key)] = container.pop(key)

        def add(container: Any, key: Any) -> None:
            if isinstance(container, dict):
                container[self._other_key(key)] = self.odd()
            else:
                container.insert(0, self.odd())

        def exchange(container: Any, key: Any) -> None:
            other, place = self.random.choice(_places(tree))
            container[key] = copy.deepcopy(other[place])

        def name(container: Any, key: Any) -> None:
            named = [(c, k) for c, k in _places(tree) if k in ("name", "stop_metric", "variant", "select", "dtype")]
            if named and self.names:
                at, place = self.random.choice(named)
                at[place] = self.random.choice(self.names)

        def part(container: Any, key: Any) -> None:
            parts = [c for c, k in _places(tree) if k == "name"]
            if parts and self.names:
                self.random.choice(parts).update(name=self.random.choice(self.names), kwargs={})

        def number(container: Any, key: Any) -> None:
            numbers = [(c, k) for c, k in _places(tree) if isinstance(c[k], int | float)]
            for at, place in [self.random.choice(numbers)] if numbers else []:
                factor, more = self.random.choice((-1, 0, 2, 0.5, 3, 1000)), self.random.choice((0, 0, 1, 1e9))
                at[place] = type(at[place])(at[place] * factor + more)

        return [replace, delete, rename, add, exchange, name, part, number, number, number]

    def odd(self) -> Any:
        """A value that nobody expects there."""
        return copy.deepcopy(self.random.choice(ODD))

    def _other_key(self, key: Any) -> Any:
        typo = str(key) + self.random.choice(string.ascii_letters)
        return self.random.choice(
            (typo, typo, str(key)[1:], "name", "kwargs", "trial", "hidden_dim", "steps", "\ud800")
        )


def _places(tree: Any) -> list[Place]:
    """Every place of a nested value, the outermost first."""
    found, waiting = [], [tree]
    while waiting:
        container = waiting.pop()
        keys = list(container) if isinstance(container, dict) else range(len(container))
        found += [(container, key) for key in keys]
        waiting += [container[key] for key in keys if isinstance(container[key], dict | list)]
    return found
