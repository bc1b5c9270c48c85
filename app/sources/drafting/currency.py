"""Find the currency of a table's profits: by a column, signs in cells, names of columns, pairs, or
lines around the table; else ask.

May touch: nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from app.sources.column_names import NAMES, currency_in, known_as
from app.sources.currencies import FIAT
from app.sources.drafting.contents import Contents
from app.sources.drafting.decided import Decided
from app.sources.drafting.spec import Spec
from app.sources.glued_names import spaced
from app.sources.pairs import (
    IN_US_DOLLARS,
    future_of,
    in_cents,
    is_coin,
    is_crypto,
    is_future_abroad,
    is_stable,
    may_be_inverse,
    pair_of,
)
from app.sources.value_names import is_balance

ASSUMED = (
    "The currency of the profits: the file does not say, so they are read as US dollars (currency)."
)
_BY_PAIR = "each pair's quote currency"
_BY_DEFAULT = "the file does not say; pnl_usd is for dollars only"
UNSAID = ("", _BY_PAIR, _BY_DEFAULT)
"""Why a currency was chosen that the file does not name."""
_ABROAD_QUESTION = (
    "The currency of the profits: the file does not use American formats and does not say."
)
_OF_FEES = re.compile(
    "fee|comm|brokerage|courtage|kurtage|gebühr|frais|tax|settle|underlying|base|counter|from|to(_|$)"
)
"""Of currencies that are not those of profits."""
_OF_SETTLEMENT = re.compile("settle|account|cash|payment|paid")
"""Of currencies that may be those of profits."""
_CODE_IN_LINE = re.compile(rf"\b({'|'.join(sorted(FIAT))}|USDT)\b")
_LINE_OF_CURRENCY = re.compile(
    r"account|currency|währung|moneda|moeda|waluta|měna|konto|balance|compte|cuenta|счет|счёт|conta\b|conto\b|hesap"
    r"|\b(prices|values|amounts)\b.*\bin\b",
    re.IGNORECASE,
)
"""Of a line around the table that says which currency it is in."""
_SECTION = re.compile(
    r"^(line \d+ )?(currency|währung|devise|moneda|moeda|valuta|waluta|měna)\W+"
    rf"({'|'.join(sorted(FIAT))})\W*$",
    re.IGNORECASE,
)
"""Of a line that says nothing but a currency, as above the rows of a section."""
_COIN_BEHIND = re.compile(r"[(\[]([A-Z]{3,6})[)\]]$")
"""Of an amount whose name ends with its coin."""
_OPTION = re.compile(r"-[CP]$")
_NEARLY = 0.05
"""By which share amounts after fees may differ from price × quantity."""
_SHORTEST_NAME = 4
"""Letters more than which a column's name has that is looked for in others."""
_COIN_OF_PRICE = re.compile(r"^(.+)[_ ](BTC|XBT|ETH|BNB|SOL|AVAX|MATIC|POL|TRX|ADA|TON|SUI)$")
"""Of an amount whose name ends with the coin that others are priced in: `price_sol`."""
_ROUND = 0.002
"""By how much the logarithm of a contract value may differ from that of a power of ten."""
_EXCHANGES = {
    **dict.fromkeys(("NSE", "BSE", "NFO", "MCX", "BFO", "CDS"), "INR"),
    **dict.fromkeys(("TSX", "TSXV"), "CAD"),
    **dict.fromkeys(("NASDAQ", "NYSE", "NYSE ARCA", "ARCA", "AMEX", "BATS", "XNAS", "XNYS"), "USD"),
    **dict.fromkeys(("XETRA", "XETR", "FRA"), "EUR"),
    **dict.fromkeys(("HKEX", "SEHK"), "HKD"),
    "ASX": "AUD",
    "NZX": "NZD",
    "SGX": "SGD",
    "GPW": "PLN",
    "BIST": "TRY",
    "B3": "BRL",
}
"""Currencies of exchanges that trade in no other."""


_INDIAN = re.compile(r"(BANK|FIN|MIDCP)?NIFTY(?! 500)|SENSEX|BANKEX")
"""What options and futures on Indian indices begin with."""
_ABROAD = re.compile(
    r"(BTC|ETH|SOL)-\d{1,2}[A-Z]{3}\d{2}-[\d.]+-[CP]|[A-Z0-9&-]{1,12}\.(L|LON|DE|F|PA|AS|MI|MC|BR"
    r"|LS|SW|VX|ST|OL|CO|HE|TO|V|AX|HK|NS|BO|T|KS|KQ|SI|SA|WA|IR|VI|SS|SZ|SH|XSHE"
    r"|XSHG|TW|TWO|JK|BK)|(LSE|XETR|EURONEXT|NSE|BSE|TSX"
    r"|ASX|HKEX|TSE):.+"
)


_LAKHS = re.compile(r"(?<![\d,])\d{1,2},\d{2},\d{3}(?!\d)")
_NOT_AMERICAN = re.compile(r"(^|_)(scrip|gst|sst|vat|stt)(_|$)|\W(gst|sst|vat)\)$")
"""Words in English names of columns that are not those of American programs: taxes on trades."""
_NOT_ENGLISH = re.compile(
    r"(^|_)(fecha|cantidad|precio|importe|monto|moneda|quantidade|preco|datum|kurs|menge|anzahl"
    r"|betrag|prix|montant|prezzo|importo|cena|ilosc|kwota|tarih|fiyat|adet|miktar|tutar|tanggal"
    r"|harga|jumlah|aantal|koers|bedrag|antal|pris|belopp|dato|darab|pret|cantitate|hinta)(_|$)"
)
"""Words of other languages for days, prices and quantities, in English letters."""
_OF_OTHER_DOLLARS = re.compile(
    r"(^|_)(fecha|cantidad|precio|importe|monto|moneda|comisi[oó]n(es)?|operaci[oó]n|t[ií]tulos"
    r"|acci[oó]n(es)?|prix|montant|quantit[eé]|op[eé]ration|frais)(_|$)"
)
"""Words of the languages of countries that write `$` for their own peso or dollar: from Argentina
to Mexico, and in Quebec."""
_NOT_LATIN = re.compile("[\u0370-\u1dff\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7a3]")
"""Letters from Greek ones to those of China, Japan and Korea."""


def _isin_abroad(decided: Decided) -> bool:
    """Whether the identifiers of the securities are those of other countries than the United
    States."""
    contents = decided.kept.contents
    found = [
        word
        for column in contents.columns
        if known_as(column) == "isin"
        for word in contents.words(column)
    ]
    return bool(found) and not any(word.startswith("US") for word in found)


def _is_abroad(decided: Decided) -> bool:
    """Whether days come before months, columns have names in other letters than English ones, or
    some are called as only in other countries."""
    columns = decided.kept.contents.columns
    names = [name for column in columns for name in (known_as(column), column.lower())]
    return any(map(_NOT_AMERICAN.search, names)) or any(
        re.match(r"%d[-/. ]%m|dm", str(spec.keys.get("format", "")))
        or not all(column.isascii() for column in spec.columns)
        or any(_NOT_ENGLISH.search(known_as(column)) for column in spec.columns)
        for spec in decided.fields.values()
    )


def _has_other_letters(decided: Decided) -> bool:
    """Whether letters that are not Latin stand in the cells that are read, or around the table."""
    contents = decided.kept.contents
    columns = [column for column in contents.columns if column in decided.used()]
    return any(map(_NOT_LATIN.search, contents.texts)) or any(
        _NOT_LATIN.search(word) for column in columns for word in contents.words(column)
    )


def _has_lakhs(decided: Decided) -> bool:
    """Whether amounts are written as in India and its neighbours: `1,43,500.50`."""
    contents = decided.kept.contents
    return any(
        isinstance(value, str) and _LAKHS.search(value)
        for column in contents.columns
        if contents.is_numeric(column)
        for value in contents.values(column)
    )


def _is_indian(contents: Contents, column: str) -> bool:
    """Whether what was traded are options or futures on Indian indices, or options that are called
    as in India."""
    words = {word.strip().upper() for word in contents.words(column)}
    rights = bool(words & {"CE", "PE"}) and words <= {"CE", "PE", "FUT"}
    return bool(words) and (rights or all(map(_INDIAN.match, words)))


def _by_exchange(decided: Decided) -> str | None:
    """The currency of the exchanges in a column of them, if they all have the same."""
    contents = decided.kept.contents
    for column in contents.columns:
        words = [word.strip().upper() for word in contents.words(column)]
        if (
            words
            and known_as(column) in (*NAMES["chain"], "market", "market_code", "listing_exchange")
            and len(found := {_EXCHANGES.get(word) for word in words}) == 1
        ):
            return found.pop()
    spec = decided.fields.get("symbol")
    if spec is not None and any(_is_indian(contents, column) for column in spec.columns):
        return "INR"
    symbols = contents.words(spec.column) if spec is not None and len(spec.columns) == 1 else {}
    named = {
        _EXCHANGES.get(word.partition(":")[0]) or _EXCHANGES.get(word.rpartition(" ")[2])
        for word in map(str.strip, symbols)
    }
    return named.pop() if len(named) == 1 else None


def _composed(decided: Decided) -> list[str]:
    """What was traded, where several columns say it."""
    spec, contents = decided.fields.get("symbol"), decided.kept.contents
    if spec is None:
        return []
    rows = zip(*map(contents.cells, spec.columns), strict=True)
    return sorted({" ".join(str(cell) for cell in row if cell is not None) for row in rows})


def _of_american_futures(decided: Decided) -> bool:
    """Whether nothing but futures that are settled in US dollars was traded."""
    spec = decided.fields.get("symbol")
    words = decided.kept.contents.words(spec.column) if spec and len(spec.columns) == 1 else {}
    return bool(words) and all(future_of(word) in IN_US_DOLLARS for word in words)


def _bare_dollars(decided: Decided, money: list[str]) -> bool:
    """Whether amounts are in some dollars, and other signs speak against American ones."""
    contents = decided.kept.contents
    dollars = any(
        re.search(r"(?<![A-Z])\$", f"{column} {value}")
        for column in money
        for value in ("", *contents.values(column)[:20])
    )
    told = any(
        re.search("USD|US\\$", f"{column} {value}")
        for column in money
        for value in ("", *contents.values(column)[:20])
    )
    others = {unit for column in money for unit in contents.signs(column)} & (FIAT - {"USD"})
    if others:
        return False  # Other signs tell currencies apart.
    if _of_american_futures(decided):
        return False
    if not dollars or told:
        return False
    names = [name for column in contents.columns for name in (known_as(column), column.lower())]
    if any(_OF_OTHER_DOLLARS.search(name) or _NOT_AMERICAN.search(name) for name in names):
        return True
    english = contents.decimal != "," and all(column.isascii() for column in decided.used())
    return english and _is_abroad(decided)


def _settled_in_coins(decided: Decided) -> bool:
    """Whether fees are in the coin of each option, which then is the currency of its price too."""
    contents, fields = decided.kept.contents, decided.fields
    if not {"symbol", "fee_currency"} <= fields.keys():
        return False
    coins = contents.cells(fields["fee_currency"].column)
    symbols = contents.cells(fields["symbol"].column)
    if not all(
        symbol and coin and _ABROAD.fullmatch(str(symbol)) and str(symbol).startswith(f"{coin}-")
        for symbol, coin in zip(symbols, coins, strict=True)
    ):
        return False
    column = fields["fee_currency"].column
    fields["currency"] = Spec([column], comment="options are priced in the coin of their fees")
    decided.guessed.append(f"Profits are in the coin of the fees, by {column}.")
    return True


def _only_column(decided: Decided) -> str | None:
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
    if len(found) != 1 or _OF_FEES.search(known_as(found[0])):
        return None
    spec = decided.fields.get("symbol")
    if (
        decided.rows == "fills"
        and spec is not None
        and all(map(pair_of, contents.words(spec.column)))
    ):
        return None  # Pairs are priced in their own currencies.
    return found[0]


def _in_names(decided: Decided) -> str | None:
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


def _of_the_amounts(decided: Decided, own: str) -> str | None:
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


def _is_of_account(decided: Decided) -> bool:
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


def _by_lines(decided: Decided) -> bool:
    """Take the currency that a line around the table names; ask where lines between the rows name
    several, as those of sections."""
    contents = decided.kept.contents
    found = [
        (told[1], text)
        for text in contents.texts
        if (told := _CODE_IN_LINE.search(text)) and _LINE_OF_CURRENCY.search(text)
    ]
    sections = {code for code, text in found if _SECTION.search(text)}
    if len(sections) > 1:
        decided.ask(
            "currency",
            "The currency of the profits: lines between the rows name"
            f" {' and '.join(sorted(sections))}.",
            'such as "EUR" if it is that of all rows; else add a column with the currency of each'
            " row to the file, and draft again",
        )
    elif found:
        code, text = found[0]
        decided.keys["currency"] = (code, f"by the line: {text[:40]}")
        decided.guessed.append(f"The currency is {code}, by the {text}.")
    return bool(found)


def _by_profits_name(decided: Decided) -> bool:
    """Profits that are in one currency by their column's name are not in that of each row's
    price."""
    contents, fields = decided.kept.contents, decided.fields
    if decided.rows != "positions" or not {"currency", "pnl_usd"} <= fields.keys():
        return False
    named = {currency_in(column) for column in fields["pnl_usd"].columns}
    words = {word.strip() for word in contents.words(fields["currency"].column)}
    code = named.pop()
    if named or code not in FIAT or words <= {code}:
        return False
    decided.guessed.append(
        f"The currency is {code}, by a column's name: {fields['currency'].column} has that of the"
        " prices."
    )
    decided.keys["currency"] = (code, "by a column's name")
    del fields["currency"]
    return True


def settle_currency(decided: Decided) -> None:
    """The currency of profits: its own column, signs in the cells, the columns' names, the pairs,
    else a question."""
    contents, fields = decided.kept.contents, decided.fields
    if _by_profits_name(decided):
        return
    if "currency" not in fields and (
        (only := _only_column(decided) or _in_names(decided)) is not None
    ):
        fields["currency"] = Spec([only])
    if "currency" in fields and (of_amounts := _of_the_amounts(decided, fields["currency"].column)):
        fields["currency"] = Spec([of_amounts])
    if "currency" in fields and _is_of_account(decided):
        decided.guessed.append(
            f"{fields.pop('currency').column} is the currency of the account: the prices of pairs"
            " are in their own."
        )
    elif "currency" in fields:
        words = contents.words(fields["currency"].column)
        decided.guessed.append(
            f"Currencies are in {fields['currency'].column}: {', '.join(list(words)[:6])}."
        )
        return
    money = [
        fields[name].column
        for name in ("pnl_usd", "price", "entry_price", "exit_price", "fees_usd", "fee")
        if name in fields
    ]
    money += [
        column
        for column in contents.columns
        if known_as(column) in (*NAMES["gross"], *NAMES["net"], *NAMES["pnl_usd"])
        and column not in money
    ]
    symbols = (
        list(contents.words(fields["symbol"].column))
        if "symbol" in fields and len(fields["symbol"].columns) == 1
        else []
    )
    pairs = bool(symbols) and all(
        pair_of(symbol) and not _OPTION.search(symbol) for symbol in symbols
    )
    profit = [fields["pnl_usd"].column] if "pnl_usd" in fields else []
    signs: dict[str, int] = {}
    for column in profit or money:
        for unit, n in contents.signs(column).items():
            if len(unit) == 3 or unit in ("USDT", "USDC"):
                signs[unit] = signs.get(unit, 0) + n
    if signs and not (pairs and decided.rows == "fills") and not _bare_dollars(decided, money):
        likeliest = max(signs, key=lambda unit: signs[unit])
        decided.keys["currency"] = (likeliest, "the sign of most amounts")
        several = (
            f"; {', '.join(unit for unit in signs if unit != likeliest)} occurs with some, and is"
            " kept apart"
            if len(signs) > 1
            else ""
        )
        decided.guessed.append(f"The currency is {likeliest}, by the signs in the cells{several}.")
        return
    named = next((code for column in (*profit, *money) if (code := _named(decided, column))), None)
    if named and not _bare_dollars(decided, money) and not (decided.rows == "fills" and pairs):
        decided.keys["currency"] = (named, "by a column's name")
        decided.guessed.append(f"The currency is {named}, by a column's name.")
        return
    if pairs and _perhaps_in_coins(decided, symbols):
        decided.ask(
            "currency",
            f"Whether the profits of {', '.join(symbols[:4])} are in dollars or in their coins:"
            " there are no prices to compare.",
            '"USD" or, if all are settled in one coin, that coin, such as "BTC"',
        )
        return
    if pairs and (
        decided.rows == "fills"
        or "pnl_usd" not in fields
        or all(is_crypto(symbol) for symbol in symbols)
    ):
        decided.keys["currency"] = ("quote", _BY_PAIR)
        decided.guessed.append("The currency is each pair's quote currency.")
        return
    local = _by_exchange(decided)
    if local or any(
        word.startswith("INE")
        for c in contents.columns
        if known_as(c) == "isin"
        for word in contents.words(c)
    ):
        local = local or "INR"
        decided.keys["currency"] = (local, "by the exchange")
        decided.guessed.append(f"The currency is {local}, by the exchange.")
        return
    if not (
        "pnl_usd" in fields
        or decided.rows == "fills"
        or {"entry_price", "exit_price", "quantity"} <= fields.keys()
    ):
        return  # No profit comes out.
    if _by_lines(decided):
        return
    if decided.rows == "fills" and _of_american_futures(decided):
        decided.keys["currency"] = ("USD", "that of the futures")
        decided.guessed.append("The currency is USD, that of the futures.")
        return
    if contents.decimal == "," or _isin_abroad(decided):
        decided.ask("currency", _ABROAD_QUESTION, 'such as "EUR"; pnl_usd is for dollars only')
        return
    if _settled_in_coins(decided):
        return
    if foreign := [symbol for symbol in symbols if _ABROAD.fullmatch(symbol.strip())]:
        _ask_abroad(decided, foreign)
        return
    if (
        _is_abroad(decided)
        or _has_lakhs(decided)
        or _has_other_letters(decided)
        or (symbols and all(re.fullmatch(r"\d{4,6}", symbol.strip()) for symbol in symbols))
    ):
        decided.ask("currency", _ABROAD_QUESTION, 'such as "EUR"; pnl_usd is for dollars only')
        return
    if futures := list(filter(is_future_abroad, symbols or _composed(decided))):
        _ask_abroad(decided, futures)
        return
    if other := _other_currency(decided):
        column, code = other
        decided.ask(
            "currency",
            f"The currency of the profits: {column} has {code}, and its name does not say that"
            " prices are in it.",
            f'"{code}" if they are, else such as "USD"; pnl_usd is for dollars only',
        )
        return
    if cents := list(filter(in_cents, symbols)):
        decided.ask(
            "currency",
            f"Whether the profits are in cents: {', '.join(cents[:4])} end like the symbols of"
            " accounts that are counted in them.",
            '"USC" if they are US cents, "USD" if dollars; pnl_usd is for dollars only',
        )
        return
    decided.keys["currency"] = ("USD", _BY_DEFAULT)
    decided.left.append(ASSUMED)


def _named(decided: Decided, column: str) -> str | None:
    """The currency in the name of an amount; not that of one of several fees in different coins."""
    fees = next(
        (s.columns for s in decided.fields.values() if len(s.columns) > 1 and column in s.columns),
        [column],
    )
    if len({*map(currency_in, fees)}) > 1:
        return None
    coin = _COIN_BEHIND.search(column)
    if found := currency_in(column) or (coin[1] if coin and is_coin(coin[1]) else None):
        return found
    priced = _COIN_OF_PRICE.match(spaced(column).upper())
    known = {*NAMES["price"], *NAMES["entry_price"], *NAMES["exit_price"], *NAMES["pnl_usd"]}
    return priced[2] if priced and known_as(priced[1].lower()) in known else None


def _perhaps_in_coins(decided: Decided, symbols: list[str]) -> bool:
    """Whether positions in contracts that may be inverse have profits and no prices."""
    return (
        decided.rows == "positions"
        and "pnl_usd" in decided.fields
        and not {"entry_price", "exit_price"} <= decided.fields.keys()
        and all(map(may_be_inverse, symbols))
    )


def _other_currency(decided: Decided) -> tuple[str, str] | None:
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


def _ask_abroad(decided: Decided, symbols: list[str]) -> None:
    """Ask for the currency of what is not traded in dollars, as its symbols show."""
    decided.ask(
        "currency",
        f"The currency of the profits: {', '.join(symbols[:4])} are not traded in dollars, and"
        " the file does not say.",
        'such as "EUR"; pnl_usd is for dollars only',
    )


def doubt_dollars(decided: Decided, values: Mapping[str, float]) -> None:
    """What the contract values of currency pairs show of a currency that was assumed to be the
    dollar, or asked for: lots are round in their quote currency, unless profits were converted."""
    if ASSUMED not in decided.left and _ABROAD_QUESTION not in decided.asked:
        return
    for name, value in values.items():
        pair = pair_of(name)
        if pair is None or is_crypto(name) or value <= 0:
            continue
        if _ABROAD_QUESTION in decided.asked:
            decided.asked.remove(_ABROAD_QUESTION)
            decided.keys["currency"] = ("USD", f"by the profits of {name}")
            decided.left.append(ASSUMED)
        is_round = abs(math.log10(value) - round(math.log10(value))) < _ROUND
        if is_round != (pair[1] == "USD"):
            decided.left.remove(ASSUMED)
            decided.ask(
                "currency",
                f"The currency of the profits: those of {name} are not in dollars, as a lot would"
                f" be {f'{value:,.0f}' if value >= 100 else f'{value:.3g}'} units.",
                'the currency of the account, such as "EUR"; pnl_usd is for dollars only',
            )
            return
