"""`faust -A app rewrites list|acknowledge`: alerts of known trades that were rewritten in bulk.

May touch: the broker: reads `edgeloop_control`; `acknowledge` writes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import click
from aiokafka.errors import KafkaError

from app.commands.base import (
    check_can_ask,
    cli,
    echo,
    echo_json,
    handle_errors,
    json_option,
    yes_option,
)
from app.errors import UnreachableError
from app.kafka.control import ControlLog, Rewrites
from app.settings import Settings
from app.worker.agreement import control_state


@cli.group("rewrites")
def rewrites() -> None:
    """Show or acknowledge alerts of trades rewritten in bulk."""


def _alerts(settings: Settings) -> dict[str, Rewrites]:
    return asyncio.run(control_state(settings)).rewrites


async def _acknowledge(settings: Settings, modules: Iterable[str]) -> None:
    async with ControlLog(settings) as control:
        try:
            await control.write((f"rewrites|{module}", None) for module in modules)
        except (KafkaError, OSError) as error:
            raise UnreachableError(
                f"The control log cannot be written on {settings.broker}: {error!r}.",
                "Run the same command again.",
            ) from error


def _plain(found: dict[str, Rewrites]) -> list[dict[str, object]]:
    return [
        {
            "module": module,
            "trades": alert.trades,
            "at": alert.at,
            "partition": alert.partition,
            "offset": alert.offset,
        }
        for module, alert in sorted(found.items())
    ]


def _tell(found: dict[str, Rewrites]) -> None:
    for module, alert in sorted(found.items()):
        echo(
            f"{module}: {alert.trades:,} known trades were rewritten within ten minutes, until"
            f" {alert.at} (pattern_trade_events {alert.partition}:{alert.offset})"
        )


@rewrites.command("list")
@json_option
@handle_errors
def list_alerts(as_json: bool) -> None:
    """Show the alerts that nobody has acknowledged.

    \b
    Examples:
      faust -A app rewrites list
      faust -A app rewrites list --json
    """
    found = _alerts(Settings.from_environment())
    if as_json:
        echo_json({"alerts": _plain(found)})
        return
    _tell(found)
    if not found:
        echo("No alerts.")


@rewrites.command("acknowledge")
@click.option("--module", "modules", multiple=True, help="Only this module; repeatable.")
@click.option("--dry-run", is_flag=True, help="Show what would be acknowledged.")
@yes_option
@json_option
@handle_errors
def acknowledge(modules: tuple[str, ...], dry_run: bool, yes: bool, as_json: bool) -> None:
    """Acknowledge alerts, so that `doctor` passes again; what was learned stays as it is.

    \b
    Examples:
      faust -A app rewrites acknowledge --dry-run
      faust -A app rewrites acknowledge --module pm --yes
    """
    settings = Settings.from_environment()
    if not (yes or dry_run):
        check_can_ask(as_json)
    found = _alerts(settings)
    found = {module: alert for module, alert in found.items() if not modules or module in modules}
    if not as_json:
        _tell(found)
    if found and not dry_run:
        if not yes:
            click.confirm(f"Acknowledge {len(found)} alert(s)?", abort=True)
        asyncio.run(_acknowledge(settings, found))
    if as_json:
        echo_json({"dry_run": dry_run, "acknowledged": _plain(found)})
    elif not found:
        echo("No alerts.")
    else:
        echo(f"{'would acknowledge' if dry_run else 'acknowledged'} {len(found)}")
