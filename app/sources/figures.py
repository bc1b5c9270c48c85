"""Parse numbers as people and programs write them: thousands, currency signs and codes, units,
percent signs, accountants' brackets.

May touch: nothing.  Ambiguous numbers are not read: `1,5` is not a number if the decimal mark is a
point.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import NamedTuple

from app.sources.currencies import BESIDE_NUMBERS, FIAT, SIGNS

_SPACES = re.compile(r"[\s_\u200b\u200e\u200f\u2066-\u2069]+")
_MINUS = str.maketrans(
    {"−": "-", "–": "-", "－": "-", "﹣": "-", "‐": "-", "’": "'", "＋": "+", "▼": "-", "▽": "-"}
)
TRIANGLES = {"minus": "-", "plus": ""}
"""What `▲` and `△` mean: below 0 in Japan, above 0 where `▼` is below, else they are not read."""
_ASCII = str.maketrans("，．％／：（）٪", ",.%/:()%")
_CHANGE = re.compile(r"(.*\d.*?)\s*\([+-]?[\d.,]+\s*%\)")
"""An amount, and behind it in brackets what share of something it is."""
_SIGN = re.compile(rf"(US|HK|NT|AU|CA|MX|NZ|A|C|S|R)?\$|[{''.join(SIGNS)}]")
DOLLARS = {
    "": "USD",
    "US": "USD",
    "HK": "HKD",
    "NT": "TWD",
    "AU": "AUD",
    "A": "AUD",
    "CA": "CAD",
    "C": "CAD",
    "MX": "MXN",
    "NZ": "NZD",
    "S": "SGD",
    "R": "BRL",
}
"""Currencies by what stands before `$`."""
_CODES = "|".join(("USDT", "USDC", *sorted(FIAT), "BTC", "XBT", "ETH", "BNB"))
_WORDS = "|".join(sorted(BESIDE_NUMBERS, key=len, reverse=True))
_WORD_BEFORE = re.compile(rf"([+-]?)({_WORDS})\.?([+-]?[\d(].*)", re.IGNORECASE)
_WORD_BEHIND = re.compile(rf"(.*\d\)?[.,]?)({_WORDS})\.?", re.IGNORECASE)
_RANDS = re.compile(r"([+-]?)R([+-]?\d[\d,']*[.,]\d+|[+-]?\d{1,3}([,'.]\d{3})+)")
"""Of South Africa; `R12` may be anything else."""
_CODE_BEFORE = re.compile(rf"([+-]?)({_CODES})\.?([+-]?[\d.,(].*)")
_CODE_BEHIND = re.compile(
    r"(.*\d\)?[.,]?)([A-Z][A-Za-z][A-Z0-9]{0,9}|(?i:lots?|units?|shares?|shs|contracts?|conts?|pcs|barrels?|bbl"
    r"|ounces?|oz|bushels?|tons?|tonnes?|gallons?"
    r"|stk|stück|lose|lotes?|lotti|lotto|index|indizes|indices|índices|unidades|acciones|contratos?|contratti"
    r"|titres|azioni|coins?|r|股|株|주))"
)
_COUNTED = re.compile(r"(.*\d\.(?:\d{8}|\d{10}))(1000(?:000)?[A-Z]{2,10})")
"""Of a coin that is counted in thousands, whose name begins with their number: behind all decimals
that an exchange writes, `1000SATS`."""
_CODE_AT_END = re.compile(rf"(.*\d\)?[.,]?)({'|'.join(sorted(FIAT))})")
"""Which dollar or pound a sign before the number means: `$1,234.50 CAD`."""
_THIRTY_SECONDS = re.compile(r"(\d{2,3})['’](\d\d)([0257+]?)|([5-9]\d|1\d\d)-(\d\d)([0257+]?)")
_OF_TOTAL = re.compile(r"(\d+(?:\.\d+)?) ?/ ?(\d+(?:\.\d+)?)")
_EIGHTHS = re.compile(r"(\d{2,4})['’]([0-7])")
_MILLIONS = re.compile(r"([+-]?\d[\d.,]*)(M|MM|[Mm]io|mn)")
_INDIAN = re.compile(r"([+-]?\d[\d.,]*)(?:(lacs?|lakhs?)|crores?)", re.IGNORECASE)
_THOUSANDS = re.compile(r"[+-]?\d[\d.,]*[kK]")
_BASIS_POINTS = re.compile(r"([+-]?\d[\d.,]*)bps?", re.IGNORECASE)
_FRACTION = re.compile(r"([+-]?)(\d+) (\d{1,2})/(2|4|8|16|32|64|128)")
_PENCE = re.compile(r"[+-]?\d[\d.,]*p")
_EXPONENT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)[eE][+-]?\d{1,3}")
_PER_POINT = re.compile(r"(/|per)(pt|point|pip|share|contract|ct|unit|side|lot)s?$", re.IGNORECASE)
"""Of spread bets: `£2/pt`, and of fees: `$0.01/share`."""
_BOOKED = {
    **dict.fromkeys(
        (
            "cr", "credit", "profit", "gain", "win", "gewinn", "bénéfice", "ganancia", "ganho",
            "lucro", "utile", "guadagno", "winst", "vinst", "zysk", "kâr", "zisk", "прибыль",
        ),
        False,
    ),
    **dict.fromkeys(
        (
            "dr", "debit", "loss", "verlust", "perte", "pérdida", "perdida", "perda", "perdita",
            "verlies", "förlust", "strata", "zarar", "ztráta", "убыток",
        ),
        True,
    ),
}  # fmt: skip
"""Words beside amounts, whether these were lost or paid: `500.00 Dr`, `Loss 3.20`."""
_WORD_AT_END = re.compile(r"[^\W\d_]{2,}$")
_WORD_AT_START = re.compile(r"[^\W\d_]{2,}")
_EXPONENT_COMMA = re.compile(r"[+-]?\d+,\d*[eE][+-]?\d{1,3}")
_POINT = re.compile(r"[+-]?([1-9]\d{0,2}(,\d{2,3})*,\d{3}|\d{1,3}('\d{3})+|\d+)?(\.\d*)?")
_COMMA = re.compile(r"[+-]?([1-9]\d{0,2}(\.\d{3})+|\d{1,3}('\d{3})+|\d+)?(,\d*)?")
"""Thousands never begin with 0: `0,010` has a decimal comma."""


def in_ascii(text: str) -> str:
    """The text with the digits of other scripts, and marks of their width, as those of ASCII.

    >>> in_ascii("２０２４／０３"), in_ascii("۱۴۰۲"), in_ascii("abc")
    ('2024/03', '1402', 'abc')
    """
    if text.isascii():
        return text
    return "".join(str(int(c)) if c.isdecimal() and not c.isascii() else c for c in text).translate(
        _ASCII
    )


class WrittenNumber(NamedTuple):
    """A number as Python reads it, whether it was a percentage, and the currency or unit that
    stands with it (`USD`, `ETH`)."""

    text: str
    percent: bool
    unit: str | None


@lru_cache(maxsize=65_536)
def written(text: str, decimal: str = ".") -> WrittenNumber | None:
    """What `text` says, None where it is no number; `decimal` is the mark before the fraction.

    >>> (
    ...     written("$1,234.50"), written("(12,5 %)", ",").text, written("1.234,5", ",").text,
    ...     written("- 0.42").text,
    ... )
    (WrittenNumber(text='1234.50', percent=False, unit='USD'), '-12.5', '1234.5', '-0.42')
    >>> (
    ...     written("0.4000ETH"), written("-300,00 €", ",").unit, written("1e3").text,
    ...     written("12-").text, written("1'234.5").text,
    ... )
    (WrittenNumber(text='0.4000', percent=False, unit='ETH'), 'EUR', '1e3', '-12', '1234.5')
    >>> written("(0.01 BTC)")
    WrittenNumber(text='-0.01', percent=False, unit='BTC')
    >>> written("1,047.25p")
    WrittenNumber(text='10.4725', percent=False, unit='GBP')
    >>> written("1 234,50 zł", ","), written("Rp1.250.000", ",").unit, written("50 kr").unit
    (WrittenNumber(text='1234.50', percent=False, unit='PLN'), 'IDR', None)
    >>> written("$60.000,00 CLP", ",").unit, written("$5.00USD").unit
    ('CLP', 'USD')
    >>> written("500.00000000001000SATS"), written("0,50 lotes", ",").text
    (WrittenNumber(text='500.0000000000', percent=False, unit='1000SATS'), '0.50')
    >>> written("£2/pt")
    WrittenNumber(text='2', percent=False, unit=None)
    >>> written("1.5K").text, written("2.5M").text
    ('1500.0', '2500000.0')
    >>> written("2.5 Lakh").text, written("1.2 crores").text
    ('250000.0', '12000000.0')
    >>> written("-R2,381.80"), written("R12")
    (WrittenNumber(text='-2381.80', percent=False, unit='ZAR'), None)
    >>> written("150 1/2").text, written("-118 16/32").text, written("12.5bps")
    ('150.5', '-118.5', WrittenNumber(text='0.125', percent=True, unit=None))
    >>> written("-1.5R")
    WrittenNumber(text='-1.5', percent=False, unit='R')
    >>> written("▼１，２３４").text, written("٣١٫٥").text, written("+250.00 USDT (+0.81%)").unit
    ('-1234', '31.5', 'USDT')
    >>> [written(odd) for odd in ("1,5", "0,010", "2S", "110'16", "soon", "-", "1.2.3", "")]
    [None, None, None, None, None, None, None, None]
    >>> [written(told).text for told in ("2,000.00CR", "1500.00 Dr.", "Loss 3.20", "$5.00 profit")]
    ['2000.00', '-1500.00', '-3.20', '5.00']
    """
    if not text.isascii():
        text = in_ascii(text).replace("٫", decimal).replace("٬", "," if decimal == "." else ".")
    elif behind := _CHANGE.fullmatch(text.strip()):
        text = behind[1]
    if (booked := _booked(text, decimal)) is not None:
        return booked
    if (parts := _FRACTION.fullmatch(text.strip())) and int(parts[3]) < int(parts[4]):
        size = Decimal(parts[2]) + Decimal(parts[3]) / Decimal(parts[4])
        return WrittenNumber(f"{parts[1]}{size}", False, None)
    found = _SPACES.sub("", text).translate(_MINUS)
    if (per := _PER_POINT.search(found)) and (inner := written(found[: per.start()], decimal)):
        return inner._replace(unit=None)
    if decimal == "," and _EXPONENT_COMMA.fullmatch(found):
        found = found.replace(",", ".")
    if _EXPONENT.fullmatch(found):
        return WrittenNumber(found, False, None)
    percent = found.endswith(("%", "%)")) or found.startswith("%")
    found = found.replace("%", "")
    if found.startswith("(") and found.endswith(")"):
        found = f"-{found[1:-1]}"
    unit: str | None = None
    if sign := _SIGN.search(found):
        unit = SIGNS.get(sign[0]) or DOLLARS[sign[1] or ""]
        found = found[: sign.start()] + found[sign.end() :]
        if code := _CODE_AT_END.fullmatch(found):
            found, unit = code[1], code[2]
    elif _PENCE.fullmatch(found):
        # Pence, which are told in pounds, as other cells of the column may be.
        whole = found[:-1].replace(",", "." if decimal == "," else "")
        try:
            return WrittenNumber(str(Decimal(whole) / 100), False, "GBP")
        except InvalidOperation:
            return None
    elif _THOUSANDS.fullmatch(found):
        inner = written(found[:-1], decimal)
        return None if inner is None else inner._replace(text=str(Decimal(inner.text) * 1000))
    elif points := _BASIS_POINTS.fullmatch(found):
        inner = written(points[1], decimal)
        return None if inner is None else WrittenNumber(str(Decimal(inner.text) / 100), True, None)
    elif millions := _MILLIONS.fullmatch(found):
        inner = written(millions[1], decimal)
        return None if inner is None else inner._replace(text=str(Decimal(inner.text) * 10**6))
    elif indian := _INDIAN.fullmatch(found):
        inner, power = written(indian[1], decimal), 5 if indian[2] else 7
        return None if inner is None else inner._replace(text=str(Decimal(inner.text) * 10**power))
    elif rands := _RANDS.fullmatch(found):
        unit, found = "ZAR", rands[1] + rands[2]
    elif before := _CODE_BEFORE.fullmatch(found):
        unit, found = before[2], before[1] + before[3]
    elif word := _WORD_BEFORE.fullmatch(found):
        unit, found = BESIDE_NUMBERS[word[2].lower()], word[1] + word[3]
    elif word := _WORD_BEHIND.fullmatch(found):
        found, unit = word[1], BESIDE_NUMBERS[word[2].lower()]
    elif counted := _COUNTED.fullmatch(found):
        found, unit = counted[1], counted[2]
    elif behind := _CODE_BEHIND.fullmatch(found):
        found, unit = behind[1], behind[2].upper()
    if found.startswith("(") and found.endswith(")"):
        found = f"-{found[1:-1]}"
    elif found.endswith(("-", "+")):
        found = found[-1] + found[:-1]
    if found.startswith(("--", "+-", "-+")):
        return None
    if not (_COMMA if decimal == "," else _POINT).fullmatch(found) or not any(
        c.isdigit() for c in found
    ):
        return None
    found = found.replace("'", "")
    plain = found.replace(".", "").replace(",", ".") if decimal == "," else found.replace(",", "")
    return WrittenNumber(plain, percent, unit)


def _booked(text: str, decimal: str) -> WrittenNumber | None:
    """An amount with a word for a gain or a loss, or for a credit or a debit; None where there is
    no such word."""
    bare = text.strip("() .")
    end, start = _WORD_AT_END.search(bare), _WORD_AT_START.match(bare)
    if end and end[0].lower() in _BOOKED:
        word, rest = end[0], bare[: end.start()]
    elif start and start[0].lower() in _BOOKED:
        word, rest = start[0], bare[start.end() :]
    else:
        return None
    amount = written(rest.strip(" :.()"), decimal)
    if amount is None or not _BOOKED[word.lower()] or amount.text.startswith("-"):
        return amount
    return amount._replace(text=f"-{amount.text}")


def without_triangle(text: str, triangle: str) -> str:
    """The number with a sign instead of `▲` or `△`, which mean `triangle`.

    >>> without_triangle("▲1,000", "minus"), without_triangle("△ 5", "plus")
    ('-1,000', '5')
    """
    return TRIANGLES[triangle] + text[1:].strip() if text[:1] in ("▲", "△") else text


def thirty_seconds(text: str) -> Decimal | None:
    """A price in 32nds of a point, and quarters of those, as bonds have; with one digit, in
    eighths, as grain has.

    >>> thirty_seconds("110'165"), thirty_seconds("119'08"), thirty_seconds("110.5")
    (Decimal('110.515625'), Decimal('119.25'), None)
    >>> thirty_seconds("425'2"), thirty_seconds("118-16+"), thirty_seconds("03-14")
    (Decimal('425.25'), Decimal('118.515625'), None)
    """
    if eighths_of := _EIGHTHS.fullmatch(text.strip()):
        return Decimal(eighths_of[1]) + Decimal(eighths_of[2]) / 8
    found = _THIRTY_SECONDS.fullmatch(text.strip())
    if found is None:
        return None
    whole, parts, rest = found.groups()[:3] if found[1] else found.groups()[3:]
    eighths = {"": 0, "0": 0, "2": 2, "5": 4, "+": 4, "7": 6}[rest]
    if int(parts) > 31:
        return None
    return Decimal(whole) + (Decimal(parts) + Decimal(eighths) / 8) / 32


def filled_part(text: str) -> Decimal | None:
    """What was filled, where that and what was ordered stand in a cell, in any order.

    >>> filled_part("50/100"), filled_part("0.1 / 0.1"), filled_part("50")
    (Decimal('50'), Decimal('0.1'), None)
    """
    found = _OF_TOTAL.fullmatch(text.strip())
    return min(Decimal(found[1]), Decimal(found[2])) if found else None


def has_share(text: str) -> bool:
    """Whether behind an amount its share of something is in brackets: `138.00 (0.81%)`."""
    return _CHANGE.fullmatch(text.strip()) is not None


def marks(text: str) -> str:
    """Which decimal mark the number in `text` shows: `.`, `,`, `?` where it can be read both ways,
    empty if it shows none.

    >>> [
    ...     marks(t)
    ...     for t in (
    ...         "1.5", "0,25", "1,234", "1.234,5", "1,234.5", "12", "1.234", "x", "1,234,567",
    ...         "1.0502",
    ...     )
    ... ]
    ['.', ',', '?,', ',', '.', '', '?.', '', '.', '.']
    """
    if change := _CHANGE.fullmatch(text.strip()):
        text = change[1]
    if exponent := re.fullmatch(r"(.*\d[.,]?)[eE][+-]?\d{1,3}", text.strip()):
        text = exponent[1]
    found = re.sub(r"[^\d.,]", "", text) if any(c.isdigit() for c in text) else ""
    found = found.rstrip(".") if text.rstrip(" .)")[-1:].isalpha() else found  # `1,500.00 Cr.`
    if "," not in found and "." not in found:
        return ""
    last = max(found.rfind("."), found.rfind(","))
    mark = found[last]
    other = "," if mark == "." else "."
    if other in found:
        return mark if found.count(mark) == 1 else other
    if found.count(mark) > 1:
        return other
    whole, _, digits = found.partition(mark)
    return (
        f"?{mark}"
        if len(digits) == 3 and 1 <= len(whole) <= 3 and whole != "0" and not whole.startswith("0")
        else mark
    )
