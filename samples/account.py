"""A readable account of what was learned: counts per topic and table, the strongest overrides with their evidence, one look-up explained.

May touch: the broker and the database (read only).
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from aiokafka import TopicPartition
from rich.console import Console
from rich.table import Table

from app import topics
from app.broker import reader
from app.published import current
from app.runtime.resolve import resolve
from app.settings import Settings
from app.storage.connect import close, connect
from schemas.lessons import GroupSummary, Lesson, LessonVerdict
from schemas.overrides import Override
from schemas.scope import canonical_text

TABLES = (
    "pattern_trade_events", "learning_lessons", "learning_baselines", "learning_regime_weights", "learning_latent_factors",
    "learning_edge_history", "pm_overrides", "pm_overrides_history",
)  # fmt: skip
SHOWN = 5


async def _topic_records(settings: Settings) -> dict[str, int]:
    consumer = reader(settings)
    await consumer.start()
    try:
        counts = {}
        for topic in topics.declaration(settings):
            partitions = [TopicPartition(topic.name, p) for p in range(topic.partitions)]
            ends = await consumer.end_offsets(partitions)
            counts[topic.name] = sum(ends.values()) - sum((await consumer.beginning_offsets(partitions)).values())
        return counts
    finally:
        await consumer.stop()


async def _table_rows(settings: Settings) -> dict[str, int]:
    connection = await connect(settings.database_url, settings.database_schema)
    try:
        return {name: await connection.fetchval(f'SELECT count(*) FROM "{name}"') for name in TABLES}
    finally:
        await close(connection)


def _counts(title: str, counts: dict[str, int]) -> Table:
    table = Table(title, "records" if title == "topic" else "rows")
    table.columns[1].justify = "right"
    for name, count in counts.items():
        table.add_row(name, f"{count:,}")
    return table


def _overrides(title: str, overrides: list[Override], console: Console) -> None:
    console.print(f"\n[bold]{title}[/bold]")
    for o in overrides:
        console.print(
            f"  × {o.multiplier:.2f}  {o.pattern_key} {o.action_category} in {canonical_text(o.scope) or 'every context'}", markup=False
        )
        span = f"{o.evidence.from_ts[:10]} to {o.evidence.to_ts[:10]}"
        console.print(
            f"          {o.n_trades:,} trades from {span}: edge {o.effect:+.3f} over the module's {o.baseline:+.3f}, {o.decay.state}",
            markup=False,
        )


def account(settings: Settings, console: Console) -> None:
    """Print it."""
    lessons = asyncio.run(current(settings, topics.LESSONS, Lesson | GroupSummary))
    verdicts = asyncio.run(current(settings, topics.VERDICTS, LessonVerdict))
    overrides = asyncio.run(current(settings, topics.OVERRIDES, Override))
    console.print()
    console.print(_counts("topic", asyncio.run(_topic_records(settings))))
    console.print(_counts("table", asyncio.run(_table_rows(settings))))
    groups = sum(isinstance(record, GroupSummary) for record in lessons.values())
    decisions: dict[str, int] = {}
    for verdict in verdicts.values():
        decisions[verdict.decision] = decisions.get(verdict.decision, 0) + 1
    made = ", ".join(f"{count:,} {decision}" for decision, count in sorted(decisions.items()))
    console.print(f"{len(lessons) - groups:,} lessons in {groups} groups; what was made of them: {made}.\n")
    # How a trade was left says how it ended, so exits and trims rank by construction; entries are where a size is chosen.
    entries = [o for o in overrides.values() if o.action_category == "entry"]
    ranked = sorted(entries, key=lambda o: (-o.effect, o.override_id))
    _overrides("entries sized up most", ranked[:SHOWN], console)
    _overrides("entries sized down most", ranked[: -SHOWN - 1 : -1], console)
    console.print(
        "\nRead this with care: the outcome is return over drawdown, not money, and the classic formulas have no protection against"
        "\nchance (they make an override of most slices, of pure noise too).  samples/README.md says what these trades can and cannot show."
    )
    if ranked:
        _explain(ranked, console)


def _explain(ranked: list[Override], console: Console) -> None:
    """Resolve the context of the most specific of the strongest overrides, as the position manager would."""
    asked = max(ranked[:SHOWN], key=lambda o: len(o.scope))
    found = resolve(ranked, asked.pattern_key, asked.action_category, asked.scope, datetime.now(UTC))
    console.print(
        f"\nThe position manager asks: [bold]{asked.pattern_key} {asked.action_category}[/bold] with {canonical_text(asked.scope)}"
    )
    console.print(
        f"  answer: size × [bold]{found.multiplier:.3f}[/bold] ({found.reason}); {len(found.matches)} overrides match this context:"
    )
    by_id = {o.override_id: o for o in ranked}
    for match in found.matches[:SHOWN]:
        o = by_id[match.override_id]
        console.print(f"  × {o.multiplier:.2f} from {o.n_trades:,} trades in {canonical_text(o.scope) or '(all)'}", markup=False)
