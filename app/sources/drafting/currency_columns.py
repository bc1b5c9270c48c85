"""Which columns have the currencies of prices, profits and fees.

May touch: nothing.
"""

from __future__ import annotations

import re

from app.sources.column_names import NAMES
from app.sources.currencies import NAMES_OF_CURRENCIES
from app.sources.drafting.contents import Contents
from app.sources.drafting.spec import Fields, Names
from app.sources.drafting.symbol_columns import CURRENCIES

_CURRENCIES_OF_PRICES = ("quote_currency", "instrumentvaluta", "instrument_currency", "currency")
_OF_PRICE = re.compile("pri[cxs]|prezzo|precio|kurs|cours")
_OF_SETTLEMENT = re.compile("settle|account|afregning|avräkning|abrechnung|konto|compte|cuenta")
_CURRENCIES_OF_ACCOUNTS = ("account_currency", "transaktionsvaluta", "settlement_currency")


def is_currency(contents: Contents, column: str) -> bool:
    """Whether nothing but codes or names of currencies or coins stands in the column."""
    return bool(contents.values(column)) and all(
        re.fullmatch(r"[A-Z][A-Z0-9]{1,9}", word.strip().upper())
        or word.strip().lower() in NAMES_OF_CURRENCIES
        for word in contents.words(column)
    )


class CurrencyColumns:
    """Chooses the columns of a table whose columns are called `names`."""

    def __init__(self, contents: Contents, names: Names) -> None:
        self._contents = contents
        self._names = names

    def of_profit(self) -> str | None:
        """The column with the currency of the profit, where there are several with currencies."""
        pattern = re.compile(
            r"(currency|ccy).*(result|profit|p ?[&/]? ?l\b|pnl|gain)"
            r"|(profit|pnl|p&l|result).*(currency|ccy)",
            re.IGNORECASE,
        )
        return next(
            (
                c
                for c in self._contents.columns
                if pattern.search(c) and is_currency(self._contents, c)
            ),
            None,
        )

    def beside(self, found: Fields) -> str | None:
        """A column with nothing but codes of currencies, next to the price or the profit, without a
        name that says so."""
        for name in ("pnl_usd", "price", "exit_price"):
            if name in found and (column := self._next_currency(found[name].column)) is not None:
                return column
        return None

    def of_fee(self, fee: str) -> str | None:
        """The column with the currency of the fees: called after them, or right behind them, if
        another column has that of the prices; else that of the account, if prices are in another
        one."""
        words = self._contents.words
        currencies = [
            column
            for column in self._contents.columns
            if words(column) and all(word.strip() in CURRENCIES for word in words(column))
        ]
        currencies = [c for c in currencies if self._names[c] not in NAMES["account"]]
        if named := [c for c in currencies if c != fee and fee.lower() in c.lower()]:
            return named[0] if len(currencies) > 1 else None
        behind = self._next_currency(fee)
        settled = [c for c in currencies if c != behind and _OF_SETTLEMENT.search(self._names[c])]
        if behind and len(currencies) > 1 and not _OF_PRICE.search(self._names[behind]):
            # A plain name beside that of a settlement is that of the prices, wherever it stands.
            return None if settled and self._names[behind] in NAMES["currency"] else behind
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
        if at == len(columns) or self._names[columns[at]] in NAMES["account"]:
            return None
        cells = zip(*map(self._contents.cells, (column, columns[at])), strict=True)
        if any(value is not None and code is None for value, code in cells):
            return None
        words = self._contents.words(columns[at])
        return columns[at] if words and all(word.strip() in CURRENCIES for word in words) else None
