"""Tasks with one planted fault each, and the law that the fault breaks."""

import jax
import jax.numpy as jnp
import numpy as np

from rnngen.heads import gaussian
from rnngen.tasks import Task, TaskData, adding, copy_memory, latch
from rnngen.types import InputSpec

N = 64  # examples of each split, two batches of 32


def having(task: Task, **fields) -> Task:
    """The task with other fields of its data or of its objective."""
    data = {name: value for name, value in fields.items() if name in TaskData._fields}
    other = {name: value for name, value in fields.items() if name not in data}
    return task._replace(data=task.data._replace(**data), objective=task.objective._replace(**other))


def changed(task: Task, change) -> Task:
    """The task with `change(batch, split)` for each batch."""
    return having(task, sample=lambda split, *given: change(task.data.sample(split, *given), split))


def on_host(task: Task) -> Task:
    """The same task, drawn in NumPy."""

    def sample(split, numbers, step, batch_size):
        key = jax.random.wrap_key_data(jnp.asarray(numbers))
        return jax.tree.map(np.asarray, task.data.sample(split, key, jnp.int32(step), batch_size))

    return having(task, sample=sample, on_device=False)


def has_more_features_than_it_says() -> Task:
    return having(adding(6, eval_size=N), input_spec=InputSpec(1))


def feeds_tokens_as_floats() -> Task:
    task = copy_memory(3, eval_size=N)
    return changed(task, lambda batch, split: batch._replace(inputs=batch.inputs.astype(jnp.float32)))


def has_a_head_for_other_targets() -> Task:
    return having(latch(6, eval_size=N), head=gaussian(3))


def decides_by_the_step() -> Task:
    task = latch(6, eval_size=N)
    return having(task, sample=lambda split, key, step, size: task.data.sample(split, key, 0 if step else 1, size))


def has_a_negative_weight() -> Task:
    return changed(latch(6, eval_size=N), lambda batch, split: batch._replace(weights=-batch.weights))


def weighs_masked_steps() -> Task:
    task = latch(6, min_length=4, eval_size=N)
    return changed(task, lambda batch, split: batch._replace(weights=jnp.ones_like(batch.weights)))


def has_no_loss_metric() -> Task:
    task = adding(6, eval_size=N)

    def loss(outputs, batch):
        value, sums = task.objective.loss(outputs, batch)
        return value, {"squared": sums["loss"]}

    return having(task, loss=loss)


def has_an_infinite_gradient() -> Task:
    task = adding(6, eval_size=N)

    def loss(outputs, batch):
        value, sums = task.objective.loss(outputs, batch)
        return value + jnp.sum(jnp.sqrt(outputs * 0)), sums

    return having(task, loss=loss)


def changes_its_length() -> Task:
    task = on_host(latch(6, eval_size=N))

    def sample(split, numbers, step, size):
        batch = task.data.sample(split, numbers, step, size)
        return jax.tree.map(lambda x: x[int(step == 1000) :], batch)

    return having(task, sample=sample)


def draws_from_a_generator_of_its_own() -> Task:
    drawn = np.random.RandomState(0)
    noise = lambda batch: drawn.normal(size=batch.inputs.shape).astype(np.float32)  # noqa: E731
    return changed(
        on_host(latch(6, eval_size=N)),
        lambda batch, split: batch._replace(inputs=batch.inputs + noise(batch)) if split == "train" else batch,
    )


def never_goes_on() -> Task:
    task = latch(6, eval_size=N)
    return having(
        task, sample=lambda split, key, step, size: task.data.sample(split, key, 0 if split == "train" else step, size)
    )


def draws_its_valid_split_by_the_key() -> Task:
    task = latch(6, eval_size=N)
    endless = {"valid": "train"}
    return having(task, sample=lambda split, *given: task.data.sample(endless.get(split, split), *given))


def counts_examples_that_are_not_there() -> Task:
    task = latch(6, eval_size=N - 10)
    return having(task, sizes=task.data.sizes | {"test": N})


def tests_on_its_train_split() -> Task:
    task = latch(6, train_size=N, eval_size=N)

    def sample(split, key, step, size):
        return (
            task.data.sample("train", jax.random.key(0), step, size)
            if split == "test"
            else task.data.sample(split, key, step, size)
        )

    return having(task, sample=sample)


def reports_means() -> Task:
    task = adding(6, eval_size=N)

    def loss(outputs, batch):
        value, sums = task.objective.loss(outputs, batch)
        return value, sums | {"accuracy": (sums["accuracy"][0] / sums["accuracy"][1], jnp.float32(1))}

    return having(task, loss=loss)


def ignores_the_weights() -> Task:
    task = adding(6, eval_size=N)
    return having(
        task,
        loss=lambda outputs, batch: task.objective.loss(outputs, batch._replace(weights=jnp.ones_like(batch.weights))),
    )


def has_a_baseline_that_is_easily_beaten() -> Task:
    return having(adding(6, eval_size=N), baseline=lambda length: 1.0)


def has_no_baseline() -> Task:
    return having(adding(6, eval_size=N), baseline=lambda length: float("nan"))


FAULTS = {
    has_more_features_than_it_says: ("batches", "expected float[6, 32, 1], got float32[6, 32, 2]"),
    feeds_tokens_as_floats: ("batches", "train: inputs: expected int[23, 32], got float32[23, 32]"),
    has_a_head_for_other_targets: ("batches", "train: head.log_prob cannot read targets int32[6, 32]: "),
    decides_by_the_step: ("batches", "raised TracerBoolConversionError in faulty_tasks.py, line"),
    has_a_negative_weight: ("weights", "train: weights go from -1.0 to -0.0"),
    weighs_masked_steps: ("weights", "is masked, and has weight"),
    has_no_loss_metric: ("loss", 'its metrics are squared, without "loss"'),
    has_an_infinite_gradient: ("loss", "its gradient is not finite"),
    changes_its_length: ("compiles_once", "finish was compiled 2 times for batches [0, 1, 1000] of train"),
    draws_from_a_generator_of_its_own: ("repeatable", "drawn after others, has other inputs"),
    never_goes_on: ("fresh", "batch 0 is the same with another step"),
    draws_its_valid_split_by_the_key: ("fixed", "batch 0 of valid with another key has other inputs"),
    counts_examples_that_are_not_there: ("sizes", "test: 54 examples have weight, and sizes says 64"),
    tests_on_its_train_split: ("disjoint", "64 of the 64 examples of test are in train"),
    reports_means: ("adds_up", "the count of accuracy is 32 added over the examples one by one, and 1 otherwise"),
    ignores_the_weights: ("padding", "with other outputs at steps without weight"),
    has_a_baseline_that_is_easily_beaten: ("baseline", "and the baseline is 1"),
    has_no_baseline: ("baseline", "it is nan"),
}
