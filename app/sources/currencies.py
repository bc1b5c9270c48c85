"""Currencies as exports write them: codes, signs, and words beside a number.

May touch: nothing.
"""

from __future__ import annotations

MAJOR = (
    "USD", "EUR", "GBP", "JPY", "CHF", "CAD", "AUD", "NZD", "TRY", "BRL", "PLN", "SEK", "NOK",
    "DKK", "ZAR", "MXN", "SGD", "HKD", "CNH", "INR", "KRW", "UAH", "RUB", "TWD",
)  # fmt: skip
"""Codes of currencies in which pairs are priced everywhere, the likeliest first."""
MINOR = (
    "CNY", "CZK", "HUF", "RON", "BGN", "RSD", "ISK", "ILS", "AED", "SAR", "QAR", "KWD", "THB",
    "IDR", "MYR", "PHP", "VND", "KZT", "GEL", "CLP", "COP", "ARS", "PEN", "UYU", "NGN", "KES",
    "EGP", "MAD", "PKR", "LKR", "BDT",
)  # fmt: skip
"""Codes of the other ones."""
FIAT = frozenset((*MAJOR, *MINOR))
SIGNS = {
    "€": "EUR",
    "£": "GBP",
    "¥": "JPY",
    "₹": "INR",
    "₽": "RUB",
    "₩": "KRW",
    "₺": "TRY",
    "₿": "BTC",
    "₫": "VND",
    "₴": "UAH",
    "฿": "THB",
    "₪": "ILS",
    "₱": "PHP",
    "₦": "NGN",
    "₸": "KZT",
    "₾": "GEL",
}
"""Signs but that of dollars."""
BESIDE_NUMBERS = {
    "zł": "PLN",
    "kč": "CZK",
    "ft": "HUF",
    "tl": "TRY",
    "rp": "IDR",
    "rm": "MYR",
    "лв": "BGN",
    "руб": "RUB",
    "грн": "UAH",
    "円": "JPY",
    "원": "KRW",
    "บาท": "THB",
    "đ": "VND",
    "lei": "RON",
    "rs": "INR",
    "s/": "PEN",
    "元": None,
    "kr": None,
    **dict.fromkeys(("stk", "stück", "шт", "szt", "ks", "kpl"), None),
}
"""Words beside numbers, in small letters; None: of several currencies, or of pieces."""
NAMES_OF_CURRENCIES = {
    **dict.fromkeys(
        (
            "us dollar", "us dollars", "u.s. dollar", "u.s. dollars", "dólar", "dólares", "dolar",
            "dolares", "dólar estadounidense", "dólares estadounidenses", "dólar americano", "美元",
            "美金", "米ドル", "미국달러", "доллар сша", "доллары сша", "abd doları",
        ),
        "USD",
    ),
    **dict.fromkeys(("euro", "euros", "欧元", "歐元", "ユーロ", "유로", "евро"), "EUR"),
    **dict.fromkeys(("人民币", "人民幣"), "CNY"),
    **dict.fromkeys(("港币", "港幣", "港元", "홍콩달러"), "HKD"),
    **dict.fromkeys(("日元", "日圓", "日圆", "円", "日本円"), "JPY"),
    **dict.fromkeys(("新台幣", "新臺幣", "台幣"), "TWD"),
    **dict.fromkeys(("원", "원화"), "KRW"),
    **dict.fromkeys(("рубль", "рубли", "российский рубль", "rur"), "RUB"),
    **dict.fromkeys(("real", "reais"), "BRL"),
    **dict.fromkeys(("אג'", "אג׳", "אגורות", "agorot"), "ILA"),
    **dict.fromkeys(("ש\"ח", "ש״ח", "שקל", "₪"), "ILS"),
}  # fmt: skip
"""Names of currencies in cells, in small letters.  A dollar or a peso without its country may be
that of several."""
SMALLEST = {"XBt": ("XBT", 8), "USDt": ("USDT", 6), "Gwei": ("ETH", 9), "LAMp": ("SOL", 9)}
"""Units of a currency in which some exchanges count: the currency, and how many decimals of it."""
