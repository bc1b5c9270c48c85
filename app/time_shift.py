"""Move a whole trade log in time, so that an old one can be produced as if it had just happened.

May touch: nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

_TIME_FIELDS = frozenset({"ts", "entry_timestamp", "exit_timestamp"})


def newest_exit(values: Iterable[bytes]) -> datetime | None:
    """The latest `exit_timestamp` in the events, for `--shift-to`; None if there is none."""
    return max((moment for value in values for moment in _exits(value)), default=None)


def _exits(line: bytes) -> Iterator[datetime]:
    try:
        event = orjson.loads(line)
        summaries = [event.get("trade_summary") or event.get("content", {}).get("trade_summary")]
        summaries += [
            t.get("summary") for t in event.get("content", {}).get("completed_trades", ())
        ]
        for summary in summaries:
            if summary and isinstance(text := summary.get("exit_timestamp"), str):
                yield _parsed(text)
    except (orjson.JSONDecodeError, AttributeError, TypeError, ValueError):
        # no close that could be shifted: `shifted` sends it unchanged, and input validation rejects
        # it
        return


def _parsed(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def shifted(value: bytes, by: timedelta) -> bytes:
    """The event with all its times moved by `by`; invalid JSON and unreadable times stay
    unchanged."""
    try:
        event = orjson.loads(value)
    except orjson.JSONDecodeError:
        return value
    return orjson.dumps(_shift(event, by))


def _shift(node: Any, by: timedelta) -> Any:
    if isinstance(node, dict):
        return {
            k: _shift_time(v, by) if k in _TIME_FIELDS and isinstance(v, str) else _shift(v, by)
            for k, v in node.items()
        }
    if isinstance(node, list):
        return [_shift(item, by) for item in node]
    return node


def _shift_time(text: str, by: timedelta) -> str:
    try:
        return (_parsed(text) + by).astimezone(UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError):
        return text
