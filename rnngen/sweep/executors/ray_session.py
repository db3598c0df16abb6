"""A Ray that this process starts for itself: who may reach it, and where it keeps its files."""

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
    """Join the cluster at an address, with the user's token where it asks for one.

    Raises ValueError where there is none, or it refuses.
    """
    try:
        ray.init(address=address, **_QUIET)
    except (ConnectionError, RuntimeError, ray.exceptions.RayError) as error:
        hint = "is it there, and has it another token? See RAY_AUTH_MODE and RAY_AUTH_TOKEN_PATH of Ray"
        raise ValueError(f"cannot join a Ray cluster at {address!r}: {one_line(error)}; {hint}") from error


@contextlib.contextmanager
def session(ray: Any, retries: int, dashboard: bool) -> Iterator[None]:
    """Ray on this machine, for this user alone, ended with the context.

    Ray listens on every network that the machine is in, and whoever talks to it can run anything, so it is started
    with a token: the one that RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH names, or a new one in a folder that only this
    user can read. That folder also holds Ray's sockets and logs, which it would show to all.
    """
    # Not TMPDIR: the path of a socket may have a hundred letters or so.
    folder = tempfile.mkdtemp(prefix="rnngen-ray-", dir="/tmp" if os.path.isdir("/tmp") else None)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.enter_context(_environment(_token_variables(Path(folder))))
        _reread()
        stack.callback(ray.shutdown)
        # Where JAX has threads it warns of a fork; what Ray forks does nothing but start another program.
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"os\.fork\(\) was called", RuntimeWarning)
            ray.init(
                address="local",
                num_cpus=runtime.count_cores(),
                include_dashboard=dashboard,
                # Or a trial that needs more memory than there is would be tried for ever.
                _system_config={"task_oom_retries": retries},
                _temp_dir=os.path.join(folder, "ray"),  # not the folder itself, which Ray would open to all
                **_QUIET,
            )
        yield
    _reread()


def one_line(error: BaseException) -> str:
    """An error's first sentence."""
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
    """Have Ray look at the environment anew, in case this process has used it before."""
    core: Any = importlib.import_module("ray._raylet")
    core.Config.initialize("")
    core.AuthenticationTokenLoader.instance().reset_cache()
