"""A way of tracing a function as if no engine were faster than another: to count what it computes."""

import contextlib
import contextvars
from collections.abc import Iterator

_PLAINLY: contextvars.ContextVar[bool] = contextvars.ContextVar("plainly", default=False)


@contextlib.contextmanager
def plainly() -> Iterator[None]:
    """Run every unroll that is traced within the block as a plain scan, whatever engine it names."""
    token = _PLAINLY.set(True)
    try:
        yield
    finally:
        _PLAINLY.reset(token)


def is_plain() -> bool:
    """Return True within `plainly`."""
    return _PLAINLY.get()
