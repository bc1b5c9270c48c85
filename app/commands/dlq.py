"""`faust -A app dlq list|show|redrive|approve`: rejected closes: show them, with the reasons, and
send them again.

May touch: the broker: reads `position_closed.dlq` and `position_closed`; `redrive` and `approve`
write `position_closed`, `approve` also `edgeloop_control`.
"""

from __future__ import annotations

import asyncio
import heapq
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import click
from rich.progress import MofNCompleteColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from app.closes import REASONS, RefusedCloseError
from app.commands.base import (
    check_can_ask,
    cli,
    console,
    echo,
    echo_json,
    handle_errors,
    json_option,
    working,
    yes_option,
)
from app.deadletters.approve import approve
from app.deadletters.marking import marked
from app.deadletters.read import Letter, Wanted, letter_at, letters, parse_place, problem_now
from app.deadletters.redrive import Redrive, plan, send, whole_value
from app.errors import BadDataError
from app.kafka.fetcher import Fetcher
from app.settings import Settings
from app.time_argument import parse_time

SHOWN_LINES = 400
"""Lines shown of a letter's value, unless --whole is given."""
SHOWN_KEY = 120
"""Characters of a letter's key."""


_REASON = click.option(
    "--reason",
    "reasons",
    multiple=True,
    type=click.Choice(sorted(REASONS)),
    help="Only this reason; repeatable.",
)


def _filters(command: Any) -> Any:
    return _filters_but_reason(_REASON(command))


def _filters_but_reason(command: Any) -> Any:
    for option in (
        click.option(
            "--source-offset",
            type=click.IntRange(min=0),
            help="Only closes at this offset of position_closed.",
        ),
        click.option(
            "--source-partition",
            type=click.IntRange(min=0),
            help="Only closes from this partition of position_closed.",
        ),
        click.option("--key", help="Only closes with this message key."),
        click.option("--until", help="Only closes sent before this time (RFC 3339)."),
        click.option("--since", help="Only closes sent at this time or later (RFC 3339)."),
        click.option(
            "--path",
            help=(
                "Only errors whose JSON path starts with this, or matches this pattern of * and ?."
            ),
        ),
    ):
        command = option(command)
    return command


def _wanted(
    reasons: tuple[str, ...],
    path: str | None,
    since: str | None,
    until: str | None,
    key: str | None,
    partition: int | None,
    offset: int | None,
) -> Wanted:
    return Wanted(
        reasons=reasons,
        path=path,
        key=key,
        since_ms=None if since is None else round(parse_time(since).timestamp() * 1000),
        until_ms=None if until is None else round(parse_time(until).timestamp() * 1000),
        source_partition=partition,
        source_offset=offset,
    )


@cli.group("dlq")
def dlq() -> None:
    """Show dead letters, and resend them."""


@dlq.command("list")
@_filters
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="Maximum number of dead letters to show, newest first.",
)
@json_option
@handle_errors
def list_letters(
    reasons: tuple[str, ...],
    path: str | None,
    since: str | None,
    until: str | None,
    key: str | None,
    source_partition: int | None,
    source_offset: int | None,
    limit: int,
    as_json: bool,
) -> None:
    """Count dead letters by reason and path, and list the newest.

    \b
    Examples:
      faust -A app dlq list
      faust -A app dlq list --reason wrong_type --path '$.actions[*].scope' --limit 5
      faust -A app dlq list --since 2026-01-31T00:00:00Z --json
    """
    settings = Settings.from_environment()
    wanted = _wanted(reasons, path, since, until, key, source_partition, source_offset)
    counts: Counter[tuple[str, str]] = Counter()
    newest: list[tuple[tuple[int, int, int], Letter]] = []

    async def read() -> None:
        with _progress("reading dead letters") as advance:
            async for letter, _ in letters(settings, on_batch=advance):
                if wanted.fits(letter):
                    counts[letter.reason, re.sub(r"\[\d+\]", "[*]", letter.path)] += 1
                    item = (
                        (_moment_ms(letter), letter.place.partition, letter.place.offset),
                        letter,
                    )
                    (heapq.heappush if len(newest) < limit else heapq.heappushpop)(newest, item)

    asyncio.run(read())
    del newest[limit:]
    shown = [letter for _, letter in sorted(newest, reverse=True)]
    total = sum(counts.values())
    if as_json:
        by_reason = [
            {"reason": reason, "path": where, "letters": n}
            for (reason, where), n in counts.most_common()
        ]
        echo_json(
            {"total": total, "counts": by_reason, "letters": [_plain(letter) for letter in shown]}
        )
        return
    if total:
        table = Table("letters", "reason", "path", "meaning")
        table.columns[0].justify = "right"
        for (reason, where), n in counts.most_common():
            table.add_row(
                f"{n:,}", reason, Text(where), REASONS.get(reason, "Not written by Edgeloop.")
            )
        console().print(table)
    if shown:
        rows = Table("place", "sent", "key", "reason", "path", "source", "bytes")
        rows.columns[6].justify = "right"
        for letter in shown:
            rows.add_row(
                str(letter.place),
                _time(_moment_ms(letter)),
                Text(_short(_key(letter))),
                letter.reason,
                Text(letter.path),
                "" if letter.source is None else str(letter.source),
                f"{letter.length:,}",
            )
        console().print(rows)
    echo(f"{len(shown):,} of {total:,} dead letters")


@dlq.command("show")
@click.argument("place")
@click.option("--whole", is_flag=True, help="Show every line of a long value.")
@json_option
@handle_errors
def show_letter(place: str, whole: bool, as_json: bool) -> None:
    """Show one dead letter: its headers, its value with the error marked, and whether it would be
    accepted now.

    PLACE is partition:offset in position_closed.dlq, as `dlq list` shows it.

    \b
    Examples:
      faust -A app dlq show 3:17
      faust -A app dlq show 3:17 --json
    """
    settings, at = Settings.from_environment(), parse_place(place)

    async def read() -> tuple[Letter, bytes | None, bool, RefusedCloseError | None]:
        letter, record = await letter_at(settings, at)
        value, known = record.value, True
        if letter.is_cut:
            async with Fetcher(settings) as fetcher:
                found = await whole_value(settings, fetcher, letter)
            value, known = found or value, found is not None
        return letter, value, known, problem_now(value, round(time.time() * 1000), settings)

    letter, value, known, problem = asyncio.run(read())
    if as_json:
        now = (
            None
            if not known
            else {"valid": problem is None, **({} if problem is None else _problem(problem))}
        )
        text = None if value is None else value.decode(errors="backslashreplace")
        echo_json(
            {**_plain(letter), "meaning": REASONS.get(letter.reason), "value": text, "now": now}
        )
        return
    for name, content in (_plain(letter) | {"key": _short(_key(letter))}).items():
        echo(f"{name:18} {'' if content is None else content}")
    echo(f"\n{letter.reason}: {REASONS.get(letter.reason, 'Not written by Edgeloop.')}\n")
    lines = marked(value, letter.path, letter.reason, letter.exception)
    shown = lines if whole or len(lines) <= SHOWN_LINES else _around(lines, letter.reason)
    for line in shown:
        echo(line)
    echo("")
    if not known:
        echo(
            "Only the first MiB was kept, and the full value is no longer in position_closed: it"
            " cannot be resent."
        )
    elif problem is not None and problem.reason == "held_revision":
        echo(
            "It waits for approval: faust -A app dlq approve --source-partition"
            f" {_or(letter, 0)} --source-offset {_or(letter, 1)}"
        )
    elif problem is None:
        echo(
            "It would be accepted now: faust -A app dlq redrive --source-partition"
            f" {_or(letter, 0)} --source-offset {_or(letter, 1)}"
        )
    else:
        echo(f"It would be rejected again: {problem.reason} at {problem.path}. {problem.exception}")


@dlq.command("redrive")
@_filters
@click.option("--limit", type=click.IntRange(min=1), help="Maximum number to send.")
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Also send closes that would be rejected again (they return as new dead letters).",
)
@click.option("--dry-run", is_flag=True, help="Show what would be sent, without sending it.")
@yes_option
@json_option
@handle_errors
def redrive(
    reasons: tuple[str, ...],
    path: str | None,
    since: str | None,
    until: str | None,
    key: str | None,
    source_partition: int | None,
    source_offset: int | None,
    limit: int | None,
    everything: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Resend dead letters that would be accepted now to position_closed, with the same bytes and
    key.

    Use it, for instance, after changing a setting that made them invalid.  Letters that were
    already resent are recognised and skipped.  Exit code 5 if a value was too large for the dead
    letter and its original is gone.

    \b
    Examples:
      faust -A app dlq redrive --dry-run
      faust -A app dlq redrive --reason missing_outcome --yes
      faust -A app dlq redrive --since 2026-01-31T00:00:00Z --all --yes
    """
    settings = Settings.from_environment()
    wanted = _wanted(reasons, path, since, until, key, source_partition, source_offset)
    if not (yes or dry_run):
        check_can_ask(as_json)
    with _progress("reading") as advance:
        made = asyncio.run(
            plan(settings, wanted, everything=everything, limit=limit, progress=advance)
        )
    if not as_json:
        _tell(made, everything)
    sent = 0
    if made.send and not dry_run:
        if not yes:
            click.confirm(
                f"Send {len(made.send):,} to {settings.topic('position_closed')} again?", abort=True
            )
        with _progress("sending", total=len(made.send)) as advance:
            sent = asyncio.run(send(settings, made.send, progress=advance))
    if as_json:
        echo_json(
            {
                "dry_run": dry_run,
                "wanted": made.wanted,
                "sent": sent,
                "to_send": [str(letter.place) for letter in made.send],
                "valid_now": made.valid,
                "refused_now": dict(made.refused),
                "already_redriven": made.already,
                "beyond_limit": made.left,
                "gone": [str(letter.place) for letter in made.gone],
                "too_large": made.too_large,
            }
        )
    else:
        echo(
            f"{'would send' if dry_run else 'sent'} {len(made.send) if dry_run else sent:,} of"
            f" {made.wanted:,} dead letters"
        )
    if made.gone:
        sys.exit(BadDataError.exit_code)


@dlq.command("approve")
@_filters_but_reason
@click.option("--limit", type=click.IntRange(min=1), help="Maximum number to approve.")
@click.option("--dry-run", is_flag=True, help="Show what would be approved, without approving it.")
@yes_option
@json_option
@handle_errors
def approve_command(
    path: str | None,
    since: str | None,
    until: str | None,
    key: str | None,
    source_partition: int | None,
    source_offset: int | None,
    limit: int | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Approve closes that are held because their revision is above EDGELOOP_MAX_REVISION, and send
    them to position_closed again.

    An approval covers the exact bytes of each close.  Closes that are not approved stay dead
    letters and change nothing.

    \b
    Examples:
      faust -A app dlq approve --dry-run
      faust -A app dlq approve --key T-1001 --yes
      faust -A app dlq approve --since 2026-01-31T00:00:00Z --until 2026-01-31T01:00:00Z --yes
    """
    settings = Settings.from_environment()
    held = ("held_revision",)
    wanted = _wanted(held, path, since, until, key, source_partition, source_offset)
    if not (yes or dry_run):
        check_can_ask(as_json)
    with _progress("reading") as advance:
        made = asyncio.run(plan(settings, wanted, everything=True, limit=limit, progress=advance))
    made.refused.pop("held_revision", None)
    sent = 0
    if not as_json:
        trades = ", ".join(_key(letter) for letter in made.send[:5])
        more = f", … ({len(made.send):,} in all)" if len(made.send) > 5 else ""
        echo(f"{made.wanted:,} closes were held; {made.already:,} were approved before.")
        if made.send:
            echo(f"{'would approve' if dry_run else 'approving'}: {trades}{more}")
    if made.send and not dry_run:
        if not yes:
            click.confirm(
                f"Approve {len(made.send):,} closes? They replace earlier ones of their trades.",
                abort=True,
            )
        with _progress("approving", total=len(made.send)) as advance:
            sent = asyncio.run(approve(settings, made.send, progress=advance))
    if as_json:
        echo_json(
            {
                "dry_run": dry_run,
                "wanted": made.wanted,
                "approved": sent,
                "to_approve": [str(letter.place) for letter in made.send],
                "already_approved": made.already,
                "beyond_limit": made.left,
                "refused_otherwise": dict(made.refused),
            }
        )
    elif not dry_run:
        echo(f"approved and sent {sent:,}")


def _tell(made: Redrive, everything: bool) -> None:
    echo(f"{made.valid:,} would be accepted now.")
    for reason, n in made.refused.most_common():
        echo(
            f"{n:,} would be rejected again{' and are sent anyway' if everything else ''}:"
            f" {reason}."
        )
    if made.already:
        echo(f"{made.already:,} were already resent, or are duplicates.")
    if made.too_large:
        echo(f"{made.too_large:,} are too large for a record: they cannot be resent.")
    if made.left:
        echo(f"{made.left:,} exceed --limit.")
    for letter in made.gone:
        echo(
            f"{letter.place} holds only the first MiB, and the full value is no longer in"
            " position_closed: it cannot be resent."
        )


def _around(lines: list[str], reason: str) -> list[str]:
    """The lines around the mark, if there are too many."""
    at = next((i for i, line in enumerate(lines) if f"◀── {reason}" in line), 0)
    start = max(at - SHOWN_LINES // 2, 0)
    part = lines[start : start + SHOWN_LINES]
    before = [f"… {start:,} lines"] if start else []
    return [*before, *part, f"… {len(lines) - start - len(part):,} lines; --whole shows all"]


def _plain(letter: Letter) -> dict[str, Any]:
    return {
        "place": str(letter.place),
        "key": _key(letter) if letter.key is not None else None,
        "reason": letter.reason,
        "path": letter.path,
        "exception": letter.exception,
        "source.topic": letter.source_topic,
        "source.partition": None if letter.source is None else letter.source.partition,
        "source.offset": None if letter.source is None else letter.source.offset,
        "source.timestamp": None if letter.source_ms is None else _time(letter.source_ms),
        "written": _time(letter.written_ms),
        "bytes": letter.length,
        "cut": letter.is_cut,
        "key.length": letter.key_length,
    }


def _problem(problem: RefusedCloseError) -> dict[str, str]:
    return {"reason": problem.reason, "path": problem.path, "exception": problem.exception}


def _moment_ms(letter: Letter) -> int:
    return letter.written_ms if letter.source_ms is None else letter.source_ms


def _key(letter: Letter) -> str:
    return (letter.key or b"").decode(errors="backslashreplace")


def _short(text: str) -> str:
    """A key shortened for a terminal: it may have a million characters."""
    return text if len(text) <= SHOWN_KEY else f"{text[:SHOWN_KEY]}…"


def _or(letter: Letter, which: int) -> str:
    return "?" if letter.source is None else str(letter.source[which])


def _time(ms: int) -> str:
    try:
        return (
            datetime.fromtimestamp(ms / 1000, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z")
        )
    except (OverflowError, ValueError, OSError):  # a producer may use any timestamp
        return f"{ms} ms"


@contextmanager
def _progress(what: str, total: int | None = None) -> Iterator[Any]:
    with working(MofNCompleteColumn(), TimeElapsedColumn()) as bar:
        task = bar.add_task(what, total=total)
        yield lambda n: bar.advance(task, n)
