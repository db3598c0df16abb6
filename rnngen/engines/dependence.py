"""Dependence of a traced function's outputs on its inputs."""

from jax.extend.core import Jaxpr, Literal


def depends(jaxpr: Jaxpr, on: list[bool]) -> list[bool]:
    """Mark each output of a jaxpr that may depend on an input marked in `on`.

    Every output of an operation with a body (a loop, a branch, a call) counts as depending on all its inputs, so an
    output may be marked without need, but never left out.
    """
    marked = {var for var, mark in zip(jaxpr.invars, on, strict=True) if mark}
    for equation in jaxpr.eqns:
        if any(not isinstance(var, Literal) and var in marked for var in equation.invars):
            marked.update(equation.outvars)
    return [not isinstance(var, Literal) and var in marked for var in jaxpr.outvars]
