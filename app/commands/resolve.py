"""`faust -A app resolve`: the size that the position manager would get for a context, and the
overrides behind it.

May touch: the broker (read only).
"""

from __future__ import annotations

import asyncio

import click

from app.commands.base import cli, echo, echo_json, handle_errors, json_option, warn_skipped
from app.context_text import context_text
from app.errors import UsageError
from app.kafka.skipped import Skipped
from app.kafka.snapshot import current
from app.settings import Settings
from app.time_argument import parse_time
from edgeloop.identity import CATEGORIES
from edgeloop.overrides import times_text
from edgeloop.resolution import resolve as resolve_records
from schemas import kinds


def parse_scope(text: str) -> dict[str, str]:
    """`k=v,k=v` as a scope.  Raises `UsageError`."""
    scope = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise UsageError(
                f"{pair!r} is not a dimension=value pair.",
                "Expected a form like --scope chain=sol,btc_meso=S1",
            )
        scope[name.strip()] = value.strip()
    return scope


@cli.command("resolve")
@click.option("--pattern", required=True, help="Pattern key in any accepted form.")
@click.option("--category", required=True, type=click.Choice(CATEGORIES), help="Action category.")
@click.option(
    "--scope", "scope_text", default="", help="The context: comma-separated dimension=value pairs."
)
@click.option(
    "--module", default="pm", show_default=True, help="Module, if the pattern key does not name it."
)
@click.option("--at", "at_text", help="Time of the decision (default: now).")
@json_option
@handle_errors
def resolve(
    pattern: str, category: str, scope_text: str, module: str, at_text: str | None, as_json: bool
) -> None:
    """Resolve a size multiplier as the position manager would.

    \b
    Examples:
      faust -A app resolve --pattern pm.donchian.S1.entry --category entry \\
          --scope curator=donchian_fast,vol_bucket=low
      faust -A app resolve --pattern uptrend.S1.entry --category add --scope chain=sol --json
    """
    scope, at = parse_scope(scope_text), parse_time(at_text)
    skipped = Skipped()
    overrides = asyncio.run(current(Settings.from_environment(), kinds.OVERRIDES, skipped))
    warn_skipped(skipped)
    found = resolve_records(overrides.values(), pattern, category, scope, at, module=module)
    if as_json:
        matches = [
            {"override_id": m.override_id, "contribution": m.contribution} for m in found.matches
        ]
        echo_json(
            {
                "multiplier": found.multiplier,
                "reason": found.reason,
                "detail": found.detail,
                "at": at,
                "matches": matches,
                "unreadable": skipped.document(),
            }
        )
        return
    echo(
        f"size × {found.multiplier:.4f}"
        f" ({found.reason}{': ' + found.detail if found.detail else ''})"
    )
    for m in found.matches:
        o = overrides[m.override_id]
        context = context_text(o.scope)
        echo(
            f"  {m.contribution:+.4f} from × {times_text(o.multiplier)} {context}: {o.n_trades}"
            f" trades, override {o.override_id[:12]}"
        )
