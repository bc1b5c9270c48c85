"""Facts of closed trades with a known edge."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np

from app.audit.trades import Module
from app.learning.common.event_time import text_from_micros
from schemas.facts import FactAction, PatternTradeEvent, Segment, TradeMetrics
from schemas.times import DAY_US

START_US = 20_000 * DAY_US


def fact(
    trade_id: str,
    exit_us: int,
    rr: float | None,
    *scopes: dict[str, str],
    entry_us: int | None = None,
    pattern_key: str = "pm.a.b",
    category: str = "entry",
    revision: int = 0,
    module: str = "pm",
) -> PatternTradeEvent:
    """A fact with one action per scope, all taken at `entry_us` (default: an hour before the
    exit)."""
    at = text_from_micros(exit_us - DAY_US // 24 if entry_us is None else entry_us)
    actions = tuple(
        FactAction(f"{trade_id}/{i}", at, scope) for i, scope in enumerate(scopes or ({},))
    )
    return PatternTradeEvent(
        module=module,
        pattern_key=pattern_key,
        action_category=category,
        trade_id=trade_id,
        revision=revision,
        n_actions=len(actions),
        exit_ts=text_from_micros(exit_us),
        event_id="e",
        value_sha256=hashlib.sha256(repr((trade_id, exit_us, rr, revision)).encode()).hexdigest(),
        actions=actions,
        rr=rr,
        roi=None,
        pnl_usd=None,
        segment=Segment("micro", "1h"),
        home=category == "entry",
        metrics=TradeMetrics(),
    )


def market(
    seed: int, n: int = 800, per_day: float = 4.0, edge: Callable[[float], float] = lambda day: 2.0
) -> list[PatternTradeEvent]:
    """`n` entries, `per_day` of them, closed half a day later, with normal noise of sd 1 and `edge`
    (of the day) on {d0=0}, a quarter."""
    rng = np.random.default_rng(seed)
    made = []
    for i in range(n):
        day = i / per_day
        scope = {"d0": str(rng.integers(4)), "d1": str(rng.integers(3))}
        rr = float(rng.normal() + edge(day) * (scope["d0"] == "0"))
        entry_us = START_US + round(day * DAY_US)
        made.append(fact(f"t{i:04d}", entry_us + DAY_US // 2, rr, scope, entry_us=entry_us))
    return made


def module_of(facts: list[PatternTradeEvent]) -> Module:
    """The modules of these facts."""
    module = Module()
    for each in facts:
        module.add(each, "rr")
    return module
