"""Sending closes to `position_closed`: the loop of `produce` and `import`, and their shift in time.

May touch: the topic `position_closed`, stderr.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import islice
from typing import NamedTuple

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from app.errors import BadDataError, UsageError
from app.kafka.producer import Producer
from app.kafka.records import Outgoing, partition_of
from app.kafka.topics import require_one
from app.settings import Settings
from app.sources import Closed
from app.time_argument import parse_time
from app.time_shift import newest_exit, shifted
from schemas.kinds import CLOSES

BATCH = 2_000


def sending_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of the commands that send closes: `--shift-to` and `--rate`."""
    shift_to = click.option(
        "--shift-to",
        metavar="TIME",
        help="Shift the log in time so that its newest exit is at TIME (RFC 3339, or `now`).",
    )
    rate = click.option(
        "--rate",
        type=click.FloatRange(min=0.1),
        help="Maximum closes per second (default: as fast as the broker accepts them).",
    )
    return shift_to(rate(command))


class Sent(NamedTuple):
    """How many closes were sent (or read, in a dry run), and how long it took."""

    closes: int
    seconds: float


def shift_by(
    files: tuple[str, ...],
    shift_to: str | None,
    limit: int | None,
    read: Callable[[], Iterator[Closed]],
) -> timedelta | None:
    """By how much to move the log so that its newest exit is at `shift_to`; `read` begins to read
    it.

    Raises `UsageError` for a time that is none and for standard input, and `BadDataError` if there
    is no exit.
    """
    if shift_to is None:
        return None
    if "-" in files:
        raise UsageError(
            "--shift-to reads the log twice, and standard input can be read only once.",
            "Give a file instead.",
        )
    target = parse_time(
        None if shift_to == "now" else shift_to,
        "Expected `now` or a time with a UTC offset, such as 2026-01-31T12:00:00Z.",
    )
    newest = newest_exit(closed.value for closed in islice(read(), limit))
    if newest is None:
        raise BadDataError(
            "No exit_timestamp was found to shift the log by.",
            "Omit --shift-to to send the events unchanged.",
        )
    return target - newest


async def send(
    settings: Settings,
    found: Iterator[Closed],
    *,
    total_bytes: int | None,
    by: timedelta | None,
    rate: float | None,
    limit: int | None,
    dry_run: bool,
    doing: str,
) -> Sent:
    """Send each close as it is found, at most `rate` a second and `limit` in all, and await every
    delivery; with `dry_run` only read."""
    topic = settings.topic(CLOSES)
    partitions = 1 if dry_run else await require_one(settings, CLOSES)
    producer = Producer(settings)
    started = time.monotonic()
    sent = 0
    batch: list[Outgoing] = []
    size = min(BATCH, max(1, round(rate / 10))) if rate else BATCH
    with progress() as bar:
        task = bar.add_task(doing, total=total_bytes, rate="")
        read = ReadBytes()

        async def flush() -> None:
            nonlocal sent
            if not dry_run:
                await producer.send(batch)
            sent += len(batch)
            batch.clear()
            elapsed = max(time.monotonic() - started, 1e-9)
            bar.update(task, completed=read.bytes, rate=f"{sent:,} ({sent / elapsed:,.0f}/s)")
            if rate and (ahead := sent / rate - elapsed) > 0:
                await asyncio.sleep(ahead)

        try:
            for closed in islice(found, limit):
                read.see(closed)
                value = closed.value if by is None else shifted(closed.value, by)
                key = closed.key
                partition = (
                    partition_of(key.decode(), partitions)
                    if key is not None
                    else random.randrange(partitions)
                )
                batch.append(Outgoing(topic, partition, key, value))
                if len(batch) >= size:
                    await flush()
            if batch:
                await flush()
        finally:
            await producer.stop()
    return Sent(sent, time.monotonic() - started)


def progress() -> Progress:
    """A bar on stderr where that is a terminal; a task has the field `rate`."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty())


class ReadBytes:
    """How many bytes of all files have been read, from the closes as they come."""

    def __init__(self) -> None:
        self._file, self._before, self._position = "", 0, 0

    def see(self, closed: Closed) -> None:
        """Note how far `closed` was into its file."""
        file = closed.place.rpartition(":")[0]
        if file != self._file:
            self._file, self._before, self._position = file, self._before + self._position, 0
        self._position = max(self._position, closed.position)

    @property
    def bytes(self) -> int:
        """Bytes read so far."""
        return self._before + self._position
