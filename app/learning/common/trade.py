"""A closed trade as one group sees it, and the rank by which one of its closes counts.

May touch: nothing but its arguments.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from app.learning.common.event_time import micros_from_text
from schemas.facts import PatternTradeEvent

Rank = tuple[int, int, int, str, str]
"""(`revision`, number of actions, `exit_us`, `event_id`, SHA-256 in hex): the greatest of a trade's
closes counts."""
Scope = Mapping[str, str]
"""A canonical scope: dimension → value."""
SegmentKey = tuple[str | None, str | None]
"""(bucket, timeframe)."""
RR_LIMIT = 33.0
"""`rr` is clipped here: it grows without bound as the drawdown goes to 0."""
AMOUNT_LIMIT = 1e15
"""`roi` and `pnl` are clipped here, far beyond any real value: no sum of squares overflows."""
_OUTCOME_FIELDS = {"rr": "rr", "roi": "roi", "pnl": "pnl_usd"}
_SHA_BYTES = 16
"""Bytes of a SHA-256 by which closes with the same event id are ordered: no two begin alike."""
_HEAD = struct.Struct(">QIQ")
"""The layout of a packed rank: revision, number of actions and exit, each as bytes that sort like
numbers."""
EXIT = slice(12, 20)
"""The bytes of a packed rank that are its exit."""


class Trade(NamedTuple):
    """One close of one trade as a group sees it.

    Attributes
    ----------
    trade_id
        Id of the trade.
    rank
        The close with the greatest rank counts.
    exit_us
        Exit, in microseconds since the epoch.
    outcome
        The outcome, in its own unit.
    segment
        Bucket and timeframe.
    home
        Whether this is the trade's home group.
    scopes
        The distinct scopes of its actions, in their order.
    time_efficiency
        1/(1 + days to payback, else held); None if unknown.
    """

    trade_id: str
    rank: Rank
    exit_us: int
    outcome: float
    segment: SegmentKey
    home: bool
    scopes: tuple[Scope, ...]
    time_efficiency: float | None = None


def trade_from_fact(fact: PatternTradeEvent, outcome: str) -> Trade | None:
    """The trade of a fact.

    Parameters
    ----------
    fact
        A record of `pattern_trade_events`.
    outcome
        `rr` (clipped to ±33), `roi` or `pnl`.

    Returns
    -------
    The trade, with the outcome in its own unit; None if the fact lacks this outcome.

    Raises
    ------
    ValueError
        If `outcome` is none of the three, or the fact's exit time or SHA-256 cannot be read.
    """
    value = getattr(fact, outcome_field(outcome))
    if value is None:
        return None
    exit_us = micros_from_text(fact.exit_ts)
    bytes.fromhex(fact.value_sha256)
    segment = fact.segment
    return Trade(
        fact.trade_id,
        (fact.revision, fact.n_actions, exit_us, fact.event_id, fact.value_sha256),
        exit_us,
        clipped(value, outcome),
        (segment.bucket, segment.timeframe),
        fact.home,
        distinct_scopes([action.scope for action in fact.actions]),
        fact.metrics.time_efficiency,
    )


def outcome_field(outcome: str) -> str:
    """The field of a fact that has an outcome.

    Parameters
    ----------
    outcome
        `rr`, `roi` or `pnl`.

    Returns
    -------
    Its name.

    Raises
    ------
    ValueError
        If `outcome` is none of the three.
    """
    if outcome not in _OUTCOME_FIELDS:
        raise ValueError(f"The outcome is {outcome!r}; expected rr, roi or pnl.")
    return _OUTCOME_FIELDS[outcome]


def clipped(value: float, outcome: str) -> float:
    """An outcome within its limits.

    Parameters
    ----------
    value
        The outcome, in its own unit.
    outcome
        `rr` (clipped to ±33), `roi` or `pnl`.

    Returns
    -------
    The clipped outcome.
    """
    limit = RR_LIMIT if outcome == "rr" else AMOUNT_LIMIT
    value = float(value)
    return value if -limit <= value <= limit else min(max(value, -limit), limit)


def distinct_scopes(scopes: Sequence[Scope]) -> tuple[Scope, ...]:
    """The distinct scopes of a trade's actions in one group.

    Parameters
    ----------
    scopes
        The scopes of the actions, at least one.

    Returns
    -------
    The distinct ones, in the order of the first action of each.
    """
    if len(scopes) == 1:
        return (scopes[0],)
    return tuple({frozenset(scope.items()): scope for scope in scopes}.values())


def packed(rank: Rank) -> bytes:
    """A rank as bytes that sort in the same order: UTF-8 sorts as its code points do, and an event
    id has no NUL.

    Parameters
    ----------
    rank
        The rank.

    Returns
    -------
    Its bytes.

    Raises
    ------
    ValueError
        If a number is negative or too large, or the SHA-256 cannot be read.
    """
    revision, n_actions, exit_us, event_id, sha256 = rank
    try:
        head = _HEAD.pack(revision, n_actions, exit_us)
    except struct.error as error:
        raise ValueError(f"The rank {rank} cannot be packed: {error}.") from error
    return head + event_id.encode() + b"\0" + bytes.fromhex(sha256)[:_SHA_BYTES]


def exit_of(rank: bytes) -> int:
    """The exit in a packed rank.

    Parameters
    ----------
    rank
        A packed rank.

    Returns
    -------
    Microseconds since the epoch.
    """
    return int(_HEAD.unpack_from(rank)[2])


def packed_exit(exit_us: int) -> bytes:
    """An exit as the bytes that a packed rank has of it, which sort like it.

    Parameters
    ----------
    exit_us
        Microseconds since the epoch, at least 0.

    Returns
    -------
    Its bytes.

    >>> packed((3, 1, 1_700_000_000_000_000, "e", "00"))[EXIT] == packed_exit(1_700_000_000_000_000)
    True
    """
    return exit_us.to_bytes(8, "big")
