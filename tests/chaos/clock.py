"""A clock that can be set while a program runs: `python -m tests.chaos.clock FILE WORDS…` is
`faust -A app WORDS…` whose time of day is off by the seconds in FILE.

The clock of the machine stays as it is.  Off is what Python code reads (`time.time`,
`time.time_ns`), which is all that stamps records, ages and windows in a worker; what is measured in
seconds gone by (`time.monotonic`) is not, as on a machine whose clock is set.

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
    """Make the clock that `file` belongs to so much faster than the machine's, at once."""
    # In place: the other side has these bytes in its memory.
    with file.open("r+b" if file.exists() else "w+b") as opened:
        opened.write(_SECONDS.pack(seconds))


def install(file: Path) -> None:
    """Let this process's time of day be the machine's plus the seconds in `file`."""
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
