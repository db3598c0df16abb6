"""Every cell learns a task over twenty steps, trained as a run is, by the same settings."""

import pytest
from conftest import CELLS

from rnngen.cli.main import main
from rnngen.storage.jsonl import read_json

VARIANTS = {name: {} for name in CELLS}
VARIANTS |= {
    "gru, reset before": {"reset": "before"},
    "lstm, peepholes": {"peepholes": True},
    "lstm, coupled": {"coupled": True},
    "lstm, layer norm": {"layer_norm": True},
}


# Half of what most of these hold is gone after a step, before they have learned to keep it: the bit is 17 steps away.
FORGETFUL = ("deltaproduct", "deltarule", "gated_deltarule", "mingru", "minlstm", "mlstm", "rglru", "rwkv7", "s6")


def train(folder, cell, kwargs, task, steps):
    """The test metrics of a run, and its loss without memory."""
    (folder / "config.py").write_text(
        "from rnngen.config import base_config, component\n\n\n"
        "def get_config():\n"
        "    config = base_config()\n"
        f"    config.cell = component({cell!r}, hidden_dim=16, **{kwargs!r})\n"
        f"    config.task = component({task!r}, length=20)\n"
        "    config.optim.learning_rate = 0.01\n"
        f"    config.train.update({{'steps': {steps}, 'batch_size': 32, 'log_every': 100, 'eval_every': {steps}}})\n"
        "    config.diagnose.what = ()\n"
        "    return config\n"
    )
    assert main(["train", f"--config={folder}/config.py", f"--workdir={folder}/run"]) == 0
    result = read_json(folder / "run" / "result.json")
    return result["metrics"]["test"], result["baseline"]


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in VARIANTS if name not in FORGETFUL])
def test_a_bit_is_held(tmp_path, name):
    assert train(tmp_path, name.split(",")[0], VARIANTS[name], "latch", 500)[0]["accuracy"] > 0.99


@pytest.mark.slow
@pytest.mark.parametrize("name", FORGETFUL)
def test_two_numbers_are_added(tmp_path, name):
    metrics, without_memory = train(tmp_path, name, {}, "adding", 1000)
    assert metrics["loss"] < without_memory / 10
