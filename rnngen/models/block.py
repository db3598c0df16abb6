"""A block around a layer: norm, short convolution, the layer, a residual, and a gated MLP with a norm and residual.

    z = layer(conv(norm(x)));  a = x + z;  y = a + mlp(norm(a)),    mlp(a) = (silu(a G) * (a U)) D

This is how the field runs its linear cells: pre-norm (Xiong et al. 2020), a filter over a few steps before the cell (Gu
and Dao 2023), a gated MLP after it (Shazeer 2020). Each part can be left out.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rnngen.cells import Cell
from rnngen.cells.credit import Credit
from rnngen.cells.initializers import lecun
from rnngen.engines import cast_params, unroll
from rnngen.engines.credited import credited_step
from rnngen.engines.steps import where
from rnngen.models.convolution import convolve, short_convolution
from rnngen.models.layers import Layer
from rnngen.models.norms import NORMS, init_norm, normed
from rnngen.types import Array, Carry, Key, Params, check_one_of, is_whole

CELL, CONV, MLP, NORM = "cell", "conv", "mlp", "norm"


class Block(NamedTuple):
    """The parts around a layer.

    Attributes:
      norm: before the layer and before the MLP: "rms", "layer" or "none".
      conv_width: steps that the filters before the layer see; 0: no convolution.
      mlp: width of the MLP over that of the layer; 0: no MLP.
      residual: the input of the layer, and of the MLP, is added to its output.
    """

    norm: str = "rms"
    conv_width: int = 4
    mlp: float = 2.0
    residual: bool = True

    @property
    def wants_width(self) -> bool:
        """True where inputs should be as wide as the layer: a residual adds both, a norm of few features loses much."""
        return self.residual or self.norm != "none"

    def check_widths(self, input_dim: int, output_dim: int) -> None:
        """Raise ValueError where a residual would add two widths."""
        if self.residual and input_dim != output_dim:
            raise ValueError(
                f"a block's residual needs an input as wide as its layer, got {input_dim} and {output_dim}"
            )


def block(norm: str = "rms", conv_width: int = 4, mlp: float = 2.0, residual: bool = True) -> Block:
    """A block around each layer: norm, short causal convolution, the layer, residual, gated MLP.

    Where the inputs are of another width than the layer, a block with a norm or a residual has a linear layer `inlet`
    before it, and after the last block is one more norm.

    Args:
      norm: before the layer and before the MLP: "rms", "layer" or "none".
      conv_width: steps that the filters before the layer see; 0: no convolution.
      mlp: width of the MLP over that of the layer; 0: no MLP.
      residual: the input of the layer, and of the MLP, is added to its output.

    Returns:
      The block.

    Raises:
      ValueError: an argument is out of range.
    """
    check_one_of(NORMS, norm=norm)
    if not is_whole(conv_width) or conv_width == 1 or conv_width < 0:
        raise ValueError(f"conv_width must be 0, or a whole number of at least 2, got {conv_width!r}")
    if not 0 <= mlp < float("inf"):
        raise ValueError(f"mlp must be 0 or positive, got {mlp}")
    return Block(norm, conv_width, float(mlp), residual)


def none() -> None:
    """No block: layers one above another."""


BLOCKS: Mapping[str, Callable[..., Block | None]] = {"block": block, "none": none}


def around(inner: Layer, block: Block) -> Layer:
    """Put a block around a layer.

    The carry is `{"cell": the layer's, "conv": the window of its last inputs}`; of a layer without a carry, nothing,
    and the convolution too starts anew with each call.

    Args:
      inner: the layer, which reads one way.
      block: the parts around it.

    Returns:
      The layer, whose `cell` is the whole block.
    """
    parts = _Parts(inner, block)
    cell = None if inner.cell is None else parts.as_cell(inner.cell)
    return Layer(cell, inner.output_dim, parts.init, parts.prepare, parts.init_carry, parts.run, parts.change)


class _Parts:
    """Constants that the functions of a layer close over; nothing in it changes, so its methods are pure."""

    def __init__(self, inner: Layer, block: Block):
        self.inner, self.block = inner, block
        self.conv = short_convolution(block.conv_width) if block.conv_width else None

    def init(self, key: Key, input_dim: int) -> Params:
        width, block = self.inner.output_dim, self.block
        block.check_widths(input_dim, width)
        key_cell, key_conv, key_mlp = jax.random.split(key, 3)
        params = {CELL: self.inner.init(key_cell, input_dim)}
        if block.norm != "none":
            params[NORM] = init_norm(block.norm, input_dim)
        if self.conv is not None:
            params[CONV] = self.conv.init(key_conv, input_dim)
        return params | ({MLP: _init_mlp(key_mlp, width, block)} if block.mlp else {})

    def prepare(self, params: Params, like: Array) -> Params:
        return cast_params(params, like) | {CELL: self.inner.prepare(params[CELL], like)}

    def init_carry(self, params: Params, batch_shape: tuple[int, ...]) -> Carry:
        inner = self.inner.init_carry(params[CELL], batch_shape)
        if self.inner.cell is None:
            return inner
        window = {} if self.conv is None else {CONV: self.conv.init_carry(params[CONV], batch_shape)}
        return {CELL: inner} | window

    def run(self, params, xs, carry=None, *, mask=None, resets=None, probes=None, **options):
        """Run all steps: each part over the whole sequence, the layer by its engine."""
        around = cast_params({name: part for name, part in params.items() if name != CELL}, xs)
        xs = xs if mask is None else where(mask, xs, 0)
        carry, probes, flags = carry or {}, probes or {}, {"mask": mask, "resets": resets}
        inputs, window = normed(around.get(NORM, {}), xs), {}
        if self.conv is not None:
            last, inputs = self._convolve(around[CONV], inputs, carry.get(CONV), probes.get(CONV), **flags)
            window = {CONV: last}
        given = {"probes": probes.get(CELL)} | flags | options
        last, ys, notes = self.inner.run(params[CELL], inputs, carry.get(CELL), **given)
        ys = self._after(around, xs, ys)
        ys = ys if mask is None else where(mask, ys, 0)
        return {} if self.inner.cell is None else {CELL: last} | window, ys, notes

    def _convolve(self, params, xs, window, probes, **flags):
        """Convolve at once; step by step where something is added to the window that enters each step."""
        assert self.conv is not None
        if probes is not None:
            return unroll(self.conv, params, xs, window, probes=probes, engine="scan", **flags)
        window = self.conv.init_carry(params, xs.shape[1:-1]) if window is None else window
        return convolve(params, xs, window, **flags)

    def change(self, function: Callable, key: Key | None, params: Params) -> Params:
        return params | {CELL: self.inner.change(function, key, params[CELL])}

    def _after(self, params: Params, xs: Array, ys: Array) -> Array:
        """Compute what follows the layer: the residual, and the MLP with its own."""
        ys = xs + ys if self.block.residual else ys
        if MLP not in params:
            return ys
        widened = _mlp(params[MLP], ys)
        return ys + widened if self.block.residual else widened

    def as_cell(self, cell: Cell) -> Cell:
        """Return the block as a cell; its functions see prepared parameters, but for `init` and `prepare`."""

        def prepare(params):
            return params | {CELL: cell.prepare(params[CELL])}

        def project(params, xs, key=None):
            inputs = normed(params.get(NORM, {}), xs)
            return {"u": cell.project(params[CELL], inputs, key) if self.conv is None else inputs, "x": xs}

        def convolved(params, carry, u):
            """Return (what of the carry is the convolution's, the projected input of the cell)."""
            if self.conv is None:
                return {}, u["u"]
            window, inputs = self.conv.step(params[CONV], carry[CONV], u["u"])
            return {CONV: window}, cell.project(params[CELL], inputs)

        def stepping(inner_step):
            def step(params, carry, u):
                window, inputs = convolved(params, carry, u)
                last, y = inner_step(params[CELL], carry[CELL], inputs)
                return {CELL: last} | window, self._after(params, u["x"], y)

            return step

        def observe(params, carry, u):
            return cell.observe(params[CELL], carry[CELL], convolved(params, carry, u)[1])

        step, diagonal = stepping(cell.step), cell.diagonal and self.conv is None
        whole = Cell(self.init, self.init_carry, step, cell.output_dim, project, prepare, observe, None, diagonal)
        if cell.credit is None:
            return whole
        return whole._replace(credit=Credit(window=cell.credit.window, step=stepping(credited_step(cell))))


def _init_mlp(key: Key, width: int, block: Block) -> dict[str, Any]:
    inside = max(1, round(block.mlp * width))
    shapes = {"gate": (width, inside), "up": (width, inside), "down": (inside, width)}
    keys = jax.random.split(key, len(shapes))
    matrices = {name: lecun()(k, shape, jnp.float32) for k, (name, shape) in zip(keys, shapes.items(), strict=True)}
    return matrices | ({NORM: init_norm(block.norm, width)} if block.norm != "none" else {})


def _mlp(params: Params, xs: Array) -> Array:
    inputs = normed(params.get(NORM, {}), xs)
    return (jax.nn.silu(inputs @ params["gate"]) * (inputs @ params["up"])) @ params["down"]
