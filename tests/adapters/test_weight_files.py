"""Parameters of whole models in files, and as torch's modules with a head."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import assert_close

from rnngen.adapters import load_params, save_params, to_torch
from rnngen.cells import CELLS
from rnngen.heads import categorical, gaussian
from rnngen.models import build_model
from rnngen.types import InputSpec


@pytest.mark.parametrize("ending", ["npz", "safetensors"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_parameters_in_a_file_are_those_of_the_model(tmp_path, ending, bidirectional):
    pytest.importorskip("safetensors")
    model = build_model([CELLS["lstm"](3)] * 2, 2, gaussian(1), bidirectional=bidirectional, engine="scan")
    params = model.init(jax.random.key(0))
    save_params(params, tmp_path / f"lstm.{ending}")
    found = load_params(tmp_path / f"lstm.{ending}")
    assert jax.tree.structure(found) == jax.tree.structure(params)
    jax.tree.map(np.testing.assert_array_equal, found, params)


def test_files_are_refused_by_their_ending(tmp_path):
    with pytest.raises(ValueError, match=r"give it the ending \.safetensors or \.npz"):
        save_params({"layer_0": {"kernel": np.ones(2)}}, tmp_path / "weights.pt")


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_a_torch_module_computes_what_the_model_does(cell):
    """Embedding, two layers and head, from the parameters as `Run.restore` returns them."""
    torch = pytest.importorskip("torch")
    model = build_model([CELLS[cell](4)] * 2, InputSpec(7, tokens=True), categorical(7), embed_dim=3, engine="scan")
    params = model.init(jax.random.key(0))
    params = jax.tree.map(lambda x: x + 0.1 * jax.random.normal(jax.random.key(x.size), x.shape), params)
    embed, layers = torch.nn.Embedding(7, 3), getattr(torch.nn, cell.upper())(3, 4, num_layers=2)
    module = torch.nn.ModuleDict({"embed": embed, "rnn": layers, "head": torch.nn.Linear(4, 7)})
    weights = to_torch(params, "rnn.", head="head", embed="embed")
    module.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in weights.items()})
    tokens = np.random.RandomState(0).randint(0, 7, (5, 2))
    with torch.no_grad():
        outputs = module["head"](module["rnn"](module["embed"](torch.from_numpy(tokens)))[0]).numpy()
    assert_close(jnp.asarray(outputs), model.apply(params, tokens.astype(np.int32))[1], 1e-5)


def test_an_end_that_a_model_does_not_have_is_refused():
    model = build_model(CELLS["gru"](3), 2, gaussian(1), engine="scan")
    params = model.init(jax.random.key(0))
    assert set(to_torch(params, head="out")) >= {"out.weight", "out.bias", "weight_ih_l0"}
    with pytest.raises(ValueError, match="embed: these parameters have no 'embed', but head, layer_0"):
        to_torch(params, embed="embed")
