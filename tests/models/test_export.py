"""A model as StableHLO: the same numbers for any length and batch, in a process that has only JAX."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import assert_close, slow

from rnngen.cells import CELLS, Cell
from rnngen.heads import bernoulli, categorical, gaussian
from rnngen.models import build_model, export_apply, export_step
from rnngen.models.vrnn import vrnn
from rnngen.types import InputSpec

# A process of JAX alone: it reads programs and inputs, and writes what they give.
ELSEWHERE = """
import pathlib, sys
import jax, numpy as np
folder = pathlib.Path(sys.argv[1])
apply, start, step = (jax.export.deserialize((folder / name).read_bytes()) for name in ("apply", "start", "step"))
with np.load(folder / "inputs.npz") as arrays:
    xs, mask = arrays["xs"], arrays["mask"]
last, outputs = apply.call(xs, mask)
carry, each = start.call(xs[0]), []
for x in xs:
    carry, output = step.call(carry, x)
    each.append(output)
assert not any(name.split(".")[0] == "rnngen" for name in sys.modules)
np.savez(folder / "outputs.npz", outputs=outputs, each=each, **last)
"""


def test_files_run_in_a_process_without_rnngen(tmp_path):
    """The cell is this process's own, and its carry a type that the other does not know."""
    model = build_model([counting(), CELLS["lstm"](4)], 3, gaussian(2), engine="scan")
    params = model.init(jax.random.key(0))
    programs = dict(zip(("start", "step"), export_step(model, params), strict=True))
    for name, program in {"apply": export_apply(model, params, mask=True), **programs}.items():
        (tmp_path / name).write_bytes(program.serialize())
    xs = np.random.RandomState(0).normal(size=(7, 2, 3)).astype(np.float32)
    mask = np.arange(7)[:, None] < np.array([7, 4])
    np.savez(tmp_path / "inputs.npz", xs=xs, mask=mask)
    subprocess.run([sys.executable, "-c", ELSEWHERE, str(tmp_path)], check=True)
    last, masked = model.apply(params, xs, mask=mask)
    with np.load(tmp_path / "outputs.npz") as found:
        assert_close(found["outputs"], masked)
        assert_close(found["each"], model.apply(params, xs)[1], 1e-5)
        names = {"layer_0/total", "layer_0/steps", "layer_1/c", "layer_1/h"}
        assert set(found) == {"outputs", "each", *names}
        assert found["layer_0/steps"].tolist() == [7, 4]
        assert_close(found["layer_1/c"], last["layer_1"]["c"])


@jax.tree_util.register_pytree_with_keys_class
class Counted:
    """A carry of this file's own type."""

    def __init__(self, total, steps):
        self.total, self.steps = total, steps

    def tree_flatten_with_keys(self):
        key = jax.tree_util.GetAttrKey
        return [(key("total"), self.total), (key("steps"), self.steps)], None

    @classmethod
    def tree_unflatten(cls, _, leaves):
        return cls(*leaves)


def counting():
    """A cell that sums its inputs and counts its steps."""
    return Cell(
        init=lambda key, d: {"scale": jnp.ones(d)},
        init_carry=lambda params, batch: Counted(jnp.zeros((*batch, 3)), jnp.zeros(batch, jnp.int32)),
        step=lambda p, c, u: (Counted(c.total + p["scale"] * u, c.steps + 1), c.total),
        output_dim=3,
    )


def many_models():
    for name in CELLS:
        yield name, lambda name=name: build_model([CELLS[name](4)] * 2, 3, gaussian(1), engine="scan")
    spec = InputSpec(5, tokens=True, feed=lambda values: values, start=np.int32(0))
    yield "embedded tokens", lambda: build_model(CELLS["gru"](4), spec, categorical(5), embed_dim=3)
    yield "one-hot tokens in bfloat16", lambda: build_model(CELLS["gru"](4), spec, categorical(5), dtype="bfloat16")
    yield "both ways", lambda: build_model(CELLS["gru"](4), 3, bernoulli(2), bidirectional=True)
    loops = {"name": "fused", "kwargs": {"kernels": True}}
    yield "compiled loops", lambda: build_model(CELLS["gru"](6), 3, gaussian(1), engine=loops)
    yield "latent", lambda: vrnn(2, 3)([CELLS["gru"](4)], spec, categorical(5))


MODELS = dict(many_models())


@pytest.mark.parametrize("name", ["gru", *slow(*[name for name in MODELS if name != "gru"])])
def test_programs_of_any_length_and_batch_give_the_models_numbers(name):
    model = MODELS[name]()
    params = model.init(jax.random.key(0))
    program = jax.export.deserialize(export_apply(model, params).serialize())
    assert program.platforms == ("cpu", "cuda", "tpu")
    assert "@rnngen_" not in str(program.mlir_module())  # a call of this machine's own
    for steps, batch in ((5, 2), (3, 4)):
        xs = inputs(model, steps, batch)
        found = program.call(xs)
        last, outputs = model.apply(params, xs, engine="scan")
        assert_close(found[1], outputs, 1e-5)
        for leaf, expected in zip(jax.tree.leaves(found[0]), jax.tree.leaves(last), strict=True):
            np.testing.assert_allclose(leaf, expected, 1e-5, 1e-5)  # also of complex numbers
    if name == "both ways":
        with pytest.raises(ValueError, match="both ways cannot go step by step"):
            export_step(model, params)
        return
    start, step = (jax.export.deserialize(one.serialize()) for one in export_step(model, params))
    carry = start.call(xs[0])
    for x, expected in zip(xs, outputs, strict=True):
        carry, found = step.call(carry, x)
        assert_close(found, expected, 1e-2 if "bfloat16" in name else 1e-5)


def inputs(model, steps, batch):
    key = jax.random.key(steps)
    if model.input_spec.tokens:
        return jax.random.randint(key, (steps, batch), 0, model.input_spec.dim)
    return jax.random.normal(key, (steps, batch, model.input_spec.dim))


def test_a_cell_that_must_know_its_batch_is_refused_in_one_line_and_taken_with_it():
    plain = CELLS["rnn"](3)

    def step(params, carry, u):
        return plain.step(params, carry * float(int(u.shape[0]) / 2), u)

    model = build_model(plain._replace(step=step, structure=None), 2, gaussian(1), engine="scan")
    params = model.init(jax.random.key(0))
    with pytest.raises(ValueError, match=r"cannot be exported for any size: give steps= and batch= numbers") as caught:
        export_apply(model, params)
    assert "\n" not in str(caught.value)
    xs = jnp.ones((3, 2, 2))
    assert_close(export_apply(model, params, batch=2).call(xs)[1], model.apply(params, xs)[1], 1e-5)
    with pytest.raises(ValueError, match="batch must be a positive whole number, got 0"):
        export_step(model, params, batch=0)
