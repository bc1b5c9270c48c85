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
    "元": None,
    "kr": None,
}
"""Words beside numbers, in small letters; None: of several currencies."""
SMALLEST = {"XBt": ("XBT", 8), "USDt": ("USDT", 6), "Gwei": ("ETH", 9), "LAMp": ("SOL", 9)}
"""Units of a currency in which some exchanges count: the currency, and how many decimals of it."""
