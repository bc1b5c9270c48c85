"""A readable account of what was learned: counts per topic and table, the overrides of entries with
their evidence, what the three learners found, why most slices got no override, and one look-up
explained.

May touch: the broker and the database (read only).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime

from aiokafka import TopicPartition
from rich.console import Console
from rich.table import Table

from app.kafka import topics
from app.kafka.bulk_reader import reader
from app.kafka.skipped import Skipped
from app.kafka.snapshot import current
from app.learning.integrated.regime_weights import LEVEL
from app.settings import Settings
from app.storage.connect import close, connect
from edgeloop.overrides import Override, times_text
from edgeloop.resolution import resolve
from edgeloop.scope import canonical_text
from schemas import kinds
from schemas.lessons import GroupSummary, LatentFactor, LessonVerdict, RegimeWeight

TABLES = (
    "pattern_trade_events",
    "learning_lessons",
    "learning_baselines",
    "learning_regime_weights",
    "learning_latent_factors",
    "learning_edge_history",
    "pm_overrides",
    "pm_overrides_history",
)
WHY_NOT = {
    "could be chance": "not distinguishable from chance, given the number of slices searched",
    "Passes the approximate threshold": "passes the approximate threshold but not the exact test",
    "Explained by": "explained by a chosen slice that shares their trades",
    "covers its trades": "covered by the override of a slice with nearly the same trades",
    "not across all slices": "significant within their group, but not across the whole module",
    "The whole group": "whole groups whose level is too close to the baseline",
    "below the minimum": "fewer trades than the minimum",
    "has faded": "an edge over the window that has faded, or that its segments explain",
    "smaller than one step": "an edge too small to change a size",
    "already has": "groups that already have the maximum number of effects",
    "Shared effect": "a shared effect too small to change a size",
}
"""A part of a verdict's reason → the line of the account under which the verdict is counted."""
OTHER_REASONS = "other reasons"


async def _topic_records(settings: Settings) -> dict[str, int]:
    consumer = reader(settings)
    await consumer.start()
    try:
        counts = {}
        for topic in topics.declaration(settings):
            partitions = [TopicPartition(topic.name, p) for p in range(topic.partitions)]
            ends = await consumer.end_offsets(partitions)
            counts[topic.name] = sum(ends.values()) - sum(
                (await consumer.beginning_offsets(partitions)).values()
            )
        return counts
    finally:
        await consumer.stop()


async def _table_rows(settings: Settings) -> dict[str, int]:
    connection = await connect(settings.database_url, settings.database_schema)
    try:
        return {
            name: await connection.fetchval(f'SELECT count(*) FROM "{name}"') for name in TABLES
        }
    finally:
        await close(connection)


def _counts(title: str, counts: dict[str, int]) -> Table:
    table = Table(title, "records" if title == "topic" else "rows")
    table.columns[1].justify = "right"
    for name, count in counts.items():
        table.add_row(name, f"{count:,}")
    return table


def account(settings: Settings, console: Console) -> None:
    """Print the account."""
    skipped = Skipped()
    lessons = asyncio.run(current(settings, kinds.LESSONS, skipped))
    verdicts = asyncio.run(current(settings, kinds.VERDICTS, skipped))
    overrides = asyncio.run(current(settings, kinds.OVERRIDES, skipped))
    weights = asyncio.run(current(settings, kinds.REGIME_WEIGHTS, skipped))
    factors = asyncio.run(current(settings, kinds.FACTORS, skipped))
    console.print()
    console.print(_counts("topic", asyncio.run(_topic_records(settings))))
    console.print(_counts("table", asyncio.run(_table_rows(settings))))
    summaries = [record for record in lessons.values() if isinstance(record, GroupSummary)]
    # The way in which a trade was closed already says how it ended, so exits and trims rank high by
    # construction; sizes are chosen at entries.
    entries = sorted(
        (o for o in overrides.values() if o.action_category == "entry"),
        key=lambda o: (-o.effect, o.override_id),
    )
    _searched(summaries, settings.alpha, len(overrides), len(entries), console)
    _overrides(entries, factors, console)
    _learners(overrides.values(), list(weights.values()), list(factors.values()), console)
    _why_not(verdicts.values(), console)
    if entries:
        _explain(entries, console)
    console.print(
        "\nRead this with care: the outcome is return over drawdown, not money."
        "\nWhat these trades can and cannot show is in samples/README.md."
    )


def _searched(
    summaries: list[GroupSummary], alpha: float, n_overrides: int, n_entries: int, console: Console
) -> None:
    searched = sum(summary.path.hypotheses for summary in summaries if summary.path is not None)
    console.print("\n[bold]What was learned[/bold]")
    console.print(f"{searched:,} distinct slices were searched in {len(summaries)} groups.")
    console.print(
        f"At {alpha:.0%} each, about {round(searched * alpha)} would pass by chance; at {alpha:.0%}"
        f" for all of them together, {n_overrides} overrides pass."
    )
    console.print(f"{n_entries} of these apply to entries:")


def _overrides(entries: list[Override], factors: dict[str, LatentFactor], console: Console) -> None:
    for o in entries:
        console.print(
            f"  × {times_text(o.multiplier)}  {o.pattern_key} in"
            f" {canonical_text(o.scope) or 'every context'}",
            markup=False,
        )
        sd = "" if o.effect_sd is None else f" ± {o.effect_sd:.2f}"
        fades = (
            f"half-life {o.decay.half_life_hours / 24:.3g} days"
            if o.decay.half_life_hours
            else o.decay.state
        )
        gains = "".join(
            f", × {gain:g} of that in {regime}" for regime, gain in o.regime_gains.items()
        )
        factor = factors.get(o.latent_factor_id or "")
        like = f", in one factor with {len(factor.members) - 1} other slices" if factor else ""
        span = f"{o.evidence.from_ts[:4]} to {o.evidence.to_ts[:4]}"
        console.print(
            f"          {o.n_trades:,} trades, {span}: effect {o.effect:+.2f}{sd},"
            f" {fades}{gains}{like}",
            markup=False,
        )


def _learners(
    overrides: Iterable[Override],
    weights: list[RegimeWeight],
    factors: list[LatentFactor],
    console: Console,
) -> None:
    states = Counter(o.decay.state for o in overrides)
    text = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    console.print(
        "\n[bold]Half-life[/bold]:"
        f" {text or 'no edge to track'}{'; a decaying edge keeps fading' * ('decaying' in states)}."
    )
    active = sorted(w.regime for w in weights if w.active)
    tested = [w for w in weights if w.regime]
    if active:
        console.print(
            f"[bold]Regime weights[/bold]: edges persist differently in {', '.join(active)}.",
            markup=True,
        )
    else:
        least = min((w.p_value for w in tested), default=1.0)
        console.print(
            "[bold]Regime weights[/bold]: no override has gains.  The most distinct of"
            f" {len(tested)} regimes has p = {least:.2g}; the threshold is {LEVEL:g} divided by"
            " their number."
        )
    held = sum(len(factor.members) for factor in factors)
    console.print(
        f"[bold]Latent factors[/bold]: {held:,} lessons are variants of {len(factors)} sets of"
        " trades; each set is one piece of evidence."
    )


def _why_not(verdicts: Iterable[LessonVerdict], console: Console) -> None:
    verdicts = list(verdicts)
    reasons: Counter[str] = Counter()
    for verdict in verdicts:
        if verdict.decision != "override":
            reasons[
                next(
                    (why for words, why in WHY_NOT.items() if words in verdict.reason),
                    OTHER_REASONS,
                )
            ] += 1
    console.print(
        f"\n[bold]Why no override[/bold]: {sum(reasons.values()):,} of the {len(verdicts):,}"
        " published lessons have no override."
    )
    for why, count in reasons.most_common():
        console.print(f"  {count:6,}  {why}", markup=False)


def _explain(entries: list[Override], console: Console) -> None:
    """Resolve a context that several overrides match, as the position manager would."""
    strongest = max(entries, key=lambda o: (len(o.scope) > 0, abs(o.effect), o.override_id))
    context = dict(strongest.scope)
    for o in sorted(entries, key=lambda o: (-abs(o.effect), o.override_id)):
        if o.pattern_key == strongest.pattern_key and all(
            context.get(name, value) == value for name, value in o.scope.items()
        ):
            context |= o.scope
    found = resolve(entries, strongest.pattern_key, "entry", context, datetime.now(UTC))
    console.print(
        f"\nThe position manager asks: [bold]{strongest.pattern_key} entry[/bold] with"
        f" {canonical_text(context)}"
    )
    console.print(
        f"  Answer: size × [bold]{found.multiplier:.3f}[/bold], which is 1 plus the contributions"
        f" of {len(found.matches)} overrides:"
    )
    by_id = {o.override_id: o for o in entries}
    for match in found.matches:
        o = by_id[match.override_id]
        console.print(
            f"  {match.contribution:+.3f} from {o.n_trades:,} trades in"
            f" {canonical_text(o.scope) or 'every context'}",
            markup=False,
        )
