"""`faust -A app topics create|check|mend|accept`.

May touch: the broker's topics (`create` adds what is missing, `mend` changes configurations,
`accept` makes derived topics anew); `accept` also committed offsets and PostgreSQL.
"""

from __future__ import annotations

import asyncio
import sys

import click

from app.commands.base import cli, echo_json, handle_errors, json_option
from app.errors import UsageError
from app.log import topics as declared
from app.settings import Settings
from app.storage.accept import accept as carry_out
from app.storage.accept import plan
from schemas.kinds import CLOSES


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


@topics.command("accept")
@click.option("--dry-run", is_flag=True, help="Show what would be done, without changing anything.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@json_option
@handle_errors
def accept(dry_run: bool, yes: bool, as_json: bool) -> None:
    """Go on with the log as it is, after topics were made anew, partitions were added, the broker
    was set back, or closes were deleted before they were read.

    Versions are offsets.  Where they would go back, what was published is deleted and made anew:
    the workers publish it again, from the closes.  PostgreSQL is filled anew as by `rebuild`.
    position_closed is never touched.  Refuses while workers are running: stop them, run this, start
    them.  Until they have published again, the position manager sizes with 1.0.

    \b
    Examples:
      faust -A app topics accept --dry-run
      faust -A app topics accept --yes
    """
    settings = Settings.from_environment()
    if as_json and not (yes or dry_run):
        raise UsageError("--json cannot ask for confirmation.", "Add --yes or --dry-run.")
    made = asyncio.run(plan(settings))
    if as_json:
        if not dry_run:
            asyncio.run(carry_out(settings, made))
        echo_json(
            {
                "dry_run": dry_run,
                "differences": [{"topic": d.topic, "what": d.what} for d in made.differences],
                "lost": [lost._asdict() for lost in made.lost],
                "recreated": made.recreate,
                "read_again": made.read_again,
                "rebuilt": made.rebuild,
            }
        )
        return
    for difference in made.differences:
        click.echo(f"{difference.topic} {difference.what}")
    for lost in made.lost:
        click.echo(f"{lost}")
    if not made.differences and not made.lost:
        click.echo("The log is the one that was noted.")
        return
    would = "would be" if dry_run else "will be"
    if made.recreate:
        click.echo(f"{', '.join(made.recreate)} {would} deleted and made anew.")
    if any(CLOSES in names for names in made.read_again.values()):
        click.echo(f"All closes {would} read again; each trade counts once.")
    if made.rebuild:
        click.echo(f"The tables in the schema {settings.database_schema} {would} filled anew.")
    if dry_run:
        return
    if not yes:
        click.confirm("Go on with the log as it is?", abort=True)
    asyncio.run(carry_out(settings, made))
    click.echo("Done.  Start the workers.")
