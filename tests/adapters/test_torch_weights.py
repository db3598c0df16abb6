"""torch's weights here and back: the numbers that torch gave, and gives again where it is installed."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import assert_close, random_params
from torch_reference import FILE, KINDS, compute

from rnngen.adapters import from_torch, load_weights, save_weights, to_torch
from rnngen.cells import CELLS
from rnngen.engines import unroll
from rnngen.models.layers import both_ways, one_way

RECORDED = json.loads(FILE.read_text())


def arrays(tree, dtype="float64"):
    return {name: np.asarray(value, dtype) for name, value in tree.items()}


CELL_OF = {name: name.split()[-1] for name in KINDS}


def ours(name, weights, xs):
    """Outputs, and gradients by torch's names: a bias here is the sum of two there, and each has its gradient."""
    imported = from_torch(weights, nonlinearity="tanh")
    cell = CELLS[imported.cell](imported.hidden_dim, **imported.kwargs)
    layer = both_ways(cell) if " " in name else one_way(cell)

    def loss(layers, xs):
        for params in layers.values():
            xs = layer.run(params, xs)[1]
        return jnp.sum(jnp.sin(xs)), xs

    layers = jax.tree.map(jnp.asarray, imported.layers)
    (_, ys), (dlayers, dxs) = jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))(layers, jnp.asarray(xs))
    gradients = to_torch(dlayers)
    for name in gradients:
        if name.startswith("bias_hh"):
            shared = gradients[name.replace("hh", "ih")]
            own = 2 * (len(shared) // 3) if imported.cell == "gru" else len(shared)
            gradients[name][:own] = shared[:own]
    return ys, gradients | {"xs": np.asarray(dxs)}


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-10)])
@pytest.mark.parametrize("name", KINDS)
def test_values_and_gradients_are_torchs(name, dtype, tolerance):
    recorded = RECORDED[name]
    with jax.enable_x64(dtype == "float64"):
        weights, xs = arrays(recorded["weights"], dtype), np.asarray(recorded["xs"], dtype)
        imported = from_torch(weights, nonlinearity="tanh")
        assert imported[:2] == (CELL_OF[name], 3)
        assert list(imported.layers) == ["layer_0", "layer_1"]
        ys, gradients = ours(name, weights, xs)
        assert_close(np.asarray(ys), np.asarray(recorded["ys"], dtype), tolerance)
        assert_close(gradients, arrays(recorded["gradients"], dtype), tolerance)


@pytest.mark.slow
def test_the_record_is_what_torch_computes():
    pytest.importorskip("torch", reason="torch is an extra")
    now = compute()
    for name in KINDS:
        for part in ("weights", "gradients"):
            assert_close(arrays(now[name][part]), arrays(RECORDED[name][part]), 1e-12)
        assert_close(np.asarray(now[name]["ys"]), np.asarray(RECORDED[name]["ys"]), 1e-12)


@pytest.mark.parametrize("name", KINDS)
def test_there_and_back(name):
    cell = CELLS[CELL_OF[name]](4)
    layers = {f"layer_{n}": random_params(cell, d, n) for n, d in enumerate((3, 4, 4))}
    if " " in name:
        layers = {n: {"forward": p, "backward": jax.tree.map(lambda x: 2 * x, p)} for n, p in layers.items()}
    back = from_torch(to_torch(layers | {"head": {"kernel": 1}}, "rnn."), "rnn.", "tanh")
    assert back.cell == CELL_OF[name]
    assert_close(back.layers, jax.tree.map(np.asarray, layers), 0.0)


@pytest.mark.slow
def test_torch_takes_what_is_exported():
    torch = pytest.importorskip("torch", reason="torch is an extra")
    params = random_params(CELLS["gru"](4), 3)
    module = torch.nn.GRU(3, 4)
    module.load_state_dict({name: torch.tensor(value) for name, value in to_torch({"layer_0": params}).items()})
    xs = np.random.RandomState(0).normal(size=(5, 2, 3)).astype(np.float32)
    expected = module(torch.tensor(xs))[0].detach().numpy()
    assert_close(unroll(CELLS["gru"](4), params, jnp.asarray(xs))[1], expected, 1e-5)


def module_of(kind="GRU", **options):
    torch = pytest.importorskip("torch", reason="torch is an extra")
    return torch, getattr(torch.nn, kind)(3, 4, **options)


@pytest.mark.parametrize("of", ["bfloat16", "half"])
def test_tensors_of_less_than_32_bits_come_as_float32(of):
    _, module = module_of()
    weights = getattr(module, of)().state_dict()
    wide = {name: value.float().numpy() for name, value in weights.items()}
    assert_close(from_torch(weights).layers, from_torch(wide).layers, 0.0)


def test_parameters_with_gradients_are_taken():
    _, module = module_of("LSTM", bidirectional=True)
    weights = {name: value.numpy() for name, value in module.state_dict().items()}
    assert_close(from_torch(dict(module.named_parameters())).layers, from_torch(weights).layers, 0.0)


@pytest.mark.slow
@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_a_module_says_its_nonlinearity(nonlinearity):
    torch, module = module_of("RNN", nonlinearity=nonlinearity)
    xs = np.random.RandomState(0).normal(size=(5, 2, 3)).astype(np.float32)
    expected = module(torch.tensor(xs))[0].detach().numpy()
    whole = torch.nn.ModuleDict({"rnn": module})
    for imported in (
        from_torch(module),
        from_torch(whole, "rnn."),
        from_torch(module.state_dict(), nonlinearity=nonlinearity),
    ):
        cell = CELLS[imported.cell](imported.hidden_dim, **imported.kwargs)
        layer = jax.tree.map(jnp.asarray, imported.layers["layer_0"])
        assert_close(unroll(cell, layer, jnp.asarray(xs))[1], expected, 1e-5)


def test_weights_that_do_not_say_their_nonlinearity_are_asked_about():
    weights = arrays(RECORDED["rnn"]["weights"])
    with pytest.warns(
        UserWarning, match=r"do not say whether it is of tanh or relu: taken for tanh; give nonlin"
    ) as told:
        assert from_torch(weights).kwargs == {}
    assert told[0].filename == __file__
    from_torch(arrays(RECORDED["gru"]["weights"]))  # others have but one
    with pytest.raises(ValueError, match="nonlinearity must be tanh or relu, got 'relo'; did you mean 'relu'"):
        from_torch(weights, nonlinearity="relo")


def test_a_file_of_bfloat16(tmp_path):
    _, module = module_of()
    files = pytest.importorskip("safetensors.torch", reason="safetensors is an extra")
    weights = module.bfloat16().state_dict()
    files.save_file(weights, tmp_path / "w.safetensors")
    assert_close(from_torch(load_weights(tmp_path / "w.safetensors")).layers, from_torch(weights).layers, 0.0)


@pytest.mark.parametrize("ending", [".npz", ".safetensors"])
def test_files(tmp_path, ending):
    if ending == ".safetensors":
        pytest.importorskip("safetensors", reason="safetensors is an extra")
    weights = arrays(RECORDED["lstm"]["weights"], "float32")
    save_weights(weights, tmp_path / f"w{ending}")
    assert_close(load_weights(tmp_path / f"w{ending}"), weights, 0.0)


def test_no_file_that_can_run_code_is_opened(tmp_path):
    (tmp_path / "model.pt").write_bytes(b"")
    with pytest.raises(ValueError, match=r"model.pt: a .pt may run code when it is opened; save it with safetensors"):
        load_weights(tmp_path / "model.pt")
    with pytest.raises(ValueError, match=r"give it the ending .safetensors or .npz"):
        save_weights({}, tmp_path / "model.pt")
    np.savez(tmp_path / "objects.npz", weight_ih_l0=np.array([{}], object))
    with pytest.raises(ValueError, match="allow_pickle=False"):
        load_weights(tmp_path / "objects.npz")


def without_bias():
    return {name: value for name, value in arrays(RECORDED["gru"]["weights"]).items() if "bias" not in name}


def test_weights_without_biases():
    with jax.enable_x64(True):
        zeros = without_bias() | {f"bias_{k}_l{n}": np.zeros(9) for k in ("ih", "hh") for n in (0, 1)}
        assert_close(from_torch(without_bias()).layers, from_torch(zeros).layers, 0.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: {}, "expected weight_ih_l0, weight_hh_l0 and so on, got nothing"),
        (lambda w: {f"rnn.{k}": v for k, v in w.items()}, "expected weight_ih_l0, .* got rnn.weight_hh_l0"),
        (lambda w: w | {"weight_ih_l0_reverse": 1}, "layer 0_reverse has weight_ih, and needs weight_ih and weight_hh"),
        (lambda w: w | {"weight_hr_l0": 1}, "weight_hr_l0: layers with projections are not imported"),
        (
            lambda w: {k: v for k, v in w.items() if k != "weight_hh_l1"},
            "layer 1 has weight_ih, and needs weight_ih and",
        ),
        (lambda w: w | {"weight_hh_l0": np.zeros((7, 3))}, r"weight_hh_l0: expected 1, 3 or 4 blocks .* got \[7, 3\]"),
    ],
)
def test_what_is_no_such_module_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        from_torch(change(without_bias()))


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ({"head": {}}, "expected layer_0 and so on, got head"),
        (
            {"layer_0": random_params(CELLS["lstm"](2, peepholes=True), 3)},
            "layer_0: torch has no cell with the parameters",
        ),
        ({"layer_0": random_params(CELLS["rnn"](2, learned_carry=True), 3)}, "torch has no cell with .*initial_carry"),
        ({"layer_0": random_params(CELLS["mingru"](2), 3)}, "torch has no cell with the parameters"),
    ],
)
def test_what_torch_does_not_have_is_refused(layers, message):
    with pytest.raises(ValueError, match=message):
        to_torch(layers)
