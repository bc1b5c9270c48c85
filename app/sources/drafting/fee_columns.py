"""Which columns have fees (amounts, each once, and no rates), and their sign.

May touch: nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from app.sources.column_names import currency_in, known_as
from app.sources.currencies import FIAT
from app.sources.drafting.adding_up import off_by
from app.sources.drafting.contents import Contents
from app.sources.drafting.decided import Decided
from app.sources.drafting.spec import Names, Spec
from app.sources.glued_names import spaced
from app.sources.making import US_DOLLARS

_FEE = re.compile(
    r"fee|kosten|spesen|entgelt|^costs$|^(custos|costes|costos|costi|coûts)$|(^|_)vat(_|$)|(^|_)cost_(opening|closing)$|^(custos?|costes?|costos?|costi|coûts?)_|commission|comm(?!ent|od|and|un)|swap|\btax(?!a$)|^clearing$|^stamp|^stempel|stamp_duty|gebühr|provision"
    r"|kommission|courtage|corretagem|emolument|手数料|税金|諸費用|수수료|세금|комиссия|frais|comisi|comissã|comiss|комисси|tarifa|^taxas$|^taxa_de_(abertura|fechamento|negocia)|своп|スワップ|komisyon|provize|费用|費用|ücreti|bsmv|prowizja|^financing|^rollover|手續費|手续费|ค่าธรรมเนียม|ค่าคอม|ค่านายหน้า|ภาษี|^phí|hoa_hồng|takas|^thuế|^biaya|^komisi|^pajak|προμήθεια|φόρος|комісія|комисиона|komisin|komisij|jutalék|עמלה|poplatok|naknada|provizij|kurtasj|kurtage|apsikeitimas|العمولة|[费費税稅]$|交易稅|交易税|證交稅|佣金|印花|过户费|過戶費|经手费|规费|levy|makelaarsloon|beurstaks|poplatk|(^|_)(iva|igv|iss|ttf)(_|$)|(^|_)(gst|stt|sebi|ctt|igst|cgst|sgst|utt|taf|orf|nscc|finra|sec_fee)(_|$)|^(sec|nfa)$|transaction_and_or|brokerage|charges|rebate|interest"
    r"|суап|суоп|สวอป|스왑|qua_đêm|隔夜|^ränta$|^renten?$|^korko$|^kamat$|^intérêts?$|^interess[ei]$|^intereses$|^zinsen$|^juros$|^odsetki$|^úroky?$|السواب|سواپ|סוואפ|स्वैप|palkkio|(^|_)kulut(_|$)|þóknun|(^|_)díj(ak)?(_|$)|金利調整|価格調整|ファンディング|オーバーナイト"
    r"|gebuehr|gebyr|provisie|^transaction_costs?$|대출이자|عمولة|masraf|^storage$|^gas(_(fees?|costs?|paid))?$|^arancel|^derechos_de_mercado|کارمزد|کمیسیون|कमीशन|komisen|komisjon|teenustasu|^tasu$|^yuran|poplatek|провизија|शुल्क|provízi|apsikeitimas"
)
_NO_FEE = re.compile(
    r"^(market_)?spread|^(anschaffungs|einstands|erwerbs|kauf)kosten|câmbio|cambio|taux_de_change|wechselkurs|(currency|coin|asset|pct|rate|percent|type|tier|ccy)$|_(code|id)$|per_(unit|share|contract|lot|side)|adj|open_interest|accrued|profit|pnl|perc(_|$)|bps|_year$|(less|after|before|with|without|ex(cl\w*)?|inc(l\w*)?)_fee"
    r"|(less|after|before|without)_(swap|comm|cost|charge|funding|financing|interest)"
    r"|(^|_)(result|gain|return|ergebnis|gewinn|resultado|résultat|risultato|resultaat|resultat)(_|$)"
    r"|(^|_)(after|before|excl|incl|vor|nach|ohne|avant|après|antes|después)_(\w+_)?(fee|gebühr|frais|comisi)"
)
_INSIDE = re.compile(r"(?:\w+\.)+(\w+)$")
"""What stands inside of something else, in a message: `result.fee`."""
_FEE_OF_END = re.compile("fee_(open|close)")
PER_UNIT = re.compile(
    r"(\bcomm\w*|\bfees?)\b[^,]*(/|\bper\b|\bje\b)"
    r" ?(contract|share|lot|side|unit|ct|cont)s?\b",
    re.IGNORECASE,
)
"""Of a column with the fee of one unit of the quantity."""
IN_POINTS = re.compile(
    r"[(\[]\s*(pips?|points?|pts|ticks?|punkte|puntos|pontos|punkty|пункт\w*)\s*[)\]]",
    re.IGNORECASE,
)
"""Of a column that is in points, which are no money."""
_WITH_FEES = re.compile(r"(?!.*(comm|fee).*\+)[^+]*\w\W*\+ *(comm|fee)", re.IGNORECASE)
"""Of an amount together with its fees."""
_WITH_GST = re.compile(r"(\binc\w*\.?|[+&]) *gst", re.IGNORECASE)
"""Of fees with the tax on them."""
_GAS = re.compile(r"(^|_)gas(_|$)|network_(cost|charge)")
"""Of what the use of a blockchain costs."""
_END = re.compile(r"open|entry|enter|clos|exit|buy|sell|purchase|sale", re.IGNORECASE)
"""Of a fee of one end of a trade."""
_CASH = re.compile(
    r"dividends?\b|金利調整|価格調整|ファンディング|オーバーナイト|\bswaps?\b|rollover|financing|funding|overnight|своп|スワップ|스왑"
    r"|^ränta$|^renten?$|^korko$|^kamat$|^intérêts?$|^interess[ei]$|^intereses$|^zinsen$|^juros$|^odsetki$|^úroky?$|^storage$|суап|суоп|سواپ|סוואפ|स्वैप"
    r"|สวอป|السواب|takas|^[eé]change$|库存费|隔夜|qua đêm|apsikeitimas",
    re.IGNORECASE,
)
_DIVIDENDS = re.compile(r"\bdividends?\b", re.IGNORECASE)
"""Of costs that are netted with what was received."""
_FEE_RATE = re.compile(r"(fee|commission).*rate|rate.*(fee|commission)", re.IGNORECASE)
_REBATE = re.compile(r"rebates?(_(amount|received))?$")
_PAID = re.compile(r"fee|cost|charge|paid|rate|gebühr|kosten|frais", re.IGNORECASE)
"""Of columns with the sign of the cash, and of others with the same words."""
_BASE, _QUOTE = ("base_",), ("counter_", "quote_")
"""How names of fees in the coin that is traded begin, and in the other one."""
_MONEY = FIAT | US_DOLLARS
"""What coins are priced in."""
_FEE_OF_UNIT = re.compile(r"\d\s*(/|per)\s*(share|contract|ct|unit|side|lot)", re.IGNORECASE)
"""Of a text with a fee for each unit: `$0.01/share`."""
_OF_AUTHORITIES = frozenset(("ecn", "nfa", "taf", "finra", "nscc"))
"""Names of fees that are called by whom they are paid to; beside them, `sec` is no second."""
_LARGEST_RATE = 0.01
"""What a fee may be of the traded value, at most."""


def fee_columns(contents: Contents, names: Names, used: set[str]) -> list[str]:
    """All columns with fees; where one is the total of the others, that one."""
    # Beside commissions, it is a rate of exchange.
    commission = any(name.startswith("comiss") for name in names.values())
    found = [
        column
        for column, name in names.items()
        if column not in used
        and (
            _FEE.search(name)
            or (name == "taxa" and not commission)
            or name in _OF_AUTHORITIES
            or (name == "sec" and _OF_AUTHORITIES & {*names.values()})
        )
        and not _NO_FEE.search(known_as(inner[1]) if (inner := _INSIDE.match(column)) else name)
        and contents.is_numeric(column)
        and not contents.has_percent(column)
        and any(contents.read_numbers(column))
        and not is_per_unit(contents, column)
        and not IN_POINTS.search(column)
        and not _WITH_FEES.match(column)
        and "‰" not in column
        and not _of_other_leg(name, set(names.values()))
        and not _is_rate_of_end(contents, name, column)
    ]
    found = _without_rates(contents, names, _once(contents, found))
    if any(_WITH_GST.search(spaced(column)) for column in names):
        found = [column for column in found if not re.match("gst", names[column])]
    total = [column for column in found if re.search(r"total|^all_", names[column])]
    return total if len(total) == 1 else _sum_of_others(contents, found) or found


def is_per_unit(contents: Contents, column: str) -> bool:
    """Whether fees are those of one unit of the quantity, by their name or what is in the
    cells."""
    words, name = contents.words(column), known_as(column)
    return any(map(PER_UNIT.search, (spaced(column), spaced(name)))) or (
        bool(_FEE.search(name)) and bool(words) and all(map(_FEE_OF_UNIT.search, words))
    )


def _is_rate_of_end(contents: Contents, name: str, column: str) -> bool:
    """Whether `fee_open` and `fee_close` are rates, as freqtrade has them, and no amounts."""
    numbers = contents.read_numbers(column)
    return bool(_FEE_OF_END.fullmatch(name)) and max(map(abs, numbers)) <= _LARGEST_RATE


def drop_fees_abroad(decided: Decided, name: str) -> None:
    """Leave out fees that are in another currency than the profits, by their columns' names."""
    spec, (told, _) = decided.fields.get(name), decided.keys.get("currency", ("", ""))
    if spec is None or told not in FIAT or {"currency", "fee_currency"} & decided.fields.keys():
        return
    if any((own := currency_in(column)) in FIAT and own != told for column in spec.columns):
        del decided.fields[name]
        decided.left.append(
            f"The fees: {' and '.join(spec.columns)} are in another currency than the profits, so"
            " they are left out."
        )


def without_amounts(contents: Contents, used: set[str]) -> list[str]:
    """The columns with fees in points, or in percent of something."""
    return [
        column
        for column in contents.columns
        if column not in used
        and _FEE.search(known_as(column))
        and not re.search("profit|pnl|return", known_as(column))
        and (IN_POINTS.search(column) or "%" in column or contents.has_percent(column))
        and contents.is_numeric(column)
        and any(contents.read_numbers(column))
    ]


def name_unread(decided: Decided) -> None:
    """Name columns that may be the fees, where no fees are read and no amount has them."""
    contents, fields = decided.kept.contents, decided.fields
    if {"fee", "fees_usd", "net"} & fields.keys() or decided.keys.get("profit", ("",))[0] == "net":
        return
    if "fees_usd" in decided.sections.get("columns", {}):
        return  # They are asked about.
    said = " ".join([*decided.guessed, *decided.left, *decided.asked])
    found = [
        column
        for column in contents.columns
        if column not in decided.used()
        and (_FEE.search(known_as(column)) or _GAS.search(known_as(column)))
        and not re.search("profit|pnl|return", known_as(column))
        and column not in said
        and contents.is_numeric(column)
        and any(contents.read_numbers(column))
    ]
    if found:
        decided.left.append(
            f"Whether {' and '.join(found)} is a cost: it is not read, so profits are before it."
            " Name it in [columns] if it is."
        )


def _sum_of_others(contents: Contents, columns: list[str]) -> list[str]:
    """The column that is the sum of all others."""
    numbers = [contents.numbers(column) for column in columns]
    off = off_by([n for own in numbers for n in own]) / 2
    for i, column in enumerate(columns if len(columns) > 2 else ()):
        rows = [
            abs(2 * (row[i] or 0.0) - sum(n or 0.0 for n in row))
            for row in zip(*numbers, strict=True)
        ]
        if all(rest <= off for rest in rows):
            return [column]
    return []


def _of_other_leg(name: str, names: set[str]) -> bool:
    """Whether the fee belongs to another price: `cfee` beside `cprice`, where `fee` and `price`
    are there too.

    >>> names = {"price", "fee", "cprice", "cfee"}
    >>> _of_other_leg("cfee", names), _of_other_leg("fee", names)
    (True, False)
    """
    prefix = name.removesuffix("fee")
    return prefix not in ("", name) and {"price", "fee", f"{prefix}price"} <= names


def _once(contents: Contents, columns: list[str]) -> list[str]:
    """The columns without those that repeat the numbers of another one, as raw data beside
    their own summary do; fees of the entry and of the exit may be the same."""
    found: dict[tuple[object, ...], str] = {}
    for column in sorted(columns, key=len):
        ends = _END.findall(column)
        numbers = contents.numbers(column)
        found.setdefault(
            (ends[-1].lower() if ends else "", *(None if n is None else abs(n) for n in numbers)),
            column,
        )
    return [column for column in columns if column in found.values()]


def _without_rates(contents: Contents, names: Names, columns: list[str]) -> list[str]:
    """The columns without those of a rate (0.0005) beside the amount that it gives."""
    rates = []
    for column in columns:
        numbers = {abs(n) for n in contents.read_numbers(column) if n}
        in_coin = names[column].startswith(_BASE)
        if len(numbers) <= 4 and max(numbers) <= _LARGEST_RATE and not in_coin:
            rates.append(column)
    amounts = [column for column in columns if column not in rates]
    return amounts if any(re.search("comm|fee", names[c]) for c in amounts) else columns


def fee_numbers(contents: Contents, spec: Spec) -> list[list[float | None]]:
    """The fees as they stand in each column, those turned over that the spec deducts."""
    return [
        [None if n is None else -n for n in contents.numbers(column)]
        if column in spec.keys.get("minus", ())
        else contents.numbers(column)
        for column in spec.columns
    ]


def in_both_coins(
    contents: Contents, spec: Spec, buys: Sequence[bool | None], bases: set[str]
) -> bool | None:
    """Whether one column has the fees of purchases, in the coin bought (one of the `bases`, if it
    is named), and another one those of sales, in the other; None where no columns are named so."""
    coins = {column: currency_in(column) for column in spec.columns}
    apart = len({*coins.values()}) > 1
    bases = bases or {coin for coin in coins.values() if coin and coin not in _MONEY}
    base = [
        c for c, coin in coins.items() if known_as(c).startswith(_BASE) or (apart and coin in bases)
    ]
    quote = [
        c
        for c, coin in coins.items()
        if c not in base and (known_as(c).startswith(_QUOTE) or (apart and coin is not None))
    ]
    if not base or len(base) + len(quote) < len(spec.columns):
        return None
    return all(
        not any(contents.numbers(c)[i] for c in (quote if buy else base))
        for i, buy in enumerate(buys)
    )


def turn_cash(contents: Contents, spec: Spec) -> None:
    """Deduct swaps and funding, which have the sign of the cash, where other fees are paid above
    0."""
    cash = [column for column in spec.columns if is_cash(column)]
    numbers = [n for c in spec.columns if c not in cash for n in contents.read_numbers(c) if n]
    if sum(n > 0 for n in numbers) * 2 <= len(numbers):
        return
    moved = any(any(contents.read_numbers(column)) for column in cash)
    back = [column for column in spec.columns if column not in cash and _is_back(contents, column)]
    if minus := [*(cash if moved else ()), *(back if len(back) < len(spec.columns) else ())]:
        spec.keys["minus"] = minus


def _is_back(contents: Contents, column: str) -> bool:
    """Whether a column has rebates, that are above 0 where they were received."""
    name = known_as(column)
    numbers = contents.read_numbers(column)
    called = bool(_REBATE.search(name)) or ("rebate" in name and "fee" not in name)
    return called and min(numbers, default=0) >= 0


def is_cash(column: str) -> bool:
    """Whether a column has swaps, funding or dividends, by its name: those have the sign of the
    cash."""
    return bool(
        _CASH.search(spaced(column))
        and (not _PAID.search(column) or _DIVIDENDS.search(spaced(column)))
    )


def are_negative(decided: Decided, spec: Spec) -> bool:
    """Whether most fees are below 0: what was paid is negative in this table, as always where
    there are only swaps."""
    contents = decided.kept.contents
    if _are_rebates(contents, spec):
        return False
    if all(_is_back(contents, column) for column in spec.columns):
        return True  # What is received is above 0, where nothing is paid.
    columns = {
        column: [n for n in numbers if n]
        for column, numbers in zip(spec.columns, fee_numbers(contents, spec), strict=True)
    }
    if moved := [column for column, numbers in columns.items() if numbers]:
        if all(map(is_cash, moved)):
            return "minus" not in spec.keys
        columns = {column: own for column, own in columns.items() if not is_cash(column)}
    paid = [n for own in columns.values() for n in own]
    return sum(n < 0 for n in paid) * 2 > len(paid)


def _are_rebates(contents: Contents, spec: Spec) -> bool:
    """Whether fees have the sign of their rates, some of which are below 0: rebates."""
    fees = fee_numbers(contents, spec)
    for column in contents.columns:
        if column in spec.columns or not _FEE_RATE.search(column):
            continue
        rates = contents.numbers(column) if contents.is_numeric(column) else []
        rows = [
            (rate, sum(numbers[i] or 0.0 for numbers in fees))
            for i, rate in enumerate(rates)
            if rate
        ]
        if any(rate < 0 for rate, _ in rows):
            return all(rate * fee >= 0 for rate, fee in rows)
    return False


def say_fees(decided: Decided, spec: Spec, negative: bool) -> None:
    """Write the sign of the fees, and which columns they are, into the draft."""
    if negative:
        spec.keys["scale"] = -float(spec.keys.get("scale", 1))
        spec.comment = "amounts paid are negative in this table"
        decided.guessed.append(f"{' and '.join(spec.columns)} is below 0 where it was paid.")
    if len(spec.columns) > 1:
        decided.guessed.append(f"Fees are {' and '.join(spec.columns)} together.")
