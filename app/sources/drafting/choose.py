"""Which column is which field: by the names that people and programs give to columns, and by what
stands in them.

May touch: nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from app.sources.column_names import NAMES, currency_in, is_in_points, known_as
from app.sources.drafting.contents import Contents
from app.sources.drafting.fee_columns import fee_columns
from app.sources.drafting.side_columns import side_column, with_effect
from app.sources.drafting.spec import Fields, Spec
from app.sources.drafting.symbol_columns import CURRENCIES, SymbolColumns
from app.sources.ends import end_of, is_price
from app.sources.pairs import may_be_inverse
from app.sources.sides import Side, opens_or_closes, read_side

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
    r"|last_price|fair|c_price|close_price_prior|cost_basis|liq"
)
_NO_FILL_TIME = re.compile(r"exp|^s_d$|settle|process|matur|entry|exit|open|clos|birth|valid|until")
_CURRENCIES_OF_PRICES = ("quote_currency", "instrumentvaluta", "instrument_currency", "currency")
_OF_PRICE = re.compile("pri[cxs]|prezzo|precio|kurs|cours")
_CURRENCIES_OF_ACCOUNTS = ("account_currency", "transaktionsvaluta", "settlement_currency")
_OF_FEES = (
    r"(currency|coin|asset).*(fee|commission)|(fee|commission).*(currency|coin|asset|token|unit)"
)
_PER_POINT = re.compile(r"/ ?(pt|point)s?\b|per point", re.IGNORECASE)
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
_SPECIAL = frozenset({"side", "symbol", "fee", "fees_usd"})


class Chooser:
    """Chooses columns; each is used once."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        self._names = {column: known_as(column) for column in contents.columns}
        self._symbols = SymbolColumns(contents, self._names)

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
                and (own := self._profit_currency()) is not None
            ):
                spec = Spec([own])
            if (
                spec is None
                and name == "fee_currency"
                and "fee" in found
                and (column := self._fee_currency(found["fee"].columns[-1]))
            ):
                spec = Spec([column])
            if (
                spec is None
                and name == "currency"
                and (column := self._currency_column(found)) is not None
            ):
                spec = Spec([column])
            if spec is None and name == "currency" and "symbol" in found:
                spec = self._symbols.market(found["symbol"].column, used)
            if spec is not None:
                found[name] = spec
        self._twofold(found)
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
                return

    def _special(self, name: str, used: set[str]) -> Spec | None:
        if name in TIMES:
            return self._time(name, used)
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
            yield from (column for column in c.columns if _PER_POINT.search(column))
        known = [*NAMES[name], *(NAMES["pnl_usd"] if name == "roi" else ())]
        exact = [
            (word, column) for word in known for column, own in self._names.items() if own == word
        ]
        if name == "pnl_usd":
            exact.sort(key=lambda one: is_in_points(one[1]))
            first = exact[0][0] if exact else ""
            exact.sort(key=lambda one: (one[0] != first, not _NET.search(one[1])))
        for word, column in exact:
            if (
                name in ("roi", "pnl_usd")
                and word in NAMES["pnl_usd"]
                and c.has_percent(column) != (name == "roi")
            ):
                continue  # A profit in percent is a return.
            yield column
        if name == "fee_currency":
            yield from (
                column for column in c.columns if re.search(_OF_FEES, column, re.IGNORECASE)
            )
        for word in NAMES[name]:
            parts = word.split("_")
            for column, own in self._names.items():
                if (
                    len(parts) > 1
                    and own != word
                    and set(parts) <= set(own.split("_"))
                    and not self._other(name, own)
                ):
                    yield column
        yield from self._by_end(name)

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

    def _profit_currency(self) -> str | None:
        """The column with the currency of the profit, where there are several with currencies."""
        pattern = re.compile(
            r"(currency|ccy).*(result|profit|p ?[&/]? ?l\b|pnl|gain)"
            r"|(profit|pnl|p&l|result).*(currency|ccy)",
            re.IGNORECASE,
        )
        return next(
            (c for c in self._contents.columns if pattern.search(c) and self._fits("currency", c)),
            None,
        )

    def _currency_column(self, found: Fields) -> str | None:
        """A column with nothing but codes of currencies, next to the price or the profit, without a
        name that says so."""
        for name in ("pnl_usd", "price", "exit_price"):
            if name in found and (column := self._next_currency(found[name].column)) is not None:
                return column
        return None

    def _fee_currency(self, fee: str) -> str | None:
        """The column with the currency of the fees: right behind them, if another column has that
        of the prices; else that of the account, if prices are in another one."""
        words = self._contents.words
        currencies = [
            column
            for column in self._contents.columns
            if words(column) and all(word.strip() in CURRENCIES for word in words(column))
        ]
        behind = self._next_currency(fee)
        if behind and len(currencies) > 1 and not _OF_PRICE.search(self._names[behind]):
            return behind
        accounts = [
            column for column in currencies if self._names[column] in _CURRENCIES_OF_ACCOUNTS
        ]
        priced = [column for column in currencies if self._names[column] in _CURRENCIES_OF_PRICES]
        if accounts and priced and words(accounts[0]).keys() != words(priced[0]).keys():
            return accounts[0]
        return None

    def _next_currency(self, column: str) -> str | None:
        """The column behind `column`, where nothing but codes of currencies stands in it."""
        columns = list(self._contents.columns)
        at = columns.index(column) + 1
        words = self._contents.words(columns[at]) if at < len(columns) else {}
        return columns[at] if words and all(word.strip() in CURRENCIES for word in words) else None

    def _other(self, name: str, own: str) -> bool:
        """Whether the additional words change the meaning: a limit price is not a price."""
        if LIMIT.search(own):
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
                    r"value|pct|currency|time|date|fee|commission|remaining|source|type|profit|loss",
                    own,
                )
            )
        return False

    def _fits(self, name: str, column: str) -> bool:
        c = self._contents
        values = c.values(column)
        if not values:
            return False
        if name == "stake" and _PER_POINT.search(column):
            return False
        if name == "quantity" and not _PER_POINT.search(column):
            if self._is_money(column):
                return False
            signs = sum(n for unit, n in c.signs(column).items() if unit in CURRENCIES)
            if signs * 2 > len(values) or not any(c.read_numbers(column)):
                return False  # An amount of money, or what is left of a position.
        if name in NUMBERS:
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
            unique = len(set(map(str, values))) == c.n_rows and c.time(column) is None
            return unique and not all(isinstance(read_side(word), Side) for word in c.words(column))
        if name in ("currency", "fee_currency"):
            return all(
                re.fullmatch(r"[A-Z][A-Z0-9]{1,9}", str(v).strip().upper())
                and not str(v).strip().isdigit()
                for v in c.words(column)
            )
        if name == "open_close":
            return all(opens_or_closes(word) is not None for word in c.words(column))
        if name in ("timeframe", "chain", "bucket"):
            return not c.is_numeric(column) or name == "timeframe"
        return True

    def _is_money(self, column: str) -> bool:
        """Whether the name says that its numbers are money, and no contracts are counted in it."""
        if re.search("[$€£¥₹]", column):
            return True
        if currency_in(column) in (None, "BTC", "ETH"):
            return False
        c = self._contents
        return not any(
            c.words(other) and all(may_be_inverse(word) for word in c.words(other))
            for other in c.columns
        )

    def _has_prices(self, but: str) -> bool:
        return any(
            column != but and own in NAMES["price"] and self._contents.is_numeric(column)
            for column, own in self._names.items()
        )

    # --- times
    # ----------------------------------------------------------------------------------------------

    def _time(self, name: str, used: set[str]) -> Spec | None:
        """The column with a time of day before the one with a bare day; a day and a time of day in
        two columns are put together."""
        c = self._contents
        found = [
            column
            for column in dict.fromkeys(self._candidates(name))
            if column not in used and c.time(column) is not None
        ]
        exact = [column for column in found if self._names[column] in NAMES[name]]
        found = exact or found
        if not found and name == "time":
            # The only time there is, whatever it is called.
            others = [
                column
                for column in c.time_columns
                if column not in used and not _NO_FILL_TIME.search(self._names[column])
            ]
            found = others if len(others) == 1 else []
        if not found:
            return self._clock_alone(name)
        full = [
            column
            for column in found
            if (t := c.time(column)) is not None
            and t.has_clock
            and len(c.values(column)) * 2 >= c.n_rows
        ]
        if full:
            return self._time_spec([full[0]])
        return self.time_of(found[0], used)

    def _clock_alone(self, name: str) -> Spec | None:
        """The time of day of the field, with the only day that the table has."""
        clocks = [c for c in self._candidates(name) if self._contents.is_clock(c)]
        days = [
            column
            for column in self._contents.time_columns
            if (t := self._contents.time(column)) is not None and not t.has_clock
        ]
        return self._time_spec([days[0], clocks[0]]) if clocks and len(days) == 1 else None

    def time_of(self, day: str, used: Iterable[str] = ()) -> Spec | None:
        """A day, with the time of day in another column where there is one."""
        clock = self._clock_of(day, set(used))
        return self._time_spec([day, clock] if clock else [day])

    def _clock_of(self, day: str, used: set[str]) -> str | None:
        clocks = [
            column
            for column in self._contents.columns
            if column not in used and self._contents.is_clock(column)
        ]
        stem = self._stem(day)
        same = [column for column in clocks if self._stem(column) == stem]
        if same:
            return same[0]
        order = list(self._contents.columns)
        behind = order[order.index(day) + 1 : order.index(day) + 2]
        if behind and behind[0] in clocks and not self._stem(behind[0]):
            return behind[0]
        return (
            clocks[0]
            if len(clocks) == 1 and not stem & {"entry", "exit", "open", "close"}
            else None
        )

    def _stem(self, column: str) -> set[str]:
        return set(self._names[column].split("_")) - {
            "date",
            "time",
            "day",
            "datum",
            "zeit",
            "uhrzeit",
            "heure",
            "schlusstag",
            "schlusszeit",
            "de",
            "d",
            "of",
            "hour",
            "fecha",
            "hora",
            "data",
            "ora",
            "trade",
            "execution",
            "exec",
        }

    def _time_spec(self, columns: list[str]) -> Spec | None:
        c = self._contents
        reading = c.time(columns[0]) if len(columns) == 1 else c.joined(*columns)
        return None if reading is None else Spec(columns, dict(reading.keys))

    def _twofold(self, found: Fields) -> None:
        """Two columns of one name: of the time and the price of positions the first is the entry's,
        the second the exit's."""
        c = self._contents
        pairs = [(column, f"{column} (2)") for column in c.columns if f"{column} (2)" in c.columns]
        times = [
            pair for pair in pairs if c.time(pair[0]) is not None and c.time(pair[1]) is not None
        ]
        prices = [
            pair
            for pair in pairs
            if c.is_numeric(pair[0])
            and c.is_numeric(pair[1])
            and self._names[pair[0]] in NAMES["price"]
        ]
        if times:
            clocks = [pair for pair in pairs if all(map(c.is_clock, pair))]
            joined = [*zip(*times[0:1], *clocks[0:1], strict=True)]
            for name, columns in zip(("entry_timestamp", "exit_timestamp"), joined, strict=True):
                day = c.time(columns[0])
                own = columns if day is not None and not day.has_clock else columns[:1]
                if (spec := self._time_spec(list(own))) is not None:
                    found[name] = spec
        if prices and (times or {"entry_timestamp", "exit_timestamp"} <= found.keys()):
            found["entry_price"], found["exit_price"] = Spec([prices[0][0]]), Spec([prices[0][1]])
