"""`faust -A app workers`: who works on what, or wait until so many workers have joined.

May touch: the broker (read only).
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from dataclasses import asdict

import click
from rich.table import Table

from app.commands.base import cli, console, echo_json, handle_errors, json_option
from app.settings import Settings
from app.workers import Group, Member, groups

POLL_S = 0.2


async def _watch(settings: Settings, until: int | None, timeout_s: float) -> tuple[list[Group], bool]:
    deadline = time.monotonic() + timeout_s
    while True:
        found = await groups(settings)
        agents = found[0]
        done = until is None or (len(agents.members) == until and all(group.settled for group in found))
        if done or time.monotonic() > deadline:
            return found, done
        await asyncio.sleep(POLL_S)


@cli.command("workers")
@click.option("--until", type=click.IntRange(min=0), metavar="N", help="Wait until N workers have joined and no partition is being moved.")
@click.option("--timeout", "timeout_s", default=60.0, show_default=True, help="Seconds to wait for that; then exit code 1.")
@json_option
@handle_errors
def workers(until: int | None, timeout_s: float, as_json: bool) -> None:
    """Show the workers that have joined, and the partitions that each has.

    A worker whose agents include the projector is a member of two groups.  One that was killed is a member for another 12 seconds.

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
        table = Table("worker", "host", "group", "has partitions of")
        for group in found:
            for member in group.members:
                table.add_row(member.client, member.host, group.name, _partitions(settings, member))
        console().print(table)
        for group in found:
            click.echo(f"{group.name}: {len(group.members)} members, {group.state}")
    if not done:
        sys.exit(1)


def _partitions(settings: Settings, member: Member) -> str:
    counts = Counter(topic for topic, _ in member.partitions)
    numbers = {topic: ",".join(str(p) for t, p in member.partitions if t == topic) for topic in counts}
    return "; ".join(f"{topic.removeprefix(settings.topic_prefix)} {numbers[topic]}" for topic in sorted(numbers)) or "nothing"
