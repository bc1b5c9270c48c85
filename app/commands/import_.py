"""`faust -A app import FILE…`: trade logs of other programs and tables, as closes.

May touch: the files (read only), the topic `position_closed`, and with --draft the mapping that it writes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import click
import orjson
from rich.table import Table

from app.commands.base import cli, console, echo_json, handle_errors, json_option, now_ms, source_options
from app.commands.sending import ReadBytes, progress, send, shift_by
from app.errors import BadDataError, UsageError
from app.settings import Settings
from app.shift import shifted
from app.sources import Closed, Notes, closes
from app.sources.draft import draft
from app.sources.files import file_size
from app.sources.survey import Survey, survey, unconfigured_sentence
from app.sources.tables import is_table
from schemas.kinds import CLOSES

GLANCE = 1_000
"""Closes that are looked at before the first one is sent: enough to see that the settings do not fit."""

_SHOWN_EVENTS = 6


@cli.command("import")
@click.argument("files", nargs=-1, required=True)
@source_options
@click.option("--module", help="The events' module (default: the mapping's, else pm).")
@click.option("--shift-to", metavar="TIME", help="Move the log in time so that its newest exit is at TIME (RFC 3339, or `now`).")
@click.option("--rate", type=click.FloatRange(min=0.1), help="Closes per second at most (default: as fast as the broker takes them).")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many closes.")
@click.option("--dry-run", is_flag=True, help="Send nothing, need no broker: show the first events and what would be a dead letter.")
@click.option(
    "--draft", "draft_to", type=click.Path(path_type=Path), metavar="FILE", help="Guess a mapping of the table and write it to FILE."
)
@json_option
@handle_errors
def import_(
    files: tuple[str, ...],
    kind: str | None,
    mapping: Path | None,
    module: str | None,
    shift_to: str | None,
    rate: float | None,
    limit: int | None,
    dry_run: bool,
    draft_to: Path | None,
    as_json: bool,
) -> None:
    """Send closed positions from FILES of other programs: freqtrade, nautilus_trader, CSV and Parquet.

    The same files give the same events with the same ids, so to import them again changes nothing.  What cannot be read is sent as it is
    and ends as a dead letter with a reason; --dry-run shows which.

    \b
    Examples:
      faust -A app import trades.csv --draft mapping.toml
      faust -A app import trades.csv --mapping mapping.toml --dry-run
      faust -A app import trades.csv --mapping mapping.toml
      faust -A app import tradesv3.sqlite --dry-run
      faust -A app import backtest-result-2024-05-01_12-00-00.zip --module backtest
      faust -A app import positions.jsonl --from nautilus
    """
    if draft_to is not None:
        _draft(files, draft_to, as_json)
        return
    settings = Settings.from_environment()
    notes = Notes()

    def read(into: Notes | None = None) -> Iterator[Closed]:
        return closes(files, kind, mapping, module=module, notes=into)

    by = shift_by(files, shift_to, limit, read)
    found = islice(read(notes), limit)
    if dry_run:
        moved = found if by is None else (c._replace(value=shifted(c.value, by)) for c in found)
        _report(_survey(settings, files, moved), notes, as_json)
        return
    first = list(islice(found, GLANCE))
    if not first:
        raise BadDataError("There is not one close in what was given.", _sentences(notes) or "Show what is in it with --dry-run.")
    glance = survey(settings, first, now_ms())
    glance.check_outcome()
    total = file_size(files)
    sent = asyncio.run(
        send(settings, chain(first, found), total_bytes=total, by=by, rate=rate, limit=limit, dry_run=False, doing="importing")
    )
    if as_json:
        echo_json(
            {
                "sent": sent.closes,
                "seconds": round(sent.seconds, 3),
                "topic": settings.topic(CLOSES),
                "notes": dict(notes),
                "dimensions": glance.document()["dimensions"],
            }
        )
        return
    click.echo(f"sent {sent.closes:,} closes in {sent.seconds:.1f} s ({sent.closes / max(sent.seconds, 1e-9):,.0f}/s)", err=True)
    for line in (*_note_lines(notes), *_dimension_lines(glance)):
        click.echo(line, err=True)


def _survey(settings: Settings, files: tuple[str, ...], found: Iterator[Closed]) -> Survey:
    made, read, looked_ms = Survey(settings), ReadBytes(), now_ms()
    with progress() as bar:
        task = bar.add_task("reading", total=file_size(files), rate="")
        for closed in found:
            made.see(closed, looked_ms, show=_SHOWN_EVENTS)
            read.see(closed)
            if made.closes % 1_000 == 0:
                bar.update(task, completed=read.bytes, rate=f"{made.closes:,}")
    return made


def _note_lines(notes: Notes) -> list[str]:
    return [f"{what[:1].upper()}{what[1:]}: {count:,}." for what, count in notes]


def _sentences(notes: Notes) -> str:
    return " ".join(_note_lines(notes))


def _dimension_lines(seen: Survey) -> list[str]:
    sentence = unconfigured_sentence(seen)
    return [sentence, f"  To learn from all that this log has, set for workers and commands: {seen.export}"] if sentence else []


def _report(seen: Survey, notes: Notes, as_json: bool) -> None:
    if as_json:
        events = [{"place": place, "event": event} for place, event in seen.first]
        echo_json({**seen.document(), "notes": dict(notes), "first": events, "dry_run": True})
        return
    out = console()
    if seen.first:
        out.print(_first_events(seen))
        place, event = seen.first[0]
        out.print(f"The first one in whole ({place}):")
        click.echo(orjson.dumps(event, option=orjson.OPT_INDENT_2).decode())
    click.echo(
        f"{seen.closes:,} closes: {seen.closes - seen.dead_letters:,} would be taken, {seen.dead_letters:,} would end as dead letters."
    )
    if seen.exits:
        click.echo(f"{len(seen.groups):,} groups; exits from {min(seen.exits)[:10]} to {max(seen.exits)[:10]}.")
        click.echo(f"EDGELOOP_WINDOW_DAYS={seen.settings.window_days:g} before the newest exit holds {seen.in_window():,} of them.")
    if seen.repeated:
        click.echo(f"Closes whose trade_id was there before, of which one counts: {seen.repeated:,}.")
    for line in _note_lines(notes):
        click.echo(line)
    if seen.refused:
        out.print(_refused(seen))
    shown = ", ".join(f"{name} {count:,}" for name, count in seen.outcomes.most_common()) or "none"
    click.echo(f"Outcomes found: {shown}. EDGELOOP_OUTCOME={seen.settings.outcome} learns from {seen.outcome_field}.")
    if remedy := seen.outcome_remedy():
        click.echo(f"  No close has it, so all would be dead letters. {remedy}")
    for line in _dimension_lines(seen):
        click.echo(line)
    click.echo("Nothing was sent.", err=True)


def _first_events(seen: Survey) -> Table:
    table = Table(title=f"The first {len(seen.first)} of {seen.closes:,} closes", title_justify="left")
    for name in ("place", "trade_id", "symbol", "exit", "rr", "roi", "pnl_usd", "pattern of the entry", "actions"):
        table.add_column(name, overflow="fold")
    for place, event in seen.first:
        summary, actions = event.get("trade_summary"), event.get("actions")
        summary = summary if isinstance(summary, dict) else {}
        actions = [a for a in actions if isinstance(a, dict)] if isinstance(actions, list) else []
        values = [
            place,
            event.get("trade_id"),
            event.get("symbol"),
            summary.get("exit_timestamp"),
            *(summary.get(name) for name in ("rr", "roi", "pnl_usd")),
            actions[0].get("pattern_key") if actions else None,
            " ".join(str(a.get("action_category")) for a in actions),
        ]
        table.add_row(*("" if value is None else _shown(value) for value in values))
    return table


def _shown(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _refused(seen: Survey) -> Table:
    table = Table(title="Would be dead letters", title_justify="left")
    for name in ("count", "reason", "path", "first at", "error"):
        table.add_column(name, overflow="fold")
    for letter in seen.document()["dead_letters"]:
        table.add_row(f"{letter['count']:,}", letter["reason"], letter["path"], ", ".join(letter["places"]), letter["exception"])
    return table


def _draft(files: tuple[str, ...], to: Path, as_json: bool) -> None:
    if len(files) != 1 or not is_table(files[0]):
        raise UsageError("A draft is made of one table.", "Name one .csv, .csv.gz, .csv.zst or .parquet file; save a spreadsheet as CSV.")
    if to.exists():
        raise UsageError(f"{to} is there already, and a draft overwrites nothing.", "Name another file, or move that one away.")
    made = draft(files[0], Path(files[0]).name)
    to.write_text(made.text, encoding="utf-8")
    if as_json:
        echo_json({"mapping": str(to), "guessed": made.guessed, "left": made.left})
        return
    click.echo(f"{to} is written.")
    for title, sentences in (("Guessed:", made.guessed), ("Left for you to decide:", made.left)):
        if sentences:
            click.echo(title)
            for sentence in sentences:
                click.echo(f"  {sentence}")
    click.echo(f"Then: faust -A app import {files[0]} --mapping {to} --dry-run")
