"""What engines say of themselves while a program is traced: whether compiled loops run a layer, or JAX does."""

import contextlib
import contextvars
from collections.abc import Iterator

_SAID: contextvars.ContextVar[list[str] | None] = contextvars.ContextVar("said", default=None)


@contextlib.contextmanager
def listening() -> Iterator[list[str]]:
    """A list that gets the way of every unroll that is traced meanwhile, in their order."""
    said: list[str] = []
    token = _SAID.set(said)
    try:
        yield said
    finally:
        _SAID.reset(token)


def tell(way: str) -> None:
    """Said by an engine, once an unroll; `unroll` says "jax" for those that do not."""
    said = _SAID.get()
    if said is not None:
        said.append(way)


@contextlib.contextmanager
def one_unroll() -> Iterator[None]:
    """Around the run of an engine: it is heard once, whatever runs inside."""
    said = _SAID.get()
    with listening() as inside:
        yield
    if said is not None:
        said.append(inside[0] if inside else "jax")
