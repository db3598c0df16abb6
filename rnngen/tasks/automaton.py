"""Tasks that a finite automaton solves: it reads a token a step, and the label is a function of its state."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnngen.heads import categorical
from rnngen.tasks.losses import classification_loss, last_step
from rnngen.tasks.needs import Needs
from rnngen.tasks.sampling import split_sizes, synthetic_sample
from rnngen.tasks.task import Objective, Task, TaskData
from rnngen.types import Array, Batch, InputSpec, Key, check_one_of

LABELS = ("end", "each")


class Automaton(NamedTuple):
    """A finite automaton, and the tokens that it is shown.

    Attributes:
      table: `[s, v]`, the state after a token.
      labels: `[s]`, the label of each state.
      choices: (lowest token, highest + 1) of each step, again from the first where they end; tokens are uniform within.
      start: the state before the first step.
    """

    table: np.ndarray
    labels: np.ndarray
    choices: tuple[tuple[int, int], ...]
    start: int = 0

    @property
    def classes(self) -> int:
        """Return the number of labels."""
        return int(self.labels.max()) + 1

    def draw(self, key: Key, steps: int) -> Array:
        """Draw tokens `[steps]`."""
        # Computed, since arrays of all steps would be constants of every program.
        low, high = jnp.asarray(self.choices, jnp.int32)[jnp.arange(steps) % len(self.choices)].T
        return jax.random.randint(key, (steps,), low, high)

    def read(self, tokens: Array) -> Array:
        """Return the label after each of the tokens `[t]`."""
        table, labels = jnp.asarray(self.table, jnp.int32), jnp.asarray(self.labels, jnp.int32)

        def step(state, token):
            state = table[state, token]
            return state, state

        return labels[jax.lax.scan(step, jnp.int32(self.start), tokens)[1]]

    def entropy(self, steps: int, label: str) -> float:
        """Compute the loss of the best predictor that sees the current token alone: the entropy of the label given it.

        Args:
          steps: of a sequence.
          label: "end" or "each".

        Returns:
          The conditional entropy in nats, exactly, from the distribution over states at each step.
        """
        (states, vocabulary), classes = self.table.shape, self.classes
        joint = np.zeros(vocabulary * classes)
        at = np.bincount([self.start], minlength=states).astype(float)
        for step in range(steps):
            low, high = self.choices[step % len(self.choices)]
            after = self.table[:, low:high]
            mass = np.broadcast_to(at[:, None] / (high - low), after.shape).ravel()
            if label == "each" or step == steps - 1:
                pair = np.arange(low, high) * classes + self.labels[after]
                joint += np.bincount(pair.ravel(), mass, vocabulary * classes)
            at = np.bincount(after.ravel(), mass, states)
        return conditional_entropy(joint.reshape(vocabulary, classes))


def conditional_entropy(joint: np.ndarray) -> float:
    """Return the entropy in nats of the second variable given the first, from their joint weights `[v, classes]`."""
    rows = joint.sum(axis=1, keepdims=True)
    shares = np.divide(joint, rows, out=np.ones_like(joint), where=joint > 0)
    return float(-np.sum(joint * np.log(shares)) / rows.sum())


def automaton_task(
    automaton: Automaton,
    lengths: dict[str, tuple[int, int]],
    label: str,
    train_size: int | None,
    eval_size: int,
    needs: Callable[[Batch], Needs] | None = None,
) -> Task:
    """Make the task of predicting an automaton's label, after the last token or after each.

    Where the kind of token changes from step to step, the label is that of whole periods and one step more, as in
    digit, operator, digit: lengths between are one such length.

    Args:
      automaton: the automaton.
      lengths: of `split_lengths`.
      label: "end": the loss is at the last step; "each": at every step.
      train_size: examples in a finite training set; None: an endless stream.
      eval_size: examples in each evaluation split.
      needs: of the task.

    Returns:
      The task.

    Raises:
      ValueError: the label is unknown, or a size is out of range.
    """
    check_one_of(LABELS, label=label)
    sizes, head, period = split_sizes(train_size, eval_size), categorical(automaton.classes), len(automaton.choices)
    periods = {split: ((low - 1) // period, (high - 1) // period) for split, (low, high) in lengths.items()}

    def steps_of(count):
        return count * period + 1

    def draw(key, longest, length):
        tokens, exists = automaton.draw(key, longest), jnp.arange(longest) < length
        weights = last_step(length, longest) if label == "end" else exists.astype(jnp.float32)
        return Batch(tokens, automaton.read(tokens), weights, exists)

    return Task(
        data=TaskData(
            sample=synthetic_sample(draw, sizes, periods, steps_of),
            sizes=sizes,
            lengths={split: (steps_of(low), steps_of(high)) for split, (low, high) in periods.items()},
            input_spec=InputSpec(automaton.table.shape[1], tokens=True),
        ),
        objective=Objective(
            head=head,
            loss=classification_loss(head, sequences=label == "each"),
            baseline=lambda length: automaton.entropy(int(length), label),
            solved=lambda metrics: metrics["accuracy"] > 0.99,
        ),
        needs=needs,
    )
