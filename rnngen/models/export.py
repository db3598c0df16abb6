"""A trained model as StableHLO by `jax.export`: a file that runs wherever JAX does, without rnngen and the cell.

The parameters are constants of the program. Layers run by the engine `scan`, since compiled loops are of one machine.
A program takes inputs as the model does: where a run's data were standardised, so must they be (`Run.predict` does it).

```python
Path("gru.stablehlo").write_bytes(rnngen.models.export_apply(model, params).serialize())

# elsewhere
program = jax.export.deserialize(Path("gru.stablehlo").read_bytes())
carry, outputs = program.call(xs)
```
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax import export
from jax.export import Exported

from rnngen.models.model import Model, stepwise
from rnngen.types import InputSpec, Params, check_positive, named

PLATFORMS = ("cpu", "cuda", "tpu")


def export_apply(
    model: Model,
    params: Params,
    *,
    steps: int | None = None,
    batch: int | None = None,
    mask: bool = False,
    platforms: Sequence[str] = PLATFORMS,
) -> Exported:
    """Export the forward pass over whole sequences.

    Args:
      model, params: as `Run.restore` returns them.
      steps: number of time steps; default: any.
      batch: number of sequences; default: any.
      mask: the program takes a mask `[t, b]` as well, False at padding.
      platforms: on which it can run.

    Returns:
      A program whose `call(inputs [t, b, d])`, of tokens `[t, b]` in int32, returns (the last carry, outputs
      `[t, b, num_params]`), the carry as a dict of arrays by names such as `layer_0/h`.

    Raises:
      ValueError: a cell needs a fixed number of steps or sequences.
    """
    t, b = _sizes(steps=steps, batch=batch)
    given = [_inputs(model.input_spec, t, b), *([jax.ShapeDtypeStruct((t, b), jnp.bool_)] if mask else [])]

    def forward(inputs, mask=None):
        carry, outputs = model.apply(params, inputs, mask=mask, engine="scan")
        return dict(named(carry)), outputs

    return _export(forward, given, platforms)


def export_step(
    model: Model, params: Params, *, batch: int | None = None, platforms: Sequence[str] = PLATFORMS
) -> tuple[Exported, Exported]:
    """Export one step, and the start of a sequence.

    Args:
      model, params, batch, platforms: as in `export_apply`.

    Returns:
      Two programs. `start.call(x)` returns the carry before the first step, as a dict of arrays; of x it takes the
      number of sequences alone. `step.call(carry, x [b, d])`, of tokens `[b]` in int32, returns (carry, outputs
      `[b, num_params]`).

    Raises:
      ValueError: the model reads both ways, or a cell needs a fixed number of sequences.
    """
    one = stepwise(model)
    (b,) = _sizes(batch=batch)
    x = _inputs(model.input_spec, b)
    first = jax.eval_shape(lambda x: one.init_carry(params, x.shape[:1]), x)
    structure, names = jax.tree.structure(first), [name for name, _ in named(first)]

    def start(x):
        return dict(named(one.init_carry(params, x.shape[:1])))

    def step(carry, x):
        entering = jax.tree.unflatten(structure, [carry[name] for name in names])
        carry, outputs = one.step(params, entering, x)
        return dict(named(carry)), outputs

    return _export(start, [x], platforms), _export(step, [dict(named(first)), x], platforms)


def _inputs(spec: InputSpec, *axes) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(axes if spec.tokens else (*axes, spec.dim), jnp.int32 if spec.tokens else jnp.float32)


def _sizes(**sizes: int | None) -> tuple:
    """Return the sizes of axes, a symbol for each that is not fixed."""
    check_positive(**{name: size for name, size in sizes.items() if size is not None})
    return tuple(export.symbolic_shape(", ".join(name if size is None else str(size) for name, size in sizes.items())))


def _export(function: Callable, arguments: Sequence, platforms: Sequence[str]) -> Exported:
    try:
        return export.export(jax.jit(function), platforms=platforms)(*arguments)
    except Exception as error:  # a cell may raise anything for a size that is not a number
        if not any(export.is_symbolic_dim(size) for leaf in jax.tree.leaves(arguments) for size in leaf.shape):
            raise
        why = " ".join(str(error).split())[:200]
        raise ValueError(f"a cell cannot be exported for any size: give steps= and batch= numbers ({why})") from error
