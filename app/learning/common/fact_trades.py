"""Decode facts to trades, in bulk: when a worker starts, and in replays.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter

import msgspec

from app.learning.common.event_time import micros_from_text
from app.learning.common.trade import (
    SegmentKey,
    clipped,
    distinct_scopes,
    outcome_field,
    packed,
)
from app.learning.common.trade_columns import Row, TradeColumns, by_group

Group = tuple[str, str, str]
"""(module, pattern key, category)."""


# Only the fields of a fact that a trade needs: others are not decoded.
class _Segment(msgspec.Struct, gc=False, frozen=True):
    bucket: str | None = None
    timeframe: str | None = None


class _Action(msgspec.Struct, gc=False):
    scope: dict[str, str]


class _Metrics(msgspec.Struct, gc=False, frozen=True):
    time_efficiency: float | None = None


class _Fact(msgspec.Struct, gc=False):
    module: str
    pattern_key: str
    action_category: str
    trade_id: str
    revision: int
    n_actions: int
    exit_ts: str
    event_id: str
    value_sha256: str
    actions: tuple[_Action, ...]
    segment: _Segment
    home: bool
    rr: float | None = None
    roi: float | None = None
    pnl_usd: float | None = None
    metrics: _Metrics = _Metrics()


_decode = msgspec.json.Decoder(_Fact).decode


def trades_by_group(
    values: Iterable[bytes | None],
    outcome: str,
    unreadable: Callable[[int, Exception], None],
) -> tuple[dict[Group, TradeColumns], int]:
    """The trades of facts, by group.

    Parameters
    ----------
    values
        Values of records of `pattern_trade_events`.
    outcome
        `rr`, `roi` or `pnl`.
    unreadable
        Called with the place of each value that is not a fact, and the reason: only another program
        can have written it.

    Returns
    -------
    The trades of each group, in their order, as `trade_from_fact` makes them; and the number of
    facts that lack the outcome. A group all of whose facts lack it has no trades.

    >>> trades_by_group([b"{}"], "rr", lambda place, error: print(place, error))
    0 Object missing required field `module`
    ({}, 0)
    """
    found: dict[Group, list[Row]] = {}
    segments: dict[SegmentKey, SegmentKey] = {}  # one object for equal ones
    without = 0
    outcome_of = attrgetter(outcome_field(outcome))
    # All that is needed of a fact is taken right after it was decoded, while it is in the cache.
    for place, value in enumerate(values):
        try:
            fact = _decode(value)  # type: ignore[arg-type]  # None raises TypeError
            result = outcome_of(fact)
            if result is not None:
                exit_us = micros_from_text(fact.exit_ts)
                rank = packed(
                    (fact.revision, fact.n_actions, exit_us, fact.event_id, fact.value_sha256)
                )
        except (ValueError, TypeError, RecursionError) as error:
            unreadable(place, error)
            continue
        group = (fact.module, fact.pattern_key, fact.action_category)
        held = found.get(group)
        if held is None:
            held = found[group] = []
        if result is None:
            without += 1
            continue
        segment = (fact.segment.bucket, fact.segment.timeframe)
        actions = fact.actions
        held.append(
            (
                fact.trade_id,
                rank,
                exit_us,
                clipped(result, outcome),
                segments.setdefault(segment, segment),
                fact.home,
                (actions[0].scope,)
                if len(actions) == 1
                else distinct_scopes([action.scope for action in actions]),
                fact.metrics.time_efficiency,
            )
        )
    return by_group(found), without
