"""The folder of all that can be made again: compiled programs, downloads, lists."""

import os
from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """Return the folder of all that is cached.

    Returns:
      RNNGEN_CACHE, else the system's folder for caches, such as ~/.cache/rnngen.
    """
    return Path(os.environ.get("RNNGEN_CACHE") or platformdirs.user_cache_dir("rnngen")).expanduser()
