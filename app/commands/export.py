"""`faust -A app export TABLE`: what was learned, and from what, as a Parquet or CSV file.

May touch: the broker and, with --as-of and for changes, PostgreSQL (read only); the file that is
named.
"""

from __future__ import annotations

import asyncio

import click
from rich.progress import MofNCompleteColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from app.commands.base import (
    cli,
    console,
    echo,
    echo_json,
    handle_errors,
    json_option,
    warn_skipped,
    working,
)
from app.errors import UsageError
from app.export.columns import Column, wide
from app.export.exported import Exported, Filters, Remarks
from app.export.files import FORMATS, format_of, write
from app.export.tables import TABLES
from app.settings import Settings
from app.time_argument import parse_time
from edgeloop.identity import CATEGORIES


@cli.command("export")
@click.argument("table", type=click.Choice(list(TABLES)))
@click.option(
    "--out", metavar="FILE", help="Output file, .parquet or .csv; - writes CSV to standard output."
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(FORMATS),
    help="Output format, if the file name does not say.",
)
@click.option("--as-of", help="For overrides: those in force at this time (RFC 3339).")
@click.option("--module", help="Only this module.")
@click.option("--pattern", help="Only this canonical pattern key; may end with *.")
@click.option("--category", type=click.Choice(CATEGORIES), help="Only this action category.")
@click.option("--wide", "is_wide", is_flag=True, help="Add one column per scope dimension.")
@click.option("--force", is_flag=True, help="Overwrite an existing file.")
@click.option(
    "--describe", is_flag=True, help="Print the table's columns without writing anything."
)
@json_option
@handle_errors
def export(
    table: str,
    out: str | None,
    kind: str | None,
    as_of: str | None,
    module: str | None,
    pattern: str | None,
    category: str | None,
    is_wide: bool,
    force: bool,
    describe: bool,
    as_json: bool,
) -> None:
    """Write a table to a file, with the current content of the topics.

    The file appears once it is complete.  Times are UTC, scopes are JSON (with --wide also one
    column per dimension). In CSV, text that a spreadsheet would take as a formula (=1+1) begins
    with an apostrophe; Parquet holds every text as it is.

    \b
    Examples:
      faust -A app export lessons --out lessons.parquet
      faust -A app export overrides --as-of 2026-01-31T12:00:00Z --out overrides.csv --wide
      faust -A app export trades --module pm --category entry --out -
      faust -A app export lessons --describe
    """
    settings, exported = Settings.from_environment(), TABLES[table]
    columns = _columns(exported, settings, is_wide, table)
    if describe:
        _describe(table, exported, columns, as_json)
        return
    if out is None:
        raise UsageError(
            "--out is missing.", "Name a .parquet or .csv file, or - for CSV on standard output."
        )
    if as_json and out == "-":
        raise UsageError(
            "--json and --out - both write to standard output.", "Name a file for --out."
        )
    if as_of is not None and table != "overrides":
        raise UsageError(
            f"--as-of applies to overrides only; {table} are exported as they are now.",
            "Leave it out.",
        )
    if not exported.grouped and (pattern or category):
        raise UsageError(
            f"{table} describe whole modules and have neither pattern nor category.",
            "Use --module alone.",
        )
    filters = Filters(
        module,
        pattern,
        category,
        None if as_of is None else round(parse_time(as_of).timestamp() * 1e6),
    )
    chosen, remarks = format_of(out, kind), Remarks()
    with working(MofNCompleteColumn(), TimeElapsedColumn()) as bar:
        task = bar.add_task(f"exporting {table}", total=None)
        rows = exported.rows(settings, filters, remarks)
        count = asyncio.run(
            write(rows, columns, out, chosen, force=force, progress=lambda n: bar.advance(task, n))
        )
    warn_skipped(remarks.skipped)
    if as_json:
        echo_json(
            {
                "table": table,
                "file": out,
                "format": chosen,
                "rows": count,
                "columns": len(columns),
                "notes": remarks.notes,
                "unreadable": remarks.skipped.document(),
            }
        )
        return
    for note in remarks.notes:
        echo(note, err=True)
    lacking = "; incomplete, see the warnings" if remarks.skipped.count else ""
    where = "" if out == "-" else f" in {out}"
    echo(f"{count:,} rows of {len(columns)} columns{where}{lacking}", err=True)


def _columns(exported: Exported, settings: Settings, is_wide: bool, table: str) -> list[Column]:
    if not is_wide:
        return list(exported.columns)
    if exported.scope is None:
        raise UsageError(f"{table} have no scope for --wide to expand.", "Leave it out.")
    return wide(exported.columns, settings.dimensions, exported.scope)


def _describe(name: str, exported: Exported, columns: list[Column], as_json: bool) -> None:
    if as_json:
        described = [{"name": c.name, "kind": c.kind, "meaning": c.meaning} for c in columns]
        echo_json({"table": name, "a_row_is": exported.meaning, "columns": described})
        return
    shown = Table("column", "kind", "meaning")
    for c in columns:
        shown.add_row(c.name, c.kind, Text(c.meaning))
    echo(f"A row of {name}: {exported.meaning[0].lower()}{exported.meaning[1:]}")
    console().print(shown)
