"""All engines by name. An engine is (cell, params, carry, inputs) -> (carry, ys, notes), see `unroll.Prepared`."""

from collections.abc import Callable, Mapping

from rnngen.engines.associative import associative
from rnngen.engines.auto import auto
from rnngen.engines.fused import fused
from rnngen.engines.newton import newton
from rnngen.engines.scan import scan
from rnngen.registry import check_arguments, find

ENGINES: dict[str, Callable] = {
    "associative": associative,
    "auto": auto,
    "fused": fused,
    "newton": newton,
    "scan": scan,
}


def get_engine(spec: str | Mapping | Callable) -> Callable:
    """Return the engine that `spec` names.

    Args:
      spec: `"scan"`, `{"name": "scan", "kwargs": {"remat": True}}`, `"package.module:factory"`, or an engine itself.

    Returns:
      The engine, `(cell, params, carry, inputs) -> (carry, ys, notes)`.

    Raises:
      ValueError: the name or an argument is unknown.
    """
    if callable(spec):
        return spec
    if isinstance(spec, str):
        return find(ENGINES, spec, "engine")()
    kwargs, factory = spec.get("kwargs", {}), find(ENGINES, spec.get("name", ""), "engine")
    check_arguments(f"engine {spec['name']!r}", factory, kwargs)
    return factory(**kwargs)
