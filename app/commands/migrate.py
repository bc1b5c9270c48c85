"""`faust -A app migrate` and `rebuild`: bring the tables up to date, or refill them from the
topics.

May touch: PostgreSQL; `rebuild` also the projector's committed offsets on the broker.
"""

from __future__ import annotations

import asyncio

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
from app.settings import Settings
from app.storage.migrate import migrate as migrate_schema
from app.storage.rebuild import REBUILT_TABLES, rebuild


@cli.command("migrate")
@click.option(
    "--dry-run", is_flag=True, help="Show what would be applied, without changing anything."
)
@json_option
@handle_errors
def migrate(dry_run: bool, as_json: bool) -> None:
    """Create or update the tables in EDGELOOP_DATABASE_URL, schema EDGELOOP_DATABASE_SCHEMA.

    Applies each numbered migration once; running it again, or twice at once, is safe.

    \b
    Examples:
      faust -A app migrate --dry-run
      faust -A app migrate
    """
    settings = Settings.from_environment()
    names = asyncio.run(
        migrate_schema(settings.database_url, settings.database_schema, dry_run=dry_run)
    )
    if as_json:
        echo_json({"schema": settings.database_schema, "dry_run": dry_run, "migrations": names})
    elif not names:
        echo(f"The schema {settings.database_schema} is up to date.")
    else:
        for name in names:
            echo(f"{'Would apply' if dry_run else 'Applied'} {name}")
        if names[0].startswith("0001_"):
            echo(
                "These tables are new. If workers have run before, fill them from the topics: faust"
                " -A app rebuild",
                err=True,
            )


@cli.command("rebuild")
@click.option("--dry-run", is_flag=True, help="Show what would be done, without changing anything.")
@yes_option
@json_option
@handle_errors
def rebuild_command(dry_run: bool, yes: bool, as_json: bool) -> None:
    """Empty the tables and let the projector fill them from the topics again, for instance after
    the database was lost.

    Refuses while a projector is running: stop the workers, run this, start them.  Migrates first.
    Unchanged: the topics, the workers' state, and pm_overrides_history, which holds more than the
    topic.

    \b
    Examples:
      faust -A app rebuild --dry-run
      faust -A app rebuild --yes
    """
    settings = Settings.from_environment()
    if not dry_run and not yes:
        check_can_ask(as_json)
        click.confirm(
            f"Empty {', '.join(REBUILT_TABLES)} in the schema {settings.database_schema} and refill"
            " them?",
            abort=True,
        )
    records = asyncio.run(rebuild(settings, dry_run=dry_run))
    if as_json:
        echo_json(
            {
                "dry_run": dry_run,
                "records": records,
                "schema": settings.database_schema,
                "tables": list(REBUILT_TABLES),
            }
        )
    elif dry_run:
        echo(
            f"Would empty {', '.join(REBUILT_TABLES)}; the projector would read"
            f" {sum(records.values()):,} records again."
        )
    else:
        echo(f"Emptied.  Start a worker: its projector reads {sum(records.values()):,} records.")
