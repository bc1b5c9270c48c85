"""`faust -A app produce FILE…`: send a trade log to `position_closed`.

May touch: the files (read only), the topic `position_closed`.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from datetime import UTC, datetime, timedelta

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from app.broker import Outgoing, Sender
from app.commands.base import cli, echo_json, handle_errors, json_option
from app.errors import BadDataError, UsageError
from app.settings import Settings
from app.shift import newest_exit, shifted
from app.sources.jsonl import file_size, key_of, lines
from app.topics import CLOSES, partition_of, require_one

BATCH = 2_000


@cli.command("produce")
@click.argument("files", nargs=-1, required=True)
@click.option("--shift-to", metavar="TIME", help="Move the log in time so that its newest exit is at TIME (RFC 3339, or `now`).")
@click.option("--rate", type=click.FloatRange(min=0.1), help="Closes per second at most (default: as fast as the broker takes them).")
@click.option("--limit", type=click.IntRange(min=1), help="Send only the first so many.")
@click.option("--dry-run", is_flag=True, help="Read everything and send nothing.")
@json_option
@handle_errors
def produce(files: tuple[str, ...], shift_to: str | None, rate: float | None, limit: int | None, dry_run: bool, as_json: bool) -> None:
    """Send closed positions from FILES: a JSON event a line, plain, .gz or .zst, or - for standard input.

    Lines are sent as they are (broken ones too: they end as dead letters with a reason), keyed by their trade_id.

    \b
    Examples:
      faust -A app produce closes.jsonl
      faust -A app produce samples/us_equities.jsonl.zst --shift-to now
      zcat closes.jsonl.gz | faust -A app produce - --rate 200
    """
    settings = Settings.from_environment()
    by = _shift(files, shift_to, limit)
    sent, seconds = asyncio.run(_produce(settings, files, by, rate, limit, dry_run))
    if not sent:
        raise BadDataError("There is not one line in what was given.", "Each line has to hold one JSON event.")
    if as_json:
        echo_json({"sent": sent, "seconds": round(seconds, 3), "dry_run": dry_run, "topic": settings.topic(CLOSES)})
    else:
        word = "read" if dry_run else "sent"
        click.echo(f"{word} {sent:,} closes in {seconds:.1f} s ({sent / max(seconds, 1e-9):,.0f}/s)", err=True)


def _shift(files: tuple[str, ...], shift_to: str | None, limit: int | None) -> timedelta | None:
    if shift_to is None:
        return None
    if "-" in files:
        raise UsageError("--shift-to has to read the log twice, and standard input can be read once.", "Name a file instead.")
    try:
        target = datetime.now(UTC) if shift_to == "now" else datetime.fromisoformat(shift_to)
    except ValueError:
        target = None
    if target is None or target.tzinfo is None:
        raise UsageError(f"{shift_to!r} is no time.", "Give `now` or a time with its offset such as 2026-01-31T12:00:00Z.")
    newest = newest_exit(files, limit)
    if newest is None:
        raise BadDataError("No exit_timestamp was found to shift the log by.", "Leave out --shift-to to send the lines as they are.")
    return target - newest


async def _produce(
    settings: Settings, files: tuple[str, ...], by: timedelta | None, rate: float | None, limit: int | None, dry_run: bool
) -> tuple[int, float]:
    topic = settings.topic(CLOSES)
    partitions = 1 if dry_run else await require_one(settings, CLOSES)
    sender = Sender(settings)
    started = time.monotonic()
    sent = 0
    batch: list[Outgoing] = []
    size = min(BATCH, max(1, round(rate / 10))) if rate else BATCH
    done_bytes = 0
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("producing", total=file_size(files), rate="")

        async def flush(position: int) -> None:
            nonlocal sent
            if not dry_run:
                await sender.send(batch)
            sent += len(batch)
            batch.clear()
            elapsed = max(time.monotonic() - started, 1e-9)
            bar.update(task, completed=position, rate=f"{sent:,} ({sent / elapsed:,.0f}/s)")
            if rate and (ahead := sent / rate - elapsed) > 0:
                await asyncio.sleep(ahead)

        try:
            for path in files:
                position = 0
                for line, position in lines(path):
                    value = line if by is None else shifted(line, by)
                    key = key_of(value)
                    partition = partition_of(key.decode(), partitions) if key is not None else random.randrange(partitions)
                    batch.append(Outgoing(topic, partition, key, value))
                    if len(batch) >= size or (limit and sent + len(batch) >= limit):
                        await flush(done_bytes + position)
                        if limit and sent >= limit:
                            return sent, time.monotonic() - started
                done_bytes += position
            if batch:
                await flush(done_bytes)
        finally:
            await sender.stop()
    return sent, time.monotonic() - started
