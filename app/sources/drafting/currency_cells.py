"""The currency of a table's amounts by what stands in its columns: codes of currencies, coins of
fees, exchanges.

May touch: nothing.
"""

from __future__ import annotations

import re

from app.sources.cells import UNKNOWN
from app.sources.column_names import NAMES, currency_in, known_as
from app.sources.currencies import FIAT
from app.sources.drafting.contents import Contents
from app.sources.drafting.decided import Decided
from app.sources.drafting.dollars import ABROAD
from app.sources.drafting.spec import Spec
from app.sources.pairs import is_coin, is_stable, pair_of
from app.sources.value_names import is_balance

_OF_FEES = re.compile(
    "fee|comm|brokerage|courtage|kurtage|gebühr|frais|tax|settle|underlying|base|counter|from|to(_|$)"
)
"""Of currencies that are not those of profits."""
_OF_PRICES = re.compile("price.*total|total.*price")
"""Of the unit of prices and totals, and of fees too."""
_OF_SETTLEMENT = re.compile("settle|account|cash|payment|paid")
"""Of currencies that may be those of profits."""
_NEARLY = 0.05
"""By which share amounts after fees may differ from price × quantity."""
_SHORTEST_NAME = 4
"""Letters more than which a column's name has that is looked for in others."""
_EXCHANGES = {
    **dict.fromkeys(("NSE", "BSE", "NFO", "MCX", "BFO", "CDS", "NCDEX"), "INR"),
    **dict.fromkeys(("TSX", "TSXV"), "CAD"),
    **dict.fromkeys(("NASDAQ", "NYSE", "NYSE ARCA", "ARCA", "AMEX", "BATS", "XNAS", "XNYS"), "USD"),
    **dict.fromkeys(("XETRA", "XETR", "FRA"), "EUR"),
    **dict.fromkeys(("HKEX", "SEHK"), "HKD"),
    **dict.fromkeys(("KRX", "KOSPI", "KOSDAQ"), "KRW"),
    **dict.fromkeys(("TWSE", "TPEX"), "TWD"),
    **dict.fromkeys(("HOSE", "HNX", "UPCOM"), "VND"),
    **dict.fromkeys(("DFM", "ADX"), "AED"),
    "ASX": "AUD",
    "NZX": "NZD",
    "SGX": "SGD",
    "GPW": "PLN",
    "BIST": "TRY",
    "B3": "BRL",
    "IDX": "IDR",
    "TADAWUL": "SAR",
    "MOEX": "RUB",
}
"""Currencies of exchanges that trade in no other."""
_ISIN = re.compile(r"[A-Z]{2}[A-Z0-9]{9}\d")
_LISTED = frozenset(
    (
        "US", "IE", "KY", "BM", "CA", "NL", "CH", "IL", "GB", "LU", "MH", "PA", "VG", "JE", "GG",
        "LR", "CW", "SG", "PR", "BS", "VI", "AN", "MU",
    )
)  # fmt: skip
"""Countries of companies that are listed in the United States under their own identifiers."""
_SEVERAL = frozenset(
    (
        "LSE", "LON", "XLON", "EURONEXT", "XPAR", "XAMS", "XBRU", "XMIL", "XMAD", "SIX", "SWX",
        "XSWX", "OMX", "XSTO", "XCSE", "XHEL", "XOSL", "JSE", "TASE", "TSE", "XTKS", "JPX", "BMV",
        "BME",
    )
)  # fmt: skip
"""Exchanges abroad whose prices may be in several currencies, or in hundredths of one."""
_INDIAN = re.compile(r"(BANK|FIN|MIDCP)?NIFTY(?! 500)|SENSEX|BANKEX|.*\d[ -]?(CE|PE)$")
"""What options and futures on Indian indices begin with, and what names of options in India end
with: a strike before `CE` or `PE`."""
_INDIAN_CODE = re.compile(
    r"[A-Z&-]{2,15}\d{2}([A-Z]{3}|[\dOND]\d{2})[\d.]+[CP]E|[A-Z&-]{2,15}\d{2}[A-Z]{3}FUT"
    r"|[A-Z&-]{2,15}-(EQ|BE|BZ|SM|ST)"
)
"""Options, futures and shares (with their series) as exchanges in India call them."""


def _is_indian(contents: Contents, column: str) -> bool:
    """Whether what was traded are options or futures on Indian indices, or options that are called
    as in India."""
    words = {word.strip().upper() for word in contents.words(column)}
    rights = bool(words & {"CE", "PE"}) and words <= {"CE", "PE", "FUT"}
    return bool(words) and (
        rights or all(_INDIAN.match(word) or _INDIAN_CODE.fullmatch(word) for word in words)
    )


def by_exchange(decided: Decided) -> set[str]:
    """The currencies of the exchanges in a column of them, or of what was traded; `UNKNOWN` is one
    abroad."""
    contents = decided.kept.contents
    for column in contents.columns:
        words = [word.strip().upper() for word in contents.words(column)]
        named = known_as(column) in (*NAMES["chain"], "market", "market_code", "listing_exchange")
        found = {_of_exchange(word, named) for word in words}
        if None not in found and found:
            return {code for code in found if code}
    spec = decided.fields.get("symbol")
    if spec is not None and any(_is_indian(contents, column) for column in spec.columns):
        return {"INR"}
    if spec is not None and any(map(_INDIAN_CODE.fullmatch, contents.words(spec.column))):
        return {"INR", UNKNOWN}
    symbols = contents.words(spec.column) if spec is not None and len(spec.columns) == 1 else {}
    told = {
        _EXCHANGES.get(word.partition(":")[0]) or _EXCHANGES.get(word.rpartition(" ")[2])
        for word in map(str.strip, symbols)
    }
    return {code for code in told if code} if len(told) == 1 else set()


def _of_exchange(word: str, named: bool) -> str | None:
    """The currency of an exchange, also with its segment (`NSE-EQ`), `UNKNOWN` if it has several;
    None if it is none.  In a column that is not `named` after them, a code such as `CDS` may mean
    something else."""
    for name in (word, re.split(r"[-_ ]", word)[0]):
        if name in _SEVERAL:
            return UNKNOWN
        if name in _EXCHANGES and (named or name not in ("CDS", "FRA", "B3", "ARCA", "AMEX")):
            return _EXCHANGES[name]
    return None


def by_isin(decided: Decided) -> set[str]:
    """The currencies of the countries by which securities are identified: that of India, whose
    exchanges trade in no other; `UNKNOWN` for another one, unless its companies are often listed
    in the United States as they are (Accenture: `IE…`) and shares of that country are there too."""
    contents = decided.kept.contents
    for column in contents.columns:
        words = [word.strip().upper() for word in contents.words(column)]
        if words and (known_as(column) == "isin" or all(map(_ISIN.fullmatch, words))):
            countries = {word[:2] for word in words}
            if "US" in countries and not countries - _LISTED:
                return set()
            codes = {"IN": "INR", "US": "USD"}
            return {codes.get(country, UNKNOWN) for country in countries}
    return set()


def by_country(decided: Decided) -> set[str]:
    """`UNKNOWN` for countries, in a column that is called so, where not all are the United
    States."""
    contents = decided.kept.contents
    for column in contents.columns:
        if re.fullmatch(
            r"(country|market_country|country_of_listing|listing_country)", known_as(column)
        ):
            words = {word.strip().lower().replace(".", "") for word in contents.words(column)}
            return {UNKNOWN} if words - {"us", "usa", "united states", "america"} else set()
    return set()


def settled_in_coins(decided: Decided) -> bool:
    """Whether fees are in the coin of each option, which then is the currency of its price too."""
    contents, fields = decided.kept.contents, decided.fields
    if not {"symbol", "fee_currency"} <= fields.keys():
        return False
    coins = contents.cells(fields["fee_currency"].column)
    symbols = contents.cells(fields["symbol"].column)
    if not all(
        symbol and coin and ABROAD.fullmatch(str(symbol)) and str(symbol).startswith(f"{coin}-")
        for symbol, coin in zip(symbols, coins, strict=True)
    ):
        return False
    column = fields["fee_currency"].column
    fields["currency"] = Spec([column], comment="options are priced in the coin of their fees")
    decided.guessed.append(f"Profits are in the coin of the fees, by {column}.")
    return True


def only_column(decided: Decided) -> str | None:
    """The only column that has nothing but codes of currencies, of several where they differ."""
    contents = decided.kept.contents
    found = [
        column
        for column in contents.columns
        if column not in decided.used()
        and contents.words(column)
        and all(word.strip() in FIAT for word in contents.words(column))
        and len(contents.values(column)) == contents.n_rows
    ]
    if len(found) != 1 or (
        _OF_FEES.search(known_as(found[0])) and not _OF_PRICES.search(known_as(found[0]))
    ):
        return None
    spec = decided.fields.get("symbol")
    if (
        decided.rows == "fills"
        and spec is not None
        and all(map(pair_of, contents.words(spec.column)))
    ):
        return None  # Pairs are priced in their own currencies.
    return found[0]


def in_names(decided: Decided) -> str | None:
    """The column of currencies whose own name stands in that of the price or the profit: `Base
    currency` beside `Price (in base currency)`."""
    contents = decided.kept.contents
    amounts = [
        spec.columns[0].lower()
        for name, spec in decided.fields.items()
        if name in ("price", "pnl_usd", "entry_price")
    ]
    for column in contents.columns:
        words = contents.words(column)
        if (
            column not in decided.used()
            and len(column) > _SHORTEST_NAME
            and any(column.lower() in amount for amount in amounts)
            and len(contents.values(column)) == contents.n_rows
            and all(word.strip() in FIAT or is_stable(word) or is_coin(word) for word in words)
        ):
            return column
    return None


def of_the_amounts(decided: Decided, own: str) -> str | None:
    """The column with the currency of the fills' amounts, by its name, if they are price × quantity
    and the column `own` has another currency, as that of an account."""
    contents, fields = decided.kept.contents, decided.fields
    if decided.rows != "fills" or not {"price", "quantity"} <= fields.keys():
        return None
    spec = (fields["price"], fields["quantity"])
    if any(each.column not in contents.columns for each in spec):
        return None
    sizes = [
        price * quantity if price and quantity else None
        for price, quantity in zip(*(contents.numbers(each.column) for each in spec), strict=True)
    ]
    for column in contents.columns:
        words = contents.words(column)
        if column == own or not words or not all(word.strip() in FIAT for word in words):
            continue
        for amount in contents.columns:
            if (
                contents.is_numeric(amount)
                and amount.lower() in column.lower()
                and contents.cells(column) != contents.cells(own)
                and all(
                    size and n and abs(abs(n / size) - 1) < _NEARLY
                    for n, size in zip(contents.numbers(amount), sizes, strict=True)
                )
            ):
                return column
    return None


def is_of_account(decided: Decided) -> bool:
    """Whether fills of currency pairs have a column with the currency of the account, which no
    price is in."""
    contents, fields = decided.kept.contents, decided.fields
    column, spec = fields["currency"].column, fields.get("symbol")
    if decided.rows != "fills" or spec is None or len(spec.columns) > 1:
        return False
    pairs = [pair_of(word) for word in contents.words(spec.column)]
    quotes = {pair[1] for pair in pairs if pair}
    words = {word.strip().upper() for word in contents.words(column)}
    return (
        bool(_OF_SETTLEMENT.search(known_as(column)))
        and bool(pairs)
        and all(pairs)
        and quotes <= FIAT
        and not words & quotes
    )


def other_currency(decided: Decided) -> tuple[str, str] | None:
    """(a column that has one other currency than the dollar, or a balance in one, the currency), if
    it is not that of the fees."""
    contents = decided.kept.contents
    for column in contents.columns:
        codes = {word.strip() for word in contents.words(column)}
        if (
            column not in decided.used()
            and len(codes) == 1
            and codes <= FIAT - {"USD"}
            and _OF_SETTLEMENT.search(known_as(column))
        ):
            return column, codes.pop()
        named = currency_in(column)
        if is_balance(column) and named in FIAT - {"USD"}:
            return column, str(named)
    return None
