"""`faust -A app overrides list|show|watch` and `lessons list`: show overrides and lessons, read
from the topics.

May touch: the broker (read only).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any

import click
import msgspec
from rich.table import Table
from rich.text import Text

from app.commands.base import (
    cli,
    console,
    echo,
    echo_json,
    handle_errors,
    import_later,
    json_option,
    now_ms,
    warn_skipped,
)
from app.commands.refresh import refreshing
from app.context_text import context_text
from app.errors import BadDataError
from app.explain.sparklines import curve
from app.export.exported import Remarks
from app.export.overrides import overrides_at
from app.group_filter import matching
from app.kafka.bulk_reader import follow
from app.kafka.records import UNREADABLE, version_of
from app.kafka.skipped import SHOWN, Skipped
from app.kafka.snapshot import current, decoder
from app.settings import Settings
from app.time_argument import parse_time
from edgeloop.overrides import Override, times_text
from edgeloop.scope import canonical_text
from schemas import kinds
from schemas.lessons import Lesson, LessonVerdict


def _filters(command: Any) -> Any:
    for option in (
        click.option(
            "--limit",
            type=click.IntRange(min=1),
            default=50,
            show_default=True,
            help="Maximum number to show.",
        ),
        click.option(
            "--category",
            type=click.Choice(["entry", "add", "trim", "exit"]),
            help="Only this action category.",
        ),
        click.option("--pattern", help="Only this canonical pattern key; may end with *."),
        click.option("--module", help="Only this module."),
    ):
        command = option(command)
    return command


def _dicts(records: list[Any]) -> list[dict[str, Any]]:
    return [msgspec.to_builtins(record) for record in records]


@cli.group("overrides")
def overrides() -> None:
    """Show the overrides that the position manager reads."""


import_later(overrides, {"diff": "diff", "explain": "explain"})


@overrides.command("list")
@_filters
@click.option(
    "--sort",
    type=click.Choice(["multiplier", "trades", "key"]),
    default="multiplier",
    show_default=True,
)
@click.option(
    "--as-of",
    metavar="TIME",
    help="Those in force at this time (RFC 3339), excluding expired ones.",
)
@json_option
@handle_errors
def list_overrides(
    module: str | None,
    pattern: str | None,
    category: str | None,
    limit: int,
    sort: str,
    as_of: str | None,
    as_json: bool,
) -> None:
    """List the overrides in force.

    With --as-of, reads the changes in the topic and, if reachable, in PostgreSQL.

    \b
    Examples:
      faust -A app overrides list
      faust -A app overrides list --pattern 'pm.donchian*' --category entry --sort trades
      faust -A app overrides list --as-of 2026-01-31T12:00:00Z --json
    """
    settings, remarks = Settings.from_environment(), Remarks()
    if as_of is None:
        records = asyncio.run(current(settings, kinds.OVERRIDES, remarks.skipped))
    else:
        records = asyncio.run(
            overrides_at(settings, round(parse_time(as_of).timestamp() * 1e6), remarks)
        )
    warn_skipped(remarks.skipped)
    found = list(matching(records, module=module, pattern=pattern, category=category))
    order = {
        "multiplier": lambda o: (-o.multiplier, o.override_id),
        "trades": lambda o: (-o.n_trades, o.override_id),
        "key": lambda o: (o.pattern_key, o.action_category, canonical_text(o.scope)),
    }[sort]
    found.sort(key=order)
    if as_json:
        echo_json(
            {
                "total": len(found),
                "overrides": _dicts(found[:limit]),
                "unreadable": remarks.skipped.document(),
                **({} if as_of is None else {"notes": remarks.notes}),
            }
        )
        return
    for note in remarks.notes:
        echo(note, err=True)
    table = Table(
        "override", "pattern", "category", "scope", "×", "trades", "effect", "confidence", "decay"
    )
    for column in (4, 5, 6, 7):
        table.columns[column].justify = "right"
    for o in found[:limit]:
        table.add_row(
            o.override_id[:12],
            o.pattern_key,
            o.action_category,
            context_text(o.scope),
            times_text(o.multiplier),
            f"{o.n_trades:,}",
            f"{o.effect:+.3f}",
            f"{o.confidence:.2f}",
            o.decay.state,
        )
    console().print(table)
    echo(f"{min(limit, len(found)):,} of {len(found):,} overrides")


@overrides.command("show")
@click.argument("override_id")
@json_option
@handle_errors
def show_override(override_id: str, as_json: bool) -> None:
    """Show one override in full, with the curve of its effect until it expires.

    The first characters of its id are enough.

    \b
    Examples:
      faust -A app overrides show 3f2a9c
    """
    skipped = Skipped()
    records = asyncio.run(current(Settings.from_environment(), kinds.OVERRIDES, skipped))
    warn_skipped(skipped)
    found = [o for key, o in records.items() if key.startswith(override_id)]
    if len(found) != 1:
        problem = f"{len(found)} overrides start with" if found else "No override starts with"
        raise BadDataError(
            f"{problem} {override_id!r}.",
            "Run `faust -A app overrides list` to see those in force.",
        )
    if as_json:
        echo_json(msgspec.to_builtins(found[0]))
        return
    for name, value in msgspec.to_builtins(found[0]).items():
        echo(f"{name:18} {value}")
    for number, line in enumerate(curve(found[0], now_ms() * 1000)):
        echo(f"{'curve' if number == 0 else '':18} {line}")


@overrides.command("watch")
@click.option(
    "--count", type=click.IntRange(min=1), help="Stop after N changes (default: run until Ctrl-C)."
)
@json_option
@handle_errors
def watch_overrides(count: int | None, as_json: bool) -> None:
    """Show each change of an override as it is published.

    On a terminal, the list of the newest changes refreshes in place; elsewhere, each change is one
    line.

    \b
    Examples:
      faust -A app overrides watch
      faust -A app overrides watch --count 10 --json
    """
    out = console()
    in_place = out.is_terminal and not as_json

    async def watch() -> None:
        settings, skipped = Settings.from_environment(), Skipped()
        decode, kind = decoder(kinds.OVERRIDES), kinds.KINDS[kinds.OVERRIDES]
        seen, newest = 0, deque[tuple[str, ...]](maxlen=max(5, out.height - 6))
        with refreshing(out) if in_place else nullcontext(out.print) as show:
            if in_place:
                show(_changes(newest, seen))
            async for published in follow(settings, kinds.OVERRIDES):
                key, value = published.key.decode(), published.value
                try:
                    record: Override | None = None
                    if value is not None:
                        record = kind.checked(decode(value), published.key)
                except UNREADABLE as error:
                    skipped.add(published.topic, published.partition, published.offset, error)
                    if skipped.count <= SHOWN:
                        echo(f"Warning: Skipped {skipped.first[-1]}", err=True)
                    continue
                seen += 1
                if as_json:
                    echo_json(
                        {
                            "override_id": key,
                            "version": version_of(published),
                            "override": None if record is None else msgspec.to_builtins(record),
                        }
                    )
                elif in_place:
                    newest.appendleft(_change(key, record))
                    show(_changes(newest, seen))
                else:
                    echo(" ".join(part for part in _change(key, record) if part))
                if seen == count:
                    return

    asyncio.run(watch())


def _change(key: str, record: Override | None) -> tuple[str, ...]:
    if record is None:
        return key[:12], "retired", "", "", ""
    scope = context_text(record.scope)
    return (
        key[:12],
        f"×{times_text(record.multiplier)}",
        record.pattern_key,
        record.action_category,
        scope,
    )


def _changes(newest: Iterable[tuple[str, ...]], seen: int) -> Table:
    table = Table(
        "override", "×", "pattern", "category", "scope", caption=f"{seen:,} changes; Ctrl-C ends"
    )
    for change in newest:
        table.add_row(*map(Text, change))
    return table


@cli.group("lessons")
def lessons() -> None:
    """Show the evidence behind the overrides."""


@lessons.command("list")
@_filters
@json_option
@handle_errors
def list_lessons(
    module: str | None, pattern: str | None, category: str | None, limit: int, as_json: bool
) -> None:
    """List lessons with their verdicts, most trades first.

    \b
    Examples:
      faust -A app lessons list --category entry
      faust -A app lessons list --pattern 'pm.rsi2*' --json
    """

    skipped = Skipped()

    async def read() -> tuple[list[Lesson], dict[str, LessonVerdict]]:
        settings = Settings.from_environment()
        records = await current(settings, kinds.LESSONS, skipped)
        verdicts = await current(settings, kinds.VERDICTS, skipped)
        return [
            r
            for r in matching(records, module=module, pattern=pattern, category=category)
            if isinstance(r, Lesson)
        ], verdicts

    found, verdicts = asyncio.run(read())
    warn_skipped(skipped)
    found.sort(key=lambda lesson: (-lesson.n, lesson.lesson_id))
    if as_json:
        shown = [
            {
                "lesson": msgspec.to_builtins(x),
                "verdict": (
                    msgspec.to_builtins(verdicts[x.lesson_id]) if x.lesson_id in verdicts else None
                ),
            }
            for x in found[:limit]
        ]
        echo_json({"total": len(found), "lessons": shown, "unreadable": skipped.document()})
        return
    table = Table(
        "lesson", "pattern", "category", "scope", "trades", "mean", "decay", "decision", "reason"
    )
    for column in (4, 5):
        table.columns[column].justify = "right"
    for x in found[:limit]:
        verdict = verdicts.get(x.lesson_id)
        table.add_row(
            x.lesson_id[:12],
            x.pattern_key,
            x.action_category,
            context_text(x.scope),
            f"{x.n:,}",
            f"{x.mean:+.3f}",
            x.decay.state,
            verdict.decision if verdict else "",
            verdict.reason if verdict else "",
        )
    console().print(table)
    echo(f"{min(limit, len(found)):,} of {len(found):,} lessons")
