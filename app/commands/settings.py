"""`faust -A app settings show|agree`: the settings that all workers of the installation share.

May touch: the broker: reads `edgeloop_control`; `agree` writes it.
"""

from __future__ import annotations

import asyncio
import sys

import click

from app.commands.base import (
    check_can_ask,
    cli,
    echo,
    echo_json,
    handle_errors,
    json_option,
    yes_option,
)
from app.settings import PREFIX, Settings
from app.worker.agreement import agree, control_state, differences, fingerprint, shown


@cli.group("settings")
def settings_group() -> None:
    """Show or change the settings that all workers share."""


@settings_group.command("show")
@json_option
@handle_errors
def show(as_json: bool) -> None:
    """Show the settings agreed on, and which of this environment's differ; exit with code 3 if any
    does.

    \b
    Examples:
      faust -A app settings show
      faust -A app settings show --json
    """
    settings = Settings.from_environment()
    agreed = asyncio.run(control_state(settings)).agreed
    mine = fingerprint(settings)
    differing = [] if agreed is None else differences(agreed.settings, mine)
    if as_json:
        echo_json(
            {
                "agreed": None if agreed is None else agreed.settings,
                "at": None if agreed is None else agreed.at,
                "by": None if agreed is None else agreed.by,
                "epoch": None if agreed is None else agreed.epoch,
                "differing": _plain(differing),
            }
        )
    elif agreed is None:
        echo("No settings are agreed yet; the first worker to start sets them.")
    else:
        for name, value in sorted(agreed.settings.items()):
            echo(f"  {PREFIX}{name.upper()}={shown(value)}")
        echo(f"agreed on since {agreed.at}, by {agreed.by}")
        for name, theirs, ours in differing:
            echo(f"DIFFERS {name}: {shown(ours)} here, {shown(theirs)} agreed on")
    if differing:
        sys.exit(3)


@settings_group.command("agree")
@click.option("--dry-run", is_flag=True, help="Show what would change, without changing it.")
@yes_option
@json_option
@handle_errors
def agree_command(dry_run: bool, yes: bool, as_json: bool) -> None:
    """Make this environment's settings those of the installation.

    Refuses while workers run: stop them, run this with the new values, start them with the same
    values.  `faust -A app replay` shows beforehand how new settings change what is learned.

    \b
    Examples:
      EDGELOOP_WINDOW_DAYS=120 faust -A app settings agree --dry-run
      EDGELOOP_WINDOW_DAYS=120 faust -A app settings agree --yes
    """
    settings = Settings.from_environment()
    changes = asyncio.run(agree(settings, dry_run=True))
    if not as_json:
        for name, theirs, ours in changes:
            verb = "would change" if dry_run else "changes"
            echo(f"{name} {verb} from {shown(theirs)} to {shown(ours)}")
        if not changes:
            echo("No agreed setting differs.")
    if changes and not dry_run and not yes:
        check_can_ask(as_json)
        click.confirm(
            "Make these values the agreed ones? Workers with others will not start.", abort=True
        )
    if not dry_run:
        changes = asyncio.run(agree(settings))
    if as_json:
        echo_json({"changed": _plain(changes), "dry_run": dry_run})
    elif changes and not dry_run:
        echo("Agreed.  Start the workers with these values.")


def _plain(differing: list[tuple[str, object, object]]) -> list[dict[str, object]]:
    return [{"name": name, "agreed": theirs, "here": ours} for name, theirs, ours in differing]
