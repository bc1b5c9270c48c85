"""`faust -A app workers`: show the workers and their partitions, or wait until workers have joined.

May touch: the broker (read only).
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from dataclasses import asdict

import click
from rich.table import Table

from app.commands.base import cli, console, echo, echo_json, handle_errors, json_option
from app.errors import UnreachableError
from app.kafka.consumer_groups import ConsumerGroup, Member, groups
from app.settings import Settings

POLL_S = 0.2


async def _watch(
    settings: Settings, until: int | None, timeout_s: float
) -> tuple[list[ConsumerGroup], bool]:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            found = await groups(settings)
        except UnreachableError:
            if until is None or time.monotonic() > deadline:
                raise
        else:
            done = until is None or (
                len(found[0].members) == until and all(group.settled for group in found)
            )
            if done or time.monotonic() > deadline:
                return found, done
        await asyncio.sleep(POLL_S)


@cli.command("workers")
@click.option(
    "--until",
    type=click.IntRange(min=0),
    metavar="N",
    help="Wait until N workers have joined and no partition is being reassigned.",
)
@click.option(
    "--timeout",
    "timeout_s",
    default=60.0,
    show_default=True,
    help="Seconds to wait before giving up with exit code 1.",
)
@json_option
@handle_errors
def workers(until: int | None, timeout_s: float, as_json: bool) -> None:
    """Show the workers that have joined and the partitions assigned to each.

    A worker that runs the projector belongs to two groups.  A killed worker stays a member for
    another 12 seconds.

    \b
    Examples:
      faust -A app workers
      faust -A app workers --until 2 --timeout 30
      faust -A app workers --json
    """
    settings = Settings.from_environment()
    found, done = asyncio.run(_watch(settings, until, timeout_s))
    if as_json:
        echo_json({"groups": [asdict(group) for group in found]})
    else:
        table = Table("worker", "host", "group", "partitions")
        for group in found:
            for member in group.members:
                table.add_row(member.client, member.host, group.name, _partitions(settings, member))
        console().print(table)
        for group in found:
            echo(f"{group.name}: {len(group.members)} members, {group.state}")
    if not done:
        sys.exit(1)


def _partitions(settings: Settings, member: Member) -> str:
    numbers: dict[str, list[int]] = {}
    for topic, partition in member.partitions:
        numbers.setdefault(topic.removeprefix(settings.topic_prefix), []).append(partition)
    return (
        "; ".join(f"{topic} {in_words(held)}" for topic, held in sorted(numbers.items()))
        or "nothing"
    )


def in_words(numbers: list[int]) -> str:
    """Partition numbers as ranges.

    >>> in_words([0, 1, 2, 5, 7, 8])
    '0-2,5,7-8'
    """
    parts: list[str] = []
    for _, run in itertools.groupby(enumerate(sorted(numbers)), lambda pair: pair[1] - pair[0]):
        held = [number for _, number in run]
        parts.append(str(held[0]) if len(held) == 1 else f"{held[0]}-{held[-1]}")
    return ",".join(parts)
