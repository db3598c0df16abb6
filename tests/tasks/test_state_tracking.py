"""The state-tracking tasks against plain Python: every label recomputed, every baseline by enumeration."""

import itertools
import math
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import draw_batch, means, slow

from rnngen.tasks import (
    bucket_sort,
    counter_language,
    cycle_navigation,
    duplicate_string,
    dyck,
    even_pairs,
    modular_arithmetic,
    modular_counting,
    parity,
    reverse_string,
    word_problem,
)
from rnngen.tasks.arithmetic import _automaton
from rnngen.tasks.brackets import value_shares
from rnngen.tasks.groups import group

N = 300
SIGNS = "01234+-*()"


def examples(task, n=N, seed=0):
    """(inputs, targets, weights) of each example, without its padding."""
    batch = jax.tree.map(np.asarray, draw_batch(task, size=n, seed=seed))
    for b in range(n):
        there = slice(None) if batch.mask is None else batch.mask[:, b]
        yield batch.inputs[there, b], batch.targets[there, b], batch.weights[there, b]


def compose(p, q):
    """x -> p(q(x)) of two permutations."""
    return tuple(p[y] for y in q)


def permutations_of(name):
    """The elements of a group as permutations in lexicographic order; a cyclic one as its rotations."""
    kind, size = name[0], int(name[1:])
    if kind == "Z":
        return [tuple((x + k) % size for x in range(size)) for k in range(size)]
    odd = lambda p: sum(p[j] < p[i] for i in range(size) for j in range(i, size)) % 2  # noqa: E731
    return [p for p in itertools.permutations(range(size)) if kind == "S" or not odd(p)]


def products(name, words):
    """The number of the product after each word."""
    elements, product = permutations_of(name), None
    for word in words:
        product = elements[word] if product is None else compose(product, elements[word])
        yield elements.index(product)


def changes(bits):
    return sum(a != b for a, b in itertools.pairwise(bits))


# name -> (task by its length, label of a prefix); with the label at each step
LABELS = {
    "parity": (lambda t: parity(t, label="each"), lambda x: sum(x) % 2),
    "modular_counting": (lambda t: modular_counting(t, modulus=5, label="each"), lambda x: sum(x) % 5),
    "even_pairs": (lambda t: even_pairs(t, label="each"), lambda x: changes(x) % 2),
    "cycle_navigation": (lambda t: cycle_navigation(t, label="each"), lambda x: sum((0, 1, -1)[m] for m in x) % 5),
}


@pytest.mark.parametrize("name", LABELS)
@pytest.mark.parametrize("length", [12, *slow(500)])
def test_the_label_of_each_prefix(name, length):
    make, label = LABELS[name]
    lengths = set()
    for inputs, targets, weights in examples(make(length), n=100):
        lengths.add(len(inputs))
        assert [label(inputs[: t + 1].tolist()) for t in range(len(inputs))] == targets.tolist()
        assert (weights == 1).all()
    assert length > 100 or lengths == set(range(1, length + 1))


@pytest.mark.parametrize("name", ["Z7", "S3", "S4", "A5", *slow("S5")])
def test_the_product_after_each_word(name):
    for inputs, targets, _ in examples(word_problem(10, group=name, label="each"), n=20):
        assert list(products(name, inputs)) == targets.tolist()


@pytest.mark.parametrize("name", ["Z2", "Z60", "S3", "S4", "S5", "A4", "A5"])
def test_a_table_is_that_of_its_group(name):
    table, generators = group(name)
    size, elements = len(table), permutations_of(name)
    assert size == len(elements)
    for a, b in [(0, 0), (1, size - 1), (size // 2, size // 3)]:
        assert elements[table[a, b]] == compose(elements[a], elements[b])
    np.testing.assert_array_equal(table[0], np.arange(size))
    np.testing.assert_array_equal(table[:, 0], np.arange(size))
    assert (np.sort(table, axis=0) == np.arange(size)[:, None]).all()  # so that each element has an inverse
    assert (np.sort(table, axis=1) == np.arange(size)).all()
    np.testing.assert_array_equal(table[table], table[:, table])  # (a b) c = a (b c)
    reached = {0}
    while more := {int(table[a, g]) for a in reached for g in generators} - reached:
        reached |= more
    assert len(reached) == size


def test_orders_of_elements():
    """What tells A5 and S5 from other groups of their size."""
    for name, expected in (("A5", {1: 1, 2: 15, 3: 20, 5: 24}), ("S5", {1: 1, 2: 25, 3: 20, 4: 30, 5: 24, 6: 20})):
        table, orders = group(name).table, Counter()
        for element in range(len(table)):
            power, order = element, 1
            while power:
                power, order = table[power, element], order + 1
            orders[order] += 1
        assert orders == expected


def test_generators_are_the_tokens():
    task = word_problem(30, group="S4", tokens="generators", label="end", eval_length=31)
    used, words = group("S4").generators, set()
    for inputs, targets, weights in examples(task, n=50):
        words |= set(inputs.tolist())
        assert list(products("S4", [used[token] for token in inputs]))[-1] == targets[-1]
        assert np.flatnonzero(weights).tolist() == [len(inputs) - 1]
    assert words == set(range(len(used)))


@pytest.mark.parametrize(
    "options",
    [{}, {"brackets": True}, *slow({"operators": "-*"}, {"brackets": True, "operators": "+-*"})],
)
@pytest.mark.parametrize("length", [21, *slow(500)])
def test_expressions_are_what_python_evaluates(length, options):
    lengths, shapes = set(), set()
    for inputs, targets, weights in examples(modular_arithmetic(length, **options), n=200):
        text = "".join(
            SIGNS[token] if options.get("brackets") else ("01234" + options.get("operators", "+-*"))[token]
            for token in inputs
        )
        lengths.add(len(text))
        shapes.add("".join("d" if c in "01234" else c for c in text))
        assert eval(text) % 5 == targets[-1], text
        assert np.flatnonzero(weights).tolist() == [len(text) - 1]
    if length == 21:
        assert lengths == set(range(1, 22) if options.get("brackets") else range(1, 22, 2))
    assert len(shapes) > 40


def all_expressions(length, operators):
    """(text, probability) of every expression in brackets with digits 0 and 1, by the grammar itself."""
    if length < 5:
        form = ("", "{}", "-{}", "({})", "(-{})")[length]
        return [(form.format(d), 0.5) for d in "01"]
    found = []
    for left in range(1, length - 3):
        share = 1 / (length - 4) / len(operators)
        for (a, p), (b, q) in itertools.product(
            all_expressions(left, operators), all_expressions(length - 3 - left, operators)
        ):
            found += [(f"({a}{o}{b})", p * q * share) for o in operators]
    return found


def test_values_in_brackets_have_the_distribution_of_the_grammar():
    for length in (5, 8, 11):
        shares = np.zeros(2)
        for text, share in all_expressions(length, "+*"):
            shares[eval(text) % 2] += share
        np.testing.assert_allclose(value_shares(length, 2, "+*"), shares, rtol=1e-12)
    task, expected = modular_arithmetic(14, min_length=14, brackets=True, operators="+-*"), value_shares(14, 5, "+-*")
    drawn = [targets[-1] for _, targets, _ in examples(task, n=4000)]
    error = np.sqrt(expected * (1 - expected) / 4000)
    assert (np.abs(np.bincount(drawn, minlength=5) / 4000 - expected) < 4 * error).all()


def given_the_token(pairs):
    """The entropy of the label given the token, in nats, from (token, label) -> weight."""
    tokens = Counter()
    for (token, _), weight in pairs.items():
        tokens[token] += weight
    total = sum(tokens.values())
    return -sum(w / total * math.log(w / tokens[token]) for (token, _), w in pairs.items())


def enumerated(vocabulary, length, label, each):
    pairs = Counter()
    for tokens in itertools.product(range(vocabulary), repeat=length):
        for t in range(1, length + 1) if each else [length]:
            pairs[tokens[t - 1], label(tokens[:t])] += 1
    return given_the_token(pairs)


@pytest.mark.parametrize(
    ("make", "vocabulary", "label"),
    [
        (parity, 2, lambda x: sum(x) % 2),
        (modular_counting, 2, lambda x: sum(x) % 3),
        (even_pairs, 2, lambda x: changes(x) % 2),
        (cycle_navigation, 3, lambda x: sum((0, 1, -1)[m] for m in x) % 5),
        (lambda t, **how: word_problem(t, group="S3", **how), 6, lambda x: list(products("S3", x))[-1]),
    ],
    ids=["parity", "modular_counting", "even_pairs", "cycle_navigation", "word_problem"],
)
@pytest.mark.parametrize("how", ["end", "each"])
def test_baselines_of_automata_by_enumeration(make, vocabulary, label, how):
    for length in (1, 2, 5):
        task = make(length, min_length=None, label=how)
        expected = enumerated(vocabulary, length, label, how == "each")
        assert task.expected_baseline("test") == pytest.approx(expected, abs=1e-12)


def test_the_baseline_of_expressions_by_enumeration():
    for length, tokens in ((3, 1), (5, 2)):
        pairs = Counter()
        for digits in itertools.product("01234", repeat=tokens + 1):
            for signs in itertools.product("+-*", repeat=tokens):
                text = "".join(itertools.chain.from_iterable(itertools.zip_longest(digits, signs, fillvalue="")))
                pairs[text[-1], eval(text) % 5] += 1
        task = modular_arithmetic(length, min_length=length)
        assert task.expected_baseline("test") == pytest.approx(given_the_token(pairs), abs=1e-12)


def may_follow(prefix, kinds, depth):
    """The bits of a prefix of Dyck-(k, m): read with a stack."""
    stack = []
    for token in prefix:
        if token < kinds:
            stack.append(token)
        else:
            assert stack.pop() == token - kinds
        assert len(stack) <= depth
    bits = [float(len(stack) < depth)] * kinds + [0.0] * kinds + [float(not stack)]
    if stack:
        bits[kinds + stack[-1]] = 1.0
    return bits


@pytest.mark.parametrize(
    ("length", "kinds", "depth"), [(14, 2, 3), (6, 3, 9), pytest.param(200, 2, 5, marks=pytest.mark.slow)]
)
def test_dyck(length, kinds, depth):
    for inputs, targets, weights in examples(dyck(length, brackets=kinds, depth=depth), n=100):
        assert [may_follow(inputs[: t + 1].tolist(), kinds, depth) for t in range(len(inputs))] == targets.tolist()
        assert targets[-1, -1] == 1
        assert (weights == 1).all()


def dyck_words(length, kinds, depth):
    for word in itertools.product(range(2 * kinds), repeat=length):
        stack = []
        for token in word:
            if token >= kinds and (not stack or stack.pop() != token - kinds):
                break
            stack += [token] * (token < kinds)
            if len(stack) > depth:
                break
        else:
            if not stack:
                yield word


@pytest.mark.parametrize(("length", "kinds", "depth"), [(6, 2, 2), (6, 1, 3), (4, 2, 1), (4, 2, 5)])
def test_dyck_words_are_uniform_and_their_baseline_is_exact(length, kinds, depth):
    words = list(dyck_words(length, kinds, depth))
    bits, total = [Counter() for _ in range(2 * kinds + 1)], len(words) * length
    for word in words:
        for t in range(length):
            for bit, value in zip(bits, may_follow(word[: t + 1], kinds, depth), strict=True):
                bit[word[t], value] += 1 / total
    task = dyck(length, min_length=length, brackets=kinds, depth=depth)
    assert task.expected_baseline("test") == pytest.approx(sum(map(given_the_token, bits)), abs=1e-9)
    if (length, kinds) == (6, 2):
        drawn = Counter(tuple(inputs.tolist()) for inputs, _, _ in examples(task, n=4000))
        assert set(drawn) == set(words)
        error = math.sqrt(4000 / len(words))
        assert max(abs(count - 4000 / len(words)) for count in drawn.values()) < 4.5 * error


@pytest.mark.parametrize("letters", [2, 3])
def test_counter_languages(letters):
    task, seen, bits = counter_language(13, letters=letters), set(), [Counter() for _ in range(letters + 1)]
    for inputs, targets, weights in examples(task):
        n, text = len(inputs) // letters, "".join("abc"[token] for token in inputs)
        assert text == "".join(letter * n for letter in "abc"[:letters])
        seen.add(n)
        language = ["".join(letter * m for letter in "abc"[:letters]) + "." for m in range(1, 15)]
        for t in range(len(text)):
            follow = {word[t + 1] for word in language if word.startswith(text[: t + 1])}
            assert [float(symbol in follow) for symbol in "abc"[:letters] + "."] == targets[t].tolist()
        assert (weights == 1).all()
    assert seen == set(range(1, 13 // letters + 1))
    fixed = counter_language(5 * letters, min_length=None, letters=letters)
    ((inputs, targets, _),) = examples(fixed, n=1)
    for token, target in zip(inputs, targets, strict=True):
        for bit, value in zip(bits, target, strict=True):
            bit[token, value] += 1
    assert fixed.expected_baseline("test") == pytest.approx(sum(map(given_the_token, bits)), abs=1e-12)


@pytest.mark.parametrize(
    ("make", "written"),
    [(reverse_string, lambda x: x[::-1]), (duplicate_string, lambda x: x + x), (bucket_sort, sorted)],
)
@pytest.mark.parametrize("length", [9, *slow(100)])
def test_strings(make, written, length):
    task = make(length, vocabulary=4, min_length=2)
    batch = draw_batch(task, size=100)
    for inputs, targets, weights in examples(task, n=100, seed=1):
        text = inputs[inputs < 4].tolist()
        asked = len(inputs) - len(text)
        assert inputs.tolist() == text + [4] * asked
        assert targets[-asked:].tolist() == written(text)
        assert weights.tolist() == [0] * len(text) + [1] * asked
    assert task.expected_baseline("test") == pytest.approx(math.log(4))
    if task.needs is not None:
        sources, reads = task.needs(batch)
        np.testing.assert_array_equal(
            jnp.take_along_axis(batch.inputs, sources, 0), jnp.take_along_axis(batch.targets, reads, 0)
        )


def automaton_outputs(tokens, automaton):
    """Logits of a predictor that reads the tokens `[t, b]` by the automaton's table."""
    outputs = np.zeros((*tokens.shape, automaton.classes), np.float32)
    for b in range(tokens.shape[1]):
        state = automaton.start
        for t, token in enumerate(tokens[:, b]):
            state = automaton.table[state, token]
            outputs[t, b, automaton.labels[state]] = 40
    return outputs


def test_an_automaton_of_75_states_solves_arithmetic_without_brackets():
    task = modular_arithmetic(15)
    batch = draw_batch(task, size=64)
    outputs = automaton_outputs(np.asarray(batch.inputs), _automaton(5, "+-*"))
    right = means(task.objective.loss(outputs, batch)[1])
    assert right["accuracy"] == 1
    assert right["loss"] < 1e-6
    assert task.objective.solved(right)
    assert means(task.objective.loss(outputs[:, ::-1], batch)[1])["accuracy"] < 0.6


def test_an_error_in_a_set_is_an_error_of_its_sequence():
    task = dyck(8, min_length=8)
    batch = draw_batch(task, size=4)
    outputs = 40 * (2 * np.asarray(batch.targets) - 1)
    right = means(task.objective.loss(jnp.asarray(outputs), batch)[1])
    assert (right["accuracy"], right["sequence_accuracy"]) == (1, 1)
    assert right["loss"] < 1e-6
    outputs[3, 1, 0] *= -1
    metrics = means(task.objective.loss(jnp.asarray(outputs), batch)[1])
    assert metrics["accuracy"] == pytest.approx(1 - 1 / 32)
    assert metrics["sequence_accuracy"] == 0.75
    assert not task.objective.solved(metrics)


def test_very_long_sequences_are_traced_without_an_array_of_them():
    task = modular_arithmetic(10**9 + 1)
    traced = jax.make_jaxpr(lambda key: task.data.sample("train", key, jnp.int32(0), 1))(jax.random.key(0))
    assert sum(np.size(const) for const in traced.consts) < 10**6


def test_lengths_of_evaluation_are_a_range():
    task = parity(6, eval_length=(8, 11), eval_size=200)
    batch = jax.tree.map(np.asarray, draw_batch(task, "test", 200))
    assert set(batch.mask.sum(axis=0).tolist()) == {8, 9, 10, 11}
    assert task.data.lengths == {"train": (1, 6), "valid": (8, 11), "test": (8, 11)}
    odd = modular_arithmetic(40, eval_length=500)
    assert odd.data.lengths == {"train": (1, 39), "valid": (499, 499), "test": (499, 499)}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: parity(0), "length must be a positive whole number, got 0"),
        (lambda: parity(label="last"), "label must be one of end, each, got 'last'"),
        (lambda: parity(eval_length=(9, 5)), r"eval_length must be a length, or \(shortest, longest\), got \(9, 5\)"),
        (lambda: parity(eval_length=(9,)), r"eval_length must be a length, or \(shortest, longest\), got \(9,\)"),
        (lambda: parity(eval_length=0), "eval_length must be a positive whole number, got 0"),
        (lambda: modular_counting(modulus=1), "modulus must be at least 2, got 1: there would be nothing to track"),
        (lambda: cycle_navigation(positions=1), "positions must be at least 2, got 1"),
        (lambda: modular_arithmetic(operators="+/"), r"operators must be some of '\+-\*', each once, got '\+/'"),
        (lambda: modular_arithmetic(operators=""), "operators must be some of"),
        (lambda: word_problem(group="S33"), "unknown group 'S33'; did you mean 'S3'?"),
        (lambda: word_problem(group="Z1"), "group: Z1 has a single element, and nothing to track"),
        (lambda: word_problem(group="Z400"), "unknown group 'Z400'; did you mean"),
        (lambda: word_problem(tokens="all"), "tokens must be one of elements, generators, got 'all'"),
        (
            lambda: modular_counting(modulus=10**9),
            "modulus must be at most 1000, got 1000000000: its automaton is a table",
        ),
        (lambda: modular_arithmetic(modulus=33), "modulus must be at most 32, got 33"),
        (lambda: dyck(20_001, min_length=20_001), "length must be at most 20000, got 20001"),
        (lambda: dyck(eval_length=10**9), "length must be at most 20000, got 1000000000"),
        (lambda: dyck(brackets=10**9), "brackets must be at most 10000 kinds, got 1000000000"),
        (lambda: dyck(1), "length must be at least 2, got 1"),
        (lambda: dyck(depth=0), "depth must be a positive whole number, got 0"),
        (lambda: counter_language(letters=4), "letters must be 2 or 3, got 4"),
        (lambda: counter_language(2, letters=3), "length must be at least 3, got 2"),
        (lambda: reverse_string(vocabulary=0), "vocabulary must be a positive whole number, got 0"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()
