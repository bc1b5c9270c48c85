"""Servers as processes: started through `launcher.py`, recognised by pid and start time, stopped without harming others.

May touch: processes, the pid files and logs of the stack's folder.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from app.devstack import launcher

POLL_S = 0.05

# Launchers whose server ends with this process; dropping one closes its stdin, which is what ends the server.
_leashes: dict[Path, subprocess.Popen[bytes]] = {}


def launcher_command(program: Sequence[str | Path], *, user: str | None = None, needs: Sequence[Path] = ()) -> list[str]:
    """The command line that runs `program` as `user` (None: as ourselves)."""
    options = [] if user is None else ["--user", user, *(o for path in needs for o in ("--needs", str(path)))]
    return [sys.executable, "-I", "-S", launcher.__file__, *options, "--", *map(str, program)]


def start(command: Sequence[str], record: Path, log: Path, *, cwd: Path, environment: dict[str, str], leash: bool) -> None:
    """Start a server by a command of `launcher_command`; its output goes to `log`, its identity to `record`.

    `leash`: it ends with this process, however this process ends.  Raises OSError when the program cannot be executed.
    """
    separator = command.index("--")
    options = ["--record", str(record), *(["--leash"] if leash else [])]
    line = [*command[:separator], *options, *command[separator:]]
    with log.open("ab") as output:
        process = subprocess.Popen(
            line, cwd=cwd, env=environment, stdout=output, stderr=output, stdin=subprocess.PIPE if leash else subprocess.DEVNULL,
            start_new_session=leash,
        )  # fmt: skip
    if leash:
        _leashes[record] = process
    elif process.wait() != 0:
        raise OSError(f"{command[separator + 1]} could not be started, see {log}")


def running(record: Path) -> int | None:
    """The pid of the process that `record` names if it still runs, else None (no record, torn record, ended, or the pid is another's)."""
    try:
        pid_text, start_text = record.read_text().split()
        pid = int(pid_text)
    except (FileNotFoundError, ValueError):
        return None
    return pid if launcher.process_start(pid) == start_text else None


def stop(record: Path, first_signal: signal.Signals, deadline_s: float) -> None:
    """End the process that `record` names, if it is still that one: `first_signal`, then SIGKILL after `deadline_s`; remove the record."""
    for signal_number, patience_s in ((first_signal, deadline_s), (signal.SIGKILL, 10.0)):
        pid = running(record)
        if pid is None:
            break
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal_number)
        give_up = time.monotonic() + patience_s
        while running(record) is not None and time.monotonic() < give_up:
            time.sleep(POLL_S)
    if (leash := _leashes.pop(record, None)) is not None:
        assert leash.stdin is not None
        leash.stdin.close()
        leash.wait()
    if running(record) is None:
        record.unlink(missing_ok=True)
