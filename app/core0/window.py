"""The sliding window of one group: which closed trades count, whatever the order in which they arrive.

May touch: nothing.
"""

from __future__ import annotations

import bisect
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from schemas.facts import PatternTradeEvent

RR_LIMIT = 33.0
"""`rr` is clipped to ± this: a drawdown near zero makes it as large as one likes."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Items = tuple[int, ...]
"""A canonical scope as the numbers that the group's `ItemTable` gave its (dimension, value) pairs, ascending."""


def to_us(text: str) -> int:
    """Microseconds since 1970 of an RFC 3339 time.

    >>> to_us("1970-01-02T00:00:00.000001Z")
    86400000001
    """
    return (datetime.fromisoformat(text) - _EPOCH) // _MICROSECOND


def to_text(us: int) -> str:
    """The RFC 3339 text, in UTC with microseconds, of microseconds since 1970.

    >>> to_text(86400000001)
    '1970-01-02T00:00:00.000001Z'
    """
    return (_EPOCH + timedelta(microseconds=us)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(frozen=True, slots=True)
class Trade:
    """One closed trade in one group, as the core counts it.

    `rank` orders several closes of one trade, bytewise (see `rank_of`); `scopes` are the distinct scopes of its actions in the group.
    """

    trade_id: str
    rank: bytes
    exit_us: int
    outcome: float
    segment: tuple[str | None, str | None]
    home: bool
    scopes: tuple[Items, ...]


class ItemTable:
    """Numbers for the (dimension, value) pairs of a group, in the order of their first appearance; equal scopes share one tuple."""

    def __init__(self) -> None:
        self.pairs: list[tuple[str, str]] = []
        self._numbers: dict[tuple[str, str], int] = {}
        self._shared: dict[Items, Items] = {}

    def __len__(self) -> int:
        return len(self._shared)

    def items_of(self, scope: Mapping[str, str]) -> Items:
        """The item numbers of a canonical scope."""
        numbers = self._numbers
        try:
            items = tuple(sorted([numbers[pair] for pair in scope.items()]))
        except KeyError:
            for pair in scope.items():
                if numbers.setdefault(pair, len(self.pairs)) == len(self.pairs):
                    self.pairs.append(pair)
            items = tuple(sorted([numbers[pair] for pair in scope.items()]))
        return self._shared.setdefault(items, items)

    def scope_of(self, items: Items) -> dict[str, str]:
        """The scope that `items` stand for, sorted by dimension."""
        return dict(sorted(self.pairs[item] for item in items))


def rank_of(revision: int, n_actions: int, exit_us: int, event_id: str, value_sha256: str) -> bytes:
    """Bytes that compare as (revision, number of actions, exit, event id as text, SHA-256) does; exits are not before 1970.

    >>> rank_of(0, 9, 5, "b", "00") < rank_of(1, 1, 1, "a", "00") and rank_of(0, 1, 1, "a", "ff") < rank_of(0, 1, 1, "ab", "00")
    True
    """
    # UTF-8 sorts as code points do, and no event id holds a NUL.
    return struct.pack(">QIQ", revision, n_actions, exit_us) + event_id.encode() + b"\0" + bytes.fromhex(value_sha256)


def trade_of(fact: PatternTradeEvent, outcome: str, table: ItemTable) -> Trade | None:
    """The trade of a fact, its scopes numbered by the group's `table`.

    `outcome` is `rr` (clipped to ±33), `roi` or `pnl`; None if the fact does not have that outcome.
    """
    value = fact.rr if outcome == "rr" else fact.roi if outcome == "roi" else fact.pnl_usd
    if value is None:
        return None
    if outcome == "rr":
        value = max(-RR_LIMIT, min(RR_LIMIT, value))
    exit_us = to_us(fact.exit_ts)
    scopes = dict.fromkeys([table.items_of(action.scope) for action in fact.actions])
    return Trade(
        trade_id=fact.trade_id,
        rank=rank_of(fact.revision, fact.n_actions, exit_us, fact.event_id, fact.value_sha256),
        exit_us=exit_us,
        outcome=value,
        segment=(fact.segment.bucket, fact.segment.timeframe),
        home=fact.home,
        scopes=tuple(scopes),
    )


class GroupWindow:
    """The trades of one group that count: a function of the *set* of trades folded, not of their order, batches or repetition.

    Of several closes of a trade the greatest rank counts, inside the window or not.  Inside is what closed at most `window_us` before
    the newest exit, and of these the `window_trades` greatest (exit, trade id).  What falls outside is dropped but for its rank, which
    keeps a lower one from coming in later.  If a correction moves the window *back* over trades that were dropped, `needs_rebuild`
    says so: only folding everything again, with `evict=False` until the end, gives the right state.
    """

    def __init__(self, window_us: int, window_trades: int, retention_us: int) -> None:
        self.trades: dict[str, Trade] = {}
        self.needs_rebuild = False
        self._window_us = window_us
        self._window_trades = window_trades
        self._retention_us = retention_us
        self._order: list[tuple[int, str]] = []  # (exit, trade id) of the trades inside, ascending
        self._gone: dict[str, bytes] = {}  # trade id → rank of the winners outside
        self._gone_top: tuple[int, str] | None = None  # the greatest (exit, trade id) among them
        self._prune_at = 10_000

    def __len__(self) -> int:
        return len(self.trades)

    @property
    def newest_us(self) -> int:
        """The group's now: its newest exit, microseconds since 1970."""
        return self._order[-1][0]

    def fold(self, trades: Iterable[Trade], *, evict: bool = True) -> tuple[list[Trade], list[Trade]]:
        """Take in trades; returns (what came inside, what left), each a trade as it counted."""
        came: dict[str, Trade] = {}
        left: dict[str, Trade] = {}
        for trade in trades:
            known = self.trades.get(trade.trade_id)
            rank = known.rank if known is not None else self._gone.get(trade.trade_id)
            if rank is not None and trade.rank <= rank:
                continue
            if known is not None:
                self._remove(known, came, left)
            elif rank is not None:
                self._forget_gone(trade.trade_id, rank)
            self.trades[trade.trade_id] = trade
            bisect.insort(self._order, (trade.exit_us, trade.trade_id))
            came[trade.trade_id] = trade
        if evict:
            self._evict(came, left)
        return list(came.values()), list(left.values())

    def _remove(self, trade: Trade, came: dict[str, Trade], left: dict[str, Trade]) -> None:
        del self.trades[trade.trade_id]
        del self._order[bisect.bisect_left(self._order, (trade.exit_us, trade.trade_id))]
        if came.pop(trade.trade_id, None) is None:
            left[trade.trade_id] = trade

    def _evict(self, came: dict[str, Trade], left: dict[str, Trade]) -> None:
        if not self._order:
            return
        oldest_us = self.newest_us - self._window_us
        count = max(bisect.bisect_left(self._order, (oldest_us, "")), len(self._order) - self._window_trades)
        for exit_us, trade_id in self._order[:count]:
            trade = self.trades.pop(trade_id)
            if came.pop(trade_id, None) is None:
                left.setdefault(trade_id, trade)
            self._gone[trade_id] = trade.rank
            self._gone_top = max(self._gone_top or (exit_us, trade_id), (exit_us, trade_id))
        del self._order[:count]
        top = self._gone_top
        if top is not None and top[0] >= oldest_us and (len(self._order) < self._window_trades or top > self._order[0]):
            self.needs_rebuild = True
        if len(self._gone) > self._prune_at:
            self._prune()

    def _forget_gone(self, trade_id: str, rank: bytes) -> None:
        del self._gone[trade_id]
        if self._gone_top == (_exit_of(rank), trade_id):
            self._gone_top = max(((_exit_of(r), t) for t, r in self._gone.items()), default=None)

    def _prune(self) -> None:
        """Forget ranks of trades that closed before what the log still holds: nothing can bring them up again."""
        oldest_us = self.newest_us - self._retention_us
        self._gone = {trade_id: rank for trade_id, rank in self._gone.items() if _exit_of(rank) >= oldest_us}
        self._prune_at = max(10_000, 2 * len(self._gone))


def _exit_of(rank: bytes) -> int:
    exit_us: int = struct.unpack_from(">Q", rank, 12)[0]
    return exit_us
