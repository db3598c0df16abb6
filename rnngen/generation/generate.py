"""Generation of sequences by a model, a step at a time, and scores of given sequences.

Neither the time of a step nor memory grows with length: given values are read, and drawn ones returned, in pieces.
"""

import functools
import inspect
from collections.abc import Callable, Iterator
from numbers import Real
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnngen.engines.steps import where
from rnngen.models import StepModel
from rnngen.registry import LRUCache, nearest
from rnngen.types import Array, Batch, Carry, InputSpec, Key, Params, check_positive

PIECE = 256  # steps of one dispatch
READING = 2**32 - 1  # above the number of any step that is drawn, so that keys differ


class State(NamedTuple):
    """State of sequences between steps.

    Attributes:
      carry: `[b, ...]`.
      x: the inputs of the next step, `[b, ...]`.
    """

    carry: Carry
    x: Array


def generate(
    model: StepModel, params: Params, key: Key, length: int, *, prompt: Any = None, batch: int | None = None, **how: Any
) -> np.ndarray:
    """Draw values that follow a prompt.

    Step n draws by `fold_in(key, n)`, so that a longer sequence begins like a shorter one.

    Args:
      model, params, key, length: a model, its parameters, a key, and a number of steps.
      prompt: values `[t, ...]` that come before; None: a sequence begins.
      batch: number of sequences drawn side by side.
      how: arguments of the head's `sample`: temperature (1: the model's own distribution; 0: always the most probable
        value), and for tokens top_k and top_p.

    Returns:
      The values, `[length, ...]`, or `[length, batch, ...]`.

    Raises:
      ValueError: an argument is out of range or unknown to the head, a prompt of the wrong shape, type or range, or a
        model whose task makes no sequences.
    """
    return np.concatenate(list(stream(model, params, key, length, prompt=prompt, batch=batch, **how)))


def stream(
    model: StepModel,
    params: Params,
    key: Key,
    length: int,
    *,
    prompt: Any = None,
    batch: int | None = None,
    piece: int = PIECE,
    **how: Any,
) -> Iterator[np.ndarray]:
    """Yield the values of `generate` as soon as they are drawn. Errors are raised at once.

    Args:
      model, params, key, length, prompt, batch, **how: as in `generate`.
      piece: steps that are drawn at a time.

    Returns:
      An iterator of pieces, `[piece, ...]`.
    """
    count = 1 if batch is None else batch
    check_positive(length=length, piece=piece, batch=count)
    _check_how(model, how)
    before = _values(model, [] if prompt is None else prompt, "prompt")
    state, _ = _read(model, params, _start(model, params, count), before, jax.random.fold_in(key, READING))
    prepared = _kept(("prepare",), model, lambda: jax.jit(model.cell.prepare))(params)
    draw = _kept(("draw", piece, *sorted(how.items())), model, lambda: _drawing(model, piece, how))
    drawn = _pieces(functools.partial(draw, prepared, key), state, length, piece)
    return drawn if batch is not None else (values[:, 0] for values in drawn)


def _pieces(draw: Callable, state: State, length: int, piece: int) -> Iterator[np.ndarray]:
    for first in range(0, length, piece):
        state, values = draw(state, np.uint32(first))
        yield np.asarray(values)[: length - first]


def score(model: StepModel, params: Params, values: Any, *, prompt: Any = None) -> tuple[float, int]:
    """Compute the log-likelihood of values under a model.

    A latent model gives its bound, with the same noise each time.

    Args:
      model, params: a model and its parameters.
      values: `[t, ...]`.
      prompt: values that come before; None: the values are a sequence of their own.

    Returns:
      (log-likelihood in nats, steps).

    Raises:
      ValueError: as `generate`, and where there is no value.
    """
    given, before = _values(model, values, "values"), _values(model, [] if prompt is None else prompt, "prompt")
    if not len(given):
        raise ValueError("there is nothing to score")
    key_before, key_given = jax.random.split(jax.random.key(0))
    state, _ = _read(model, params, _start(model, params, 1), before, key_before)
    return _read(model, params, state, given, key_given)[1], len(given)


def as_batch(model: StepModel, values: Any) -> Batch:
    """Make a batch of values.

    Args:
      model: that judges the values.
      values: `[t, ...]`.

    Returns:
      A batch of one sequence, each value to be predicted from those before it.

    Raises:
      ValueError: as `generate`.
    """
    given = jnp.asarray(_values(model, values, "values"))[:, None]
    fed, ends = _following(model.input_spec, given)
    inputs = jnp.concatenate([jnp.broadcast_to(jnp.asarray(model.input_spec.start), fed[:1].shape), fed[:-1]])
    resets = None if ends is None else jnp.roll(ends, 1, axis=0).at[0].set(False)
    return Batch(inputs.astype(fed.dtype), given, jnp.ones(given.shape[:2]), None, resets)


def _start(model: StepModel, params: Params, count: int) -> State:
    """Return the state before the first step of `count` sequences."""
    start = np.asarray(model.input_spec.start)
    return State(model.init_carry(params, (count,)), jnp.broadcast_to(start, (count, *start.shape)))


def _read(model: StepModel, params: Params, state: State, values: np.ndarray, key: Key) -> tuple[State, float]:
    """Return the state after values `[t, ...]`, the same for every sequence, and their log-likelihood in nats."""
    read, total = _kept(("read",), model, lambda: _reading(model)), 0.0
    for first in range(0, len(values), PIECE):
        given = values[first : first + PIECE]
        piece = np.concatenate([given, np.zeros((PIECE - len(given), *given.shape[1:]), given.dtype)])
        state, nats = read(params, state, piece, len(given), jax.random.fold_in(key, first))
        total += float(nats)
    return state, total


def _reading(model: StepModel) -> Callable:
    """Return (params, state, values `[PIECE, ...]`, number of them, key) -> (state, log-likelihood), jitted.

    By the model's `loss`: the carry of a latent model holds its latent variables, which `apply` does not infer.
    """
    spec = model.input_spec

    @jax.jit
    def read(params, state, values, count, key):
        exists = jnp.broadcast_to((jnp.arange(PIECE) < count)[:, None], (PIECE, len(state.x)))
        values = jnp.broadcast_to(values[:, None], (*exists.shape, *values.shape[1:]))
        fed, ends = _following(spec, values)
        inputs = jnp.concatenate([state.x[None], fed[:-1]])
        resets = None if ends is None else jnp.roll(ends, 1, axis=0).at[0].set(False) & exists
        batch = Batch(inputs, values, exists.astype(jnp.float32), exists, resets)
        _, (carry, sums) = model.loss(params, batch, state.carry, key=key)
        if ends is not None:
            carry = where(ends[count - 1], _start(model, params, len(state.x)).carry, carry)
        return State(carry, fed[count - 1]), -sums["loss"][0]

    return read


def _drawing(model: StepModel, piece: int, how: dict) -> Callable:
    """Return (prepared params, key, state, number of the first step) -> (state, values `[piece, b, ...]`), jitted."""
    spec = model.input_spec

    @jax.jit
    def draw(prepared, key, state, first):
        fresh = model.cell.init_carry(prepared, (len(state.x),))

        def one(state, n):
            carry, values = model.draw(prepared, *state, jax.random.fold_in(key, n), **how)
            x, ends = _following(spec, values)
            return State(carry if ends is None else where(ends, fresh, carry), x), values

        # A scan of its own, since the value that a step draws is the input of the next.
        return jax.lax.scan(one, state, first + jnp.arange(piece, dtype=first.dtype))

    return draw


def _following(spec: InputSpec, values: Array) -> tuple[Array, Array | None]:
    """Return the inputs of the steps after values `[*b, ...]`, and a mask of sequences that begin there, if any can."""
    assert spec.feed is not None, "checked with the values"
    assert spec.start is not None
    fed = spec.feed(values)
    if spec.end is None:
        return fed, None
    ends = values == spec.end
    return jnp.where(ends, spec.start, fed), ends


def _values(model: StepModel, given: Any, what: str) -> np.ndarray:
    """Return given values in the type that the head draws; raise ValueError for values that it cannot draw."""
    spec = model.input_spec
    if spec.feed is None:
        raise ValueError("this model's task does not say how what is drawn becomes an input: it makes no sequences")
    like, values = _drawn(model), np.asarray(given)
    if not values.size:
        return np.zeros((0, *like.shape), like.dtype)
    if values.shape[1:] != like.shape or not np.can_cast(values.dtype, like.dtype, "same_kind"):
        shape = f"[{', '.join(['t', *map(str, like.shape)])}]"
        raise ValueError(f"{what} must be {like.dtype} {shape}, got {values.dtype} {list(values.shape)}")
    spec.check(what, values)
    return values.astype(like.dtype)


def _drawn(model: StepModel, **how: Any) -> jax.ShapeDtypeStruct:
    """Return the shape and type of a value."""
    outputs = jax.ShapeDtypeStruct((model.head.num_params,), jnp.float32)
    return jax.eval_shape(functools.partial(model.head.sample, **how), jax.random.key(0), outputs)


def _check_how(model: StepModel, how: dict) -> None:
    """Raise ValueError for arguments that the head does not know or take, before anything is compiled."""
    known = list(inspect.signature(model.head.sample).parameters)[2:]
    for name, value in how.items():
        if name not in known:
            raise ValueError(f"{name}: this model's head takes {' and '.join(known)} only{nearest(name, known)}")
        if not isinstance(value, Real):
            raise ValueError(f"{name} must be a number, got {value!r}")
    _drawn(model, **how)


_PROGRAMS = LRUCache(32)


def _kept(name: tuple, model: StepModel, make: Callable[[], Any]) -> Any:
    """Make a program of a model once."""
    return _PROGRAMS.get((*name, model), make)
