"""`faust -A app import FILE…`: trade logs of other programs and tables, as closes.

May touch: the files (read only), the topic `position_closed`, and with --draft the mapping that it
writes.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import chain, islice
from pathlib import Path
from typing import Any

import click
import orjson
from rich.progress import TaskID
from rich.table import Table

from app.commands.base import (
    cli,
    console,
    echo,
    echo_json,
    handle_errors,
    json_option,
    now_ms,
)
from app.commands.sending import ReadBytes, Sent, progress, send, sending_options, shift_by
from app.commands.trade_files import source_options
from app.errors import BadDataError, UsageError
from app.settings import Settings
from app.sources import Closed, Notes, closes
from app.sources.cells import QUOTE
from app.sources.contradictions import Against, Contradicted, lines, refuse
from app.sources.draft import draft
from app.sources.figures import written as figure
from app.sources.files import file_size
from app.sources.making import joined
from app.sources.mapping import FIELDS, TableMapping
from app.sources.mapping_file import load
from app.sources.read import kind_of
from app.sources.survey import Survey, survey, unconfigured_sentence
from app.time_shift import shifted
from schemas.kinds import CLOSES

GLANCE = 1_000
"""Closes that are looked at before the first one is sent: enough to see that the settings do not
fit."""


@cli.command("import")
@click.argument("files", nargs=-1, required=True)
@source_options
@click.option("--module", help="Module of the events (default: the mapping's, else pm).")
@sending_options
@click.option("--limit", type=click.IntRange(min=1), help="Import only the first N closes.")
@click.option(
    "--dry-run",
    is_flag=True,
    help=(
        "Send nothing (no broker needed): show the first events and what would become a dead"
        " letter."
    ),
)
@click.option(
    "--show",
    default="6",
    metavar="N",
    help="With --dry-run: how many events to show, or `all` (with --json: to list).",
)
@click.option(
    "--expect-pnl",
    metavar="AMOUNT",
    help=(
        "With --dry-run: fail unless the total profit equals this, such as `1234.56` or `1234.56"
        " EUR`."
    ),
)
@click.option(
    "--table", "which", metavar="NAME", help="With --draft: the table to use, by title or number."
)
@click.option(
    "--rows",
    type=click.Choice(tuple(FIELDS)),
    help="With --draft: what each row is (default: detected).",
)
@click.option(
    "--draft",
    "draft_to",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Draft a mapping for the table and write it to FILE.",
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
    show: str,
    expect_pnl: str | None,
    which: str | None,
    rows: str | None,
    draft_to: Path | None,
    as_json: bool,
) -> None:
    """Send closed positions from FILES of other programs: freqtrade, nautilus_trader, and tables of
    any broker or platform (CSV, spreadsheets, HTML, XML, JSON, SQLite, Parquet).

    The same files give the same events with the same ids, so importing them again changes nothing.
    Unreadable values are sent unchanged and become dead letters with a reason; --dry-run lists
    them.

    \b
    Examples:
      faust -A app import trades.csv --draft mapping.toml
      faust -A app import statement.htm --draft mapping.toml --table Positions
      faust -A app import trades.csv --mapping mapping.toml --dry-run --expect-pnl 1234.56
      faust -A app import trades.csv --mapping mapping.toml
      faust -A app import tradesv3.sqlite --dry-run
      faust -A app import backtest-result-2024-05-01_12-00-00.zip --module backtest
      faust -A app import positions.jsonl --from nautilus
    """
    if draft_to is not None:
        _draft(files, kind, draft_to, which, rows, as_json)
        return
    if which is not None or rows is not None:
        raise UsageError(
            "--table and --rows apply to --draft only.",
            "Use them when drafting; the mapping then records them.",
        )
    if expect_pnl is not None and not dry_run:
        raise UsageError(
            "--expect-pnl requires --dry-run.",
            "Add --dry-run; import once the profit is as expected.",
        )
    settings = Settings.from_environment()
    notes, watched = Notes(), _Watched(files)
    against: list[Contradicted] = []

    def read(into: Notes | None = None, told: Against | None = None) -> Iterator[Closed]:
        return closes(
            files, kind, mapping, module=module, notes=into, reading=watched.at, against=told
        )

    by = shift_by(files, shift_to, limit, read)
    found = islice(read(notes, lambda some, _: against.extend(some)), limit)
    meaning = load(mapping) if mapping is not None else None
    if dry_run:
        moved = found if by is None else (c._replace(value=shifted(c.value, by)) for c in found)
        expected, shown = _expected(expect_pnl), _shown_events(show)
        seen = _survey(settings, watched, moved, shown, meaning)
        _report(seen, notes, as_json, expected, against)
        if meaning is not None:
            refuse(against, meaning)
        return
    with watched:
        first = list(islice(found, GLANCE))
    if not first:
        raise BadDataError(
            "The input contains no closed positions.",
            _sentences(notes) or "Show what is in it with --dry-run.",
        )
    glance = survey(settings, first, now_ms())
    glance.check_outcome()
    if meaning is not None:
        refuse(against, meaning)
    total = file_size(files)
    sent = asyncio.run(
        send(
            settings,
            chain(first, found),
            total_bytes=total,
            by=by,
            rate=rate,
            limit=limit,
            dry_run=False,
            doing="importing",
        )
    )
    if as_json:
        echo_json(
            {
                "sent": sent.closes,
                "seconds": round(sent.seconds, 3),
                "topic": settings.topic(CLOSES),
                "notes": dict(notes),
                "dimensions": glance.document()["dimensions"],
                "contradictions": [asdict(one) for one in against],
            }
        )
    else:
        _print_sent(sent, notes, glance)
        for line in lines(against, meaning):
            echo(line, err=True)
    if meaning is not None:
        refuse(against, meaning)  # what rows after the first ones show


def _print_sent(sent: Sent, notes: Notes, glance: Survey) -> None:
    echo(
        f"sent {sent.closes:,} closes in {sent.seconds:.1f} s"
        f" ({sent.closes / max(sent.seconds, 1e-9):,.0f}/s)",
        err=True,
    )
    for line in (*_note_lines(notes), *_dimension_lines(glance)):
        echo(line, err=True)


def _shown_events(show: str) -> int:
    if show == "all":
        return sys.maxsize
    if not show.isdigit():
        raise UsageError(f"--show is {show!r}.", "Expected a number of events, or all.")
    return int(show)


def _reading_lines(mapping: TableMapping | None) -> list[str]:
    """The parts of the mapping that affect the result, as text."""
    if mapping is None:
        return []
    parts = [
        f"rows are {mapping.rows}",
        f"times without an offset are in {mapping.timezone}",
        (
            "the currency is"
            f" {mapping.currency.lower() if mapping.currency == QUOTE else mapping.currency}"
        ),
    ]
    if mapping.profit:
        parts.append(
            {
                "gross": "fees are deducted from profits",
                "net": "profits are after fees",
                "shown": "fees are ignored",
            }[mapping.profit]
        )
    if mapping.multipliers:
        parts.append(
            "contract values are "
            + joined([f"{name} {value:g}" for name, value in mapping.multipliers.items()], 6)
        )
    if mapping.rows == "fills" and mapping.shorts != "yes":
        parts.append(
            "no sale opens a short"
            if mapping.shorts == "no"
            else "a sale opens a short only if it says so"
        )
    return [f"Read according to the mapping: {'; '.join(parts)}."]


def _expected(text: str | None) -> tuple[float, str | None] | None:
    """(the profit, its currency) of --expect-pnl."""
    if text is None:
        return None
    stated = figure(text.strip())
    if stated is None:
        raise UsageError(
            f"--expect-pnl is {text!r}.",
            "Expected an amount such as 1234.56, with its currency if there are several: 1234.56"
            " EUR.",
        )
    return float(stated.text), stated.unit


class _Watched:
    """A bar that shows how far the files have been read, while it is entered; fills are read to
    their end before the first close comes."""

    def __init__(self, files: tuple[str, ...]) -> None:
        self._files, self._bar = files, progress()
        self._task: TaskID | None = None

    def __enter__(self) -> None:
        self._bar.start()
        self._task = self._bar.add_task("reading", total=file_size(self._files), rate="")

    def __exit__(self, *_: object) -> None:
        self._bar.stop()
        self._task = None

    def at(self, n_bytes: int, rate: str = "") -> None:
        """Note how many bytes have been read."""
        if self._task is not None:
            self._bar.update(self._task, completed=n_bytes, rate=rate)


def _survey(
    settings: Settings,
    watched: _Watched,
    found: Iterator[Closed],
    show: int,
    mapping: TableMapping | None,
) -> Survey:
    made, read, looked_ms = Survey(settings, mapping), ReadBytes(), now_ms()
    with watched:
        for closed in found:
            made.see(closed, looked_ms, show=show)
            read.see(closed)
            if made.closes % 1_000 == 0:
                watched.at(read.bytes, f"{made.closes:,}")
    return made


def _note_lines(notes: Notes) -> list[str]:
    lines = []
    for what, count in notes:
        names = f" ({joined(notes.names(what), 8)})" if notes.names(what) else ""
        lines.append(f"{what[:1].upper()}{what[1:]}: {count:,}{names}.")
    return lines


def _sentences(notes: Notes) -> str:
    return " ".join(_note_lines(notes))


def _dimension_lines(seen: Survey) -> list[str]:
    sentence = unconfigured_sentence(seen)
    return (
        [
            sentence,
            f"  To learn from everything in this log, set for workers and commands: {seen.export}",
        ]
        if sentence
        else []
    )


def _report(
    seen: Survey,
    notes: Notes,
    as_json: bool,
    expected: tuple[float, str | None] | None,
    against: Sequence[Contradicted],
) -> None:
    fits, sentence = seen.totals.expected(*expected) if expected else (True, "")
    if as_json:
        events = [
            {"place": place, "event": event, **({"told": stated._asdict()} if stated else {})}
            for place, event, stated in seen.first
        ]
        named = {what: notes.names(what) for what, _ in notes if notes.names(what)}
        echo_json(
            {
                **seen.document(),
                "notes": dict(notes),
                "named": named,
                "first": events,
                "dry_run": True,
                "expected_pnl": sentence or None,
                "contradictions": [asdict(one) for one in against],
            }
        )
    else:
        _print(seen, notes)
        for line in _reading_lines(seen.mapping):
            echo(line)
        for line in seen.totals.lines():
            echo(line)
        if sentence and fits:
            echo(sentence)
        for line in lines(against, seen.mapping):
            echo(line)
        echo("Nothing was sent.", err=True)
    if not fits:
        raise BadDataError(
            sentence, "Check what was skipped, rejected or is still open, then correct the mapping."
        )


def _print(seen: Survey, notes: Notes) -> None:
    out = console()
    if seen.first:
        out.print(_first_events(seen))
        place, event, _ = seen.first[0]
        out.print(f"The first event in full ({place}):")
        echo(orjson.dumps(event, option=orjson.OPT_INDENT_2).decode())
    echo(
        f"{seen.closes:,} closes: {seen.closes - seen.dead_letters:,} would be accepted,"
        f" {seen.dead_letters:,} would become dead letters."
    )
    if seen.exits:
        echo(
            f"{len(seen.groups):,} groups; exits from {min(seen.exits)[:10]} to"
            f" {max(seen.exits)[:10]}."
        )
        echo(
            f"{seen.in_window():,} of them are within"
            f" EDGELOOP_WINDOW_DAYS={seen.settings.window_days:g} of the newest exit."
        )
    if seen.repeated:
        echo(f"Closes with a repeated trade_id, of which one counts: {seen.repeated:,}.")
    for line in _note_lines(notes):
        echo(line)
    if seen.refused:
        out.print(_refused(seen))
        for line in _wrong(seen):
            echo(line)
    shown = ", ".join(f"{name} {count:,}" for name, count in seen.outcomes.most_common()) or "none"
    echo(
        f"Outcomes found: {shown}. EDGELOOP_OUTCOME={seen.settings.outcome} learns from"
        f" {seen.outcome_field}."
    )
    if remedy := seen.outcome_remedy():
        echo(f"  No close has {seen.outcome_field}, so all would become dead letters. {remedy}")
    for line in _dimension_lines(seen):
        echo(line)


def _first_events(seen: Survey) -> Table:
    table = Table(
        title=f"The first {len(seen.first)} of {seen.closes:,} closes", title_justify="left"
    )
    for name in (
        "place",
        "trade_id",
        "symbol",
        "exit",
        "rr",
        "roi",
        "pnl_usd",
        "pattern of the entry",
        "actions",
    ):
        table.add_column(name, overflow="fold")
    for place, event, _ in seen.first:
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
        table.add_row(
            f"{letter['count']:,}",
            letter["reason"],
            letter["path"],
            ", ".join(letter["places"]),
            letter["exception"],
        )
    return table


def _wrong(seen: Survey) -> list[str]:
    """What is wrong with the first ones, each with its line."""
    return [
        f"Line {place.rpartition(':')[2]}: {words}"
        for refused in seen.refused.values()
        for place, words in zip(refused.places, refused.words, strict=True)
        if words
    ]


def _draft(
    files: tuple[str, ...],
    kind: str | None,
    to: Path,
    which: str | None,
    rows: str | None,
    as_json: bool,
) -> None:
    if len(files) != 1 or (kind or kind_of(files[0])) != "table":
        raise UsageError(
            "A draft needs exactly one table.",
            "Name one file with tables: .csv, .tsv, .xlsx, .htm, .xml, .json, .sqlite, .log or"
            " .parquet, also .gz or .zst.  If a .jsonl is that of another program, add --from"
            " table.",
        )
    if to.exists():
        raise UsageError(
            f"{to} already exists, and --draft does not overwrite files.",
            "Name another file, or move the existing one.",
        )
    made = draft(files[0], Path(files[0]).name, which, rows)
    to.write_text(made.text, encoding="utf-8")
    if as_json:
        echo_json(
            {"mapping": str(to), "guessed": made.guessed, "asked": made.asked, "left": made.left}
        )
        return
    echo(f"{to} written.")
    asked = 'Answer these before importing: replace each "?" in the mapping.'
    for title, sentences in (
        ("Guessed:", made.guessed),
        (asked, made.asked),
        ("Please check:", made.left),
    ):
        if sentences:
            echo(title)
            for sentence in sentences:
                echo(f"  {sentence}")
    echo(f"Then: faust -A app import {files[0]} --mapping {to} --dry-run")
