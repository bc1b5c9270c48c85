"""`faust -A app overrides diff`: what another learning method would publish, override by override.

May touch: the broker (read only).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import click
import msgspec
from rich.progress import BarColumn, MofNCompleteColumn, TimeElapsedColumn, TimeRemainingColumn

from app.audit.differences import Difference, Sides, differences, sides
from app.audit.trades import read_modules
from app.audit.variants import LEARNERS
from app.commands.base import echo, echo_json, handle_errors, json_option, warn_skipped, working
from app.commands.learned import overrides
from app.kafka.skipped import Skipped
from app.settings import Settings
from edgeloop.identity import CATEGORIES
from edgeloop.overrides import times_text
from edgeloop.scope import canonical_text

AGAINST = ("classic", *(f"no {name}" for name in LEARNERS))
PLURAL = {"half-life": "half-lives"}
"""Plural forms of learners' names that are singular."""


@overrides.command("diff")
@click.option(
    "--against", type=click.Choice([name.replace(" ", "-") for name in AGAINST]),
    default="classic", show_default=True,
    help="What to compare with: the batch jobs' formulas, or `integrated` with one learner off.",
)  # fmt: skip
@click.option(
    "--category", type=click.Choice(CATEGORIES), help="Only overrides of this action category."
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Maximum number of differences to show per kind.",
)
@json_option
@handle_errors
def diff(against: str, category: str | None, limit: int, as_json: bool) -> None:
    """Compare `integrated` with another variant, on the closed trades in the log.

    Both sides learn from the current facts in the log, in this process; nothing is published.  To
    see whether the difference would have helped, run `faust -A app audit`.

    \b
    Examples:
      faust -A app overrides diff --against classic
      faust -A app overrides diff --against no-half-life --category entry --limit 5
      faust -A app overrides diff --json
    """
    settings, skipped = Settings.from_environment(), Skipped()
    other = next(name for name in AGAINST if name.replace(" ", "-") == against)
    with working(
        BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    ) as progress:
        reading = progress.add_task("reading facts", total=None)
        modules = asyncio.run(
            read_modules(settings, skipped, lambda n: progress.advance(reading, n))
        )
        learning = progress.add_task("learning", total=None)
        progress.update(learning, total=len(modules))
        found: dict[str, Sides] = {}
        for name, module in sorted(modules.items()):
            found[name] = sides(name, module.trades, settings.learning_config)
            progress.advance(learning)
    listed = {
        name: _merged(
            d
            for s in found.values()
            for d in differences(s.overrides["integrated"], s.overrides[name], s.verdicts)
            if category in (None, d.of.action_category)
        )
        for name in AGAINST
    }
    warn_skipped(skipped)
    if as_json:
        document = _document(other, found, listed, limit)
        echo_json({**document, "unreadable": skipped.document()})
    else:
        _print(other, category, found, listed, limit)


def _merged(found: Iterable[Difference]) -> list[Difference]:
    return sorted(found, key=lambda d: (-d.size, d.of.override_id))


def _document(
    other: str, found: dict[str, Sides], listed: dict[str, list[Difference]], limit: int
) -> dict[str, Any]:
    def plain(differing: list[Difference]) -> list[dict[str, Any]]:
        return [
            {
                "ours": msgspec.to_builtins(d.ours),
                "theirs": msgspec.to_builtins(d.theirs),
                "reason": d.reason,
            }
            for d in differing[:limit]
        ]

    return {
        "against": other,
        "overrides": {
            name: sum(len(s.overrides[name]) for s in found.values())
            for name in ("integrated", *AGAINST)
        },
        "differences": {"total": len(listed[other]), "shown": plain(listed[other])},
        "learners": {
            name: {"changed": len(changed), "greatest": max((d.size for d in changed), default=0.0)}
            for name, changed in ((name, listed[f"no {name}"]) for name in LEARNERS)
        },
    }


def _print(
    other: str,
    category: str | None,
    found: dict[str, Sides],
    listed: dict[str, list[Difference]],
    limit: int,
) -> None:
    counts = {
        name: sum(
            category in (None, o.action_category) for s in found.values() for o in s.overrides[name]
        )
        for name in ("integrated", other)
    }
    of = f" of category {category}" if category else ""
    echo(f"{counts['integrated']:,} overrides{of} by `integrated`, {counts[other]:,} by `{other}`.")
    by = "by classic" if other == "classic" else f"with {other}"
    _print_listed(f"They differ in {len(listed[other]):,} contexts", by, listed[other], limit)
    for name in LEARNERS:
        if f"no {name}" != other:
            changed = listed[f"no {name}"]
            what = (
                f"Changed by {PLURAL.get(name, name)}: {len(changed):,}"
                f" override{'s' * (len(changed) != 1)}"
            )
            _print_listed(what, "without", changed, max(3, limit // 4))


def _print_listed(what: str, theirs: str, listed: list[Difference], limit: int) -> None:
    echo(
        f"\n{what}"
        + (f"; the {limit} greatest:" if len(listed) > limit else ":" if listed else ".")
    )
    for d in listed[:limit]:
        o, mine = d.of, d.ours
        gains = (
            "".join(
                f", × {gain:g} of that in {regime}" for regime, gain in mine.regime_gains.items()
            )
            if mine
            else ""
        )
        fades = (
            f", half-life {mine.decay.half_life_hours / 24:.3g} days"
            if mine and mine.decay.half_life_hours
            else ""
        )
        echo(
            f"  × {times_text(mine.multiplier if mine else 1.0)}, {theirs} ×"
            f" {times_text(d.theirs.multiplier if d.theirs else 1.0)}   {o.pattern_key}"
            f" {o.action_category} in {canonical_text(o.scope) or 'every context'},"
            f" {o.n_trades:,} trades"
        )
        echo(f"          {d.reason.removesuffix('.')}{gains}{fades}.")
