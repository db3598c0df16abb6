"""A stack: embedding or raw input, layers of cells, a linear head. Flax NNX stays behind pure functions.

The embedding, the dropout and the head are NNX modules, split once into a graph definition and a
nested dict of arrays; the cells are pure functions already. Parameters of the whole model:
`{"embed": ..., "layer_0": <the cell's>, ..., "head": ...}`.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from rnngen.cells import Cell, get_initializer
from rnngen.cells.cell import KERNEL
from rnngen.cells.credit import Credit
from rnngen.engines.credited import credited_step
from rnngen.heads import Head
from rnngen.models.block import Block, around
from rnngen.models.controls import Control
from rnngen.models.controls.control import at_once
from rnngen.models.layers import Layer, both_ways, check_engine, one_way
from rnngen.models.model import LayerModel, Model
from rnngen.tasks.losses import nll_loss
from rnngen.types import Array, InputSpec, Key, Params, check_positive


@functools.cache
def _flax():
    """Import the one module here that imports Flax."""
    from rnngen.models import ends

    return ends


class Dropout(NamedTuple):
    """Dropout rates of a model.

    Attributes:
      rate: of every layer's output.
      input_rate: of what enters the first layer.
      recurrent_rate: of the weights of each recurrent kernel, the same for a whole batch and all its steps (Merity et
        al. 2018).
      locked: a sequence loses the same features at all of its steps (Gal and Ghahramani 2016), not others at each.
    """

    rate: float = 0.0
    input_rate: float = 0.0
    recurrent_rate: float = 0.0
    locked: bool = False

    def drop(self, rate: float, key: Key | None, xs: Array) -> Array:
        """Set a share of `[t, *b, d]` to zero and scale the rest up; without a key, return it as it is."""
        if key is None or not rate:
            return xs
        return _flax().dropped(xs, rate, key, (0,) if self.locked else ())

    def drop_weights(self, key: Key | None, params: Params) -> Params:
        """Set a share of a layer's recurrent kernel to zero."""
        if key is None or not self.recurrent_rate:
            return params
        return params | {KERNEL: _flax().dropped(params[KERNEL], self.recurrent_rate, key)}

    def check(self, cells: Sequence[Cell | Control]) -> None:
        """Raise ValueError for a rate out of range, or a cell without a recurrent kernel to drop weights of."""
        rates = {"dropout": self.rate, "input_dropout": self.input_rate, "recurrent_dropout": self.recurrent_rate}
        for name, rate in rates.items():
            if not 0.0 <= rate < 1.0:
                raise ValueError(f"{name} must be at least 0 and below 1, got {rate}")
        for cell in cells if self.recurrent_rate else ():
            if KERNEL not in jax.eval_shape(lambda key, c=cell: c.init(key, 1), jax.random.key(0)):
                raise ValueError(f"recurrent_dropout is of a {KERNEL}, and a cell here has none")


def build_model(
    cells: Cell | Control | Sequence[Cell | Control],
    spec: InputSpec | int,
    head: Head,
    loss: Callable | None = None,
    *,
    embed_dim: int = 0,
    dropout: float = 0.0,
    input_dropout: float = 0.0,
    recurrent_dropout: float = 0.0,
    locked_dropout: bool = False,
    bidirectional: bool = False,
    block: Block | None = None,
    head_init="lecun",
    dtype: str = "float32",
    engine: str | Mapping | Callable = "auto",
) -> Model:
    """Stack cells between an input and a head.

    Args:
      cells: one per layer, from the lowest; or the cell of a single layer. A control may stand in the place of a cell.
      spec: the input, or the number of its float features.
      head: the output distribution.
      loss: (outputs, batch) -> (scalar, sums), as `Objective.loss`; default: the head's negative log-likelihood in
        nats, a mean over weighted steps.
      embed_dim: width of a learned token embedding; 0 feeds tokens one-hot.
      dropout, input_dropout, recurrent_dropout, locked_dropout: see `Dropout`.
      bidirectional: every layer reads from both ends, for tasks whose targets are not the inputs to come.
      block: what each layer has around it, see `models.block`. Before a first layer of another width is a linear layer
        `inlet` then, and after the last a norm, where the block has one.
      head_init: initialiser of the head's kernel, by name.
      dtype: in which layers and head compute; parameters stay float32.
      engine: as in `unroll`; its notes are among the metrics of `loss`.

    Returns:
      A `LayerModel`; a plain `Model` where it is bidirectional, or has a control.

    Raises:
      ValueError: an argument is out of range, or the engine cannot run a cell.
    """
    cells = [cells] if isinstance(cells, Cell | Control) else cells
    spec = spec if isinstance(spec, InputSpec) else _floats(spec)
    loss = nll_loss(head) if loss is None else loss
    left_out = Dropout(dropout, input_dropout, recurrent_dropout, locked_dropout)
    _check(cells, spec, embed_dim, bidirectional, block)
    left_out.check(cells)
    layers = [_layer(cell, bidirectional, block) for cell in cells]
    input_dim = embed_dim or spec.dim
    inlet = layers[0].output_dim if block and block.wants_width and layers[0].output_dim != input_dim else 0
    check_engine(layers, inlet or input_dim, engine)
    ends = functools.partial(
        _flax().Ends,
        spec,
        head.num_params,
        layers[-1].output_dim,
        embed_dim,
        get_initializer(head_init),
        jnp.dtype(dtype),
        inlet,
        block.norm if block else "none",
    )
    stack = _Stack(layers, spec, inlet or input_dim, ends, loss, left_out, jnp.dtype(dtype), engine)
    functions = (stack.init, stack.init_carry, stack.apply, stack.loss, spec, head)
    stepless = "a model that reads both ways" if bidirectional else _controlled(cells)
    if stepless:
        return Model(*functions, stepless=stepless)
    whole = stack.as_cell(head.num_params)

    def draw(prepared, carry, x, key, **how):
        carry, outputs = whole.step(prepared, carry, whole.project(prepared, x))
        return carry, head.sample(key, outputs, **how)

    return LayerModel(*functions, stack.step, whole, draw, dict(stack.cells()), stack.decode)


def _layer(cell: Cell | Control, bidirectional: bool, block: Block | None) -> Layer:
    of_cell = both_ways if bidirectional else one_way
    layer = at_once(cell) if isinstance(cell, Control) else of_cell(cell)
    return around(layer, block) if block else layer


def _controlled(cells: Sequence[Cell | Control]) -> str:
    return "a model of a control" if any(isinstance(cell, Control) for cell in cells) else ""


class _Stack:
    """Constants that the functions of a model close over; nothing in it changes, so its methods are pure."""

    def __init__(self, layers, spec: InputSpec, input_dim: int, ends: Callable, loss, dropout: Dropout, dtype, engine):
        self.layers: dict[str, Layer] = {f"layer_{i}": layer for i, layer in enumerate(layers)}
        self.spec, self.input_dim, self.ends, self.task_loss = spec, input_dim, ends, loss
        self.dropout, self.dtype, self.engine = dropout, dtype, engine
        self.graph = _flax().structure(ends)

    def merged(self, params):
        """Return the modules at the ends, with their parameters in them."""
        return _flax().merged(self.graph, {name: p for name, p in params.items() if name not in self.layers})

    def cells(self):
        """Yield (name, cell) of each layer that has one."""
        return ((name, layer.cell) for name, layer in self.layers.items() if layer.cell is not None)

    def init(self, key):
        key_ends, *keys = jax.random.split(key, 1 + len(self.layers))
        params = _flax().first_params(self.ends, key_ends)
        input_dim = self.input_dim
        for (name, layer), key_layer in zip(self.layers.items(), keys, strict=True):
            params[name] = layer.init(key_layer, input_dim)
            input_dim = layer.output_dim
        return params

    def prepare(self, params):
        like = jnp.zeros((), self.dtype)
        return params | {name: layer.prepare(params[name], like) for name, layer in self.layers.items()}

    def init_carry(self, params, batch_shape):
        return self._first_carry(self.prepare(params), batch_shape)

    def apply(self, params, inputs, carry=None, **options):
        return self._apply(params, inputs, carry, **options)[:2]

    def _apply(
        self, params, inputs, carry=None, *, mask=None, resets=None, key=None, train=False, probes=None, engine=None
    ):
        """Return (carry, outputs, notes of the layers' engines)."""
        self.spec.check("inputs", inputs)
        net, count, dropout = self.merged(params), len(self.layers), self.dropout
        last, notes = {}, dict[str, Array]()
        noisy = train and key is not None
        key_input, *keys = jax.random.split(key, 1 + 3 * count) if noisy else [None] * (1 + 3 * count)
        ys = dropout.drop(dropout.input_rate, key_input, net.encode(inputs, mask))
        for place, (name, layer) in enumerate(self.layers.items()):
            key_cell, key_output, key_kernel = keys[3 * place : 3 * place + 3]
            last[name], ys, said = layer.run(
                layer.change(dropout.drop_weights, key_kernel, params[name]),
                ys,
                None if carry is None else carry[name],
                mask=mask,
                resets=resets,
                key=key_cell,
                probes=None if probes is None else probes[name],
                engine=self.engine if engine is None else engine,
            )
            notes |= {f"{name}/{what}": value for what, value in said.items()}
            ys = dropout.drop(dropout.rate, key_output, ys)
        return last, net.decode(ys), notes

    def decode(self, params, ys):
        return self.merged(params).decode(ys)

    def step(self, params, carry, x):
        self.spec.check("x", x)
        prepared = self.prepare(params)
        return self._step(prepared, carry, self._project(prepared, x))

    def loss(self, params, batch, carry=None, *, key=None, train=False):
        options = {"mask": batch.mask, "resets": batch.resets, "key": key, "train": train}
        carry, outputs, notes = self._apply(params, batch.inputs, carry, **options)
        scalar, sums = self.task_loss(outputs, batch)
        return scalar, (carry, sums | {what: (value, jnp.ones(())) for what, value in notes.items()})

    def as_cell(self, output_dim: int) -> Cell:
        """Return the whole model as one cell: the carry of all layers, a step through all of them, no noise."""
        # A model's init takes no input width, but a Cell's does.
        init = lambda key, input_dim: self.init(key)  # noqa: E731
        whole = Cell(init, self._first_carry, self._step, output_dim, self._project, self.prepare, self._observe)
        windows = [cell.credit.window for _, cell in self.cells() if cell.credit is not None]
        return whole._replace(credit=Credit(window=max(windows), step=self._credited_step)) if windows else whole

    # The four functions below see prepared parameters, as a cell's do.

    def _first_carry(self, prepared, batch_shape):
        return {name: layer.init_carry(prepared[name], batch_shape) for name, layer in self.layers.items()}

    def _project(self, prepared, xs, key=None):
        self.spec.check("xs", xs)
        return self.merged(prepared).encode(xs)

    def _step(self, prepared, carry, u, step_of=lambda cell: cell.step):
        new = {}
        for name, cell in self.cells():
            new[name], u = step_of(cell)(prepared[name], carry[name], cell.project(prepared[name], u))
        return new, self.decode(prepared, u)

    def _credited_step(self, prepared, carry, u):
        return self._step(prepared, carry, u, credited_step)

    def _observe(self, prepared, carry, u):
        seen: dict[str, jax.Array] = {}
        for name, cell in self.cells():
            at_step = prepared[name], carry[name], cell.project(prepared[name], u)
            seen |= {f"{name}/{what}": value for what, value in cell.observe(*at_step).items()}
            u = cell.step(*at_step)[1]
        return seen


def _floats(dim: int) -> InputSpec:
    check_positive(spec=dim)
    return InputSpec(dim)


def _check(cells, spec: InputSpec, embed_dim: int, bidirectional: bool, block: Block | None) -> None:
    if not cells:
        raise ValueError("num_layers must be a positive whole number")
    if bidirectional and block is not None:
        raise ValueError("block: is around a layer that reads one way, and bidirectional ones read both: leave one out")
    if bidirectional and _controlled(cells):
        raise ValueError("bidirectional is for cells, and a control is none: it sees all steps before at once")
    if bidirectional and spec.feed is not None:
        raise ValueError("bidirectional is not for a task that predicts its next input: reading back, it has seen it")
    if embed_dim < 0 or (embed_dim and not spec.tokens):
        raise ValueError(f"embed_dim must be 0, or positive where inputs are tokens, got {embed_dim}")
