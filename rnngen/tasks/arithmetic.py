"""Modular arithmetic: the value of an expression modulo n, with and without brackets (Delétang et al. 2023)."""

import itertools

import jax.numpy as jnp
import numpy as np

from rnngen.heads import categorical
from rnngen.tasks import brackets as bracketed
from rnngen.tasks.automaton import Automaton, automaton_task
from rnngen.tasks.counting import check_modulus
from rnngen.tasks.losses import classification_loss, last_step
from rnngen.tasks.sampling import split_lengths, split_sizes, synthetic_sample
from rnngen.tasks.task import Objective, Task, TaskData
from rnngen.types import Batch, InputSpec

LARGEST = 32  # modulus: a state is two digits and an operator


def modular_arithmetic(
    length: int = 40,
    *,
    min_length: int | None = 1,
    eval_length: int | tuple[int, int] | None = None,
    modulus: int = 5,
    brackets: bool = False,
    operators: str | None = None,
    train_size: int | None = None,
    eval_size: int = 1000,
) -> Task:
    """Evaluate an expression such as 1-3*2+4 modulo 5; the answer is due at the last step.

    Without brackets `*` binds closer than `+` and `-`, a finite automaton is enough, and lengths are odd: an even one
    is that of one token less. With brackets, an expression of 5 tokens or more is `(` expression operator expression
    `)`, the length of the left one uniform; shorter ones are d, -d, (d) and (-d). That takes a stack. Tokens: digits 0
    to n - 1, then `+-*()`. Loss: cross-entropy. Baseline: the entropy of the value given the last token. Solved above
    99 % accuracy.

    Args:
      length: the longest expression in training, in tokens.
      min_length: the shortest one; None: `length`.
      eval_length: the length in evaluation, or (shortest, longest); None: as in training.
      modulus: n.
      brackets: expressions have brackets.
      operators: some of "+-*"; None: those of Delétang et al., "+-*" without brackets and "+-" with them.
      train_size: examples in a finite training set; None: an endless stream.
      eval_size: examples in each evaluation split.

    Returns:
      The task.

    Raises:
      ValueError: the modulus is below 2, an operator is unknown, or a length or size is out of range.
    """
    check_modulus(LARGEST, modulus=modulus)
    operators = ("+-" if brackets else "+-*") if operators is None else operators
    if not operators or set(operators) - set("+-*") or len(set(operators)) < len(operators):
        raise ValueError(f"operators must be some of '+-*', each once, got {operators!r}")
    lengths = split_lengths(length, min_length, eval_length)
    if brackets:
        return _with_brackets(lengths, modulus, operators, split_sizes(train_size, eval_size))
    return automaton_task(_automaton(modulus, operators), lengths, "end", train_size, eval_size)


def _automaton(modulus: int, operators: str) -> Automaton:
    """Return the automaton of states (sum of the terms before, product of the last one, operator that waits)."""
    states = list(itertools.product(range(modulus), range(modulus), "+-*"))
    number = {state: n for n, state in enumerate(states)}

    def after(state, token):
        total, term, operator = state
        if token >= modulus:
            return total, term, operators[token - modulus]
        if operator == "*":
            return total, term * token % modulus, operator
        return (total + term) % modulus, (token if operator == "+" else -token) % modulus, operator

    vocabulary = modulus + len(operators)
    table = np.array([[number[after(state, token)] for token in range(vocabulary)] for state in states])
    labels = np.array([(total + term) % modulus for total, term, _ in states])
    return Automaton(table, labels, ((0, modulus), (modulus, vocabulary)), number[0, 0, "+"])


def _with_brackets(lengths: dict, modulus: int, operators: str, sizes: dict[str, int | None]) -> Task:
    head = categorical(modulus)

    def draw(key, longest, length):
        tokens = bracketed.draw_expression(key, longest, length, modulus, operators)
        value = bracketed.evaluate(tokens, modulus)
        steps = jnp.arange(longest)
        return Batch(tokens, jnp.full(longest, value), last_step(length, longest), steps < length)

    return Task(
        data=TaskData(
            sample=synthetic_sample(draw, sizes, lengths),
            sizes=sizes,
            lengths=lengths,
            input_spec=InputSpec(modulus + len(bracketed.SIGNS), tokens=True),
        ),
        objective=Objective(
            head=head,
            loss=classification_loss(head),
            baseline=lambda length: bracketed.entropy(int(length), modulus, operators),
            solved=lambda metrics: metrics["accuracy"] > 0.99,
        ),
    )
