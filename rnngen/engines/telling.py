"""A record, made while a program is traced, of which layers run as compiled loops and which in JAX."""

import contextlib
import contextvars
from collections.abc import Iterator

_SAID: contextvars.ContextVar[list[str] | None] = contextvars.ContextVar("said", default=None)


@contextlib.contextmanager
def listening() -> Iterator[list[str]]:
    """Collect in a list, in order, the way ("loops" or "jax") of every unroll traced within the block."""
    said: list[str] = []
    token = _SAID.set(said)
    try:
        yield said
    finally:
        _SAID.reset(token)


def tell(way: str) -> None:
    """Report the way of this unroll, once; an engine that does not call this is listed as "jax"."""
    said = _SAID.get()
    if said is not None:
        said.append(way)


@contextlib.contextmanager
def one_unroll() -> Iterator[None]:
    """Report one way for everything an engine runs within the block."""
    said = _SAID.get()
    with listening() as inside:
        yield
    if said is not None:
        said.append(inside[0] if inside else "jax")
