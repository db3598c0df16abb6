"""Each task against a plain NumPy reading of its definition, and its baseline reached by that predictor."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import OWN, READING, draw_batch, needs_data

from rnngen.datasets import TASKS
from rnngen.datasets.digits import digits, load_digits
from rnngen.datasets.mnist import load_binarised_mnist, load_mnist
from rnngen.datasets.music import load_music
from rnngen.datasets.names import load_names, names
from rnngen.datasets.speech import load_speech
from rnngen.datasets.strokes import load_strokes
from rnngen.datasets.text import load_text
from rnngen.datasets.trajectories import load_trajectories
from rnngen.tasks import adding, copy_memory, delayed_xor, latch, temporal_order

N = 400


def draw(task, split="train", n=N, step=0, seed=1):
    if task.data.on_device:
        return jax.tree.map(np.asarray, task.data.finish(draw_batch(task, split, n, seed, step)))
    return jax.tree.map(np.asarray, task.batch(split, jax.random.key(seed), step, n))


@functools.cache
def loss_program(loss):
    return jax.jit(loss)


def loss_of(task, outputs, batch):
    _, sums = loss_program(task.objective.loss)(jnp.asarray(outputs, jnp.float32), batch)
    return {name: float(total) / float(count) for name, (total, count) in sums.items()}


def last(batch):
    """Index of each example's last weighted step."""
    return batch.weights.shape[0] - 1 - np.argmax(batch.weights[::-1] > 0, axis=0)


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["halves", "anywhere"])
@pytest.mark.parametrize("min_length", [None, 11])
def test_adding(variant, min_length):
    batch = draw(adding(20, min_length=min_length, variant=variant))
    values, marks = batch.inputs[..., 0], batch.inputs[..., 1]
    np.testing.assert_array_equal(marks.sum(axis=0), 2)
    np.testing.assert_allclose((values * marks).sum(axis=0), batch.targets[-1, :, 0], rtol=1e-6)
    length = last(batch) + 1
    assert length.min() == (min_length or 20)
    assert length.max() == 20
    places = np.sort(np.argsort(-marks, axis=0, kind="stable")[:2], axis=0)
    assert (places[1] < length).all()
    if variant == "halves":
        assert (places[0] < length // 2).all()
        assert (places[1] >= length // 2).all()
    else:
        assert (places[1] < length // 2).any()
        assert (places[0] >= length // 2).any()


def test_adding_baseline_is_reached_by_answering_one():
    task = adding(10)
    batch = draw(task, n=20000)
    measured = loss_of(task, np.ones((10, 20000, 1)), batch)["loss"]
    assert measured == pytest.approx(task.expected_baseline("test"), rel=0.02)
    assert task.expected_baseline("test") == pytest.approx(1 / 6)


def test_adding_counts_an_answer_as_right_below_four_percent_of_the_range():
    task, batch = adding(10), draw(adding(10))
    assert loss_of(task, batch.targets + 0.079, batch)["accuracy"] == 1
    assert loss_of(task, batch.targets + 0.081, batch)["accuracy"] == 0
    assert task.objective.solved({"accuracy": 0.995})
    assert not task.objective.solved({"accuracy": 0.99})


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["arjovsky", "bai"])
@pytest.mark.parametrize("min_length", [None, 2])
def test_copy_memory(variant, min_length):
    delay = 5
    batch = draw(copy_memory(delay, min_length=min_length, variant=variant))
    inputs = batch.inputs if variant == "arjovsky" else batch.inputs[..., 0].astype(int)
    blank, symbols = (8, range(8)) if variant == "arjovsky" else (0, range(1, 9))
    closing = 1 if variant == "arjovsky" else 11
    seen = set()
    for b in range(N):
        length = last(batch)[b] + 1
        t = length - 20
        seen.add(t)
        x, y = inputs[:length, b], batch.targets[:length, b]
        assert set(x[:10]) <= set(symbols)
        np.testing.assert_array_equal(y[-10:], x[:10])
        np.testing.assert_array_equal(y[:-10], blank)
        np.testing.assert_array_equal(x[10 : 10 + t - 1], blank)
        np.testing.assert_array_equal(x[10 + t - 1 : 10 + t - 1 + closing], 9)
        np.testing.assert_array_equal(x[10 + t - 1 + closing :], blank)
        np.testing.assert_array_equal(batch.weights[:, b], np.arange(len(batch.weights)) < length)
    assert seen == ({delay} if min_length is None else set(range(2, delay + 1)))


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["arjovsky", "bai"])
def test_copy_memory_baseline_and_metrics(variant):
    task, delay = copy_memory(30, variant=variant), 30
    batch = draw(task)
    blank, lowest = (8, 0) if variant == "arjovsky" else (0, 1)
    outputs = np.full((delay + 20, N, task.objective.head.num_params), -40.0)
    outputs[: delay + 10, :, blank] = 40
    outputs[delay + 10 :, :, lowest : lowest + 8] = 0
    measured = loss_of(task, outputs, batch)
    assert measured["loss"] == pytest.approx(10 * np.log(8) / 50, rel=1e-5)
    assert task.expected_baseline("test") == pytest.approx(measured["loss"], rel=1e-5)
    assert measured["sequence_accuracy"] < 0.01
    perfect = 40 * np.eye(task.objective.head.num_params)[batch.targets]
    assert loss_of(task, perfect, batch)["sequence_accuracy"] == 1
    one_wrong = perfect.copy()
    one_wrong[-1] = np.roll(one_wrong[-1], 1, axis=-1)
    assert loss_of(task, one_wrong, batch)["accuracy"] == pytest.approx(0.9)
    assert loss_of(task, one_wrong, batch)["sequence_accuracy"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("min_length", [None, 50])
def test_temporal_order_pascanu(min_length):
    batch = draw(temporal_order(100, min_length=min_length))
    length = last(batch) + 1
    assert set(np.unique(batch.inputs)) == set(range(6))
    for b in range(N):
        (first, second) = np.flatnonzero(batch.inputs[: length[b], b] < 2)
        assert length[b] // 10 <= first < 2 * length[b] // 10
        assert 5 * length[b] // 10 <= second < 6 * length[b] // 10
        assert batch.targets[-1, b] == 2 * batch.inputs[first, b] + batch.inputs[second, b]


def test_temporal_order_hochreiter():
    batch = draw(temporal_order(110, min_length=100, variant="hochreiter"))
    length = last(batch) + 1
    assert (length.min(), length.max()) == (100, 110)
    firsts, seconds = [], []
    for b in range(N):
        first, second = np.flatnonzero(batch.inputs[: length[b], b] < 2)
        firsts.append(first)
        seconds.append(second)
        assert batch.inputs[0, b] == 6
        assert batch.inputs[length[b] - 1, b] == 7
        assert batch.targets[-1, b] == 2 * batch.inputs[first, b] + batch.inputs[second, b]
    assert (min(firsts), max(firsts)) == (10, 20)
    assert (min(seconds), max(seconds)) == (50, 60)


def test_hochreiter_asks_for_every_output_within_three_tenths():
    task = temporal_order(20, variant="hochreiter")
    batch = draw(task)
    for probability, right in ((0.72, 1), (0.68, 0)):
        rest = (1 - probability) / 3
        outputs = np.log(rest + (probability - rest) * np.eye(4)[batch.targets])
        assert loss_of(task, outputs, batch)["accuracy"] == right


def test_delayed_xor():
    task = delayed_xor(9, min_length=6, delay=5)
    batch = draw(task)
    length = last(batch) + 1
    assert (length.min(), length.max()) == (6, 9)
    for b in range(N):
        counted = np.flatnonzero(batch.weights[:, b])
        assert list(counted) == list(range(5, length[b]))
        expected = batch.inputs[counted - 5, b] ^ batch.inputs[counted - 2, b]
        np.testing.assert_array_equal(batch.targets[counted, b], expected)
    sources, reads = task.needs(batch)
    np.testing.assert_array_equal(reads, [length - 1, length - 1])
    np.testing.assert_array_equal(sources, [length - 6, length - 3])


def test_latch():
    batch = draw(latch(12, signal_steps=3), n=5000)
    sign = 2 * batch.targets[-1] - 1
    np.testing.assert_array_equal(batch.inputs[:3, :, 0], np.broadcast_to(sign, (3, 5000)))
    noise = batch.inputs[3:, :, 0]
    assert noise.var() == pytest.approx(0.2, rel=0.03)
    assert abs(np.corrcoef(noise.sum(axis=0), sign)[0, 1]) < 0.05
    assert sign.mean() == pytest.approx(0, abs=0.05)


@pytest.mark.slow
@pytest.mark.parametrize(("task", "classes"), [(temporal_order(20), 4), (latch(10), 2), (digits(), 10)])
def test_classification_baseline_is_the_uniform_answer(task, classes):
    batch = draw(task, n=100)
    outputs = np.zeros((*batch.weights.shape, classes))
    assert loss_of(task, outputs, batch)["loss"] == pytest.approx(task.expected_baseline("test"), rel=1e-5)


def test_digits_reads_every_image_pixel_by_pixel():
    data, batch = load_digits(), draw(digits(), "test", 250)
    np.testing.assert_array_equal(batch.inputs[..., 0].T, data["test"][0])
    np.testing.assert_array_equal(batch.targets[-1], data["test"][1])
    order = np.random.RandomState(0).permutation(64)
    permuted = draw(digits(permuted=True), "test", 250)
    np.testing.assert_array_equal(permuted.inputs, batch.inputs[order])


def test_digits_splits_are_fixed_and_apart():
    data = load_digits()
    assert [len(y) for _, y in data.values()] == [1297, 250, 250]
    images = np.concatenate([x for x, _ in data.values()])
    assert len(np.unique(images, axis=0)) == 1797
    np.testing.assert_array_equal(data["test"][1][:8], [1, 0, 5, 6, 6, 8, 0, 7])  # the shuffle never changes


@pytest.mark.slow
@pytest.mark.parametrize("make", [lambda: digits(), lambda: adding(5, train_size=50)])
def test_an_epoch_sees_every_training_example_once(make):
    task = make()
    size = task.data.sizes["train"]
    batch_size = 50 if size > 50 else 10
    whole = draw(task, n=size)
    epoch = [draw(task, n=batch_size, step=s).inputs for s in range(size // batch_size)]
    seen = np.concatenate(epoch, axis=1).reshape(whole.inputs.shape[0], -1).T
    everything = {row.tobytes() for row in whole.inputs.reshape(whole.inputs.shape[0], size, -1).transpose(1, 0, 2)}
    assert len({row.tobytes() for row in draw(task, n=size, step=3).inputs.transpose(1, 0, 2)} ^ everything) == 0
    assert len(np.unique(np.concatenate(epoch, axis=1).transpose(1, 0, 2), axis=0)) == size // batch_size * batch_size
    assert len(seen) > 0
    second = draw(task, n=batch_size, step=size // batch_size).inputs
    assert not np.array_equal(second, epoch[0])


# What a task streams chunks of; the steps that count are all of these, of music all but the first of each piece.
CORPORA = {
    "music": load_music,
    "names": load_names,
    "speech": load_speech,
    "strokes": load_strokes,
    "text": load_text,
    "trajectories": load_trajectories,
}


LOADERS = CORPORA | {"digits": load_digits, "mnist": load_mnist, "binarised_mnist": load_binarised_mnist}


@pytest.mark.parametrize("name", sorted(LOADERS))
def test_a_task_hands_on_whatever_its_loader_takes(name):
    given, taken = (inspect.signature(made).parameters for made in (TASKS[name], LOADERS[name]))
    assert {option: given[option].default for option in taken} == {option: p.default for option, p in taken.items()}


def test_names_are_shuffled_by_the_seed_of_the_task(tmp_path):
    (tmp_path / "own.txt").write_text("\n".join(f"n{chr(97 + i)}" for i in range(20)))
    rules = [names(str(tmp_path / "own.txt"), seed=seed).data.facts["split"] for seed in (0, 1)]
    assert "RandomState(0)" in rules[0]
    assert "RandomState(1)" in rules[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=needs_data) if n in READING else n for n in sorted(set(TASKS) - OWN)]
)
def test_every_task(name):
    """Deterministic in (key, step), fresh at each step, evaluation fixed, covered once and apart from training."""
    task = TASKS[name]()
    batch = draw(task, n=8)
    np.testing.assert_array_equal(batch.inputs, draw(task, n=8).inputs)
    assert not np.array_equal(batch.inputs, draw(task, n=8, step=1).inputs)
    counted = [draw(task, "valid", 300, s).weights for s in range(task.batches("valid", 300))]
    if task.data.chunks is None:
        assert sum(float(weights.max(axis=0).sum()) for weights in counted) == task.data.sizes["valid"]
    else:
        corpus = CORPORA[name]()
        unscored = len(corpus.lengths["valid"]) if name == "music" else 0
        assert sum(float(weights.sum()) for weights in counted) == len(corpus.values["valid"]) - unscored
    with_key = [draw(task, "test", 8, seed=seed) for seed in (1, 2)]
    np.testing.assert_array_equal(with_key[0].inputs, with_key[1].inputs)
    if name != "text":  # whose test split is the valid one, unless it is asked for a share of its own
        assert not np.array_equal(draw(task, "test", 8).inputs, draw(task, "valid", 8).inputs)
    outputs = jnp.zeros((*batch.weights.shape, task.objective.head.num_params))
    scalar, sums = loss_program(task.objective.loss)(outputs, batch)
    assert float(scalar) == pytest.approx(float(sums["loss"][0] / sums["loss"][1]), rel=1e-6)
    metrics = {"accuracy": 0.5, "sequence_accuracy": 0.5, "loss": task.expected_baseline("test")}
    assert not task.objective.solved(metrics)


@pytest.mark.slow
def test_evaluation_may_use_longer_sequences():
    task = adding(10, min_length=5, eval_length=40, eval_size=4)
    assert draw(task, n=4).inputs.shape[0] == 10
    assert draw(task, "test", 4).inputs.shape[0] == 40
    assert task.data.lengths == {"train": (5, 10), "valid": (40, 40), "test": (40, 40)}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: adding(0), "length must be a positive whole number, got 0"),
        (lambda: adding(10, min_length=20), "min_length must not exceed length"),
        (lambda: adding(10, variant="half"), "variant must be one of halves, anywhere"),
        (lambda: adding(10, train_size=0), "train_size must be a positive"),
        (lambda: copy_memory(10, variant="x"), "variant must be one of arjovsky, bai"),
        (lambda: temporal_order(9), "length must be at least 10"),
        (lambda: temporal_order(20, variant="x"), "variant must be one of pascanu, hochreiter"),
        (lambda: delayed_xor(9, delay=9), "length must be at least 10"),
        (lambda: delayed_xor(9, delay=0), "delay must be a positive whole number, got 0"),
        (lambda: delayed_xor(9, delay=1.5), "delay must be a positive whole number, got 1.5"),
        (lambda: latch(3), "length must be at least 4"),
        (lambda: latch(9, noise_variance=-1.0), "noise_variance must not be negative"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()
