"""A clock that can be set while a program runs: `python -m tests.chaos.clock FILE WORDS…` is `faust
-A app WORDS…`, with a time of day that is off by the seconds in FILE.

The clock of the machine does not change.  The shift applies to what Python code reads (`time.time`,
`time.time_ns`), which stamps all records, ages and windows in a worker, but not to elapsed seconds
(`time.monotonic`), as on a machine whose clock is set.

May touch: FILE (reads), the module `time` of its own process.
"""

from __future__ import annotations

import mmap
import runpy
import struct
import sys
import time
from pathlib import Path

_SECONDS = struct.Struct("d")


def set_clock(file: Path, seconds: float) -> None:
    """Set the clock of `file` ahead of the machine's by these seconds, at once."""
    # Written in place: the other process has mapped these bytes into memory.
    with file.open("r+b" if file.exists() else "w+b") as opened:
        opened.write(_SECONDS.pack(seconds))


def install(file: Path) -> None:
    """Make this process's time of day the machine's plus the seconds in `file`."""
    if not file.exists():
        set_clock(file, 0.0)
    with file.open("rb") as opened:
        cell = mmap.mmap(opened.fileno(), _SECONDS.size, access=mmap.ACCESS_READ)
    real, real_ns, read = time.time, time.time_ns, _SECONDS.unpack_from
    time.time = lambda: real() + read(cell)[0]  # type: ignore[assignment]
    time.time_ns = lambda: real_ns() + round(read(cell)[0] * 1e9)  # type: ignore[assignment]


if __name__ == "__main__":
    install(Path(sys.argv[1]))
    sys.argv = ["faust", "-A", "app", *sys.argv[2:]]
    runpy.run_module("faust", run_name="__main__", alter_sys=True)
