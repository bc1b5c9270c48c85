"""`faust -A app status`: lag per role, or wait until everything is learned and projected.

May touch: the broker (read only).
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from itertools import count as numbers

import click
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from app.commands.base import cli, console, echo, echo_json, handle_errors, json_option
from app.commands.refresh import refreshing
from app.errors import UnreachableError, UsageError
from app.kafka.lag import Lag, LagReader
from app.settings import AGENTS, Settings

POLL_S = 0.2


async def _wait(
    settings: Settings, roles: tuple[str, ...], until_idle: bool, timeout_s: float, show: bool
) -> tuple[list[Lag], bool, list[str]]:
    deadline = time.monotonic() + timeout_s
    terminal = Console(stderr=True)
    async with LagReader(settings) as status:
        with terminal.status("") as line:
            while True:
                lags = [lag for lag in await status.lags() if not roles or lag.role in roles]
                idle = not any(lag.records for lag in lags)
                if not until_idle or idle or time.monotonic() > deadline:
                    return lags, idle, await _problems(status, lags)
                if show:
                    line.update(
                        "waiting for "
                        + ", ".join(
                            f"{lag.role} ({lag.records:,} behind)" for lag in lags if lag.records
                        )
                    )
                await asyncio.sleep(POLL_S)


async def _refresh(
    settings: Settings, roles: tuple[str, ...], every_s: float, times: int | None, as_json: bool
) -> None:
    """Show the lags repeatedly; report a broker that is away, and wait for it."""
    with nullcontext(click.echo) if as_json else refreshing(console()) as show:
        for number in numbers(1):
            try:
                async with LagReader(settings) as status:
                    lags = [lag for lag in await status.lags() if not roles or lag.role in roles]
                    problems = await _problems(status, lags)
            except UnreachableError as error:
                if number == 1:
                    raise
                shown: RenderableType = Text(f"{error.what} Trying again every {every_s:g} s.")
                document: dict[str, object] = {"error": error.what}
            else:
                at = datetime.now(UTC).isoformat(timespec="seconds")
                shown, document = (
                    Group(
                        _table(lags),
                        Text(f"{_said(lags)} at {at}"),
                        *(Text(f"Note: {text}") for text in problems),
                    ),
                    _document(lags, problems),
                )
            if as_json:
                echo_json(document)
            else:
                show(shown)
            if number == times:
                return
            await asyncio.sleep(every_s)


def _table(lags: Sequence[Lag]) -> Table:
    table = Table("role", "topic", "behind")
    table.columns[2].justify = "right"
    for lag in lags:
        table.add_row(lag.role, lag.topic, f"{lag.records:,}")
    return table


def _said(lags: Sequence[Lag]) -> str:
    return "not idle" if any(lag.records for lag in lags) else "idle"


def _document(lags: Sequence[Lag], problems: Sequence[str]) -> dict[str, object]:
    return {
        "idle": _said(lags) == "idle",
        "problems": list(problems),
        "lags": [
            {
                "role": lag.role,
                "topic": lag.topic,
                "group": lag.group,
                "records": lag.records,
                "in_transaction": lag.in_transaction,
                "deleted": lag.deleted,
                "beyond": lag.beyond,
            }
            for lag in lags
        ],
    }


async def _problems(status: LagReader, lags: Sequence[Lag]) -> list[str]:
    """What blocks the roles, in sentences."""
    found = [text for lag in lags for text in lag.problems]
    return found + [f"{lost}." for lost in await status.lost()]


@cli.command("status")
@click.option(
    "--until-idle",
    is_flag=True,
    help="Wait until every input is processed, every refit is done and every change is projected.",
)
@click.option(
    "--role", "roles", multiple=True, type=click.Choice(AGENTS), help="Only this role; repeatable."
)
@click.option(
    "--timeout",
    "timeout_s",
    default=300.0,
    show_default=True,
    help="Seconds to wait before giving up with exit code 1.",
)
@click.option(
    "--watch",
    is_flag=True,
    help="Refresh until Ctrl-C: in place on a terminal, otherwise each update below the last.",
)
@click.option(
    "--every",
    "every_s",
    type=click.FloatRange(min=0.1),
    default=2.0,
    show_default=True,
    help="With --watch: seconds between updates.",
)
@click.option("--count", type=click.IntRange(min=1), help="With --watch: stop after N updates.")
@json_option
@handle_errors
def status(
    until_idle: bool,
    roles: tuple[str, ...],
    timeout_s: float,
    watch: bool,
    every_s: float,
    count: int | None,
    as_json: bool,
) -> None:
    """Show how many records each role is behind, and what blocks them.

    Counts to the end of every partition, including records behind a producer's open transaction.
    Reports records that were deleted before they were read, and a log that is not the one read
    before.

    \b
    Examples:
      faust -A app status
      faust -A app status --watch
      faust -A app status --until-idle --timeout 60
      faust -A app status --until-idle --role lesson_builder --role projector
      faust -A app status --json
    """
    settings = Settings.from_environment()
    if watch and until_idle:
        raise UsageError(
            "--watch and --until-idle exclude each other.",
            "Use --watch to look, --until-idle to wait.",
        )
    if watch:
        with suppress(KeyboardInterrupt):
            asyncio.run(_refresh(settings, roles, every_s, count, as_json))
        return
    lags, idle, problems = asyncio.run(
        _wait(settings, roles, until_idle, timeout_s, show=not as_json)
    )
    if as_json:
        echo_json(_document(lags, problems))
    else:
        console().print(_table(lags))
        echo("idle" if idle else "not idle")
        for text in problems:
            echo(f"Note: {text}")
    if until_idle and not idle:
        sys.exit(1)
