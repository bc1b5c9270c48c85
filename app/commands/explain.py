"""`faust -A app overrides explain ID` and `explain`: why an override is what it is, and why a
context resolves to what it does.

May touch: the broker and, for older changes, PostgreSQL (read only); `overrides explain --html`
writes a file.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path

import click
import msgspec
from rich.progress import TimeElapsedColumn

from app.commands.base import cli, console, echo_json, handle_errors, json_option, working
from app.commands.learned import overrides
from app.commands.resolve import parse_scope
from app.errors import ConfigurationError
from app.explain.context import canonical_or_none, explain_context
from app.explain.document import ContextDocument, OverrideDocument
from app.explain.override import explain_override
from app.explain.page import html
from app.explain.reading import find_override, read_changes, read_known
from app.explain.text import show
from app.settings import Settings
from app.time_argument import parse_time
from edgeloop.identity import CATEGORIES

html_option = click.option(
    "--html",
    "page",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write the explanation to this file, as an HTML fragment.",
)


@overrides.command("explain")
@click.argument("override_id")
@click.option(
    "--trades",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Number of supporting trades to list, newest first.",
)
@click.option(
    "--at", "at_text", help="Time at which to check whether it is in force (default: now)."
)
@html_option
@json_option
@handle_errors
def explain_one(
    override_id: str, trades: int, at_text: str | None, page: Path | None, as_json: bool
) -> None:
    """Explain one override, in force or not; the first characters of its id are enough.

    Shows the trades behind it, the other slices considered, the search, its edge over time, its
    gains by regime, the slices of its latent factor, its history, and the results of trades that
    name it in their `applied_overrides`.  Reads the topics and, if reachable, PostgreSQL for
    changes that compaction has removed.

    \b
    Examples:
      faust -A app overrides explain 3f2a9c
      faust -A app overrides explain 3f2a9c --trades 20
      faust -A app overrides explain 3f2a9c --json
    """
    settings, at = Settings.from_environment(), parse_time(at_text)

    async def read() -> OverrideDocument:
        with working(TimeElapsedColumn()) as progress:
            task = progress.add_task("reading overrides")
            held = await read_changes(settings)
            found = find_override(held, override_id)
            known, _ = await read_known(
                settings, held, found.module, found.pattern_key, found.action_category,
                progress=lambda what: progress.update(task, description=f"reading {what}"),
            )  # fmt: skip
        return explain_override(known, found.override_id, _micros(at), trades=trades)

    _tell(asyncio.run(read()), page, as_json)


@cli.command("explain")
@click.option("--pattern", required=True, help="Pattern key in any accepted form.")
@click.option("--category", required=True, type=click.Choice(CATEGORIES), help="Action category.")
@click.option(
    "--scope", "scope_text", default="", help="The context: comma-separated dimension=value pairs."
)
@click.option(
    "--module", default="pm", show_default=True, help="Module, if the pattern key does not name it."
)
@click.option(
    "--at", "at_text", help="Time of the decision (default: now); uses the overrides in force then."
)
@html_option
@json_option
@handle_errors
def explain(
    pattern: str,
    category: str,
    scope_text: str,
    module: str,
    at_text: str | None,
    page: Path | None,
    as_json: bool,
) -> None:
    """Explain the size of a context, even if no override matches it.

    Shows which parts of the scope count, which overrides match and what each adds, which have
    expired or nearly match, the verdicts on the slices that contain the context, and how many
    trades it has.

    \b
    Examples:
      faust -A app explain --pattern dip.S1.entry --category entry --scope curator=oversold
      faust -A app explain --pattern uptrend.S1.entry --category add --scope chain=sol \\
          --at 2026-01-31T12:00:00Z --json
    """
    settings, scope, at = Settings.from_environment(), parse_scope(scope_text), parse_time(at_text)

    async def read() -> ContextDocument:
        with working(TimeElapsedColumn()) as progress:
            task = progress.add_task("reading overrides")
            held = await read_changes(settings)
            known, groups = await read_known(
                settings, held, module, canonical_or_none(pattern, module) or "", category,
                progress=lambda what: progress.update(task, description=f"reading {what}"),
            )  # fmt: skip
        return explain_context(
            known,
            pattern,
            category,
            scope,
            _micros(at),
            dimensions=settings.dimensions,
            groups=groups,
        )

    _tell(asyncio.run(read()), page, as_json)


def _micros(at: datetime) -> int:
    return round(at.timestamp() * 1e6)


def _tell(document: OverrideDocument | ContextDocument, page: Path | None, as_json: bool) -> None:
    if page is not None:
        try:
            page.write_text(html(document), encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(
                f"Cannot write {page}: {error.strerror}.", "Name a file in a writable folder."
            ) from error
    if as_json:
        echo_json(msgspec.to_builtins(document))
    else:
        show(document, console())
