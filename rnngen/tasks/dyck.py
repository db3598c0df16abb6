"""Dyck languages: strings of balanced brackets, of several kinds, to a largest depth."""

import jax
import jax.numpy as jnp
import numpy as np

from rnngen.tasks.next_symbols import next_symbols
from rnngen.tasks.sampling import split_lengths, split_sizes, synthetic_sample
from rnngen.tasks.task import Task, TaskData
from rnngen.types import Array, Batch, InputSpec, Key, check_positive

LONGEST, LARGEST = 20_000, 10_000  # steps, and kinds of brackets


def dyck(
    length: int = 50,
    *,
    min_length: int | None = 2,
    eval_length: int | tuple[int, int] | None = None,
    brackets: int = 2,
    depth: int = 5,
    train_size: int | None = None,
    eval_size: int = 1000,
) -> Task:
    """After each symbol of a string of balanced brackets, name the symbols that may follow.

    The language Dyck-(k, m) of Hewitt et al. 2020: k kinds of brackets, at most m of them open. An opening one may
    follow below depth m, the closing one of the innermost open bracket above depth 0, the end of the string at depth 0.
    Strings of a length are uniform. Bhattamishra et al. 2020 train on 2 to 50 symbols and test on
    `eval_length=(52, 100)`. Loss and accuracy: see `rnngen.tasks.next_symbols`. Baseline: the entropy of these bits
    given the current symbol. Solved above 99 % of the sequences.

    Args:
      length: the longest string in training; of an odd length, the even one below it.
      min_length: the shortest one; None: `length`.
      eval_length: the length in evaluation, or (shortest, longest); None: as in training.
      brackets: k; tokens 0 to k - 1 open, k to 2 k - 1 close.
      depth: m.
      train_size: examples in a finite training set; None: an endless stream.
      eval_size: examples in each evaluation split.

    Returns:
      The task.

    Raises:
      ValueError: brackets, depth, a length or a size is out of range.
    """
    check_positive(brackets=brackets, depth=depth)
    lengths, sizes = split_lengths(length, min_length, eval_length, shortest=2), split_sizes(train_size, eval_size)
    # Strings are drawn by a table of all steps and depths.
    if (longest := max(high for _, high in lengths.values())) > LONGEST:
        raise ValueError(f"length must be at most {LONGEST}, got {longest}")
    if brackets > LARGEST:
        raise ValueError(f"brackets must be at most {LARGEST} kinds, got {brackets}")
    pairs = {split: (low // 2, high // 2) for split, (low, high) in lengths.items()}

    def draw(key, longest, length):
        tokens, targets = draw_string(key, longest, length, brackets, depth)
        exists = jnp.arange(longest) < length
        return Batch(tokens, targets.astype(jnp.float32), exists.astype(jnp.float32), exists)

    return Task(
        data=TaskData(
            sample=synthetic_sample(draw, sizes, pairs, lambda count: 2 * count),
            sizes=sizes,
            lengths={split: (2 * low, 2 * high) for split, (low, high) in pairs.items()},
            input_spec=InputSpec(2 * brackets, tokens=True),
        ),
        objective=next_symbols(2 * brackets, lambda length: entropy(int(length), brackets, depth)),
    )


def log_completions(steps: int, depth: int) -> np.ndarray:
    """Count the ways back to depth 0 on at most `depth`, a step up or down at a time.

    Args:
      steps: the most that are left.
      depth: the largest one.

    Returns:
      The logarithms `[steps + 1, depth + 3]`, by steps left and by depth from -1 to depth + 1; -inf for no way.
    """
    ways = np.full((steps + 1, depth + 3), -np.inf)
    ways[0, 1] = 0.0
    for left in range(1, steps + 1):
        ways[left, 1:-1] = np.logaddexp(ways[left - 1, :-2], ways[left - 1, 2:])
    return ways


def draw_string(key: Key, longest: int, length: Array, brackets: int, depth: int) -> tuple[Array, Array]:
    """Draw a string of balanced brackets, and the symbols that may follow each of its own.

    Each step opens a bracket with the share of the ways back that begin so, which makes all strings equally probable.

    Args:
      key: a key.
      longest: steps, with padding.
      length: of the string, even.
      brackets: kinds.
      depth: the largest one.

    Returns:
      Tokens `[longest]` and bools `[longest, 2 * brackets + 1]`, the last of these the end; padding is of no meaning.
    """
    limit, depth = depth, min(depth, longest // 2)
    key_open, key_kind = jax.random.split(key)
    chances, kinds = jax.random.uniform(key_open, (longest,)), jax.random.randint(key_kind, (longest,), 0, brackets)
    opens = jnp.asarray(_opening_shares(longest, depth), jnp.float32)

    def write(state, drawn):
        stack, height = state
        step, chance, kind = drawn
        opening = chance < opens[jnp.maximum(length - step, 0), height]
        token = jnp.where(opening, kind, brackets + stack[jnp.maximum(height - 1, 0)])
        stack = jnp.where(opening, stack.at[height].set(kind), stack)
        height = jnp.where(opening, height + 1, jnp.maximum(height - 1, 0))
        closing = (jnp.arange(brackets) == stack[jnp.maximum(height - 1, 0)]) & (height > 0)
        following = jnp.concatenate([jnp.full(brackets, height < limit), closing, (height == 0)[None]])
        return (stack, height), (token, following)

    return jax.lax.scan(write, (jnp.zeros(depth, jnp.int32), jnp.int32(0)), (jnp.arange(longest), chances, kinds))[1]


def _opening_shares(steps: int, depth: int) -> np.ndarray:
    """Return the share `[steps + 1, depth + 1]` of the ways back, by steps left and depth, that begin by opening."""
    ways, shares = log_completions(steps, depth), np.zeros((steps + 1, depth + 1))
    possible = np.isfinite(ways[1:, 1:-1])
    shares[1:][possible] = np.exp(ways[:-1, 2:][possible] - ways[1:, 1:-1][possible])
    return shares


def entropy(length: int, brackets: int, depth: int) -> float:
    """Compute the loss of the best predictor that sees the current symbol alone.

    Args:
      length: of the string.
      brackets: kinds.
      depth: the largest one.

    Returns:
      The sum over symbols of the entropy of whether it may follow, in nats, exactly: from the number of strings that
      pass through each depth at each step.
    """
    length, limit = 2 * (length // 2), depth
    depth = min(depth, length // 2)
    ways = log_completions(length, depth)[:, 1:-1]
    total = ways[length, 0]
    opened, closed = np.zeros(depth + 1), np.zeros(depth + 1)  # by the depth that they lead to
    for step in range(1, length + 1):
        before, after = ways[step - 1], ways[length - step]  # as many ways lead from 0 to a depth as back
        opened[1:] += np.exp(before[:-1] + after[1:] - total)
        closed[:-1] += np.exp(before[1:] + after[:-1] - total)
    loss = 0.0
    for counts in (opened, closed):
        loss += counts.sum() * brackets * _binary(counts[:limit].sum() / counts.sum())
    inside = closed[1:].sum() / closed.sum()  # within a bracket, which is of any kind
    loss += closed.sum() * (brackets * _binary(inside / brackets) + _binary(inside))
    return float(loss / length)


def _binary(share: float) -> float:
    """Return the entropy of a bit."""
    return 0.0 if share <= 0 or share >= 1 else float(-share * np.log(share) - (1 - share) * np.log(1 - share))
