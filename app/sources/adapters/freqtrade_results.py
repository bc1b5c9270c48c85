"""freqtrade's backtest results: the JSON file, or the zip in which newer releases put it, with one
or several strategies.

May touch: the file (read only).
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from app.errors import BadDataError, UsageError
from app.sources import making
from app.sources.adapters.freqtrade_database import OPEN, quote_currency
from app.sources.files import MOST_BYTES, bounded, read_whole
from app.sources.notes import Notes
from app.sources.workbooks import check_archive
from edgeloop.integrations.freqtrade_close import Order, Trade, close

"""Maximum number of bytes that a zip of results may unpack to."""
_RUN_DONE = "Name a freqtrade result, such as backtest-result-2024-05-01_12-00-00.zip or .json."


class Read(NamedTuple):
    """One trade: its event, its place in the file (`Name/trades[3]`), and how many of `of` trades
    have been read."""

    event: dict[str, Any]
    place: str
    done: int
    of: int


def read(path: str, module: str, notes: Notes) -> Iterator[Read]:
    """The closed trades of all strategies in the file.

    Raises `UsageError` if it cannot be opened, and `BadDataError` if it is damaged or not a
    backtest result.
    """
    strategies = _strategies(path)
    of, done = sum(len(result["trades"]) for result in strategies.values()), 0
    for name, result in strategies.items():
        ids = making.Occurrences()
        for index, stored in enumerate(result["trades"]):
            done += 1
            if not isinstance(stored, dict):
                raise BadDataError(
                    f"{path}: $.strategy.{name}.trades[{index}] is not an object.",
                    "Results older than 2020 cannot be read.",
                )
            if stored.get("is_open"):
                notes.add(OPEN)
                continue
            yield Read(
                close(_trade(name, result, stored, ids), module, notes.add),
                f"{name}/trades[{index}]",
                done,
                of,
            )


def is_result(document: Any) -> bool:
    """Whether a JSON document is a backtest result: an object with `strategy`, an object of results
    with `trades` each.

    (The configuration in the same zip has a `strategy` as well: a name.)
    """
    strategies = document.get("strategy") if isinstance(document, dict) else None
    return isinstance(strategies, dict) and all(
        isinstance(r, dict) and isinstance(r.get("trades"), list) for r in strategies.values()
    )


def parse(raw: bytes) -> Any:
    """The JSON document; NaN and Infinity, which freqtrade writes for ratios without a divisor, are
    read.  Raises ValueError."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        try:
            return json.loads(raw)
        except RecursionError as error:
            raise ValueError("it is nested too deeply") from error


def _strategies(path: str) -> dict[str, dict[str, Any]]:
    documents = list(_members(path) if path.lower().endswith(".zip") else [_whole(path)])
    results = [d["strategy"] for d in documents if is_result(d)]
    if not results:
        raise BadDataError(
            f'{path} holds no backtest result: no JSON object with "strategy" and "trades" in each'
            " strategy.",
            _RUN_DONE,
        )
    return {name: result for strategies in results for name, result in strategies.items()}


def _whole(path: str) -> Any:
    try:
        return parse(read_whole(path))
    except ValueError as error:
        raise BadDataError(f"{path} is not JSON: {error}.", _RUN_DONE) from error


def _members(path: str) -> Iterator[Any]:
    """The JSON documents in the zip; the result is recognised by its content, not by its name."""
    if Path(path).is_file():
        check_archive(path)
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                if member.lower().endswith(".json"):
                    with archive.open(member) as stream:
                        yield parse(bounded(path, stream.read(MOST_BYTES + 1)))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.", _RUN_DONE) from error
    except (zipfile.BadZipFile, ValueError) as error:
        raise BadDataError(f"{path} is damaged: {error}.", _RUN_DONE) from error


def _trade(
    strategy: str, result: Mapping[str, Any], stored: Mapping[str, Any], ids: making.Occurrences
) -> Trade:
    pair = str(stored.get("pair"))
    opened_at = (
        making.from_epoch(stored["open_timestamp"])
        if stored.get("open_timestamp")
        else making.from_utc(stored.get("open_date"))
    )
    closed_at = (
        making.from_epoch(stored["close_timestamp"])
        if stored.get("close_timestamp")
        else making.from_utc(stored.get("close_date"))
    )
    return Trade(
        trade_id=ids.unique(f"backtest/{strategy}/{pair}/{opened_at}/{closed_at}"),
        strategy=strategy,
        pair=stored.get("pair"),
        stake_currency=result.get("stake_currency") or quote_currency(pair),
        exchange=result.get("exchange"),
        timeframe=result.get("timeframe"),
        enter_tag=stored.get("enter_tag", stored.get("buy_tag")),
        exit_reason=stored.get("exit_reason", stored.get("sell_reason")),
        opened=opened_at,
        closed=closed_at,
        open_rate=stored.get("open_rate"),
        close_rate=stored.get("close_rate"),
        amount=stored.get("amount"),
        fee_open=stored.get("fee_open"),
        fee_close=stored.get("fee_close"),
        profit_ratio=stored.get("profit_ratio", stored.get("profit_percent")),
        profit_abs=stored.get("profit_abs"),
        min_rate=stored.get("min_rate"),
        max_rate=stored.get("max_rate"),
        is_short=bool(stored.get("is_short")),
        leverage=stored.get("leverage"),
        orders=(
            [order for each in orders if (order := _order(each))]
            if isinstance(orders := stored.get("orders"), list)
            else []
        ),
    )


def _order(stored: Any) -> Order | None:
    """None for an order that was not filled at all."""
    if not isinstance(stored, dict):
        return None
    amount = making.real(stored.get("filled", stored.get("amount")))
    if stored.get("order_filled_timestamp") is None or not amount:
        return None
    filled = making.from_epoch(stored["order_filled_timestamp"])
    placed = (
        making.from_epoch(stored["order_timestamp"]) if stored.get("order_timestamp") else filled
    )
    return Order(
        bool(stored.get("ft_is_entry")),
        amount,
        making.real(stored.get("safe_price")),
        placed,
        filled,
        stored.get("ft_order_tag"),
    )
