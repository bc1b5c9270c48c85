"""The trades of a close: those that its facts would give, without the facts.

May touch: nothing but its arguments.

Nearly every close is usual: in the new envelope, with times after 1970 in a plain form, of a module
that was seen before, and without anything to refuse.  Such a close takes fewer steps here than in
`app.closes.check`.  All others, and so everything that is refused, are left to `check`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec

from app.closes import OUTCOME_FIELDS, RefusedCloseError, check, time_efficiency
from app.closes.decode import decoder
from app.closes.facts import Scopes, action_id, label
from app.closes.raw_checks import check_bytes
from app.learning.common.trade import Scope, SegmentKey, clipped, distinct_scopes, packed
from app.learning.common.trade_columns import Row
from app.replay.spool import Group
from edgeloop.pattern_key import canonical_pattern_key, check_module
from schemas.events import DEFAULT_MODULE, PositionClosed, Sizing
from schemas.times import DAY_MS, micros_since_epoch

Trades = tuple[int, list[tuple[Group, Row]]]
"""The exit of a close in microseconds since 1970, and its trade in each of its groups."""

_PLAIN_TIME = re.compile(
    r"20[0-9]{2}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?"
    r"(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
_LATEST = datetime.max.replace(tzinfo=UTC)


class _Unusual(ValueError):
    """A close about which only `check` decides."""


class CloseTrades:
    """Makes trades of closes, under settings as in `app.closes.explode`."""

    def __init__(self, dimensions: tuple[str, ...], outcome: str) -> None:
        self._dimensions = dimensions
        self._outcome = outcome
        self._field = OUTCOME_FIELDS[outcome]
        self._decode = decoder(dimensions).decode

    def of(self, value: bytes | None, timestamp_ms: int) -> Trades:
        """The trades of a record of `position_closed`, from its value and its timestamp in ms since
        1970.  Raises `RefusedCloseError`."""
        try:
            return self._usual(value, timestamp_ms)
        except (ValueError, msgspec.DecodeError, RefusedCloseError):
            # Unusual, or to be refused: with what reason, `check` says.
            return self._any(value, timestamp_ms)

    def _usual(self, value: bytes | None, timestamp_ms: int) -> Trades:
        if value is None:
            raise _Unusual
        check_bytes(value)
        close = self._decode(value)
        summary, actions = close.trade_summary, close.actions
        module = _checked_module(DEFAULT_MODULE if close.module is None else close.module)
        exit_, entry = _moment(summary.exit_timestamp), summary.entry_timestamp
        exit_us = micros_since_epoch(exit_)
        if (
            (entry is not None and exit_ < _moment(entry))
            or exit_us > (timestamp_ms + DAY_MS) * 1000
            or getattr(summary, self._field) is None
        ):
            raise _Unusual
        scopes = Scopes(close.entry_context, self._dimensions)
        groups: dict[tuple[str, str], list[Scope]] = {}
        home, earliest = ("", ""), _LATEST
        for action in actions:
            moment = _moment(action.ts)
            group = (canonical_pattern_key(action.pattern_key, module), action.action_category)
            if moment < earliest:
                home, earliest = group, moment
            if action.applied_overrides and Sizing in map(type, action.applied_overrides):
                raise _Unusual
            scope = scopes.of(action.scope)
            if group in groups:
                groups[group].append(scope)
            else:
                groups[group] = [scope]
        if len(actions) > 1:
            ids = {action.action_id for action in actions}
            if None in ids:
                ids = {action_id(close, index) for index in range(len(actions))}
            if len(ids) < len(actions):
                raise _Unusual
        sha256 = hashlib.sha256(value).hexdigest()
        return self._trades(close, module, exit_us, sha256, groups, home)

    def _any(self, value: bytes | None, timestamp_ms: int) -> Trades:
        found = check(value, timestamp_ms, dimensions=self._dimensions, outcome=self._outcome)
        groups = {
            group: [action.scope for action in actions] for group, actions in found.groups.items()
        }
        return self._trades(
            found.close, found.module, found.exit_us, found.value_sha256, groups, found.home
        )

    def _trades(
        self,
        close: PositionClosed[Any],
        module: str,
        exit_us: int,
        sha256: str,
        groups: Mapping[tuple[str, str], Sequence[Scope]],
        home: tuple[str, str],
    ) -> Trades:
        summary, trade_id = close.trade_summary, close.trade_id
        rank = packed((close.revision or 0, len(close.actions), exit_us, close.event_id, sha256))
        result = clipped(getattr(summary, self._field), self._outcome)
        segment = _segment(close.bucket, close.timeframe)
        efficiency = time_efficiency(summary)
        return exit_us, [
            (
                (module, group[0], group[1]),
                (
                    trade_id,
                    rank,
                    exit_us,
                    result,
                    segment,
                    group == home,
                    distinct_scopes(scopes),
                    efficiency,
                ),
            )
            for group, scopes in groups.items()
        ]


@lru_cache(maxsize=16_384)
def _moment(text: str) -> datetime:
    """Raises `ValueError` unless it is the usual form of a time."""
    if _PLAIN_TIME.fullmatch(text) is None:
        raise _Unusual
    return datetime.fromisoformat(text)


@lru_cache(maxsize=4_096)
def _segment(bucket: str | None, timeframe: str | None) -> SegmentKey:
    return label(bucket), label(timeframe)


_checked_module = lru_cache(maxsize=1_024)(check_module)
