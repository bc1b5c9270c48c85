"""The spool: closes on disk until Kafka has them, and the trades that are still open.

May touch: its folder.

    queue/00000000000000000042-<digest>.json    a close that waits, in the order of the numbers
    refused/…                                   closes that the broker never accepts, and why
    open/<digest>.json                          the data of an open trade

Every file appears complete: it is written under a temporary name, flushed to the disk (fsync) and
renamed, and the folder is flushed too.  So a crash at any moment leaves a close either not accepted
(the call did not return) or on disk.  A close leaves the queue only after the broker has confirmed
it.  A crash in between sends it once more, with the same bytes: its `event_id`, trade and revision
are the same, so the trade counts once.  One process at a time may use a spool.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

MAX_BYTES = 1024 * 1024
"""Longest close that the workers read."""


class SpoolError(Exception):
    """The spool cannot be used, or a close cannot be spooled; the message says what to do."""


class Waiting(NamedTuple):
    """One close in the queue."""

    path: Path
    value: bytes


class Spool:
    """The files of one bot.  Raises `SpoolError` if another process uses the folder."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._queue, self._refused, self._open = (
            self.folder / name for name in ("queue", "refused", "open")
        )
        try:
            for made in (self._queue, self._refused, self._open):
                made.mkdir(parents=True, exist_ok=True)
            self._lock = (self.folder / "lock").open("a")
        except OSError as error:
            raise SpoolError(f"The spool {self.folder} cannot be used: {error}.") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise SpoolError(
                f"Another process uses the spool {self.folder}. Give each bot a folder of its own."
            ) from error
        for left in self.folder.glob("*/*.part"):
            left.unlink()  # left from a write that was interrupted
        names = (*os.listdir(self._queue), *os.listdir(self._refused))
        self._next = 1 + max((int(name[:20]) for name in names if name[:20].isdigit()), default=0)
        self._guard = threading.Lock()
        self._waiting = {name[21:]: name for name in sorted(os.listdir(self._queue))}

    def close(self) -> None:
        """Release the folder for other processes."""
        self._lock.close()

    def put(self, event: Mapping[str, Any]) -> bool:
        """Queue a close.  It is on disk when this returns; False if the same one waits already.

        Raises `SpoolError` if it is not a close or too long, and `OSError` if the disk fails.
        """
        value = encode(event)
        name = f"{digest(value)}.json"
        with self._guard:
            if name in self._waiting:
                return False
            numbered = f"{self._next:020d}-{name}"
            _write(self._queue / numbered, value)
            self._next += 1
            self._waiting[name] = numbered
        return True

    def first(self) -> Waiting | None:
        """The next close to send."""
        with self._guard:
            name = next(iter(self._waiting.values()), None)
        if name is None:
            return None
        return Waiting(self._queue / name, (self._queue / name).read_bytes())

    def sent(self, waiting: Waiting) -> None:
        """Remove a close that the broker has confirmed."""
        waiting.path.unlink(missing_ok=True)
        _flush(self._queue)
        self._taken(waiting)

    def refuse(self, waiting: Waiting, reason: str) -> Path:
        """Move a close that the broker will never accept to `refused/`, with the reason."""
        target = self._refused / waiting.path.name
        _write(target.with_suffix(".reason"), reason.encode())
        os.replace(waiting.path, target)
        _flush(self._refused)
        _flush(self._queue)
        self._taken(waiting)
        return target

    def _taken(self, waiting: Waiting) -> None:
        with self._guard:
            self._waiting.pop(waiting.path.name[21:], None)

    def count(self) -> int:
        """How many closes wait."""
        return len(self._waiting)

    def refused(self) -> int:
        """How many closes were refused."""
        return sum(path.suffix == ".json" for path in self._refused.iterdir())

    # open trades
    def remember(self, name: str, state: Mapping[str, Any]) -> None:
        """Store the data of the open trade `name`."""
        _write(self._open / f"{digest(name.encode())}.json", json.dumps(state).encode())

    def recall(self, name: str) -> dict[str, Any] | None:
        """The stored data of an open trade."""
        try:
            found: dict[str, Any] = json.loads(
                (self._open / f"{digest(name.encode())}.json").read_bytes()
            )
        except FileNotFoundError:
            return None
        return found

    def forget(self, name: str) -> None:
        """Remove the data of a trade whose close is queued."""
        (self._open / f"{digest(name.encode())}.json").unlink(missing_ok=True)
        _flush(self._open)


def encode(event: Mapping[str, Any]) -> bytes:
    """The bytes of the close for Kafka.  Raises `SpoolError` if no worker could read it."""
    try:
        value = json.dumps(event, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, UnicodeError) as error:
        raise SpoolError(f"The close is not JSON: {error}.") from error
    if not isinstance(event.get("trade_id"), str) or not isinstance(event.get("event_id"), str):
        raise SpoolError("The close has no trade_id or no event_id; both are texts.")
    if len(value) > MAX_BYTES:
        raise SpoolError(f"The close has {len(value):,} bytes; at most {MAX_BYTES:,} are read.")
    return value


def digest(value: bytes) -> str:
    """32 hex digits that identify `value`."""
    return hashlib.blake2b(value, digest_size=16).hexdigest()


def _write(path: Path, value: bytes) -> None:
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        file.write(value)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
    _flush(path.parent)


def _flush(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
