"""Expressions with brackets of a given length, drawn and evaluated on the device with a stack of fixed size.

An expression of n tokens is d, -d, (d) or (-d) for n = 1 to 4, else `(` left operator right `)`, with the length of
`left` uniform over 1 to n - 4 and every operator as probable (Delétang et al. 2023). The tokens of a modulus m are the
digits 0 to m - 1 and then `SIGNS`.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from rnngen.types import Array, Key

SIGNS = "+-*()"
PLUS, MINUS, TIMES, OPEN, CLOSE = range(5)  # after the digits


def draw_expression(key: Key, longest: int, length: Array, modulus: int, operators: str) -> Array:
    """Draw an expression.

    A stack holds what is still to be written: tokens, and expressions by their length. Each step takes the uppermost,
    writes one token, and puts what then has to follow onto the stack.

    Args:
      key: a key.
      longest: the number of tokens, with padding.
      length: of the expression.
      modulus: of the digits.
      operators: some of "+-*".

    Returns:
      Tokens `[longest]`; those from `length` on are 0.
    """
    key_split, key_digit, key_sign = jax.random.split(key, 3)
    drawn = (
        jax.random.randint(key_split, (longest,), 0, 2**30),
        jax.random.randint(key_digit, (longest,), 0, modulus),
        modulus + jax.random.choice(key_sign, jnp.array([SIGNS.index(sign) for sign in operators]), (longest,)),
    )

    def write(state, drawn):
        stack, height = state
        top = stack[height - 1]
        split, digit, sign = drawn
        token, rest = _expand(top, split, digit, sign, modulus)
        count = jnp.sum(rest != 0)
        stack = jax.lax.dynamic_update_slice(stack, rest, (height - 1,))
        left = height > 0
        return (stack, jnp.where(left, height - 1 + count, 0)), jnp.where(left, token, 0)

    # Each expression on the stack is of at least one token that is still to be written, and so is each token.
    stack = jnp.zeros(longest + 5, jnp.int32).at[0].set(length)
    return jax.lax.scan(write, (stack, jnp.int32(1)), drawn)[1]


def _expand(top: Array, split: Array, digit: Array, sign: Array, modulus: int) -> tuple[Array, Array]:
    """Return the token that an entry of the stack begins with, and what follows it, the last first, `[4]`, then zeros.

    Entries are an expression's length, or -1 - token.
    """
    opening, closing, minus = modulus + OPEN, -1 - modulus - CLOSE, modulus + MINUS
    left = 1 + split % jnp.maximum(top - 4, 1)
    longer = jnp.stack([jnp.int32(closing), top - 3 - left, -1 - sign, left])
    shorter = jnp.array([[0, 0, 0, 0], [1, 0, 0, 0], [closing, 1, 0, 0], [closing, 2, 0, 0]], jnp.int32)
    rest = jnp.where(top > 4, longer, shorter[jnp.clip(top - 1, 0, 3)])
    token = jnp.select([top < 0, top == 1, top == 2], [-1 - top, digit, jnp.int32(minus)], jnp.int32(opening))
    return token, jnp.where(top > 0, rest, jnp.zeros(4, jnp.int32))


def evaluate(tokens: Array, modulus: int) -> Array:
    """Evaluate an expression in which each pair of brackets holds at most one operator between two operands.

    Each open bracket is a level of (value so far, operator that waits, sign of the next operand); a digit, or the value
    of a bracket that closes, is an operand of its level.

    Args:
      tokens: `[t]`; zeros behind the end of an expression change nothing.
      modulus: of the digits.

    Returns:
      The value modulo `modulus`.
    """
    fresh = jnp.array([0, PLUS, 1], jnp.int32)

    def read(state, token):
        levels, depth, after_operand = state
        sign = token - modulus
        opens, closes = sign == OPEN, sign == CLOSE
        operand, value = closes | (sign < 0), jnp.where(closes, levels[depth, 0], token)
        depth = depth - closes.astype(jnp.int32)
        total, operator, factor = levels[depth]
        applied = jnp.stack([_apply(operator, total, factor * value) % modulus, jnp.int32(PLUS), jnp.int32(1)])
        waiting = jnp.where(after_operand, jnp.stack([total, sign, factor]), jnp.stack([total, operator, -factor]))
        level = jnp.where(operand, applied, jnp.where(opens, levels[depth], waiting))
        levels, depth = levels.at[depth].set(level), depth + opens.astype(jnp.int32)
        levels = levels.at[depth].set(jnp.where(opens, fresh, levels[depth]))
        return (levels, depth, operand), None

    levels = jnp.zeros((len(tokens) // 4 + 2, 3), jnp.int32).at[0].set(fresh)  # as deep as so many tokens can be
    return jax.lax.scan(read, (levels, jnp.int32(0), jnp.bool_(False)), tokens)[0][0][0, 0]


def _apply(operator: Array, total: Array, value: Array) -> Array:
    return jnp.select([operator == PLUS, operator == MINUS], [total + value, total - value], total * value)


@functools.cache
def value_shares(length: int, modulus: int, operators: str) -> np.ndarray:
    """Compute the distribution of the value of an expression.

    Args:
      length: in tokens.
      modulus: of the digits.
      operators: some of "+-*".

    Returns:
      The probability of each value `[modulus]`, exactly: from the distributions of all shorter expressions.
    """
    values = np.arange(modulus)
    shares = np.full((length + 1, modulus), 1 / modulus)
    result = {"+": np.add.outer, "-": np.subtract.outer, "*": np.multiply.outer}
    for n in range(5, length + 1):
        left = np.arange(1, n - 3)
        pairs = shares[left].T @ shares[n - 3 - left] / len(left)
        parts = [np.bincount((result[o](values, values) % modulus).ravel(), pairs.ravel()) for o in operators]
        shares[n] = np.mean([np.pad(part, (0, modulus - len(part))) for part in parts], axis=0)
    return shares[length]


def entropy(length: int, modulus: int, operators: str) -> float:
    """Return the entropy of the value in nats given the last token: 0 where that is a digit, which tells it."""
    shares = value_shares(length, modulus, operators)
    return 0.0 if length < 3 else float(-np.sum(shares * np.log(shares)))
