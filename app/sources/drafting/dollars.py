"""Whether the profits of a table are in US dollars: what a draft says where it assumes so, and what
in the file speaks against it.

May touch: nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from app.sources.column_names import known_as
from app.sources.currencies import FIAT
from app.sources.drafting.decided import Decided
from app.sources.pairs import IN_US_DOLLARS, future_of, is_coin, is_crypto, pair_of

ASSUMED = (
    "The currency of the profits: the file does not say, so they are read as US dollars (currency)."
)
BY_PAIR = "each pair's quote currency"
BY_DEFAULT = "the file does not say; pnl_usd is for dollars only"
UNSAID = ("", BY_PAIR, BY_DEFAULT)
"""Why a currency was chosen that the file does not name."""
ABROAD_QUESTION = (
    "The currency of the profits: the file does not use American formats and does not say."
)
_ROUND, _COSTS = 0.002, 0.05
"""By how much the logarithm of a contract value may differ from that of a power of ten: at all,
and if it is of profits after costs."""
ABROAD = re.compile(
    r"(BTC|ETH|SOL)-(\d{1,2}[A-Z]{3}\d{2}|USD-\d{6})-[\d.]+-[CP]|[A-Z0-9&-]{1,12}\.(L|LON|DE|F|PA|AS|MI|MC|BR"
    r"|LS|SW|VX|ST|OL|CO|HE|TO|V|AX|HK|NS|BO|T|KS|KQ|SI|SA|WA|IR|VI|SS|SZ|SH|XSHE"
    r"|XSHG|TW|TWO|JK|BK|NZ|KL|MX|IS|TA|JO|AT|PR|SR|QA|SN|NE|KW|AE)|(LSE|XETR|EURONEXT|NSE|BSE|TSX|ASX|HKEX"
    r"|TSE|LON|BOM|HKG|ETR|FRA|EPA|AMS|BIT|BME|STO|CPH|HEL|SWX|TYO|KRX|SHA|SHE|TPE|BVMF|CVE|NZE|SGX"
    r"|BKK|IDX|KLSE|JSE|TLV|IST|WSE|MCX|NFO|TADAWUL):.+"
)
"""Symbols of what is not traded in dollars: options on coins, shares on exchanges abroad."""
_TICKER, _LONG_TICKER = (
    re.compile("[A-Z&-]{1,20}"),
    re.compile("(?!.*(USD|PERP|EUR))[A-Z]{6}[A-Z&-]*"),
)
_LAKHS = re.compile(r"(?<![\d,])\d{1,2},\d{2},\d{3}(?!\d)")
_NOT_AMERICAN = re.compile(
    r"(^|_)(scrip|gst|sst|vat|stt|ctt|sebi|[csi]gst|stamp(_duty)?|ptm(_levy)?|levy"
    r"|consideration|contract_note|demat|franking|cgt|tds)(_|$)|\W(gst|sst|vat)\)$"
)
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
_ACCOUNTS = re.compile(
    r"\b(ISA|LISA|JISA|SIPP|GIA|TFSA|RRSP|RESP|FHSA|RRIF|PEA|PEA-PME|ISK|NISA|SMSF)\b( \w+)?"
)
"""Kinds of accounts of the United Kingdom, Canada, France, Sweden, Japan and Australia."""
_NOT_LATIN = re.compile("[\u0370-\u1dff\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7a3]")
"""Letters from Greek ones to those of China, Japan and Korea."""


def is_abroad(decided: Decided) -> bool:
    """Whether days come before months, columns have names in other letters than English ones, or
    some are called as only in other countries."""
    columns = decided.kept.contents.columns
    names = [name for column in columns for name in (known_as(column), column.lower())]
    if (
        any(map(_NOT_AMERICAN.search, names))
        or _in_account_abroad(decided)
        or _pays_brokerage(decided)
    ):
        return True
    return any(
        re.match(r"%d[-/. ]%m|dm", str(spec.keys.get("format", "")))
        or not all(column.isascii() for column in spec.columns)
        or any(_NOT_ENGLISH.search(known_as(column)) for column in spec.columns)
        for spec in decided.fields.values()
    )


def _pays_brokerage(decided: Decided) -> bool:
    """Whether fees are called brokerage, as from India to Australia; American programs charge
    commissions."""
    specs = [decided.fields[name] for name in ("fee", "fees_usd") if name in decided.fields]
    return any(known_as(c).startswith("brokerage") for spec in specs for c in spec.columns)


def _in_account_abroad(decided: Decided) -> bool:
    """Whether a cell, or a line around the table, names an account that only other countries
    have."""
    contents = decided.kept.contents
    return any(map(_ACCOUNTS.search, contents.texts)) or any(
        _ACCOUNTS.fullmatch(word.strip())
        for column in contents.columns
        if "account" in known_as(column) or "portfolio" in known_as(column)
        for word in contents.words(column)
    )


def has_other_letters(decided: Decided) -> bool:
    """Whether letters that are not Latin stand in the cells that are read, or around the table."""
    contents = decided.kept.contents
    columns = [column for column in contents.columns if column in decided.used()]
    return any(map(_NOT_LATIN.search, contents.texts)) or any(
        _NOT_LATIN.search(word) for column in columns for word in contents.words(column)
    )


def has_long_tickers(decided: Decided) -> bool:
    """Whether shares have tickers of more letters than American ones have."""
    spec = decided.fields.get("symbol")
    words = decided.kept.contents.words(spec.column) if spec and len(spec.columns) == 1 else {}
    return any(
        _LONG_TICKER.fullmatch(word.strip())
        and not (pair_of(word) or is_crypto(word) or is_coin(word) or future_of(word))
        for word in words
    ) and all(map(_TICKER.fullmatch, map(str.strip, words)))


def has_lakhs(decided: Decided) -> bool:
    """Whether amounts are written as in India and its neighbours: `1,43,500.50`."""
    contents = decided.kept.contents
    return any(
        isinstance(value, str) and _LAKHS.search(value)
        for column in contents.columns
        if contents.is_numeric(column)
        for value in contents.values(column)
    )


def of_american_futures(decided: Decided) -> bool:
    """Whether nothing but futures that are settled in US dollars was traded."""
    spec = decided.fields.get("symbol")
    words = decided.kept.contents.words(spec.column) if spec and len(spec.columns) == 1 else {}
    return bool(words) and all(future_of(word) in IN_US_DOLLARS for word in words)


def bare_dollars(decided: Decided, money: list[str]) -> bool:
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
    if of_american_futures(decided):
        return False
    if not dollars or told:
        return False
    names = [name for column in contents.columns for name in (known_as(column), column.lower())]
    if any(_OF_OTHER_DOLLARS.search(name) or _NOT_AMERICAN.search(name) for name in names):
        return True
    if _pays_brokerage(decided):
        return True
    english = contents.decimal != "," and all(column.isascii() for column in decided.used())
    return english and is_abroad(decided)


def _off_round(value: float) -> float:
    """By how many powers of ten a value is above (or below) the nearest round one."""
    return math.log10(value) - round(math.log10(value))


def doubt_dollars(decided: Decided, values: Mapping[str, float]) -> None:
    """What the contract values of currency pairs show of a currency that was assumed to be the
    dollar, or asked for: lots are round in their quote currency, unless profits were converted."""
    if ASSUMED not in decided.left and ABROAD_QUESTION not in decided.asked:
        return
    in_dollars = [
        _off_round(value)
        for name, value in values.items()
        if value > 0 and (pair := pair_of(name)) and pair[1] == "USD" and not is_crypto(name)
    ]
    # Costs make gains smaller and losses larger; a rate of exchange makes both the same.
    costs = bool(in_dollars) and min(in_dollars) < -_ROUND and max(in_dollars) > _ROUND
    costs = costs and all(abs(off) < _COSTS for off in in_dollars)
    for name, value in values.items():
        pair = pair_of(name)
        if pair is None or is_crypto(name) or value <= 0:
            continue
        if ABROAD_QUESTION in decided.asked:
            decided.asked.remove(ABROAD_QUESTION)
            decided.keys["currency"] = ("USD", f"by the profits of {name}")
            decided.left.append(ASSUMED)
        is_round = abs(_off_round(value)) < _ROUND or (pair[1] == "USD" and costs)
        if is_round != (pair[1] == "USD"):
            decided.left.remove(ASSUMED)
            decided.ask(
                "currency",
                f"The currency of the profits: those of {name} are not in dollars, as a lot would"
                f" be {f'{value:,.0f}' if value >= 100 else f'{value:.3g}'} units.",
                'the currency of the account, such as "EUR"; pnl_usd is for dollars only',
            )
            return
