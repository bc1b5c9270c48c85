"""`faust -A app status`: lag per role, or wait until everything is learned and projected.

May touch: the broker (read only).
"""

from __future__ import annotations

import asyncio
import sys
import time

import click
from rich.console import Console
from rich.table import Table

from app.commands.base import cli, console, echo_json, handle_errors, json_option
from app.log.lag import Lag, LagReader
from app.settings import AGENTS, Settings

POLL_S = 0.2


async def _watch(
    settings: Settings, roles: tuple[str, ...], until_idle: bool, timeout_s: float, show: bool
) -> tuple[list[Lag], bool]:
    deadline = time.monotonic() + timeout_s
    terminal = Console(stderr=True)
    async with LagReader(settings) as status:
        with terminal.status("") as line:
            while True:
                lags = [lag for lag in await status.lags() if not roles or lag.role in roles]
                idle = not any(lag.records for lag in lags)
                if not until_idle or idle or time.monotonic() > deadline:
                    return lags, idle
                if show:
                    line.update(
                        "waiting for "
                        + ", ".join(
                            f"{lag.role} ({lag.records:,} behind)" for lag in lags if lag.records
                        )
                    )
                await asyncio.sleep(POLL_S)


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
@json_option
@handle_errors
def status(until_idle: bool, roles: tuple[str, ...], timeout_s: float, as_json: bool) -> None:
    """Show how many records each role is behind.

    \b
    Examples:
      faust -A app status
      faust -A app status --until-idle --timeout 60
      faust -A app status --until-idle --role lesson_builder --role projector
      faust -A app status --json
    """
    settings = Settings.from_environment()
    lags, idle = asyncio.run(_watch(settings, roles, until_idle, timeout_s, show=not as_json))
    if as_json:
        echo_json(
            {
                "idle": idle,
                "lags": [
                    {
                        "role": lag.role,
                        "topic": lag.topic,
                        "group": lag.group,
                        "records": lag.records,
                    }
                    for lag in lags
                ],
            }
        )
    else:
        table = Table("role", "topic", "behind")
        table.columns[2].justify = "right"
        for lag in lags:
            table.add_row(lag.role, lag.topic, f"{lag.records:,}")
        console().print(table)
        click.echo("idle" if idle else "not idle")
    if until_idle and not idle:
        sys.exit(1)
