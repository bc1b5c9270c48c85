"""Which column is which field: by the names that people and programs give to columns, and by what
stands in them.

May touch: nothing.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import lru_cache

from app.sources.column_names import (
    NAMES,
    currency_in,
    is_in_basis_points,
    is_in_points,
)
from app.sources.drafting.compared_names import names_of
from app.sources.drafting.contents import Contents
from app.sources.drafting.currency_columns import CurrencyColumns, is_currency
from app.sources.drafting.fee_columns import fee_columns
from app.sources.drafting.repeated import identifies
from app.sources.drafting.side_columns import side_column, with_effect
from app.sources.drafting.spec import Fields, Spec
from app.sources.drafting.symbol_columns import CURRENCIES, SymbolColumns
from app.sources.drafting.time_columns import TimeColumns
from app.sources.ends import end_of, is_price
from app.sources.figures import has_share
from app.sources.glued_names import spaced
from app.sources.pairs import is_coin, may_be_inverse
from app.sources.sides import Side, opens_or_closes, read_side
from app.sources.value_names import is_of_order

POSITIONS = (
    "exit_timestamp",
    "entry_timestamp",
    "trade_id",
    "symbol",
    "side",
    "rr",
    "roi",
    "pnl_usd",
    "stake",
    "max_drawdown",
    "max_gain",
    "entry_price",
    "exit_price",
    "quantity",
    "fees_usd",
    "hold_time_days",
    "timeframe",
    "bucket",
    "chain",
    "currency",
    "revision",
    "multiplier",
)
FILLS = (
    "time",
    "symbol",
    "side",
    "open_close",
    "quantity",
    "price",
    "fee",
    "fee_currency",
    "fill_id",
    "account",
    "timeframe",
    "bucket",
    "chain",
    "currency",
    "multiplier",
)
TIMES = frozenset({"entry_timestamp", "exit_timestamp", "time"})
NUMBERS = frozenset(
    {
        "rr",
        "roi",
        "pnl_usd",
        "max_drawdown",
        "max_gain",
        "entry_price",
        "exit_price",
        "quantity",
        "fees_usd",
        "hold_time_days",
        "price",
    }
    | {"fee", "multiplier", "revision", "gross", "net", "stake"}
)
LIMIT = re.compile(
    r"limit|stop|target|take_|trigger|sl\b|tp\b|_s_l|_t_p|planned|order_price|mark(_|$)|strike"
    r"|last_price|fair|oracle|index_price|c_price|close_price_prior|cost_basis|liq"
)
_OF_FEES = (
    r"(currency|ccy|coin|asset).*(fee|comm(?!od))"
    r"|(fee|comm(?!od)).*(currency|ccy|coin|asset|token|unit)"
)
_ORDERED = {
    "quantity": {"quantity", "qty", "amount", "size", "volume", "vol"},
    "price": {"price", "rate", "px"},
}
"""Words of what was ordered, by field."""
_DONE = re.compile("fill|exec|traded|(^|_)(done|dealt|matched)(_|$)")
_OF_UNDERLYING = re.compile(r"(^|_)(stock|underlying|underlier|index|spot)(_|$)")
"""Of a price that is that of what an option is on."""
_PER_POINT = re.compile(r"/ ?(pt|point)s?\b|\bper point", re.IGNORECASE)
"""Of a stake: money per point, which is a quantity."""
_TERMS = (
    (re.compile("^short_term"), "long_term"),
    (re.compile("^long_term"), "short_term"),
    (re.compile("_st$"), "_lt"),
    (re.compile("_lt$"), "_st"),
)
"""How the names of profits of short and of long term differ."""
_NET = re.compile(r"\((net|after)", re.IGNORECASE)
"""Of one of several columns of profits with the same name."""
_OF_ACCOUNT = re.compile(r"[(\[](account|base|home)", re.IGNORECASE)
_OF_PRICE = re.compile(r"[(\[].*(pri[cxs]|prezzo|prec|preç|kurs|cours|koers)", re.IGNORECASE)
"""Of one of several columns of profits (or of currencies) that differ by what is in brackets."""
_IN_LOTS = re.compile(
    r"[(\[]\W*(cont|contracts?|lots?|pieces|张|張|手)\W*[)\]]|_(conts?|contracts|lots)$",
    re.IGNORECASE,
)
"""Of one of several quantities with the same name."""
_FILLED = re.compile(
    r"(^|_)(filled|executed|exec|done|dealt|traded|matched)(_|$)|ausgeführt|ejecutad|executad|eseguit"
    r"|exécuté|gerçekleşen|체결|成交|約定"
)
"""Of quantities that were filled, beside those that were ordered."""
_SPECIAL = frozenset({"side", "symbol", "fee", "fees_usd"})


@lru_cache(maxsize=64)
def _of_several_words(name: str) -> list[tuple[str, frozenset[str]]]:
    """The names of a field that have several words, with these."""
    found = ((word, word.split("_")) for word in NAMES[name])
    return [(word, frozenset(parts)) for word, parts in found if len(parts) > 1]


class Chooser:
    """Chooses columns; each is used once."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        self._names = names_of(contents)
        self._symbols = SymbolColumns(contents, self._names)
        self._by_name: dict[str, list[str]] = defaultdict(list)
        for column, own in self._names.items():
            self._by_name[own].append(column)
        self._times = TimeColumns(contents, self._names)
        self._currencies = CurrencyColumns(contents, self._names)

    def match(self, fields: Iterable[str]) -> Fields:
        """The fields for which there is a column."""
        found: Fields = {}
        for name in fields:
            used = {column for spec in found.values() for column in spec.columns}
            spec = self._special(name, used)
            if spec is None and name not in _SPECIAL and name not in TIMES:
                column = next(
                    (c for c in self._candidates(name) if c not in used and self._fits(name, c)),
                    None,
                )
                spec = Spec([column]) if column is not None else None
                if spec is not None and spec.column in self._contents.parts:
                    spec.keys["part"] = True
            if (
                name == "currency"
                and "pnl_usd" in found
                and (own := self._currencies.of_profit()) is not None
            ):
                spec = Spec([own])
            if (
                spec is None
                and name == "fee_currency"
                and "fee" in found
                and (column := self._currencies.of_fee(found["fee"].columns[-1]))
            ):
                spec = Spec([column])
            if (
                spec is None
                and name == "currency"
                and (column := self._currencies.beside(found)) is not None
            ):
                spec = Spec([column])
            if spec is None and name == "currency" and "symbol" in found:
                spec = self._symbols.market(found["symbol"].column, used)
            if spec is not None:
                found[name] = spec
        self._times.twofold(found)
        self._by_term(found)
        return found

    def _by_term(self, found: Fields) -> None:
        """Profits of short and of long term in two columns are one."""
        spec = found.get("pnl_usd")
        if spec is None or len(spec.columns) > 1:
            return
        own = self._names[spec.column]
        for one, other in _TERMS:
            twin = one.sub(other, own)
            if twin != own:
                spec.columns += [column for column, name in self._names.items() if name == twin]
                spec.columns += self._other_terms(spec.columns, one.sub("", own))
                return

    def _other_terms(self, columns: list[str], what: str) -> list[str]:
        """Further columns of the same profits, as of speculation, if each row has only one."""
        c, what = self._contents, what.strip("_")
        found = list(columns)
        for column, name in self._names.items():
            if column in found or not name.endswith(f"_{what}") or not c.is_numeric(column):
                continue
            rows = zip(*map(c.numbers, [*found, column]), strict=True)
            if all(sum(bool(n) for n in row) <= 1 for row in rows):
                found.append(column)
        return found[len(columns) :]

    def _special(self, name: str, used: set[str]) -> Spec | None:
        if name in TIMES:
            return self._times.spec(name, used, list(self._candidates(name)))
        if name == "side":
            column = side_column(self._contents, self._names, used)
            return with_effect(self._contents, column, used) if column else None
        if name in ("fee", "fees_usd"):
            columns = fee_columns(self._contents, self._names, used)
            return Spec(columns) if columns else None
        if name == "symbol":
            return self._symbols.spec(self._candidates("symbol"), used)
        return None

    def _candidates(self, name: str) -> Iterator[str]:
        """Columns that may be the field, the likeliest first: by the whole name, then by all words
        of a name among others."""
        c = self._contents
        if name == "quantity":
            known_size = any(own in NAMES[name] for own in self._names.values())
            yield from (
                column
                for column in c.columns
                if _PER_POINT.search(spaced(column))
                and not (known_size and self._names[column] in NAMES["multiplier"])
            )
        known = [*NAMES[name], *(NAMES["pnl_usd"] if name == "roi" else ())]
        exact = [(word, column) for word in known for column in self._by_name.get(word, ())]
        if name == "pnl_usd":  # A return in a currency is a profit.
            exact += [
                (own, column)
                for column, own in self._names.items()
                if own in NAMES["roi"] and currency_in(column)
            ]
        if name == "pnl_usd":
            exact.sort(key=lambda one: is_in_points(one[1]))
            first = exact[0][0] if exact else ""
            told = any(currency_in(column) for word, column in exact if word == first)
            exact.sort(
                key=lambda one: (
                    one[0] != first,
                    told and currency_in(one[1]) is None,
                    not _NET.search(one[1]),
                    bool(_OF_ACCOUNT.search(one[1])),
                )
            )
            exact.sort(key=lambda one: (one[0] != first, self._in_wrong_unit(one[1])))
        if name == "quantity":  # `Quantity (units)` before `Quantity (lots)`.
            exact.sort(
                key=lambda one: (
                    not _FILLED.search(one[0]),
                    known.index(one[0]),
                    bool(_IN_LOTS.search(one[1])),
                )
            )
        if name == "currency":
            exact.sort(
                key=lambda one: (
                    known.index(one[0]),
                    not _OF_PRICE.search(one[1]),
                    len(c.values(one[1])) < c.n_rows,
                )
            )
        for word, column in exact:
            if (
                name in ("roi", "pnl_usd")
                and word in NAMES["pnl_usd"]
                and (c.has_percent(column) or is_in_basis_points(column)) != (name == "roi")
            ):
                continue  # A profit in percent is a return.
            yield column
        if name == "fee_currency":
            yield from (
                column for column in c.columns if re.search(_OF_FEES, column, re.IGNORECASE)
            )
        names = sorted(
            self._names.items(),
            key=lambda one: (
                (name == "price" and "net" in one[1].split("_"))
                or (name == "quantity" and bool(_IN_LOTS.search(one[0])))
            ),
        )
        apart = [(column, own, set(own.split("_"))) for column, own in names]
        apart = [one for one in apart if len(one[2]) > 1]
        for word, parts in _of_several_words(name) if apart else ():
            for column, own, words in apart:
                if parts <= words and own != word and not self._other(name, own):
                    yield column
        yield from self._by_end(name)

    def _in_wrong_unit(self, column: str) -> bool:
        """Whether profits are in a coin, unless all contracts may be inverse: those are settled in
        it, and not in dollars."""
        unit = currency_in(column)
        return unit is not None and is_coin(unit) != self._are_inverse()

    def _are_inverse(self) -> bool:
        c = self._contents
        return any(
            c.words(column) and all(may_be_inverse(word) for word in c.words(column))
            for column in c.columns
        )

    def _is_signed_beside(self, column: str) -> bool:
        """Whether an `Amount` has both signs, and a column that is called a quantity has one, or
        the opposite one in each row: then it is money."""
        numbers = self._contents.read_numbers
        if self._names[column] != "amount" or len({n > 0 for n in numbers(column) if n}) < 2:
            return False
        amounts = self._contents.numbers(column)
        for other, own in self._names.items():
            if other == column or own not in NAMES["quantity"]:
                continue
            if not self._contents.is_numeric(other):
                continue
            pairs = zip(amounts, self._contents.numbers(other), strict=True)
            opposite = {(a > 0) != (n > 0) for a, n in pairs if a and n} == {True}
            if opposite or len({n > 0 for n in numbers(other) if n}) == 1:
                return True
        return False

    def _by_end(self, name: str) -> Iterator[str]:
        """Columns that may be the time or the price of one end of the trade, by single words."""
        end, _, what = name.partition("_")
        for column, own in self._names.items():
            if (
                what in ("timestamp", "price")
                and end_of(own) == end
                and is_price(own) == (what == "price")
                and not self._other(name, own)
            ):
                yield column

    def _other(self, name: str, own: str) -> bool:
        """Whether the additional words change the meaning: a limit price is not a price."""
        if LIMIT.search(own):
            return True
        if name in ("entry_price", "exit_price") and _OF_UNDERLYING.search(own):
            return True
        if name == "pnl_usd":
            return bool(
                re.search(
                    r"pct|percent|unreal|cum|day|mtm|per_share|points|ticks|gross_loss|currency",
                    own,
                )
            )
        if name in ("price", "entry_price", "exit_price", "quantity"):
            return bool(
                re.search(
                    r"value|pct|currency|time|date|fee|commission|remaining|source|type|profit|loss"
                    r"|base_order",
                    own,
                )
            )
        return False

    def _fits(self, name: str, column: str) -> bool:
        c = self._contents
        values = c.values(column)
        if not values:
            return False
        if name == "stake" and _PER_POINT.search(spaced(column)):
            return False
        if name in _ORDERED and self._is_beside_filled(name, column):
            return False
        if name == "quantity" and not _PER_POINT.search(spaced(column)):
            if (
                self._is_money(column)
                or self._is_value_of(column)
                or self._is_signed_beside(column)
            ):
                return False
            signs = sum(n for unit, n in c.signs(column).items() if unit in CURRENCIES)
            if signs * 2 > len(values) or not any(c.read_numbers(column)):
                return False  # An amount of money, or what is left of a position.
        if name in NUMBERS:
            if name == "roi" and (
                currency_in(column) or any(has_share(word) for word in c.words(column))
            ):
                return False
            if name == "roi" and any(
                len(unit) == 3 or unit in ("USDT", "USDC") for unit in c.signs(column)
            ):
                return False  # A cell with a currency sign is no fraction.
            if (
                name in ("price", "entry_price", "exit_price", "quantity")
                and c.time(column) is not None
                and not c.is_numeric(column)
            ):
                return False
            if name == "price" and set(c.read_numbers(column)) == {1} and self._has_prices(column):
                return False  # A rate of exchange.
            if name in ("price", "entry_price", "exit_price") and not any(c.read_numbers(column)):
                return False
            return c.is_numeric(column) and (
                name != "multiplier" or all(n > 0 for n in c.read_numbers(column))
            )
        if name in ("trade_id", "fill_id"):
            unique = identifies(c, column) and c.time(column) is None
            return unique and not all(isinstance(read_side(word), Side) for word in c.words(column))
        if name in ("currency", "fee_currency"):
            return is_currency(c, column)
        if name == "open_close":
            return all(opens_or_closes(word) is not None for word in c.words(column))
        if name == "account" and c.n_rows > 1:
            return len(c.words(column)) < c.n_rows  # Else it numbers the fills.
        if name in ("timeframe", "chain", "bucket"):
            return not c.is_numeric(column) or name == "timeframe"
        return True

    def _is_beside_filled(self, name: str, column: str) -> bool:
        """Whether the column has the quantity (or the price) of an order, beside that of what was
        filled."""
        if not is_of_order(self._names[column]) or _DONE.search(self._names[column]):
            return False
        return any(
            _DONE.search(own)
            and _ORDERED[name] & {*own.split("_")}
            and self._contents.is_numeric(other)
            and any(self._contents.read_numbers(other))
            for other, own in self._names.items()
        )

    def _is_money(self, column: str) -> bool:
        """Whether the name says that its numbers are money, and no contracts are counted in it."""
        if re.search(r"[$€£¥₹]|(?<![a-z])quote(?![a-z])", spaced(column), re.IGNORECASE):
            return True
        if currency_in(column) in (None, "BTC", "ETH"):
            return False
        return not self._are_inverse()

    def _is_value_of(self, column: str) -> bool:
        """Whether the name differs from that of a quantity by the word value alone: `Position size
        (value)` beside `Position size (qty)`."""
        return bool(re.search(r"\(value\)", column, re.IGNORECASE)) and any(
            other != column and own == self._names[column] for other, own in self._names.items()
        )

    def _has_prices(self, but: str) -> bool:
        return any(
            column != but and own in NAMES["price"] and self._contents.is_numeric(column)
            for column, own in self._names.items()
        )

    def time_of(self, day: str) -> Spec | None:
        """A day, with the time of day in another column where there is one."""
        return self._times.time_of(day)
