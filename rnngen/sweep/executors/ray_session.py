"""The Ray session of this process: who may connect to it, and the folder of its files."""

import contextlib
import importlib
import logging
import os
import secrets
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rnngen import runtime

_QUIET = {"namespace": "rnngen", "log_to_driver": False, "logging_level": logging.ERROR}


def connect(ray: Any, address: str) -> None:
    """Join the cluster at an address, with the user's token if it wants one.

    Raises ValueError where there is no cluster, or it refuses.
    """
    try:
        ray.init(address=address, **_QUIET)
    except (ConnectionError, RuntimeError, ray.exceptions.RayError) as error:
        hint = "is it there, and has it another token? See RAY_AUTH_MODE and RAY_AUTH_TOKEN_PATH of Ray"
        raise ValueError(f"cannot join a Ray cluster at {address!r}: {first_sentence(error)}; {hint}") from error


@contextlib.contextmanager
def session(ray: Any, retries: int, dashboard: bool) -> Iterator[None]:
    """Run Ray on this machine, for this user only, until the end of the block.

    Ray listens on every network of the machine, and whoever connects can run anything, so it is started with a token:
    the one that RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH names, or a new one in a folder that only this user can read.
    That folder also holds Ray's sockets and logs, which Ray would make readable to all.
    """
    # Not TMPDIR: the path of a socket is limited to about a hundred characters.
    folder = tempfile.mkdtemp(prefix="rnngen-ray-", dir="/tmp" if os.path.isdir("/tmp") else None)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.enter_context(_environment(_token_variables(Path(folder))))
        _reread()
        stack.callback(ray.shutdown)
        # JAX warns of a fork where it has threads, but Ray's forks only start another program.
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"os\.fork\(\) was called", RuntimeWarning)
            ray.init(
                address="local",
                num_cpus=runtime.count_cores(),
                include_dashboard=dashboard,
                # Else a trial that needs too much memory would be retried for ever.
                _system_config={"task_oom_retries": retries},
                _temp_dir=os.path.join(folder, "ray"),  # not the folder itself, which Ray would make readable to all
                **_QUIET,
            )
        yield
    _reread()


def first_sentence(error: BaseException) -> str:
    """Return an error's first sentence."""
    return (str(error).strip().split("\n")[0].split(". ")[0] or type(error).__name__)[:200]


def _token_variables(folder: Path) -> dict[str, str]:
    wanted = {"RAY_AUTH_MODE": "token"}
    if not os.environ.get("RAY_AUTH_TOKEN") and not os.environ.get("RAY_AUTH_TOKEN_PATH"):
        (folder / "token").touch(mode=0o600)
        (folder / "token").write_text(secrets.token_hex(32), encoding="utf-8")
        wanted["RAY_AUTH_TOKEN_PATH"] = str(folder / "token")
    return wanted


@contextlib.contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _reread() -> None:
    """Make Ray read the environment again, in case this process has used it before."""
    core: Any = importlib.import_module("ray._raylet")
    core.Config.initialize("")
    core.AuthenticationTokenLoader.instance().reset_cache()
