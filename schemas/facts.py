"""`pattern_trade_events`: one fact per closed trade and group, written by ingest and folded by the
lesson builder.

May touch: nothing.
"""

from __future__ import annotations

import msgspec

from edgeloop.overrides import SCHEMA_VERSION
from schemas.events import Sizing


class Segment(msgspec.Struct, frozen=True, forbid_unknown_fields=False):
    """Bucket and timeframe of a trade: the unit of baselines."""

    bucket: str | None = None
    timeframe: str | None = None


class FactAction(msgspec.Struct, frozen=True):
    """One action of the trade in this group; `scope` is canonical (entry context filled in, missing
    values left out), `sizing` is set if the reader explored."""

    action_id: str
    ts: str
    scope: dict[str, str]
    size_frac: float | None = None
    applied_overrides: tuple[str, ...] = ()
    sizing: Sizing | msgspec.UnsetType = msgspec.UNSET


class TradeMetrics(msgspec.Struct, frozen=True):
    """Further data of the trade, in days and fractions; null is unknown."""

    time_efficiency: float | None = None
    hold_time_days: float | None = None
    time_to_payback_days: float | None = None
    max_drawdown: float | None = None
    max_gain: float | None = None
    fees_usd: float | None = None


class PatternTradeEvent(msgspec.Struct, frozen=True, kw_only=True):
    """All that one closed trade did in one group (module, pattern key, action category).

    `revision`, `n_actions` (of the whole trade), `exit_ts`, `event_id` and `value_sha256` are the
    rank by which one of several closes of a trade counts; `home` is true in the group of the
    trade's earliest action.  Times are RFC 3339 in UTC with microseconds.
    """

    module: str
    pattern_key: str
    action_category: str
    trade_id: str
    revision: int
    n_actions: int
    exit_ts: str
    event_id: str
    value_sha256: str
    actions: tuple[FactAction, ...]
    rr: float | None
    roi: float | None
    pnl_usd: float | None
    segment: Segment
    home: bool
    metrics: TradeMetrics = TradeMetrics()
    position_id: str | None = None
    symbol: str | None = None
    entry_ts: str | None = None
    schema_version: int = SCHEMA_VERSION


def group_key(pattern_key: str, action_category: str) -> str:
    """The message key of a group: `pm.uptrend.S1.entry|add` (a canonical pattern key starts with
    its module)."""
    return f"{pattern_key}|{action_category}"
