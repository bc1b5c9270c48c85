"""The cache of downloads: one folder per user, shared by all clones.

May touch: the environment.  Nothing is written outside of the clone and this folder.
"""

from __future__ import annotations

import os
from pathlib import Path


def cache_directory() -> Path:
    """`$EDGELOOP_CACHE_DIR`, else `$XDG_CACHE_HOME/edgeloop`, else `~/.cache/edgeloop` (an absolute
    path, which may not exist yet)."""
    if own := os.environ.get("EDGELOOP_CACHE_DIR"):
        return Path(own).expanduser().absolute()
    # The XDG base directory specification says that a relative path is to be ignored.
    xdg = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(xdg) if os.path.isabs(xdg) else Path.home() / ".cache") / "edgeloop"
