"""Servers as processes: started through `launcher.py`, recognised by pid and start time, stopped
without harming others.

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
from app.errors import UnreachableError

POLL_S = 0.05

# Launchers whose server ends with this process; dropping one closes its stdin, which ends the
# server.
_leashes: dict[Path, subprocess.Popen[bytes]] = {}


def launcher_command(
    program: Sequence[str | Path], *, user: str | None = None, needs: Sequence[Path] = ()
) -> list[str]:
    """The command line that runs `program` as `user` (None: as the current user)."""
    options = (
        []
        if user is None
        else ["--user", user, *(o for path in needs for o in ("--needs", str(path)))]
    )
    # Except on Linux, the launcher needs psutil, and so site-packages.
    isolation = ["-I", "-S"] if sys.platform == "linux" else ["-I"]
    return [sys.executable, *isolation, launcher.__file__, *options, "--", *map(str, program)]


def start(
    command: Sequence[str],
    record: Path,
    log: Path,
    *,
    cwd: Path,
    environment: dict[str, str],
    leash: bool,
) -> None:
    """Start a server by a command of `launcher_command`; its output goes to `log`, its identity to
    `record`.

    `leash`: it ends with this process, however this process ends.  Raises OSError if the program
    cannot be executed.
    """
    separator = command.index("--")
    options = ["--record", str(record), *(["--leash"] if leash else [])]
    line = [*command[:separator], *options, *command[separator:]]
    with log.open("ab") as output:
        process = subprocess.Popen(
            line,
            cwd=cwd,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            start_new_session=True,
        )
    assert process.stdin is not None
    assert process.stdout is not None
    problem = process.stdout.read().decode(errors="replace").strip()
    process.stdout.close()
    if leash and not problem:
        _leashes[record] = process
        return
    process.stdin.close()
    if process.wait() != 0:
        raise OSError(
            f"{command[separator + 1]} could not be started ({problem or 'see the log'}); log:"
            f" {log}"
        )


def running(record: Path) -> int | None:
    """The pid of the process that `record` names if it still runs, else None (no record, torn
    record, ended, or the pid is another's)."""
    try:
        pid_text, start_text = record.read_text().split()
        pid = int(pid_text)
    except (FileNotFoundError, ValueError):
        return None
    return pid if launcher.process_start(pid) == start_text else None


def stop(record: Path, first_signal: signal.Signals, deadline_s: float) -> None:
    """End the process that `record` names, if it is still that one: `first_signal`, then SIGKILL
    after `deadline_s`; remove the record."""
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


def working_directory(pid: int) -> Path | None:
    """The working directory of process `pid`; None if there is no such process, or if we may not
    see it."""
    import psutil

    try:
        return Path(psutil.Process(pid).cwd()).resolve()
    except psutil.Error:
        return None


def write_atomically(path: Path, text: str) -> None:
    """Write a file that only its owner may read, all or nothing."""
    temporary = path.with_name(f"{path.name}.tmp")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    temporary.replace(path)


def size_of(path: Path) -> int:
    """The size of a file in bytes, 0 if there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def tail(path: Path, size_bytes: int = 20_000) -> str:
    """The last part of a log, empty if there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, size_of(path) - size_bytes))
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""


# Text in a log or an error → what to do about it.
_LITTLE_MEMORY = (
    "The machine has too little free memory (the stack needs about 700 MB): close other programs,"
    " then try again."
)
REMEDIES = {
    "No space left on device": "The disk is full: free some space, or use another folder (--dir).",
    "Disk quota exceeded": (
        "Your disk quota is used up: free some space, or use another folder (--dir)."
    ),
    "OutOfMemoryError": (
        "Java's heap was too small for the load; `faust -A app stack up` starts it again, and the"
        " data is kept."
    ),
    "insufficient memory": _LITTLE_MEMORY,
    "Cannot allocate memory": _LITTLE_MEMORY,
    "Address already in use": "Its port is in use by another program: try again.",
    "Too many open files": (
        "The limit of open files is too low: raise it (ulimit -n 4096), then try again."
    ),
    "could not look up effective user ID": (
        "PostgreSQL needs a user with a name on this machine (an entry in /etc/passwd)."
    ),
    "database files are incompatible with server": (
        "The data was written by another version: `faust -A app stack reset` deletes it."
    ),
}


def remedy(text: str) -> str:
    """What to do about the first known problem that `text` names; empty if it names none."""
    return next((remedy for sign, remedy in REMEDIES.items() if sign in text), "")


def explain(logs: Sequence[Path]) -> str:
    """What to do about a failed server, according to its `logs`, and where these are."""
    text = "\n".join(tail(log) for log in logs)
    marks = ("FATAL", "ERROR", "rror:", "PANIC")
    lines = [line.strip() for line in text.splitlines() if any(mark in line for mark in marks)]
    evidence = f"Its log says: {lines[-1][:300]}" if lines else ""
    where = "Log: " + ", ".join(str(log) for log in logs if log.exists())
    return " ".join(filter(None, [remedy(text), evidence, where]))


def run_tool(
    command: Sequence[str],
    log: Path,
    *,
    cwd: Path,
    environment: dict[str, str],
    failure: str,
    deadline_s: float = 60.0,
) -> None:
    """Run a command of `launcher_command` to its end.

    If it fails, its output goes to `log`, and the `UnreachableError` begins with `failure`.
    """
    try:
        result = subprocess.run(
            command,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=deadline_s,
            check=False,
        )
    except subprocess.TimeoutExpired as expired:
        raise UnreachableError(
            failure, f"It took more than {deadline_s:.0f} s. If the machine is busy, try again."
        ) from expired
    if result.returncode != 0:
        log.write_bytes(result.stdout + result.stderr)
        raise UnreachableError(failure, explain([log]))
