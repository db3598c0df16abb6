"""A model: embedding or raw input, layers of cells, a linear head. Flax NNX stays behind pure functions.

The embedding, the dropout and the head are NNX modules, split once into a graph definition and a
nested dict of arrays; the cells are pure functions already. Parameters of the whole model:
`{"embed": ..., "layer_0": <the cell's>, ..., "head": ...}`.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from rnngen.cells import Cell, get_initializer
from rnngen.engines import cast_params, get_engine, unroll
from rnngen.heads import Head
from rnngen.types import InputSpec


class Model(NamedTuple):
    """A recurrent model as pure functions.

    init: (key) -> params.
    init_carry: (params, batch_shape) -> carry, `{"layer_0": ..., ...}`.
    apply: (params, inputs `[t, *b, ...]`, carry=None, *, mask, resets, key, train, probes)
      -> (carry, outputs `[t, *b, num_params]`); probes as in `unroll`, one entry a layer.
    step: (params, carry, x `[*b, ...]`) -> (carry, outputs): one step of decoding.
    loss: (params, batch, carry=None, *, key, train) -> (scalar, (carry, sums)), the objective.
    cell: the whole model seen as one cell, so that all that works on a cell works on a model.
    """

    init: Callable
    init_carry: Callable
    apply: Callable
    step: Callable
    loss: Callable
    cell: Cell


class _Ends(nnx.Module):
    """What stands before and after the recurrent layers."""

    def __init__(self, spec: InputSpec, head: Head, hidden_dim: int, embed_dim, dropout, head_init, dtype, *, rngs):
        self.spec, self.dtype = spec, dtype
        self.embed = nnx.Embed(spec.dim, embed_dim, rngs=rngs) if embed_dim else None
        self.dropout = nnx.Dropout(dropout)
        self.head = nnx.Linear(hidden_dim, head.num_params, kernel_init=head_init, dtype=dtype, rngs=rngs)

    def encode(self, inputs):
        if not self.spec.tokens:
            return inputs.astype(self.dtype)
        if self.embed is None:
            return jax.nn.one_hot(inputs, self.spec.dim, dtype=self.dtype)
        return self.embed(inputs).astype(self.dtype)

    def decode(self, ys):
        # Losses are taken in float32 at least, whatever the layers compute in.
        return self.head(ys).astype(jnp.float32 if self.dtype.itemsize < 4 else self.dtype)


def build_model(
    cells: Sequence[Cell],
    spec: InputSpec,
    head: Head,
    loss: Callable,
    *,
    embed_dim: int = 0,
    dropout: float = 0.0,
    head_init="lecun",
    dtype: str = "float32",
    engine: str = "auto",
) -> Model:
    """Stack `cells` between an input of `spec` and `head`; `loss` is the task's (outputs, batch) -> (scalar, sums).

    embed_dim: width of a learned token embedding; 0 feeds tokens one-hot.
    dropout: rate on every layer's output while training. dtype: what layers and head compute in;
    parameters stay float32. Raises ValueError where an argument makes no sense.
    """
    _check(cells, spec, embed_dim, dropout)
    get_engine(engine)
    compute_dtype = jnp.dtype(dtype)
    head_init = get_initializer(head_init)
    names = [f"layer_{i}" for i in range(len(cells))]
    layers = dict(zip(names, cells, strict=True))

    def ends(rngs):
        hidden_dim = cells[-1].output_dim
        return _Ends(spec, head, hidden_dim, embed_dim, dropout, head_init, compute_dtype, rngs=rngs)

    graph, _ = nnx.split(nnx.eval_shape(lambda: ends(nnx.Rngs(0))))

    def merged(params):
        return nnx.merge(graph, {name: p for name, p in params.items() if name not in layers})

    def init(key):
        key_ends, *keys = jax.random.split(key, 1 + len(cells))
        params = nnx.to_pure_dict(nnx.state(ends(nnx.Rngs(key_ends)), nnx.Param))
        input_dim = embed_dim or spec.dim
        for name, cell, key_layer in zip(names, cells, keys, strict=True):
            params[name] = cell.init(key_layer, input_dim)
            input_dim = cell.output_dim
        return params

    def init_carry(params, batch_shape):
        return whole.init_carry(whole.prepare(params), batch_shape)

    def apply(params, inputs, carry=None, *, mask=None, resets=None, key=None, train=False, probes=None):
        net = merged(params)
        ys, last = net.encode(inputs), {}
        keys = [None] * len(cells) if key is None else jax.random.split(key, (len(cells), 2))
        for (name, cell), layer_key in zip(layers.items(), keys, strict=True):
            key_cell, key_dropout = (None, None) if layer_key is None else layer_key
            last[name], ys = unroll(
                cell,
                params[name],
                ys,
                None if carry is None else carry[name],
                mask=mask,
                resets=resets,
                key=key_cell if train else None,
                probes=None if probes is None else probes[name],
                engine=engine,
            )
            ys = net.dropout(ys, deterministic=not (train and dropout), rngs=key_dropout)
        return last, net.decode(ys)

    def step(params, carry, x):
        prepared = whole.prepare(params)
        return whole.step(prepared, carry, whole.project(prepared, x))

    def batch_loss(params, batch, carry=None, *, key=None, train=False):
        carry, outputs = apply(params, batch.inputs, carry, mask=batch.mask, resets=batch.resets, key=key, train=train)
        scalar, sums = loss(outputs, batch)
        return scalar, (carry, sums)

    whole = _as_cell(layers, merged, init, compute_dtype, head.num_params)
    return Model(init, init_carry, apply, step, batch_loss, whole)


def _as_cell(layers: dict[str, Cell], merged: Callable, init: Callable, dtype, output_dim: int) -> Cell:
    """The whole stack as one cell: carry of all layers, step through all layers, no noise."""

    def prepare(params):
        like = jnp.zeros((), dtype)
        return params | {name: cast_params(cell.prepare(params[name]), like) for name, cell in layers.items()}

    def init_carry(params, batch_shape):
        return {name: cell.init_carry(params[name], batch_shape) for name, cell in layers.items()}

    def project(params, xs, key=None):
        return merged(params).encode(xs)

    def step(params, carry, u):
        new = {}
        for name, cell in layers.items():
            new[name], u = cell.step(params[name], carry[name], cell.project(params[name], u))
        return new, merged(params).decode(u)

    # A model's inputs are its task's: init takes no width, but a Cell's does.
    return Cell(lambda key, input_dim: init(key), init_carry, step, output_dim, project, prepare)


def _check(cells, spec: InputSpec, embed_dim: int, dropout: float) -> None:
    if not cells:
        raise ValueError("num_layers must be a positive whole number")
    if embed_dim < 0 or (embed_dim and not spec.tokens):
        raise ValueError(f"embed_dim must be 0, or positive where inputs are tokens, got {embed_dim}")
    if not 0.0 <= dropout < 1.0:
        raise ValueError(f"dropout must be at least 0 and below 1, got {dropout}")
