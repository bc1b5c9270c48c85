"""The older envelope: `{"id", "kind": "position_closed", "module", "content": {…,
"completed_trades": […]}}`.

May touch: nothing but its arguments.

1. `content.completed_trades` is the whole history of the position: the last element with the
   content's `trade_id` counts.
2. `content.trade_summary` takes precedence over that element's `summary`, field by field, unless
   null.
3. `event_id` is `id`, or the SHA-256 of the content's bytes; `action_id` is `strand_id`; `revision`
   is 0.
4. `roi` is `rpnl_pct` / 100, `pnl_usd` is `rpnl_usd`.
5. Symbol, chain, timeframe, bucket and position id are the content's, else the envelope's.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Annotated, Any, Generic

import msgspec
from msgspec import Meta, Raw, Struct

from app.closes.refused import Paths, RefusedCloseError, rejection
from schemas.events import (
    DEFAULT_MODULE,
    Action,
    Identifier,
    Label,
    Module,
    PositionClosed,
    ScopeT,
    TradeSummary,
)


class _Labels(Struct, frozen=True, kw_only=True):
    position_id: Identifier | None = None
    symbol: Label | None = None
    chain: Label | None = None
    timeframe: Label | None = None
    bucket: Label | None = None


class _Content(_Labels, Generic[ScopeT], frozen=True, kw_only=True):
    trade_id: Identifier
    completed_trades: tuple[Raw, ...]
    entry_context: ScopeT | None = None
    trade_summary: dict[str, Raw] | None = None


class _Envelope(_Labels, Generic[ScopeT], frozen=True, kw_only=True):
    content: _Content[ScopeT]
    id: Identifier | None = None
    module: Module | None = DEFAULT_MODULE


class _OlderAction(Action[ScopeT], Generic[ScopeT], frozen=True, kw_only=True):
    strand_id: Identifier | None = None


class _CompletedTrade(Struct, Generic[ScopeT], frozen=True, kw_only=True):
    actions: Annotated[tuple[_OlderAction[ScopeT], ...], Meta(min_length=1)]
    summary: dict[str, Raw] | None = None


class _OlderSummary(TradeSummary, frozen=True, kw_only=True):
    rpnl_pct: float | None = None
    rpnl_usd: float | None = None


class _Named(Struct):
    trade_id: Raw = Raw(b"null")


class _RawContent(Struct):
    content: Raw


_named = msgspec.json.Decoder(_Named)
_raw_content = msgspec.json.Decoder(_RawContent)
_summary = msgspec.json.Decoder(_OlderSummary)


@lru_cache(maxsize=16)
def _decoders(scope: Any) -> tuple[msgspec.json.Decoder[Any], msgspec.json.Decoder[Any]]:
    return msgspec.json.Decoder(_Envelope[scope]), msgspec.json.Decoder(_CompletedTrade[scope])


def adapt(value: bytes, scope: type[Struct]) -> tuple[PositionClosed[Any], Paths]:
    """The close in `value`, a JSON object in the older envelope, its scopes decoded as `scope`.
    Raises `RefusedCloseError`."""
    envelope_decoder, trade_decoder = _decoders(scope)
    envelope = _checked(envelope_decoder, value, "$")
    content = envelope.content
    index = _last_with(content.trade_id, content.completed_trades)
    place = f"$.content.completed_trades[{index}]"
    trade = _checked(trade_decoder, content.completed_trades[index], place)
    summary, paths = _merged(content.trade_summary or {}, trade.summary or {}, place)
    labels = {
        name: mine if (mine := getattr(content, name)) is not None else getattr(envelope, name)
        for name in _Labels.__struct_fields__
    }
    close: PositionClosed[Any] = PositionClosed(
        event_id=envelope.id
        if envelope.id is not None
        else hashlib.sha256(_raw_content.decode(value).content).hexdigest(),
        schema_version=1,
        trade_id=content.trade_id,
        trade_summary=summary,
        actions=tuple(
            msgspec.structs.replace(action, action_id=action.strand_id)
            if action.strand_id is not None
            else action
            for action in trade.actions
        ),
        module=envelope.module,
        entry_context=content.entry_context,
        **labels,
    )
    return close, paths


def _checked(decoder: msgspec.json.Decoder[Any], value: bytes | Raw, place: str) -> Any:
    try:
        return decoder.decode(value)
    except msgspec.ValidationError as error:
        raise rejection(error, place) from None


def _last_with(trade_id: str, trades: tuple[Raw, ...]) -> int:
    for index in range(len(trades) - 1, -1, -1):
        try:
            if msgspec.json.decode(_named.decode(trades[index]).trade_id, type=str) == trade_id:
                return index
        except msgspec.ValidationError:
            # Not an object, or its trade_id is no text: it is not this trade, and the others are
            # ignored.
            continue
    raise RefusedCloseError(
        "trade_not_found",
        "$.content.completed_trades",
        "No completed trade has the event's trade_id.",
    )


def _merged(
    winner: dict[str, Raw], older: dict[str, Raw], place: str
) -> tuple[TradeSummary, Paths]:
    stated = {name: raw for name, raw in winner.items() if raw != Raw(b"null")}
    paths = Paths(
        action_id="strand_id",
        entry_context="$.content.entry_context",
        actions=f"{place}.actions",
        summary="$.content.trade_summary",
        older_summary=f"{place}.summary",
        older_fields=frozenset(older.keys() - stated.keys()),
    )
    try:
        merged = _summary.decode(msgspec.json.encode({**older, **stated}))
    except msgspec.ValidationError as error:
        letter = rejection(error, "")
        raise RefusedCloseError(
            letter.reason,
            paths.of_summary(letter.path.removeprefix(".")),
            str(error),
            "ValidationError",
        ) from None
    return msgspec.structs.replace(
        merged,
        roi=merged.roi if merged.rpnl_pct is None else merged.rpnl_pct / 100,
        pnl_usd=merged.pnl_usd if merged.rpnl_usd is None else merged.rpnl_usd,
    ), paths
