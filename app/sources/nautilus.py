"""nautilus_trader's position events as closes: JSON lines of what `to_dict` gives, or the Parquet
files of its catalog.

May touch: the files it is given (read only).

A close is a `PositionClosed`.  Where the files hold the position's `PositionOpened` and
`PositionChanged` events as well, in whatever file and order, they become its entry, adds and trims;
alone, a `PositionClosed` is an entry at `ts_opened` and an exit at `ts_closed`. All files are read
before the first close is given, since the events of one position may be anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from app.sources import making
from app.sources.jsonl import lines
from app.sources.notes import Notes
from app.sources.tables import is_parquet, table

TYPES = ("PositionOpened", "PositionChanged", "PositionClosed")
COLUMNS = frozenset({"position_id", "instrument_id", "opening_order_id", "strategy_id"})
"""Columns that every Parquet file of position events has."""


class Read(NamedTuple):
    """One close, or a line that is no event of nautilus_trader's as it is, with its place."""

    event: dict[str, Any] | bytes
    place: str
    position: int


class _Found(NamedTuple):
    event: Mapping[str, Any]
    place: str
    position: int


def read(paths: Sequence[str], module: str, notes: Notes) -> Iterator[Read]:
    """The closes in the files, in their order.  What is no position event is passed on as it is.

    Raises `UsageError` and `BadDataError` as the readers of lines and tables do.
    """
    closed: list[_Found | Read] = []
    steps: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    ended: set[tuple[str, ...]] = set()
    for path in paths:
        for event, raw, place, position in _events(path):
            kind = kind_of(event)
            if kind == "PositionClosed":
                closed.append(_Found(event, place, position))
                ended.add(_position(event))
            elif kind is not None:
                steps.setdefault(_position(event), []).append(event)
            elif (
                isinstance(event, dict)
                and str(event.get("type", "")).isidentifier()
                and "event_id" in event
            ):
                notes.add(
                    f"events of the type {event['type']}, which is not a position event, left out"
                )
            else:
                closed.append(Read(raw, place, position))
    still_open = len(steps.keys() - ended)
    if still_open:
        notes.add("positions that are still open, left out", still_open)
    for found in closed:
        if isinstance(found, Read):
            yield found
        else:
            own = steps.get(_position(found.event), ())
            yield Read(_close(found.event, own, module, notes), found.place, found.position)


def kind_of(event: Any) -> str | None:
    """The kind of position event: from its `type`, or for Parquet, which has none, its columns."""
    if not isinstance(event, dict):
        return None
    if "type" in event:
        return event["type"] if event["type"] in TYPES else None
    if not event.keys() >= COLUMNS:
        return None
    if "ts_closed" in event:
        return "PositionClosed"
    return "PositionChanged" if "avg_px_close" in event else "PositionOpened"


def _events(path: str) -> Iterator[tuple[Any, bytes, str, int]]:
    """(event, its line as it is, place, position)."""
    if is_parquet(path):
        with table(path) as found:
            for row in found.rows:
                yield row.cells, making.encode(row.cells), f"{path}:{row.line}", row.position
        return
    for line, line_number, position in lines(path):
        try:
            event = orjson.loads(line)
        except orjson.JSONDecodeError:
            event = None
        yield event, line, f"{path}:{line_number}", position


def _position(event: Mapping[str, Any]) -> tuple[str, ...]:
    """What tells positions apart.  With netting one id is used again and again, so the moment of
    opening belongs to it."""
    opened = event.get("ts_opened")
    return (
        str(event.get("trader_id")),
        str(event.get("position_id")),
        str(event.get("ts_event") if opened is None else opened),
    )


def _close(
    event: Mapping[str, Any], steps: Sequence[Mapping[str, Any]], module: str, notes: Notes
) -> dict[str, Any]:
    symbol, _, venue = str(event.get("instrument_id", "")).rpartition(".")
    opened, closed = (
        making.from_epoch(event.get("ts_opened"), "ns"),
        making.from_epoch(event.get("ts_closed"), "ns"),
    )
    trade_id = "/".join(
        str(event.get(name, "-")) for name in ("trader_id", "position_id", "ts_opened")
    )
    context = {
        "symbol": symbol or None,
        "venue": venue or None,
        "is_short": event.get("entry") == "SELL",
    }
    return making.without_nothing(
        {
            "event_id": event.get("event_id") or making.closing_id(trade_id),
            "schema_version": 1,
            "module": module,
            "trade_id": trade_id,
            "position_id": event.get("position_id"),
            "symbol": symbol or None,
            "chain": venue or None,
            "entry_context": making.without_nothing(context),
            "trade_summary": _summary(event, opened, closed, notes),
            "actions": _actions(event, steps, module, opened, closed),
        }
    )


def _summary(event: Mapping[str, Any], opened: Any, closed: Any, notes: Notes) -> dict[str, Any]:
    pnl, currency = _money(event)
    in_dollars = currency in making.US_DOLLARS
    if not in_dollars:
        notes.add(
            f"positions without pnl_usd, as their currency {currency or '(not known)'} is not the"
            " US dollar"
        )
    return making.without_nothing(
        {
            "entry_timestamp": opened,
            "exit_timestamp": closed,
            "entry_price": making.number(event.get("avg_px_open")),
            "exit_price": making.number(event.get("avg_px_close")),
            "roi": making.number(event.get("realized_return")),
            "pnl_usd": pnl if in_dollars else None,
            "hold_time_days": making.days_between(opened, closed),
        }
    )


def _money(event: Mapping[str, Any]) -> tuple[Any, str]:
    """The realised profit and its currency: `12.30 USD` in `to_dict`, a number beside the column
    `currency` in Parquet.

    >>> (
    ...     _money({"realized_pnl": "-1_200.50 USDT"}),
    ...     _money({"realized_pnl": 3.5, "currency": "EUR"}), _money({"realized_pnl": "lots"}),
    ... )
    ((-1200.5, 'USDT'), (3.5, 'EUR'), ('lots', ''))
    """
    value, currency = event.get("realized_pnl"), str(event.get("currency") or "")
    if isinstance(value, str):
        amount, _, own = value.partition(" ")
        try:
            return making.number(float(amount)), own or currency
        except ValueError:
            return value, own or currency
    return making.number(value), currency


def _actions(
    event: Mapping[str, Any],
    steps: Sequence[Mapping[str, Any]],
    module: str,
    opened: Any,
    closed: Any,
) -> list[dict[str, Any]]:
    stem = f"{module}.{making.segment(event.get('strategy_id'), 'no_strategy')}"
    peak = _quantity(event, "peak_qty")
    actions: list[dict[str, Any]] = []

    def act(category: str, ts: Any, size: float | None) -> None:
        made = {
            "ts": ts,
            "pattern_key": f"{stem}.{category}",
            "action_category": category,
            "size_frac": size,
        }
        actions.append(making.without_nothing(made))

    changes = sorted(
        (s for s in steps if kind_of(s) == "PositionChanged"), key=lambda s: str(s.get("ts_event"))
    )
    openings = [s for s in steps if kind_of(s) == "PositionOpened"]
    held = _quantity(openings[0], "quantity") if openings else None
    act("entry", opened, round(held / peak, 6) if held is not None and peak else None)
    for change in changes:
        now, last = _quantity(change, "quantity"), _quantity(change, "last_qty")
        # Without what was held before: at a new peak it was added to, below it was trimmed.
        grown = now is None or (
            now > held if held is not None else now >= (_quantity(change, "peak_qty") or 0.0)
        )
        whole = peak if grown else held
        size = round(min(1.0, last / whole), 6) if last and whole else None
        act("add" if grown else "trim", making.from_epoch(change.get("ts_event"), "ns"), size)
        held = now
    act("exit", closed, 1.0)
    return actions


def _quantity(event: Mapping[str, Any], name: str) -> float | None:
    value = event.get(name)
    try:
        return None if value is None else abs(float(value))
    except (TypeError, ValueError):
        return None
