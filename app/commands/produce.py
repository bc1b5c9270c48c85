"""`faust -A app produce FILE…`: send a trade log in Edgeloop's own format to `position_closed`,
line by line and unchanged.

May touch: the files (read only), the topic `position_closed`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import click

from app.commands.base import cli, echo, echo_json, handle_errors, json_option
from app.commands.sending import send, sending_options, shift_by
from app.errors import BadDataError
from app.settings import Settings
from app.sources import Closed, closes
from app.sources.files import file_size
from schemas.kinds import CLOSES


@cli.command("produce")
@click.argument("files", nargs=-1, required=True)
@sending_options
@click.option("--limit", type=click.IntRange(min=1), help="Send only the first N closes.")
@click.option("--dry-run", is_flag=True, help="Read everything, send nothing.")
@json_option
@handle_errors
def produce(
    files: tuple[str, ...],
    shift_to: str | None,
    rate: float | None,
    limit: int | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Send closed positions from FILES: one JSON event per line, plain, .gz or .zst, or - for
    standard input.

    Lines are sent unchanged (invalid ones become dead letters with a reason), keyed by
    their trade_id.  For logs of other programs, use `import`.

    \b
    Examples:
      faust -A app produce closes.jsonl
      faust -A app produce samples/us_equities.jsonl.zst --shift-to now
      zcat closes.jsonl.gz | faust -A app produce - --rate 200
    """
    settings = Settings.from_environment()

    def read() -> Iterator[Closed]:
        return closes(files, "jsonl")

    by = shift_by(files, shift_to, limit, read)
    total = file_size(files)
    sent, seconds = asyncio.run(
        send(
            settings,
            read(),
            total_bytes=total,
            by=by,
            rate=rate,
            limit=limit,
            dry_run=dry_run,
            doing="producing",
        )
    )
    if not sent:
        raise BadDataError("The input contains no lines.", "Expected one JSON event per line.")
    if as_json:
        echo_json(
            {
                "sent": sent,
                "seconds": round(seconds, 3),
                "dry_run": dry_run,
                "topic": settings.topic(CLOSES),
            }
        )
    else:
        word = "read" if dry_run else "sent"
        echo(
            f"{word} {sent:,} closes in {seconds:.1f} s ({sent / max(seconds, 1e-9):,.0f}/s)",
            err=True,
        )
