"""Sweeps on a real Ray: on this machine, and on two nodes of which one is killed."""

import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import sweeps

from rnngen.config import component
from rnngen.runs import load
from rnngen.storage.folder import RunFolder
from rnngen.sweep import axis, chain
from rnngen.sweep.executors import ray_session
from rnngen.sweep.executors.ray_tasks import ray as ray_tasks
from rnngen.sweep.launch import make_executor, resolve_launch

ray = pytest.importorskip("ray", reason="Ray is not installed here")

from ray.cluster_utils import Cluster  # noqa: E402, needs it too

SEEDS = axis("seed", [0, 1, 2, 3, 4, 5])
# Ray starts its processes by a fork, which JAX warns of where it has threads; nothing but exec follows the fork.
pytestmark = pytest.mark.filterwarnings(r"ignore:os.fork\(\) was called:RuntimeWarning")
# Trials of some seconds, most of them for checkpoints.
LONG = {"steps": 6000, "log_every": 100, "eval_every": 500, "save_every": 100}


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    """Workers find my_lab as a user's workers find the user's module."""
    monkeypatch.syspath_prepend(os.path.dirname(os.path.dirname(__file__)))
    yield
    ray.shutdown()


@pytest.mark.slow
def test_one_machine(tmp_path, monkeypatch):
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH", raising=False)
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    executor = make_executor(resolve_launch({"executor": component("ray", workers=1, retries=1)}), tmp_path)
    assert executor.slots == 1
    assert not executor.lasting
    assert not executor.accelerated

    # No dashboard, and nobody without the token, which is this user's alone.
    address = ray.get_runtime_context().gcs_address
    assert ray._private.worker.global_worker.node.webui_url in (None, "")
    token = Path(os.environ["RAY_AUTH_TOKEN_PATH"])
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert stat.S_IMODE(token.parent.stat().st_mode) == 0o700
    assert not _answers(address, {"RAY_AUTH_MODE": "disabled"})
    assert not _answers(address, {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "f" * 64})
    assert _answers(address, {})

    space = chain(axis("seed", [0, 1, 2]), axis("cell", [component("my_lab:deadly", hidden_dim=3)]))
    trials = sweeps.sweep(tmp_path, space, executor)
    assert sweeps.statuses(tmp_path, trials) == ["finished"] * 3 + ["failed"]
    assert sweeps.starts(tmp_path, trials) == [1, 1, 1, 2]
    assert load(tmp_path, "results")["reason"].tolist()[-1].startswith("its process died: The worker died unexpectedly")

    # The driver has shut the executor down, and with it the Ray that it had started.
    assert not ray.is_initialized()
    assert not token.exists()
    assert "RAY_AUTH_MODE" not in os.environ


def _answers(address, environment):
    """Whether a stranger's process is told what the cluster knows."""
    program = "import sys; from ray._raylet import GcsClient; GcsClient(sys.argv[1]).internal_kv_keys(b'', None)"
    command = [sys.executable, "-W", "ignore", "-c", program, address]
    asked = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert asked.returncode == 0 or "AuthenticationError" in asked.stderr
    return asked.returncode == 0


@pytest.mark.slow
def test_a_node_is_lost(tmp_path, monkeypatch, faults):
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    (tmp_path / "token").write_text("0123456789abcdef" * 4)
    ray_session._reread()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    lost = cluster.add_node(num_cpus=1)
    try:
        executor = ray_tasks(tmp_path, address=cluster.address, retries=2)
        assert executor.slots == 2
        killer = threading.Thread(target=_kill_when_both_work, args=(tmp_path / "far", cluster, lost))
        killer.start()
        trials = sweeps.sweep(tmp_path / "far", SEEDS, executor, **LONG)
        killer.join()
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert lost not in cluster.worker_nodes
    assert sweeps.statuses(tmp_path / "far", trials) == ["finished"] * len(trials)
    # One trial was killed in the middle and gone on with on the other node.
    assert sorted(sweeps.starts(tmp_path / "far", trials)) == [1] * (len(trials) - 1) + [2]

    sweeps.sweep(tmp_path / "near", SEEDS, sweeps.here(), **LONG)
    same = sweeps.results(tmp_path / "far", trials) == sweeps.results(tmp_path / "near", trials)
    faults.tell("a node of Ray killed", 1, [] if same else ["other results"])


def _kill_when_both_work(folder, cluster, node):
    """Kill a node of two at once, as soon as two trials are in their middle: one of them is the node's."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        runs = [RunFolder(path) for path in folder.glob("trials/*")]
        if sum(bool(list(run.checkpoints.glob("step_*"))) and run.result() is None for run in runs) == 2:
            cluster.remove_node(node, allow_graceful=False)
            return
        time.sleep(0.05)


def test_what_cannot_be_is_refused(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="cpus must be positive, and workers, gpus and retries not negative"):
        ray_tasks(tmp_path, workers=-1)
    with monkeypatch.context() as missing:
        missing.setitem(sys.modules, "ray", None)
        with pytest.raises(ValueError, match=r"^ray is not installed: pip install 'rnngen\[ray\]'$"):
            ray_tasks(tmp_path)
