"""What a symbol says of itself: the two currencies of a pair, an option, a future, an inverse
contract.

May touch: nothing.
"""

from __future__ import annotations

import re
from functools import lru_cache

from app.sources.currencies import FIAT, MAJOR, MINOR

_STABLE = ("USDT", "USDC", "FDUSD", "BUSD", "TUSD", "USDP", "DAI")
_BITFINEX_TETHER = "UST"
_QUOTES = (*_STABLE, "USDE", "USD1", *MAJOR, "BTC", "XBT", "ETH", "BNB", "SOL", *MINOR)
"""Currencies that end the name of a pair without a separator, in the order in which they are tried.
"""
_COINS = frozenset(
    [
        "BTC",
        "XBT",
        "ETH",
        "BNB",
        "SOL",
        "XRP",
        "ADA",
        "DOGE",
        "DOT",
        "LTC",
        "BCH",
        "LINK",
        "AVAX",
        "MATIC",
        "POL",
        "TRX",
        "ATOM",
        "XLM",
        "UNI",
        "ETC",
        "FIL",
        "NEAR",
        "APT",
        "ARB",
        "OP",
        "SUI",
        "TON",
        "SHIB",
        "PEPE",
        "XMR",
        "ALGO",
        "AAVE",
        "SAND",
        "MANA",
        "FTM",
        "INJ",
        "RUNE",
        "EOS",
        "XTZ",
        "GALA",
    ]
)
_EAST_NAMES = (
    ("豪ドル", "AUD"), ("NZドル", "NZD"), ("カナダドル", "CAD"), ("米ドル", "USD"), ("ドル", "USD"),
    ("ユーロ", "EUR"), ("ポンド", "GBP"), ("スイスフラン", "CHF"), ("トルコリラ", "TRY"),
    ("南アランド", "ZAR"), ("メキシコペソ", "MXN"), ("円", "JPY"),
)  # fmt: skip
"""How Japanese brokers name currencies."""
_QUOTED_FIRST = ("KRW", "THB")
"""Currencies that the exchanges of their countries write before each coin: `KRW-XRP`."""
_SEPARATED = re.compile(r"([A-Z0-9]{2,12})[/_.:-]([A-Z0-9]{3,6})(?:[:_-].*)?")
_OPTION_ON_PAIR = re.compile(r"-(\d{6}|\d{1,2}[A-Z]{3}\d{2})-[\d.]+-[CP]$")
_SETTLED = re.compile(r"([A-Z0-9]{2,12})/([A-Z0-9]{3,6}):([A-Z]{2,6})(?:-.*)?")
_OF_KRAKEN = re.compile(r"(PI|FI|PF|FF)_([A-Z0-9]{5,12})(?:_\d{6})?")
_SETTLED_IN_COIN = ("PI", "FI")
"""Kraken's futures, and which of them are settled in their coin."""
_OCC = re.compile(r"\.?-?([A-Z]{1,6})\d?\s*(\d{6})([CP])(\d{8}|\d{1,6}(\.\d+)?)")
_NAMED_OPTION = re.compile(
    r"\b\d{1,2} ?[A-Z]{3} ?'?\d{2,4} \$?[\d.,]+ ?(C|P|CALL|PUT)\b"
    r"|\d{1,2}/\d{1,2}/\d{2,4} \$?[\d.,]+ ?(C|P|CALL|PUT)\b|\b(CALL|PUT)\b"
    r"|\d{1,2}/\d{1,2}/\d{2,4} (CALL|PUT|C|P) ?\$?[\d.]+",
    re.IGNORECASE,
)
_FUTURE = re.compile(r"[/@]?([A-Z0-9]{1,4}?)([FGHJKMNQUVXZ])(\d{4}|\d{1,2})(?:[:.].*)?")
_MONTHLY = re.compile(
    r"[/@]?([A-Z0-9]{1,4}) ?(?:\d\d-\d\d|(?:JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC)"
    r" ?'?\d{2}|\(?[FGHJKMNQUVXZ]\d{1,2}\)?)"
)
_MONTH_FIRST = re.compile(
    r"(?:JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC) ?'?\d{2} ([A-Z0-9]{1,4})"
)
_VENUE_BEFORE = re.compile(
    r"^X?(CME|CBT|CBOT|NYM|NYMEX|CEC|COMEX|EUR|EUREX|ICE|IFUS|GLBX|CFE|SGX|HKFE)[A-Z_]*:(?=.*\d$)"
)
_PARTS = re.compile(r"([A-Z0-9]{1,4})[._-][FGHJKMNQUVXZ]\d{1,2}")
_NAMED_FUTURE = re.compile(r"\b(E-?MINI|MICRO E|FUTURES?|FUT)\b")
_NAMED_FUND = re.compile(r"\b(ETF|ETN|ETP|FUND|TRUST|PROSHARES|ISHARES)\b")
_MONTH_AND_NAME = re.compile(
    r"(?:JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC) ?'?\d{2} ((?!\d)[^$]*[A-Z]{3}[^$]*)"
)
"""As statements write them: `JUN 24 CME EMINI S&P 500`."""
_STRIKE = re.compile(r"(?<=\d) ([\d.]+ (C|P|CALL|PUT)|(C|P|CALL|PUT) ?[\d.]+)$")
"""What the symbol of an option on a future ends with."""
_VENUE = re.compile(
    r"^(F\.US\.|(CME|CBOT|CBOT_MINI|NYMEX|NYMEX_MINI|COMEX|COMEX_MINI|EUREX|ICEUS|GLOBEX)"
    r":(?=.*\d\d?$))"
    r"|[-.@_: ](FUT_)?"
    r"(X?CME|CBOT|XCBT|NYMEX|XNYM|COMEX|XCEC|EUREX|XEUR|GLOBEX|ECBOT|CFE|ICE|CMEMINI|FUT)$"
)
_EASTERN = re.compile(
    r"(\S.*?)(?: F)?[ _](?:20[23]\d/?(?:0[1-9]|1[0-2])|[23]\d/?(?:0[1-9]|1[0-2]))(?:限|월물|月)?"
)
_DATED = re.compile(r"([A-Z]{2,5})-\d{1,2}[A-Z]{3}\d{2}(?:-[A-Z]{3})?")
_CONTINUOUS = re.compile(r"(?:[A-Z_]+:)?[/@#]?([A-Z0-9]{1,4})(?:1!|2!|-F|=F|_F)?")
_ASIAN_VENUE = re.compile(
    r"^(SHFE|DCE|CZCE|CFFEX|INE|GFEX|TAIFEX|MOEX|OSE|KRX|TFEX)[.:]"
    r"|\.(SHF|SHFE|DCE|ZCE|CZCE|CFFEX|INE|GFE|GFEX|TAIFEX)$",
    re.IGNORECASE,
)
_CHINESE = re.compile(
    r"(?:KQ\.[mi]@)?(?:SHFE|DCE|CZCE|CFFEX|INE|GFEX)\.([A-Za-z]{1,2})(?:[._]?(?:HOT|2ND|88|888|8888|9999))?"
    r"|([A-Za-z]{1,2})(?:8888|9999|888|88)\.(?:XSGE|XDCE|XZCE|CCFX|XINE|GFEX|SHFE|DCE|CZCE|CFFEX|INE)"
)
"""Of continuous futures, as programs in China write them: `SHFE.rb.HOT`, `IF9999.CCFX`."""
_MOSCOW_NAME = re.compile(r"([A-Z][a-z])(?:[FGHJKMNQUVXZ]\d{1,2}|-\d{1,2}\.\d\d)")
"""`Si` of Moscow is no `SI` of New York."""
_LOCAL = (
    re.compile(r"([A-Z]{2,4})-\d{1,2}\.\d\d"),  # Moscow
    re.compile(r"([A-Z]{2}F)[A-L]\d"),  # Taiwan
    re.compile(r"([1-3]\d\d)[A-Z][1-9A-C]\d{3}"),  # Korea
    re.compile(r"(VN30F)[12][MQ]"),
    re.compile(r"([A-Z]{1,2})(?:\d\d|\d)(?:0[1-9]|1[0-2])"),  # China
)
"""Codes of futures that are not settled in US dollars."""
_OF_ANY_PLACE = (
    re.compile(r"([A-Z]{2})[FGHJKMNQUVXZ]\d"),
    re.compile(r"([A-Z]{1,4})-[FGHJKMNQUVXZ]\d{1,2}"),
    # The year of a stock's symbol is another.
    re.compile(r"([A-Z][A-Z0-9]{1,4})[FGHJKMNQUVXZ](?:2\d|3[0-5])"),
)
_COIN_IN_DOLLARS = re.compile(
    r"(XBT|BTC|ETH|XRP|SOL|ADA|DOT|LTC|LINK|BNB|DOGE|EOS|BCH|ETC)-?USD(M|_PERP|_\d{6}"
    r"|[FGHJKMNQUVXZ]\d{2}|-SWAP|-PERPETUAL)?"
)
POINT_VALUES = {
    "ES": 50,
    "MES": 5,
    "NQ": 20,
    "MNQ": 2,
    "YM": 5,
    "MYM": 0.5,
    "RTY": 50,
    "M2K": 5,
    "EMD": 100,
    "NKD": 5,
    "CL": 1000,
    "MCL": 100,
    "QM": 500,
    "NG": 10000,
    "QG": 2500,
    "RB": 42000,
    "HO": 42000,
    "GC": 100,
    "MGC": 10,
    "QO": 50,
    "SI": 5000,
    "SIL": 1000,
    "HG": 25000,
    "MHG": 2500,
    "PL": 50,
    "PA": 100,
    "ZB": 1000,
    "UB": 1000,
    "ZN": 1000,
    "TN": 1000,
    "ZF": 1000,
    "ZT": 2000,
    "ZC": 50,
    "ZW": 50,
    "ZS": 50,
    "ZM": 100,
    "ZL": 600,
    "KE": 50,
    "LE": 400,
    "HE": 400,
    "GF": 500,
    "6E": 125000,
    "6B": 62500,
    "6J": 12500000,
    "6A": 100000,
    "6C": 100000,
    "6S": 125000,
    "6N": 100000,
    "6M": 500000,
    "M6E": 12500,
    "M6A": 10000,
    "M6B": 6250,
    "FDAX": 25,
    "FDXM": 5,
    "FDXS": 1,
    "FESX": 10,
    "FGBL": 1000,
    "FGBM": 1000,
    "FGBS": 1000,
    "BTC": 5,
    "MBT": 0.1,
    "ETH": 50,
    "MET": 0.1,
    "VX": 1000,
    "VXM": 100,
    "CC": 10,
    "KC": 375,
    "SB": 1120,
    "CT": 500,
    "DX": 1000,
    "WIN": 0.2,
    "WDO": 10,
    "DOL": 50,
    "HSI": 50,
    "MHI": 10,
    "NK225": 1000,
    "NK225M": 100,
    "TXF": 200,
    "MXF": 50,
    "TMF": 10,
    "S50": 200,
    "FKLI": 50,
    "FCPO": 25,
    "VN30F": 100000,
}
"""Money per point and contract of the futures that are traded most, in the currency of the
contract: offered where a draft has to ask."""


IN_US_DOLLARS = POINT_VALUES.keys() - {
    "FDAX", "FDXM", "FDXS", "FESX", "FGBL", "FGBM", "FGBS", "WIN", "WDO", "DOL", "HSI", "MHI",
    "NK225", "NK225M", "TXF", "MXF", "TMF", "S50", "FKLI", "FCPO", "VN30F", "BTC", "ETH",
}  # fmt: skip
"""Futures of American exchanges, whose points are worth US dollars; the names of coins may be those
of anything."""


_FUTURES_ABROAD = POINT_VALUES.keys() - IN_US_DOLLARS - {"BTC", "ETH"}
_NO_SHARES = {
    "FDAX", "FDXM", "FDXS", "FESX", "FGBL", "FGBM", "FGBS", "NK225", "NK225M", "FKLI", "FCPO",
    "VN30F",
}  # fmt: skip
"""Names of futures that are those of nothing else."""
_MONTH_APART = re.compile(r"[A-Z]{3}[ '-]?\d{2,4}|\d{4}-?\d{2}(-?\d{2})?|[FGHJKMNQUVXZ]\d{1,2}")
"""A month of delivery behind the name of a future."""


def _is_quote_of(first: str, second: str) -> bool:
    """Whether a pair is written with its quote first, as `USDT_BTC` and `BTC-ETH` are by some."""
    if first in (*_STABLE, "USD", *_QUOTED_FIRST):
        return second not in _STABLE and second not in FIAT
    if first in FIAT:
        return second in _COINS
    return first in ("BTC", "XBT") and second in _COINS - {"BTC", "XBT"}


@lru_cache(maxsize=16_384)
def pair_of(symbol: str) -> tuple[str, str] | None:
    """(base, quote) of a pair, None where the symbol is none.

    >>> (
    ...     pair_of("ETHUSDT"), pair_of("BTC/EUR"), pair_of("XBT-PERP"), pair_of("EURUSD"),
    ...     pair_of("AAPL"), pair_of("1000BONKUSDT"),
    ... )
    (('ETH', 'USDT'), ('BTC', 'EUR'), None, ('EUR', 'USD'), None, ('1000BONK', 'USDT'))
    >>> (
    ...     pair_of("SOL/USDT:USDT"), pair_of("BRK.B"), pair_of("BTC-USD"), pair_of("BTCUSDT_PERP"),
    ...     pair_of("XXBTZUSD"),
    ... )
    (('SOL', 'USDT'), None, ('BTC', 'USD'), ('BTC', 'USDT'), ('XBT', 'USD'))
    >>> pair_of("SPOT_SOL_USDT"), pair_of("FX_BTC_JPY")
    (('SOL', 'USDT'), ('BTC', 'JPY'))
    >>> pair_of("BTC_XMR"), pair_of("XMR/BTC")
    (('XMR', 'BTC'), ('XMR', 'BTC'))
    >>> pair_of("KRW-ICX"), pair_of("THB_BTC"), pair_of("BTC/USDT PERP")
    (('ICX', 'KRW'), ('BTC', 'THB'), ('BTC', 'USDT'))
    >>> pair_of("BTCUSDT_250328"), pair_of("ETHUSD_250328")
    (('BTC', 'USDT'), None)
    >>> pair_of("BTC-USD-250328-90000-C"), pair_of("BTC_USDC-28MAR25-90000-C")
    (None, None)
    >>> pair_of("XBTUSDM"), pair_of("BTC/UST"), pair_of("TRUST")
    (('XBT', 'USD'), ('BTC', 'UST'), None)
    >>> pair_of("ドル/円"), pair_of("ユーロ/米ドル")
    (('USD', 'JPY'), ('EUR', 'USD'))
    >>> pair_of("EURUSDc"), pair_of("GBPJPY.raw")
    (('EUR', 'USD'), ('GBP', 'JPY'))
    >>> pair_of("USDT_BTC"), pair_of("BTC-ETH"), pair_of("USD/JPY"), pair_of("ETH-BTC")
    (('BTC', 'USDT'), ('ETH', 'BTC'), ('USD', 'JPY'), ('ETH', 'BTC'))
    """
    name = (
        symbol.strip().upper().rpartition("BINANCE:")[2]
        if "BINANCE:" in symbol.upper()
        else symbol.strip().upper()
    )
    if with_suffix := re.fullmatch(r"([A-Z]{6})[a-z.#+_-][a-zA-Z]{0,4}", symbol.strip()):
        name = with_suffix[1]  # As brokers write the kind of account: `EURUSDc`.
    elif in_cents(symbol):
        name = name[:6]
    for word, code in _EAST_NAMES:
        name = name.replace(word, code)
    name = re.sub(r"(?<=[A-Z0-9][/_-])TL$", "TRY", name)
    name = re.sub(r"^(SPOT|PERP|MARGIN|FX)_(?=[A-Z]+_)", "", name)
    if kraken := _OF_KRAKEN.fullmatch(name):
        name = kraken[2]
    name = re.sub(r"[._ -]?(PERP(ETUAL)?|SWAP|\.P)$", "", name)
    name = re.sub(r"(?<=USD[TC])_\d{6}$", "", name)
    if _OPTION_ON_PAIR.search(name):
        return None  # Its price is no rate of the pair.
    name = re.sub(r"^([A-Z0-9]+(USDT|USDC))M$", r"\1", name)
    if (of_coin := re.fullmatch(r"([A-Z]+)USDM", name)) and of_coin[1] in _COINS:
        return of_coin[1], "USD"  # Settled in the coin: `XBTUSDM`.
    if found := _SEPARATED.fullmatch(name):
        first, second = found[1], found[2]
        if _is_quote_of(first, second):
            return second, first
        return (first, second) if second in (*_QUOTES, _BITFINEX_TETHER) or second in FIAT else None
    if found := re.fullmatch(r"X([A-Z]{3,4})Z([A-Z]{3})", name):
        return found[1], found[2]
    for quote in _QUOTES:
        base = name.removesuffix(quote)
        if base != name and (base in _COINS or (base in FIAT and quote in FIAT)):
            return base, quote
    for quote in _QUOTES:
        base = name.removesuffix(quote)
        if base != name and re.fullmatch(r"[A-Z0-9]{2,12}", base):
            known = (
                quote in _STABLE
                or base in _COINS
                or (base in FIAT and quote in FIAT)
                or (quote in ("BTC", "ETH", "BNB") and len(base) >= 3)
            )
            if known or base in ("XAU", "XAG"):
                return base, quote
    return None


def settled_in(symbol: str) -> str | None:
    """The coin that a contract is settled in, where its symbol says so.

    >>> settled_in("PI_XBTUSD"), settled_in("PF_ETHUSD"), settled_in("FI_ETHUSD_240329")
    ('XBT', 'USD', 'ETH')
    >>> settled_in("ETH/USD:BTC"), settled_in("BTC/USDT:USDT-240329"), settled_in("BTC/USDT")
    ('BTC', 'USDT', None)
    """
    text = symbol.strip().upper()
    if (kraken := _OF_KRAKEN.fullmatch(text)) and (pair := pair_of(kraken[2])):
        return pair[0] if kraken[1] in _SETTLED_IN_COIN else pair[1]
    found = _SETTLED.fullmatch(text)
    return found[3] if found else None


def pair_in(symbol: str, currency: str | None) -> tuple[str, str] | None:
    """(base, quote) of a pair, or of a well-known coin that is priced in `currency`.

    >>> pair_in("btc", "mxn"), pair_in("ETHUSDT", None), pair_in("AAPL", "USD")
    (('BTC', 'MXN'), ('ETH', 'USDT'), None)
    """
    found = pair_of(symbol)
    if found is None and currency and is_coin(symbol) and symbol.upper() != currency.upper():
        return symbol.strip().upper(), currency.strip().upper()
    return found


def is_crypto(symbol: str) -> bool:
    """Whether the symbol is a pair with a coin in it.

    >>> is_crypto("ETHUSDT"), is_crypto("EURUSD"), is_crypto("BTC-USD")
    (True, False, True)
    """
    pair = pair_of(symbol)
    return pair is not None and not (pair[0] in (*FIAT, "XAU", "XAG") and pair[1] in FIAT)


def is_coin(symbol: str) -> bool:
    """Whether the symbol is a well-known coin.

    >>> is_coin("BTC"), is_coin("USD")
    (True, False)
    """
    return symbol.strip().upper() in _COINS


def in_cents(symbol: str) -> bool:
    """Whether the symbol is a pair of currencies, or a metal, with the mark of accounts that are
    counted in cents behind it.

    >>> in_cents("EURUSDc"), in_cents("xauusd.c"), in_cents("EURUSDC"), in_cents("btcusdc")
    (True, True, False, False)
    """
    found = re.fullmatch(r"([A-Z]{6}|[a-z]{6})[._-]?(c|cent)", symbol.strip())
    return (
        found is not None
        and found[1][:3].upper() in (*FIAT, "XAU", "XAG")
        and found[1][3:].upper() in FIAT
    )


def is_stable(symbol: str) -> bool:
    """Whether the symbol is a coin that is pegged to the dollar.

    >>> is_stable("USDT"), is_stable("USD")
    (True, False)
    """
    return symbol.strip().upper() in _STABLE


def is_occ(symbol: str) -> bool:
    """Whether the symbol names an option as clearing houses do: root, day, right and strike.

    >>> is_occ("F     240315P00012500"), is_occ("F")
    (True, False)
    """
    return bool(_OCC.fullmatch(symbol.strip().upper()))


def coin_of_inverse(symbol: str) -> str | None:
    """The coin that an inverse contract is settled in.

    >>> coin_of_inverse("XBTUSD"), coin_of_inverse("BTC-PERPETUAL"), coin_of_inverse("ETH-29MAR24")
    ('XBT', 'BTC', 'ETH')
    """
    pair = pair_of(symbol)
    first = symbol.strip().upper().partition("-")[0]
    return pair[0] if pair else first if is_coin(first) else None


def is_option(symbol: str) -> bool:
    """Whether the symbol is an option of the kind that counts a hundred shares.

    >>> [
    ...     is_option(s)
    ...     for s in (
    ...         "EXMP251121C00009000", "PINS 21MAR25 40 C", "NIFTY2561225000CE", "AAPL",
    ...         "-SPY240119P450",
    ...     )
    ... ]
    [True, True, False, False, True]
    """
    text = symbol.strip().upper()
    return bool(
        _OCC.fullmatch(text)
        or _NAMED_OPTION.search(text)
        or re.fullmatch(r"[A-Z]{2,6}-\d{1,2}[A-Z]{3}\d{2}-[\d.]+-[CP]", text)
    )


_TOKEN = re.compile(r"@\d+")
"""Of a spot market that an exchange only numbers."""


def future_of(symbol: str) -> str | None:
    """The root of a future, None where the symbol is none.

    >>> [
    ...     future_of(s)
    ...     for s in (
    ...         "ESH4", "MNQZ25", "NQ JUN26", "/ESM24", "ES 03-24", "CME_MINI:ES1!", "AAPL", "F",
    ...         "NQ 09-25", "/MES", "rb2405",
    ...         "WINJ24", "KLBN11",
    ...     )
    ... ]
    ['ES', 'MNQ', 'NQ', 'ES', 'ES', 'ES', None, None, 'NQ', 'MES', 'rb', 'WIN', None]
    >>> future_of("CLK4-CLM4"), future_of("BIT-29MAR24-CDE"), future_of("JUN 24 MES")
    ('CL', 'BIT', 'MES')
    >>> future_of("미국달러 F 202403"), future_of("日経225mini 24/06"), future_of("SPY 2403")
    ('미국달러', '日経225MINI', None)
    >>> [future_of(s) for s in ("RIM4", "SiM4", "RTS-6.24", "TXFC4", "HSI2403", "SHFE.rb2405")]
    ['RI', 'Si', 'RTS', 'TXF', 'HSI', 'rb']
    >>> [future_of(s) for s in ("101V6000", "S50H24", "VN30F2403", "PETR4", "KLBN4", "ETH2")]
    ['101', 'S50', 'VN30F', None, None, None]
    >>> future_of("ESM4 5000 P"), future_of("XCME:ES.M24"), future_of("Micro E-mini S&P 500 Jun 24")
    ('ES', 'ES', 'MICRO E-MINI S&P 500 JUN 24')
    >>> future_of("/MESM25 FUTURE"), future_of("GOLD FUTURE")
    ('MES', 'GOLD FUTURE')
    >>> future_of("/ESM4 P5000"), future_of("SHFE.rb.HOT"), future_of("IF9999.CCFX")
    ('ES', 'rb', 'IF')
    """
    if continuous := _CHINESE.fullmatch(symbol.strip()):
        return continuous[1] or continuous[2]
    own = _ASIAN_VENUE.sub("", symbol.strip())
    if _TOKEN.fullmatch(own):
        return None
    if moscow := _MOSCOW_NAME.fullmatch(own):
        return moscow[1]
    text = _VENUE.sub("", _STRIKE.sub("", own.upper()))
    text = _VENUE_BEFORE.sub("", text)
    if (apart := _PARTS.fullmatch(text)) and apart[1] in POINT_VALUES:
        return apart[1]
    if named := _MONTH_AND_NAME.fullmatch(text):
        return named[1]
    code, _, kind = text.rpartition(" ")
    if kind in ("FUTURE", "FUT") and (root := future_of(code)) is not None:
        return root
    if _NAMED_FUTURE.search(text) and not _NAMED_FUND.search(text):
        return text
    near, _, far = text.partition("-")
    if far and (root := future_of(near)) is not None and root == future_of(far):
        return root  # A spread of two months.
    if (found := _DATED.fullmatch(text)) and not is_coin(found[1]):
        return found[1]
    if (turned := _MONTH_FIRST.fullmatch(text)) and turned[1] in POINT_VALUES:
        return turned[1]
    if found := (_MONTHLY.fullmatch(text) or _FUTURE.fullmatch(text)):
        root = found[1]
        if root in POINT_VALUES or text[0] in "/@" or " " in text:
            return root
    if (
        found := re.fullmatch(r"[/@]?([A-Z0-9]{1,6}?)[-_ .]?20\d{2}[01]\d([0-3]\d)?", text)
        or re.fullmatch(r"([A-Z0-9]{3,6}?)2\d(0[1-9]|1[0-2])", text)
    ) and found[1] in POINT_VALUES:
        return found[1]
    if found := re.fullmatch(r"F_([A-Z0-9]+?)(0[1-9]|1[0-2])[23]\d", text):
        return f"F_{found[1]}"  # As in Turkey.
    for pattern in (*_OF_ANY_PLACE, *_LOCAL):
        if (found := pattern.fullmatch(text)) and not is_coin(text[:-1]):
            # Letters as they are: in China, `rb` is no gasoline.
            return own[: len(found[1])] if pattern is _LOCAL[-1] else found[1]
    if (found := _EASTERN.fullmatch(text)) and not found[1].isascii():
        return found[1]  # A name and a month, as in Korea, Japan, Taiwan and China.
    if (found := _CONTINUOUS.fullmatch(text)) and (
        text[0] in "/@#" or text.endswith(("1!", "2!", "=F", "_F", "-F"))
    ):
        return found[1]
    return None


def is_future_abroad(symbol: str) -> bool:
    """Whether the symbol is a future that is not settled in US dollars, by its code.

    >>> [is_future_abroad(s) for s in ("FDAXM4", "SiM4", "TXFC4", "rb2405", "ESM4", "AAPL")]
    [True, True, True, True, False, False]
    >>> [is_future_abroad(s) for s in ("FDAX MAR24", "FESX", "ES MAR24", "HSI", "WIN CORP")]
    [True, True, False, False, False]
    """
    if _CHINESE.fullmatch(symbol.strip()):
        return True
    own = _ASIAN_VENUE.sub("", symbol.strip())
    first, _, month = own.upper().partition(" ")
    if first in _FUTURES_ABROAD and (first in _NO_SHARES or _MONTH_APART.fullmatch(month)):
        return True
    root = future_of(own)
    if root is None or root in IN_US_DOLLARS or is_coin(root):
        return False
    local = any(pattern.fullmatch(own.upper()) for pattern in _LOCAL)
    return local or root in POINT_VALUES or bool(_MOSCOW_NAME.fullmatch(own))


def may_be_inverse(symbol: str) -> bool:
    """Whether the symbol may be a contract that is counted in dollars and settled in its coin.

    >>> [
    ...     may_be_inverse(s)
    ...     for s in ("XBTUSD", "BTCUSD_PERP", "BTCUSDT", "BTC-USD", "ETHUSD_240329", "BTC/USD:BTC")
    ... ]
    [True, True, False, False, True, True]
    """
    text = symbol.strip().upper()
    if kraken := _OF_KRAKEN.fullmatch(text):
        return kraken[1] in _SETTLED_IN_COIN
    if found := _SETTLED.fullmatch(text):
        return found[1] == found[3]
    if re.fullmatch(r"(BTC|ETH|SOL)-(PERPETUAL|USD-\d{6}|\d{1,2}[A-Z]{3}\d{2})", text):
        return True
    if not _COIN_IN_DOLLARS.fullmatch(text):
        return False
    return (
        "_" in text
        or text.startswith("XBT")
        or text.endswith(("SWAP", "PERPETUAL"))
        or "-" not in text
    )
