"""`faust -A app topics create|check|mend`.

May touch: the broker's topics (`create` adds what is missing, `mend` changes configurations).
"""

from __future__ import annotations

import asyncio
import sys

import click

from app.commands.base import cli, echo_json, handle_errors, json_option
from app.log import topics as declared
from app.settings import Settings


@cli.group("topics")
def topics() -> None:
    """Create the topics, or check them against their declaration."""


@topics.command("create")
@click.option("--dry-run", is_flag=True, help="Show what would be created, without creating it.")
@json_option
@handle_errors
def create(dry_run: bool, as_json: bool) -> None:
    """Create missing topics; leave existing ones unchanged.

    \b
    Examples:
      faust -A app topics create
      faust -A app topics create --dry-run --json
    """
    settings = Settings.from_environment()
    made = asyncio.run(declared.create(settings, dry_run=dry_run))
    if as_json:
        echo_json({"created": made, "dry_run": dry_run})
        return
    for name in made:
        click.echo(f"{'would create' if dry_run else 'created'} {name}")
    if not made:
        click.echo("Every topic exists.")


@topics.command("check")
@json_option
@handle_errors
def check(as_json: bool) -> None:
    """Compare the broker's topics with their declaration; exit with code 3 if any differs.

    \b
    Examples:
      faust -A app topics check
      faust -A app topics check --json
    """
    mismatches = asyncio.run(declared.check(settings := Settings.from_environment()))
    if as_json:
        echo_json(
            {
                "declared": [declared.describe(topic) for topic in declared.declaration(settings)],
                "mismatches": [
                    {"topic": m.topic, "problem": m.problem, "remedy": m.remedy} for m in mismatches
                ],
            }
        )
    else:
        for m in mismatches:
            click.echo(f"{m.topic} {m.problem}\n    fix it with: {m.remedy}")
        if not mismatches:
            click.echo("Every topic matches its declaration.")
    if mismatches:
        sys.exit(3)


@topics.command("mend")
@click.option("--dry-run", is_flag=True, help="Show what would be changed, without changing it.")
@json_option
@handle_errors
def mend(dry_run: bool, as_json: bool) -> None:
    """Apply the declared configuration to existing topics; nothing else changes, including
    partition counts.

    \b
    Examples:
      faust -A app topics mend --dry-run
      faust -A app topics mend
    """
    settings = Settings.from_environment()
    differed = asyncio.run(declared.mend(settings, dry_run=dry_run))
    if as_json:
        echo_json(
            {
                "mended": [{"topic": m.topic, "problem": m.problem} for m in differed],
                "dry_run": dry_run,
            }
        )
        return
    for m in differed:
        click.echo(f"{'would fix' if dry_run else 'fixed'} {m.topic}, which {m.problem}")
    if not differed:
        click.echo("Every configuration matches its declaration.")
