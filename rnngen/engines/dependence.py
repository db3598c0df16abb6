"""Which outputs of a traced function depend on which of its inputs."""

from jax.extend.core import Jaxpr, Literal


def depends(jaxpr: Jaxpr, on: list[bool]) -> list[bool]:
    """For each output of jaxpr, whether it depends on an input that is marked in `on`.

    An operation with a body (a loop, a branch, a call) counts as depending through and through: what is said to
    depend may not, but what is said not to depend does not.
    """
    marked = {var for var, mark in zip(jaxpr.invars, on, strict=True) if mark}
    for equation in jaxpr.eqns:
        if any(not isinstance(var, Literal) and var in marked for var in equation.invars):
            marked.update(equation.outvars)
    return [not isinstance(var, Literal) and var in marked for var in jaxpr.outvars]
