"""Layers that are not recurrent: held to plain loops, with holes and borders, and refused where a carry is needed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import double, noise, slow

from rnngen.cli.main import main
from rnngen.config import base_config, build, build_cells, component, resolve
from rnngen.config.check import ConfigError
from rnngen.heads import HEADS
from rnngen.models import build_model, count_params, count_state, stepwise
from rnngen.models.block import block
from rnngen.models.controls import CONTROLS, Control, attention, tcn
from rnngen.models.controls.attention import rotated
from rnngen.models.controls.control import at_once
from rnngen.runs.train import train

T, B, D, H = 9, 2, 3, 5


def random_params(control, seed=0):
    shapes = jax.eval_shape(lambda key: control.init(key, D), jax.random.key(0))
    leaves, tree = jax.tree.flatten(shapes)
    return jax.tree.unflatten(tree, [0.6 * noise(x.shape, seed + i) + 0.1 for i, x in enumerate(leaves)])


def holes():
    rng = np.random.default_rng(3)
    return {"mask": jnp.asarray(rng.random((T, B)) > 0.3), "resets": jnp.asarray(rng.random((T, B)) > 0.8)}


def pieces(given, b):
    """The unmasked steps of example b, a list for each sequence between two resets."""
    found, now = [], []
    for t in range(T):
        if given["resets"][t, b]:
            found, now = [*found, now], []
        if given["mask"][t, b]:
            now.append(t)
    return [piece for piece in [*found, now] if piece]


def held_to(control, by_hand):
    """A control with masks and resets is the one of each piece by itself, computed by hand."""
    params, xs, given = double(random_params(control)), double(noise((T, B, D), 7)), holes()
    last, ys, _ = jax.jit(lambda p, xs: at_once(control).run(p, xs, **given))(params, xs)
    assert last == {}
    plain, expected = jax.tree.map(np.asarray, params), np.zeros((T, B, H))
    for b in range(B):
        for piece in pieces(given, b):
            expected[np.array(piece), b] = by_hand(plain, np.asarray(xs)[np.array(piece), b])
    np.testing.assert_allclose(ys, expected, atol=1e-6)  # angles are float32


def attention_by_hand(heads, rotary):
    def by_hand(params, xs):
        width = params["out"].shape[0] // heads
        rows = []
        for t in range(len(xs)):
            row = []
            for head in range(heads):
                part = lambda which, s, head=head: xs[s] @ params["kernel"].reshape(D, 3, heads, width)[:, which, head]  # noqa: E731
                q, scores = part(0, t), []
                for s in range(t + 1):
                    k, score = part(1, s), 0.0
                    for i in range(width // 2):
                        angle = (t - s) * 10_000.0 ** (-2 * i / width) if rotary else 0.0
                        turned = complex(q[i], q[i + width // 2]) * np.conj(complex(k[i], k[i + width // 2]))
                        score += (turned * np.exp(1j * angle)).real
                    scores.append(score / np.sqrt(width))
                weights = np.exp(scores) / np.exp(scores).sum()
                row.append(sum(w * part(2, s) for s, w in enumerate(weights)))
            rows.append(np.concatenate(row) @ params["out"])
        return np.stack(rows)

    return by_hand


@pytest.mark.parametrize("positions", ["rotary", "none"])
def test_attention_is_its_equation(x64, positions):
    held_to(attention(H, heads=2, positions=positions), attention_by_hand(2, positions == "rotary"))


def test_rotated_pairs_keep_their_length_and_score_by_distance(x64):
    x = jnp.broadcast_to(double(noise((1, 1, 6), 1)), (8, 1, 6))
    y = rotated(x)[:, 0]
    np.testing.assert_allclose(y[:, :3] ** 2 + y[:, 3:] ** 2, x[:, 0, :3] ** 2 + x[:, 0, 3:] ** 2, atol=1e-6)
    scores = y @ y.T
    for lag in range(8):
        np.testing.assert_allclose(np.diagonal(scores, lag), scores[0, lag], atol=1e-5)


def tcn_by_hand(levels, width):
    def convolved(p, xs, dilation):
        rows = []
        for t in range(len(xs)):
            row = np.array(p["bias"])
            for j in range(width):
                if t - j * dilation >= 0:
                    for o in range(H):
                        w = p["kernel"][:, :, o]
                        scale = p["norm"][o] / np.sqrt((w**2).sum()) if "norm" in p else 1.0
                        row[o] += scale * (xs[t - j * dilation] @ w[j])
            rows.append(np.maximum(row, 0))
        return np.stack(rows)

    def by_hand(params, xs):
        for i in range(levels):
            p = params[f"level_{i}"]
            ys = convolved(p["conv_1"], convolved(p["conv_0"], xs, 2**i), 2**i)
            xs = np.maximum(ys + (xs @ p["skip"] if "skip" in p else xs), 0)
        return xs

    return by_hand


@pytest.mark.parametrize("weight_norm", [True, False])
def test_a_tcn_is_its_equation(x64, weight_norm):
    held_to(tcn(H, levels=2, kernel_width=2, weight_norm=weight_norm), tcn_by_hand(2, 2))


def test_a_tcn_sees_as_far_as_it_says():
    """2 (kernel_width - 1) (2^levels - 1) steps back, and no step ahead."""
    control, far = tcn(H, levels=2, kernel_width=3), 2 * 2 * 3
    params, xs = random_params(control), jnp.abs(noise((far + 4, D), 1))
    params = jax.tree.map(jnp.abs, params)  # so that no unit is off
    last = jax.jit(jax.grad(lambda xs: jnp.sum(control.apply(params, xs, None)[-2])))(xs)
    seen = [bool(row.any()) for row in np.asarray(last)]
    assert seen == [False] * 2 + [True] * (far + 1) + [False]


@pytest.mark.parametrize("name", CONTROLS)
def test_a_block_around_a_control_has_no_carry(name):
    model = build_model(CONTROLS[name](H), D, HEADS["gaussian"](1), block=block())
    params, xs = model.init(jax.random.key(0)), noise((T, B, D), 2)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(params))
    assert {"cell", "conv", "mlp", "norm"} == set(params["layer_0"])
    run = jax.jit(lambda xs: model.apply(params, xs))
    carry, ys = run(xs)
    assert not jax.tree.leaves(carry)
    assert count_state(model) == 0
    ahead = run(xs.at[5:].add(1.0))[1]
    np.testing.assert_allclose(ahead[:5], ys[:5], atol=1e-6)
    assert float(jnp.abs(ahead[5:] - ys[5:]).max()) > 1e-3
    with pytest.raises(ValueError, match="a model of a control cannot go step by step"):
        stepwise(model)


def config_of(name, **changes):
    config = base_config()
    config.cell = component(name, hidden_dim=4)
    config.task = component("latch", length=8, eval_size=16)
    config.train.update({"steps": 2, "batch_size": 4, "log_every": 1, "eval_every": 0, "eval_batch_size": 16})
    config.diagnose.update({"what": (), "examples": 4})
    for key, value in changes.items():
        at, last = config, key.split("__")
        for part in last[:-1]:
            at = at[part]
        at[last[-1]] = value
    return config


@pytest.mark.parametrize("name", ["attention", *slow(*sorted(set(CONTROLS) - {"attention"}))])
def test_a_control_trains_in_the_place_of_a_cell(name, tmp_path):
    run = train(config_of(name), tmp_path / "run")
    assert run.result["status"] == "finished"
    assert run.result["state"] == 0
    model, params = run.restore()
    assert count_params(model) == run.result["parameters"] == sum(leaf.size for leaf in jax.tree.leaves(params))


def test_a_parameter_budget_is_of_controls_too():
    for name in CONTROLS:
        resolved = resolve(config_of(name, model__param_budget=700))
        width = resolved.cell.kwargs["hidden_dim"]
        one_more = resolve(config_of(name, cell__kwargs={"hidden_dim": width + 1}))
        few, many = (count_params(build(config).model) for config in (resolved, one_more))
        assert few <= 700 < many
    parts = [resolve(config_of(name)).cell for name in (*CONTROLS, "gru")]
    assert len(build_cells(parts)) == 1


REFUSED = [
    (
        {"diagnose__what": ("gradient_flow",)},
        "gradient_flow: is of the carry, and this model has none",
    ),
    ({"diagnose__what": ("lyapunov_spectrum",)}, "goes step by step, which a model of a control cannot"),
    ({"train__credit": component("decay", alpha=0.5)}, "config.train.credit: tcn is a control, which has no carry"),
    (
        {"train__rule": component("rtrl")},
        "rtrl goes step by step, which a model of a control cannot: take bptt",
    ),
    ({"optim__regularizer": component("omega")}, "omega goes through a model layer by layer and step by step"),
    ({"model__bidirectional": True}, "config.model: bidirectional is for cells, and a control is none"),
    ({"model__engine": component("newton")}, "config.model: an engine runs a cell through time, and a control is none"),
    ({"model__state_budget": 50}, "config.model.state_budget: tcn is a control, which has no carry"),
    ({"model__recurrent_dropout": 0.5}, "config.model: recurrent_dropout is of a recurrent_kernel"),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED)
def test_what_needs_a_carry_is_refused_before_anything_is_written(changes, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        train(config_of("tcn", **changes), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_control_is_no_cell_to_check(capsys):
    assert main(["check-cell", "attention"]) == 2
    said = capsys.readouterr().err
    assert "attention is a control, which is not recurrent, and no cell" in said
    assert said.count("\n") == 1


@pytest.mark.slow
def test_nothing_is_generated_by_a_control(tmp_path, capsys):
    config = config_of("attention")
    config.task = component("text", source="python", chunk=8)
    train(config, tmp_path / "run")
    for command in (["sample"], ["inspect"]):
        assert main([command[0], str(tmp_path / "run"), *command[1:]]) == 2
        said = capsys.readouterr().err
        assert "a model of a control" in said
        assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: attention(0), "hidden_dim must be a positive whole number"),
        (lambda: attention(4, heads=0), "heads must be a positive whole number"),
        (lambda: attention(4, positions="sine"), "positions must be one of rotary, none"),
        (lambda: tcn(4, levels=31), "levels must be at most 30"),
        (lambda: tcn(4, kernel_width=0), "kernel_width must be a positive whole number"),
    ],
)
def test_arguments_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_control_of_ones_own_stands_beside_them():
    def init(key, input_dim):
        return {"w": jnp.ones((input_dim, H))}

    mean = Control(init, lambda params, xs, segments: jnp.cumsum(xs, axis=0) @ params["w"], H)
    model = build_model(mean, D, HEADS["gaussian"](1))
    xs = noise((T, B, D), 2)
    params = model.init(jax.random.key(0))
    ys = model.apply(params, xs)[1]
    expected = np.cumsum(xs, axis=0).sum(axis=-1, keepdims=True) * np.ones(H) @ params["head"]["kernel"]
    np.testing.assert_allclose(ys, expected + params["head"]["bias"], rtol=1e-4, atol=1e-4)
