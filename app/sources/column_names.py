"""Column names of trade logs, by which a draft recognises fields.

May touch: nothing.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from app.sources.currencies import BESIDE_NUMBERS, FIAT, SIGNS
from app.sources.figures import DOLLARS
from app.sources.glued_names import parted, spaced
from app.sources.vocabulary import WORDS
from app.sources.vocabulary_more import MORE_WORDS

NAMES = {
    field: (*words.split(), *MORE_WORDS.get(field, "").split()) for field, words in WORDS.items()
}
"""Names of each field, the likeliest first, in the form of `folded`."""

PATTERNS = (
    "setup",
    "strategy",
    "pattern",
    "system",
    "signal",
    "enter_tag",
    "entry_tag",
    "buy_tag",
    "tag",
    "playbook",
    "model",
    "algo",
    "setup_name",
)
"""Names of columns with the kind of trade, the likeliest first."""

REASONS = ("exit_reason", "close_reason", "exit_tag", "sell_reason", "exit_type", "exit_setup")
"""Names of columns with the reason of an exit."""

AFTERWARDS = re.compile(
    r"(exit|close|status|profit|loss|pnl|return|roi|result|outcome|win(?!d)|durat|hold|held|days|mae|mfe"
    r"|draw|gain|peak|worst|best|after|balance|equity|proceeds|funding|financing|rollover"
    r"|(^|[^a-z])total|points|pips|"
    r"comment|note|fee|commission|swap|slippage|realis|realiz|final|stop_hit|target_hit|cum|grade"
    r"|mistake|lesson|review|screenshot|url|(^|[^a-z])(ticks|bars|perf|efficiency|etd)($|[^a-z])"
    r"|(^|[^a-z])(punkte|puntos|punti|pontos|punkty)($|[^a-z])"
    r"|run.?up|(high|low).{0,12}(while|during)|cash.?flow|saldo|kontostand|guthaben|solde|bakiye|résultat|resultad|risultat|resultat"
    r"|ergebnis|gewinn|verlust|ganancia|pérdida|beneficio|bénéfice|lucro|prejuízo|guadagno|perdita"
    r"|utile|plus.?value|(^|[^a-z])(neto|netto|bruto|brutto|brut|l[íi]quido|lordo)($|[^a-z])|zysk|strata|winst|verlies"
    r"|kâr|zarar|прибыл|убыт|результат|損益|损益|盈亏|盈虧|收益|余额|餘額|残高|手数料|手续费|手續費|손익)"
)
"""Words in names of columns that are probably known only after the entry."""

_PARTICLES = re.compile(r"(?<=_)(de|del|d|di|do|da|des|du)_")
_ACCENTS = re.compile("[\u0300-\u0308\u030a-\u0328]")
"""Marks above and below Latin letters, and none of other scripts."""
_KNOWN = frozenset(name for names in NAMES.values() for name in names)


def _squashed(name: str) -> str:
    """The name without `_`, accents and particles.

    >>> _squashed("schließmenge")
    'schliessmenge'
    >>> _squashed("entered_at"), _squashed("résultat"), _squashed("precio_de_entrada")
    ('enteredat', 'resultat', 'precioentrada')
    """
    name = _PARTICLES.sub("", name).replace("_", "").replace("ß", "ss").replace("ı", "i")
    letters = unicodedata.normalize("NFD", name)
    return unicodedata.normalize("NFC", _ACCENTS.sub("", letters))


_SQUASHED = {_squashed(name): name for name in sorted(_KNOWN) if len(name) > 3}
"""Known names by themselves without `_`, accents and particles: `ENTEREDAT` is `entered_at`."""
_CODES = frozenset(code.lower() for code in FIAT) | frozenset(
    (
        "usdt", "usdc", "busd", "btc", "xbt", "eth", "bnb", "sol", "sats", "satoshi", "satoshis",
        "utc", "gmt", "est", "edt", "et", "local", "cet", "cst", "ist", "ny",
        "lots", "pts", "points", "ticks",
    )
)  # fmt: skip
_SIGNS = "".join(SIGNS)
_UNIT = re.compile(rf"[(\[{{（［][^)\]}}）］]*[)\]}}）］]|[${_SIGNS}]")


_MARKS = "".join(
    letter
    for letter in map(chr, range(0x300, 0xE80))
    if unicodedata.category(letter) in ("Mn", "Mc")
)
"""Vowels and accents that are written above, below or around letters, as in Thai and Hindi."""
_GAPS = re.compile(rf"(?:[^\w{_MARKS}]|_)+")


def folded(column: str) -> str:
    """A column's name as a dimension is called: small letters, with `_` between the words.

    >>> folded("Entry Time"), folded("exitTime"), folded("Return %"), folded("P&L")
    ('entry_time', 'exit_time', 'return_pct', 'p_l')
    >>> folded("วันที่")
    'วันที่'
    """
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", column).lower().replace("%", "_pct")
    return joined_words(words) or "column"


def joined_words(text: str) -> str:
    """Small letters, with `_` between the words.

    >>> joined_words("จับคู่ แล้ว"), joined_words("ClosedLot")
    ('จับคู่_แล้ว', 'closedlot')
    """
    letters = unicodedata.normalize("NFC", text).lower().replace("i\u0307", "i")  # Turkish
    return _GAPS.sub("_", letters).strip("_")


_PNL = re.compile(
    r"PnL|PNL|\b[Pp]n_[Ll]|P ?& ?L|P ?/ ?L(?![a-z ]*/)"
    r"|[Pp]&[Ll](?!imit)|[Pp] & [Ll](?![A-Za-z])|[Pp] ?/ ?[Ll](?![A-Za-z ]*/|[A-Za-z])"
)
"""Profit and loss, however it is shortened; not a part of `stop/limit`."""


_OR_LOSS = re.compile(
    r"[(\[](loss(?:es)?|verluste?|pertes?|pérdidas?|perdite|perdas?|verlies|tab|tap)[)\]]",
    re.IGNORECASE,
)
"""Behind the word for a gain: `Gain/(Loss)`."""
_TWO_NAMES = re.compile(r"([^/|]*\w) ?[/|] ?(\w[^/|]*)")
"""A name in two languages."""
_COUNTED = {
    name: what
    for what in ("quantity", "qty", "shares", "units", "contracts", "lots")
    for name in (f"{what}_no", f"no_{what}")
}
"""Names of numbers of shares, as `# Shares`, by what they count."""
_BOX = re.compile(
    r"^\s*(box \d{1,2}[a-h]?\b[ .:-]*(?=\w)|1[a-g][ .:-]+(?=desc|date|proc|cost|accr|wash))",
    re.IGNORECASE,
)
"""The number of a field of a form before its name: `Box 1d Proceeds`, `1c Date sold`."""


@lru_cache(maxsize=16_384)
def known_as(column: str) -> str:
    """A column's name as names are compared: as `folded`, without its unit, currency, time zone or
    number.

    >>> (
    ...     known_as("Closed P&L"), known_as("PnL (USDT)"), known_as("Price ($)"),
    ...     known_as("價格 USDT"), known_as("Trade Time(UTC+0)"),
    ... )
    ('closed_pnl', 'pnl', 'price', '價格', 'trade_time')
    >>> known_as("PnL (R)"), known_as("Consideration (R)")
    ('pnl_r', 'consideration')
    >>> known_as("EXITEDAT"), known_as("CLOSEDPNL"), known_as("Avg. Fill Price")
    ('exited_at', 'closed_pnl', 'avg_fill_price')
    >>> known_as("TRADEDATE"), known_as("DATEUTC"), known_as("closedateutc"), known_as("Pn_L")
    ('trade_date', 'date_utc', 'close_date', 'pnl')
    >>> (
    ...     known_as("ReturnPct"), known_as("Net P&L %"), known_as("Trade #"),
    ...     known_as("Prix d’entrée"), known_as("Fill qty"), known_as("P/L"),
    ... )
    ('return_pct', 'net_pnl_pct', 'trade_no', 'prix_d_entrée', 'fill_qty', 'pnl')
    """
    text = re.sub(r"\(\s*%\s*\)", " % ", column)
    text = re.sub(r"\(\s*([rRtT]|ticks|points|pips|bps)\s*\)", r" \1 ", text, flags=re.IGNORECASE)
    text = re.sub(r"\(\s*2\s*\)$", "", text)
    text = _BOX.sub("", text)
    text = _OR_LOSS.sub(r" \1", text)
    text = _UNIT.sub(" ", text) if _UNIT.sub("", text).strip() else text
    text = _PNL.sub(" pnl ", text).replace("#", " no ")
    parts = [part for word in folded(text).split("_") for part in _words_of(word)]
    while (
        len(parts) > 1
        and "_".join(parts) not in _KNOWN
        and (parts[-1] in _CODES or parts[-1] in ("utc0", "0"))
    ):
        parts.pop()
        if parts[-1] == "in" and "_".join(parts[:-1]) in _KNOWN:
            parts.pop()  # `Proceeds in USD`
    if parts[0] in _BEFORE and "_".join(parts[1:]) in _KNOWN and "_".join(parts) not in _KNOWN:
        parts = parts[1:]  # `USD net`
    name = "_".join(parts)
    if name in _COUNTED:
        name = _COUNTED[name]  # `Quantity #` counts, and numbers nothing.
    if name.endswith("_r") and "(R)" in column and (amount := name[:-2]) in _AMOUNTS:
        name = amount  # Rands: only profits and returns are multiples of a risk.
    if is_in_basis_points(column) and (share := re.sub("_bps?$", "_pct", name)) in _KNOWN:
        name = share
    if name not in _KNOWN and (both := _TWO_NAMES.fullmatch(column.strip())):
        one, other = known_as(both[1]), known_as(both[2])
        if any({one, other} <= {*names} for names in NAMES.values()):
            return one  # `Cantidad / Quantity`
    return name if name in _KNOWN else _SQUASHED.get(_squashed(name), name)


def _words_of(word: str) -> tuple[str, ...]:
    """The word, or the words that are written as one in it, unless it is known only as it stands.

    >>> _words_of("tradedate"), _words_of("ticker"), _words_of("datumutc")
    (('trade', 'date'), ('ticker',), ('datum', 'utc'))
    """
    if _is_name(word):
        parts = parted(word)
        return parts if "_".join(parts) in _KNOWN else (word,)
    if word.endswith(("utc", "gmt")) and _is_name(word[:-3]):
        return word[:-3], word[-3:]
    return parted(word)


def _is_name(word: str) -> bool:
    return word in _KNOWN or _squashed(word) in _SQUASHED


_OF_MONEY = {name for field in ("pnl_usd", "net", "gross", "fee") for name in NAMES[field]}
_AMOUNTS = {name for field in ("net", "gross", "fee", "price") for name in NAMES[field]} - {
    *NAMES["pnl_usd"]
} | {"cost", "costs", "charges", "total_costs", "total_cost"}
_BEFORE = {code.lower() for code in FIAT} | {"usdt", "usdc"}
_CURRENCY_BEFORE = re.compile(rf"(USDT|USDC|{'|'.join(sorted(FIAT))}) ")


def is_in_points(column: str) -> bool:
    """Whether a column's name says that its numbers are ticks, pips or points.

    >>> is_in_points("P&L (ticks)"), is_in_points("PNL_TICKS"), is_in_points("P&L ($)")
    (True, True, False)
    """
    words = spaced(column)
    return bool(
        re.search(
            r"\b(ticks?|pips?|points|pts|punkte|puntos|pontos|punti|punkty|тик\w*|пункт\w*)\b",
            words,
            re.IGNORECASE,
        )
    )


def is_in_basis_points(column: str) -> bool:
    """Whether a column's name says that its numbers are hundredths of a percent.

    >>> [is_in_basis_points(name) for name in ("Return (bps)", "pnl_bp", "BPI")]
    [True, True, False]
    """
    return bool(re.search(r"(?<![a-z])bps?\W*$", spaced(column), re.IGNORECASE))


def is_known(column: str) -> bool:
    """Whether the name is that of a field.

    >>> is_known("約定日"), is_known("–Ò’è“ú"), is_known("║╧╘╝")
    (True, False, False)
    """
    return known_as(column) in _KNOWN and bool(re.search(r"\w", column))


_WORD_OF_MONEY = re.compile(
    rf"[(\[]({'|'.join(word for word, code in BESIDE_NUMBERS.items() if code)})\.?[)\]]",
    re.IGNORECASE,
)
"""Of a column whose currency is a word in brackets: `Price (RM)`."""
_CURRENCY = re.compile(
    r"(?:[(\[ _]|^)(USC|USDT|USDC|BUSD|BTC|XBT|ETH|BNB|SOL|SATS|SATOSHIS?"
    rf"|{'|'.join(sorted(FIAT))})(?:[)\]]|$)",
    re.IGNORECASE,
)


_OTHER_DOLLARS = re.compile(rf"(?<![A-Za-z])({'|'.join(filter(None, DOLLARS))})\$")


def currency_in(column: str) -> str | None:
    """The currency that a column's name ends with, begins with or has in brackets.

    >>> (
    ...     currency_in("PnL (USDT)"), currency_in("Net P&L USD"), currency_in("Profit"),
    ...     currency_in("Price (€)"), currency_in("價格 USDT"), currency_in("Net Amount (RM)"),
    ... )
    ('USDT', 'USD', None, 'EUR', 'USDT', 'MYR')
    >>> currency_in("USD net"), currency_in("EUR Gewinn"), currency_in("USD rate")
    ('USD', 'EUR', None)
    >>> currency_in("pnlUsd"), currency_in("FEEUSDT"), currency_in("BTCUSDT")
    ('USD', 'USDT', None)
    >>> currency_in("Resultado (R$)"), currency_in("Net HK$"), currency_in("Profit$")
    ('BRL', 'HKD', 'USD')
    """
    if dollars := _OTHER_DOLLARS.search(column):
        return DOLLARS[dollars[1]]
    for sign, code in (("USドル", "USD"), ("円", "JPY"), *SIGNS.items(), ("$", "USD")):
        if sign in column:
            return code
    if found := _CURRENCY.search(spaced(column)):
        return found[1].upper()
    if (before := _CURRENCY_BEFORE.match(column)) and known_as(column) in _OF_MONEY:
        return before[1]
    if word := _WORD_OF_MONEY.search(column):
        return BESIDE_NUMBERS[word[1].lower()]
    return None


_TOKENS = frozenset(
    token
    for names in NAMES.values()
    for name in names
    for token in (name, *name.split("_"))
    if len(token) > 1
) | frozenset(
    [
        "status",
        "state",
        "description",
        "comment",
        "stop",
        "limit",
        "balance",
        "swap",
        "tax",
        "taxes",
        "action",
        "order",
        "basis",
        "code",
        "isin",
        "cusip",
        "settlement",
        "settle",
        "strike",
        "expiry",
        "expiration",
        "right",
        "call",
        "put",
        "spread",
        "effect",
        "exp",
        "tif",
        "net",
        "gross",
        "notes",
        "tags",
        "setup",
        "strategy",
        "duration",
        "mae",
        "mfe",
        "etd",
        "interest",
        "name",
        "total",
        "leverage",
        "marge",
        "margin",
        "header",
    ]
)


def is_header_word(cell: str) -> bool:
    """Whether a cell could be the name of a column: short, and of words that columns have.

    >>> is_header_word("Fill Price ($)"), is_header_word("AAPL"), is_header_word("2024-01-05")
    (True, False, False)
    """
    if not 2 <= len(cell) <= 60 or not any(letter.isalpha() for letter in cell):
        return False
    name = known_as(cell)
    return name in _TOKENS or any(part in _TOKENS for part in name.split("_"))
