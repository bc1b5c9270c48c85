"""Which rows are trades that were done, by columns with a status, a level of detail or a kind of
transaction.

May touch: nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from app.sources.cells import as_text
from app.sources.column_names import NAMES, joined_words, known_as
from app.sources.drafting.contents import Contents
from app.sources.drafting.fill_rows import profits_of
from app.sources.drafting.kept_rows import Kept
from app.sources.sides import Side, is_no_trade, read_side

_COLUMN = re.compile(
    r"status|state\b|^state|^tipo_(di_)?transazione$|^transaction$|discriminator|level_?of_?detail|record|^type$|^transaction_type$|kind"
    r"|event|trans_code|transaction_code|^action$|^class$|(exec|filled|fill|trade)_type$|stato"
    r"|estado|statut|статус|состояние|狀態|状态|สถานะ|trạng_thái|durum|الحالة"
)
_DONE = frozenset(
    [
        "filled",
        "executed",
        "execution",
        "complete",
        "completed",
        "closed",
        "done",
        "traded",
        "trade",
        "trades",
        "deal",
        "fill",
        "order",
        "exectrade",
        "partial",
        "partially_filled",
        "success",
        "successful",
        "settled",
        "partially_executed",
        "fully_filled",
        "finished",
        "ok",
        "filled_partially",
        "partial_fill",
        "partiallyfilled",
        "finalizado",
        "exécuté",
        "ausgeführt",
        "geschlossen",
        "已成交",
        "全部成交",
        "部分成交",
        "ejecutada",
        "ejecutado",
        "executada",
        "executado",
        "exécutée",
        "eseguito",
        "eseguita",
        "uitgevoerd",
        "utförd",
        "zrealizowane",
        "выполнен",
        "исполнена",
        "исполнен",
        "исполнено",
        "partially_filled_canceled",
        "closed_position",
        "closed_trade",
        "trade_closed",
        "position_closed",
        "take_profit",
        "stop_loss",
        "win",
        "loss",
        "สำเร็จ",
        "จับคู่แล้ว",
        "đã_khớp",
        "khớp_hết",
        "gerçekleşti",
        "gerçekleşen",
        "tamamlandı",
        "체결",
        "約定",
        "約定済",
        "منفذ",
        "منفذة",
    ]
)
_NOT_DONE = frozenset(
    [
        "open",
        "opened",
        "open_position",
        "open_trade",
        "deposit",
        "withdrawal",
        "balance",
        "cancelled",
        "canceled",
        "rejected",
        "pending",
        "working",
        "new",
        "placed",
        "failed",
        "inactive",
        "closedlot",
        "closed_lot",
        "lot",
        "subtotal",
        "total",
        "symbol_summary",
        "summary",
        "asset_summary",
        "wash_sale",
        "withdrawn",
        "replaced",
        "queued",
        "accepted",
        "submitted",
        "unfilled",
        "void",
        "untriggered",
        "sent",
        "signal",
        "requested",
        "routed",
        "acknowledged",
        "ack",
        "triggered",
        "deactivated",
        "offen",
        "storniert",
        "annulé",
        "cancelado",
        "abierto",
        "cancelada",
        "rechazada",
        "rechazado",
        "pendiente",
        "rejeitada",
        "annulée",
        "refusée",
        "annullato",
        "annullata",
        "gestrichen",
        "geannuleerd",
        "avbruten",
        "anulowane",
        "отменен",
        "отменена",
        "снята",
        "снят",
        "отклонена",
        "отклонен",
        "активна",
        "已撤銷",
        "已撤销",
        "未成交",
        "已撤單",
        "已撤单",
        "已失效",
        "已拒絕",
        "已拒绝",
        "下單失敗",
        "下单失败",
        "等待成交",
        "廢單",
        "废单",
        "opening",
        "amended",
        "expired",
        "deleted",
        "depo",
        "settlement",
        "funding",
        "with",
        "error",
        "active",
        "unrealized",
        "running",
        "bought",
        "ยกเลิก",
        "đã_hủy",
        "iptal",
        "iptal_edildi",
        "reddedildi",
        "취소",
        "미체결",
        "取消",
        "未約定",
        "失効",
        "ملغى",
        "ملغي",
        "ملغاة",
        "مرفوض",
    ]
)
_STATUS = re.compile(
    r"((order|trade|transaction|execution|exec|deal)_)?(status|state|stat)|stato(_\w+)?|estado(_\w+)?"
    r"|statut(_\w+)?|tila|toimeksiannon_tila|stav|durum|emir_durumu|статус|стан|состояние|狀態|状态"
    r"|委托状态|委託狀態|상태|주문상태|สถานะ|trạng_thái|الحالة|állapot|stare|auftragsstatus|orderstatus"
)
_OF_ORDER = re.compile(r"^order_|_order$")
_SIDE = re.compile(r"^(buy|sell|bid|ask)_|_(buy|sell|bid|ask)$")
_STEM_NOT_DONE = re.compile(
    r"cancel|reject|rechaz|rejeit|rejet|refus|rifiut|abgelehnt|zurückgew|storn|gestrich|gelösch"
    r"|annul|anul|avvis|avbrut|odrzuc|отмен|отклон|снят|iptal|redded|pend|afgewezen|geannul"
    r"|vervallen|hylät|peruu|makul|afvist|zamít|zruš|elutas|töröl|respins|撤|废|廢|拒|取消|失效|失効"
    r"|취소|거부|미체결|未|(^|_)err(or)?(_|$)|(^|_)fail|(^|_)denied|(^|_)invalid"
)
"""Parts of words of orders that were not done, in columns that are called a status."""
_AGREED = frozenset(("accepted", "akzeptiert", "aceptada", "acceptée", "accettata"))
_MOST_WORDS = 15
"""How many different words a column with a status has, at most."""
_NOTHING = 1e-9
_NEW = frozenset(("new", "original", "orig", "trade"))
_CORRECTED = re.compile(r"(trade_)?(correct(ed|ion)?|amend(ed|ment)?|rebook(ed)?|replace(d|ment)?)")
CANCELLED = re.compile(r"(trade_)?cancel(l?ed|lation)?")
"""What is said of confirmations of trades."""
_CLOSED = frozenset(("closed", "close", "win", "loss", "stopped", "exited"))
"""How positions ended, and no orders."""
_FILL_EVENTS = frozenset(["order_fill", "order_filled", "orderfilled"])
_LEVELS = (("execution",), ("order",), ("trade",))
_LEVEL_WORDS = frozenset(
    [
        "execution",
        "order",
        "trade",
        "closedlot",
        "closed_lot",
        "subtotal",
        "total",
        "symbol_summary",
        "asset_summary",
        "wash_sale",
        "lot",
    ]
)


def _are_of_orders(words: Iterable[str]) -> bool:
    """Whether the words, whatever their column is called, all say whether an order was done, and
    some say that it was not."""
    undone = [bool(_STEM_NOT_DONE.search(word)) for word in words if word not in _DONE]
    return all(undone) and 0 < len(undone) < len([*words])


def are_confirmations(words: Iterable[str]) -> bool:
    """Whether the words say of confirmations of trades that some are new, and that others correct
    them (or cancel them, so that they can be corrected).

    >>> are_confirmations(["NEW", "CANCEL", "CORRECT"]), are_confirmations(["New", "Cancelled"])
    (True, False)
    """
    folded = {joined_words(word) for word in words}
    return (
        bool(folded & _NEW)
        and any(map(_CORRECTED.fullmatch, folded))
        and all(
            word in _NEW or _CORRECTED.fullmatch(word) or CANCELLED.fullmatch(word)
            for word in folded
        )
    )


def by_status(contents: Contents, filled: str | None = None) -> Kept:
    """Rows of trades that were done; where a column `filled` has the filled quantity, it decides
    what of a cancelled order counts."""
    kept = Kept(contents)
    for column in contents.columns:
        words = kept.contents.words(column)
        if known_as(column) in ("is_open", "isopen", "open") and {
            w.strip().lower() for w in words
        } == {"true", "false"}:
            kept.drop(
                column, [w for w in words if w.strip().lower() == "true"], "the trade is still open"
            )
            continue
        if not 2 <= len(words) <= _MOST_WORDS or _are_ends(kept.contents, column, words):
            continue
        folded = _without_sides({word: joined_words(word) for word in words})
        of_orders = _are_of_orders(folded.values())
        if are_confirmations(words):
            continue
        if not (_COLUMN.search(known_as(column)) or of_orders):
            continue
        if set(folded.values()) <= _LEVEL_WORDS:
            level = next((own for own in _LEVELS if set(own) & set(folded.values())), None)
            if {"order", "trade"} <= set(folded.values()):
                level = ("order",)
            if level:
                kept.only(
                    column,
                    [w for w, f in folded.items() if f in level],
                    "the others repeat or total the same trades",
                )
            continue
        if len(words) > 1 and (done := [w for w, f in folded.items() if f in _FILL_EVENTS]):
            kept.only(column, done, "the others are orders and transfers, not fills")
            continue
        of_fills = known_as(column).endswith("_type") or "position_closed" in folded.values()
        undone = [
            word
            for word, f in folded.items()
            if _without_order(f) in _NOT_DONE or (of_fills and is_no_trade(word))
        ]
        is_status = of_orders or bool(_STATUS.fullmatch(known_as(column)))
        if is_status:
            undone += [w for w, f in folded.items() if w not in undone and _STEM_NOT_DONE.search(f)]
        undone = [word for word in undone if folded[word] != "open" or read_side(word) is None]
        if {*folded.values()} & _CLOSED:
            undone = [w for w in undone if folded[w] != "expired" or not _earned(kept, column, w)]
        if len(undone) == len(words) and {*folded.values()} - _AGREED != {*folded.values()}:
            # `ACCEPTED` beside `REJECTED` alone is what was done.
            undone = [word for word in undone if folded[word] not in _AGREED]
        if (
            not undone
            or (len(undone) == len(words))
            or not (is_status or any(f in _DONE for f in folded.values()))
        ):
            continue
        if filled is not None and filled in contents.columns:
            numbers = kept.contents.numbers(filled)
            cells = kept.contents.cells(column)
            some = {as_text(v) for v, n in zip(cells, numbers, strict=True) if v is not None and n}
            undone = [w for w in undone if w not in some or (of_fills and is_no_trade(w))]
        done = [word for word in words if word not in undone]
        if undone and done and len(kept.contents.values(column)) == kept.contents.n_rows:
            kept.only(column, done, "nothing was traded in the others, or the trade is still open")
        elif undone:
            kept.drop(column, undone, "nothing was traded, or the trade is still open")
    return kept


def _without_sides(folded: dict[str, str]) -> dict[str, str]:
    """The words without their sides, where what is left of all says whether an order was done:
    `buy_done` beside `sell_rejected`."""
    bare = {word: _SIDE.sub("", own) for word, own in folded.items()}
    said = all(own in _DONE | _NOT_DONE or _STEM_NOT_DONE.search(own) for own in bare.values())
    ends = any(own.startswith(("open", "close")) for own in bare.values())
    return bare if said and not ends else folded


def _without_order(folded: str) -> str:
    """What is said of an order: `order_placed`, `new_order`."""
    return folded if folded in _DONE else _OF_ORDER.sub("", folded)


def _earned(kept: Kept, column: str, word: str) -> bool:
    """Whether rows with the word have profits, or prices of exits, as positions in options that
    expired."""
    cells = kept.contents.cells(column)
    exits = [c for c in kept.contents.columns if known_as(c) in NAMES["exit_price"]]
    if exits and all(
        kept.contents.numbers(exits[0])[i] is not None
        for i, value in enumerate(cells)
        if value is not None and as_text(value) == word
    ):
        return True
    return any(
        number and value is not None and as_text(value) == word
        for profit in profits_of(kept.contents)
        for value, number in zip(cells, kept.contents.numbers(profit), strict=True)
    )


def _are_ends(contents: Contents, column: str, words: Iterable[str]) -> bool:
    """Whether `opened` and `closed` are the two rows of each trade, by a number that they share,
    and not how trades stand."""
    if not {word.strip().lower() for word in words} <= {"opened", "closed", "open", "close"}:
        return False
    ends = contents.cells(column)
    if _are_opposite(contents, ends):
        return True
    for other in contents.columns:
        if not known_as(other).endswith(("_id", "_no", "ticket", "deal")):
            continue
        groups: dict[str, set[str]] = {}
        for value, end in zip(contents.cells(other), ends, strict=True):
            if value is not None and end is not None:
                groups.setdefault(as_text(value), set()).add(as_text(end).strip().lower()[:4])
        if len(groups) > 1 and sum(len(own) == 2 for own in groups.values()) >= 0.8 * len(groups):
            return True
    return False


def _are_opposite(contents: Contents, ends: list[Any]) -> bool:
    """Whether all that was opened was closed by fills on the other side, at times and prices of
    their own: those are no orders and no positions that are still open."""
    by_name = {known_as(column): column for column in reversed(contents.columns)}
    found = [
        next((by_name[name] for name in NAMES[field] if name in by_name), None)
        for field in ("symbol", "side", "quantity", "price")
    ]
    if None in found:
        return False
    symbol, side, quantity, price = (column for column in found if column is not None)
    held: dict[tuple[str, int], float] = {}
    rows = zip(
        contents.cells(symbol),
        contents.cells(side),
        contents.numbers(quantity),
        contents.numbers(price),
        ends,
        strict=True,
    )
    for what, direction, size, paid, end in rows:
        said = read_side(as_text(direction)) if direction is not None else None
        if not isinstance(said, Side) or what is None or end is None or not size or not paid:
            return False
        opens = as_text(end).strip().lower().startswith("open")
        key = as_text(what), said.fill if opens else -said.fill
        held[key] = held.get(key, 0.0) + (abs(size) if opens else -abs(size))
    return bool(held) and all(abs(rest) < _NOTHING for rest in held.values())
