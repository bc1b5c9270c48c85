"""The exported table `trades`: each action of a closed trade, from the close that counts.

May touch: the broker (read only).
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from app.export.columns import Column, column, json_column, json_text
from app.export.exported import Exported, Filters, Remarks, Rows
from app.kafka import topics
from app.kafka.bulk_reader import scan
from app.kafka.snapshot import decoder, read_fact
from app.learning.common.event_time import micros_from_text
from app.learning.common.trade import Rank
from app.settings import Settings
from schemas import kinds
from schemas.facts import FactAction, PatternTradeEvent


class Acted(NamedTuple):
    """One action of a trade, according to the close that counts."""

    fact: PatternTradeEvent
    action: FactAction


_ACTION = (
    column("trade_id", "text", "With the module it identifies the trade.", "fact.trade_id"),
    column("action_id", "text", "Id of the action.", "action.action_id"),
    column("module", "text", "Module.", "fact.module"),
    column("pattern_key", "text", "Canonical pattern key.", "fact.pattern_key"),
    column("action_category", "text", "entry, add, trim or exit.", "fact.action_category"),
    column("action_ts", "time", "Time of the action.", "action.ts"),
    column("entry_ts", "time", "Entry of the trade.", "fact.entry_ts"),
    column("exit_ts", "time", "Exit of the trade.", "fact.exit_ts"),
    json_column(
        "scope", "Scope of the action, canonical, entry context filled in.", "action.scope"
    ),
    column(
        "size_frac",
        "number",
        "Size of the action as a fraction of the full position.",
        "action.size_frac",
    ),
    json_column(
        "applied_overrides", "Ids of the overrides that sized it.", "action.applied_overrides"
    ),
    Column(
        "sizing",
        "json",
        "How its multiplier was drawn, where the reader explored.",
        lambda x: (
            None
            if isinstance(x.action.sizing, msgspec.UnsetType)
            else json_text(msgspec.to_builtins(x.action.sizing))
        ),
    ),
    column("rr", "number", "Return / maximum drawdown of the trade.", "fact.rr"),
    column("roi", "number", "Return of the trade as a fraction.", "fact.roi"),
    column("pnl_usd", "number", "Profit of the trade in US dollars.", "fact.pnl_usd"),
    column("bucket", "text", "Bucket of the trade's segment.", "fact.segment.bucket"),
    column("timeframe", "text", "Timeframe of the trade's segment.", "fact.segment.timeframe"),
    column("symbol", "text", "Symbol.", "fact.symbol"),
    column("position_id", "text", "Position.", "fact.position_id"),
    column(
        "home",
        "flag",
        "This is the group of the trade's earliest action, in which it counts in baselines.",
        "fact.home",
    ),
    column("revision", "integer", "Revision of the close that counts.", "fact.revision"),
    column("n_actions", "integer", "Actions of the whole trade.", "fact.n_actions"),
    *(
        column(name, "number", meaning, f"fact.metrics.{name}")
        for name, meaning in (
            ("time_efficiency", "1/(1 + days to payback, else held)."),
            ("hold_time_days", "Days held."),
            ("time_to_payback_days", "Days until the stake was paid back."),
            ("max_drawdown", "A fraction."),
            ("max_gain", "A fraction."),
            ("fees_usd", "US dollars."),
        )
    ),
    column("event_id", "text", "Event id of the close that counts.", "fact.event_id"),
)


async def _actions(settings: Settings, filters: Filters, remarks: Remarks) -> Rows:
    """Read each partition twice: first to find which close of each trade counts, then for the rows;
    so memory holds ranks only."""
    await topics.require_existence(settings, [kinds.FACTS])
    decode = decoder(kinds.FACTS)

    def ranked(value: bytes) -> tuple[str, Rank]:
        fact = decode(value)
        exit_us = micros_from_text(fact.exit_ts)
        rank = (fact.revision, fact.n_actions, exit_us, fact.event_id, fact.value_sha256)
        return fact.trade_id, rank

    for partition in range(settings.partitions):
        best: dict[tuple[bytes, str], tuple[Rank, int]] = {}
        async for records in scan(settings, kinds.FACTS, partition=partition):
            for record in records:
                if (head := read_fact(ranked, record, remarks.skipped)) is None:
                    continue
                trade_id, rank = head
                known = best.get((record.key, trade_id))
                if known is None or known[0] < rank:
                    best[record.key, trade_id] = rank, record.offset
        offsets = {offset for _, offset in best.values()}
        del best
        if not offsets:
            continue
        async for records in scan(settings, kinds.FACTS, starts={partition: min(offsets)}):
            for record in records:
                if record.offset in offsets:
                    fact = decode(record.value)
                    if filters.fit(fact):
                        for action in fact.actions:
                            yield Acted(fact, action)


TRADES = Exported(
    "An action of a closed trade, from the close that counts.",
    _ACTION,
    _actions,
    scope=lambda row: row.action.scope,
)
