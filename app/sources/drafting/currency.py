"""Find the currency of a table's profits: by a column, signs in cells, names of columns, pairs, or
lines around the table; else ask.

May touch: nothing.
"""

from __future__ import annotations

import re

from app.sources.cells import UNKNOWN
from app.sources.column_names import NAMES, currency_in, known_as
from app.sources.currencies import FIAT
from app.sources.drafting.currency_cells import (
    by_country,
    by_exchange,
    by_isin,
    in_names,
    is_of_account,
    of_the_amounts,
    only_column,
    other_currency,
    settled_in_coins,
)
from app.sources.drafting.decided import Decided
from app.sources.drafting.dollars import (
    ABROAD,
    ABROAD_QUESTION,
    ASSUMED,
    BY_DEFAULT,
    BY_PAIR,
    bare_dollars,
    has_lakhs,
    has_long_tickers,
    has_other_letters,
    is_abroad,
    of_american_futures,
)
from app.sources.drafting.spec import Spec
from app.sources.glued_names import spaced
from app.sources.pairs import (
    in_cents,
    is_coin,
    is_crypto,
    is_future_abroad,
    may_be_inverse,
    pair_of,
)

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
_OPTION = re.compile(r"\d-[CP]$")
_COIN_OF_PRICE = re.compile(r"^(.+)[_ ](BTC|XBT|ETH|BNB|SOL|AVAX|MATIC|POL|TRX|ADA|TON|SUI)$")
"""Of an amount whose name ends with the coin that others are priced in: `price_sol`."""


def _composed(decided: Decided) -> list[str]:
    """What was traded, where several columns say it."""
    spec, contents = decided.fields.get("symbol"), decided.kept.contents
    if spec is None:
        return []
    rows = zip(*map(contents.cells, spec.columns), strict=True)
    return sorted({" ".join(str(cell) for cell in row if cell is not None) for row in rows})


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


def _by_amounts_name(decided: Decided) -> bool:
    """Profits that are in one currency by their column's name are not in that of each row's price;
    nor are the amounts from which the prices of fills are made."""
    contents, fields = decided.kept.contents, decided.fields
    of = "pnl_usd" if decided.rows == "positions" else "price"
    if not {"currency", of} <= fields.keys():
        return False
    if of == "price" and not fields[of].keys.get("per_unit"):
        return False
    named = {currency_in(column) for column in fields[of].columns}
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
    if _by_amounts_name(decided):
        return
    if "currency" not in fields and (
        (only := only_column(decided) or in_names(decided)) is not None
    ):
        fields["currency"] = Spec([only])
    if "currency" in fields and (of_amounts := of_the_amounts(decided, fields["currency"].column)):
        fields["currency"] = Spec([of_amounts])
    if "currency" in fields and is_of_account(decided):
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
    if signs and not (pairs and decided.rows == "fills") and not bare_dollars(decided, money):
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
    if named and not bare_dollars(decided, money) and not (decided.rows == "fills" and pairs):
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
        decided.keys["currency"] = ("quote", BY_PAIR)
        decided.guessed.append("The currency is each pair's quote currency.")
        return
    local = by_exchange(decided) or by_isin(decided) or by_country(decided)
    if len(local) == 1 and UNKNOWN not in local:
        (code,) = local
        decided.keys["currency"] = (code, "by the exchange")
        decided.guessed.append(f"The currency is {code}, by the exchange.")
        return
    if not (
        "pnl_usd" in fields
        or decided.rows == "fills"
        or {"entry_price", "exit_price", "quantity"} <= fields.keys()
    ):
        return  # No profit comes out.
    if _by_lines(decided):
        return
    if local:
        codes = " and ".join(sorted(local - {UNKNOWN}))
        decided.ask(
            "currency",
            ABROAD_QUESTION
            if not codes
            else "The currency of the profits: by the exchanges, or the countries of the"
            f" securities, some rows are in {codes}, and others may not be.",
            'such as "EUR" if it is that of all rows; else add a column with the currency of each'
            " row to the file, and draft again",
        )
        return
    if decided.rows == "fills" and of_american_futures(decided):
        decided.keys["currency"] = ("USD", "that of the futures")
        decided.guessed.append("The currency is USD, that of the futures.")
        return
    if contents.decimal == ",":
        decided.ask("currency", ABROAD_QUESTION, 'such as "EUR"; pnl_usd is for dollars only')
        return
    if settled_in_coins(decided):
        return
    if foreign := [symbol for symbol in symbols if ABROAD.fullmatch(symbol.strip())]:
        _ask_abroad(decided, foreign)
        return
    if (
        is_abroad(decided)
        or has_lakhs(decided)
        or has_long_tickers(decided)
        or has_other_letters(decided)
        or (symbols and all(re.fullmatch(r"\d{4,6}", symbol.strip()) for symbol in symbols))
    ):
        decided.ask("currency", ABROAD_QUESTION, 'such as "EUR"; pnl_usd is for dollars only')
        return
    if futures := list(filter(is_future_abroad, symbols or _composed(decided))):
        _ask_abroad(decided, futures)
        return
    if other := other_currency(decided):
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
    decided.keys["currency"] = ("USD", BY_DEFAULT)
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


def _ask_abroad(decided: Decided, symbols: list[str]) -> None:
    """Ask for the currency of what is not traded in dollars, as its symbols show."""
    decided.ask(
        "currency",
        f"The currency of the profits: {', '.join(symbols[:4])} are not traded in dollars, and"
        " the file does not say.",
        'such as "EUR"; pnl_usd is for dollars only',
    )
