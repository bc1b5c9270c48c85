"""Which end of a trade a column is about, by words in its name, in the languages of exports.

May touch: nothing.
"""

from __future__ import annotations

import re

_OPEN = frozenset(
    (
        "open", "opened", "opening", "entry", "entered", "enter", "apertura", "abertura", "entrada",
        "abierto", "abierta", "ouverture", "ouvert", "entrée", "eröffnung", "eröffnet", "öffnung",
        "einstieg", "einstiegs", "eröffnungs", "otwarcia", "otwarcie", "öppning", "öppnad",
        "åpning", "åbning", "avaus", "açılış",
        "giriş", "otevírací", "открытия", "открытие", "входа",
        "відкриття", "otevření", "nyitás", "nyitási", "buka", "mở",
        "atidarymo", "atvēršanas", "avamise",
        "otvorenia", "otvaranja", "odprtja", "отваряне", "deschidere", "deschiderii",
    )
)  # fmt: skip
_CLOSE = frozenset(
    (
        "close", "closed", "closing", "exit", "exited", "cierre", "salida", "cerrado", "cerrada",
        "fechamento", "encerramento", "saída", "fermeture", "clôture", "sortie", "schließung",
        "schluss", "schließ", "ausstieg", "ausstiegs", "chiusura", "uscita", "zamknięcia",
        "zamknięcie", "stängning", "stängd", "lukning", "lukket", "sulkeminen", "kapanış", "çıkış",
        "закрытия", "закрытие", "выхода", "закриття", "uzavření",
        "zavření", "zavírací", "zárás", "zárási", "tutup",
        "uždarymo", "aizvēršanas",
        "sulgemise", "zatvorenia", "zatvaranja", "zaprtja", "затваряне",
        "đóng", "închidere", "închiderii",
    )
)  # fmt: skip
_COMPOUND_OPEN = re.compile(
    r"(^|_)(er)?(öffnung|öppning|åpning|åbning|opening|einstieg|avaus|nyitó)"
)
_COMPOUND_CLOSE = re.compile(
    r"(^|_)(schlie(ß|ss)|schluss|ausstieg|stängning|slutt|lukke|luknings|sluiting|sulkemis|záró)"
)
_COMPOUND_PRICE = re.compile(r"(preis|kurs|koers|pris|kurssi|hinta|ár)$")
"""Words of languages that write compounds as one word: `Schließpreis`."""
_EAST_OPEN = re.compile(
    "新規|建値|建玉|建日|建約定|オープン|建仓|建倉|开仓|開倉|進場|进场|진입|เปิด"
)
_EAST_CLOSE = re.compile("決済|返済|クローズ|平仓|平倉|出場|出场|청산|ปิด")
_PRICE = frozenset(
    (
        "price", "px", "rate", "level", "kurs", "preis", "prix", "cours", "niveau", "precio",
        "preço", "prezzo", "cena", "fiyat", "fiyatı", "цена", "ціна", "koers", "pris", "harga",
        "giá", "preț", "tasa", "nivel", "ár", "árfolyam", "hinta", "kaina", "hind", "cijena", "שער",
    )
)  # fmt: skip
_EAST_PRICE = re.compile("価格|价|價|값|レート|가격|평균가|ราคา")
_ORDER = frozenset(
    ("order", "orders", "orden", "ordre", "auftrag", "market", "day", "prior", "daily")
)


def end_of(name: str) -> str | None:
    """`entry` or `exit`, None where the name (as `known_as` writes it) says neither.

    >>> end_of("hora_de_cierre"), end_of("新規約定日時"), end_of("trade_time"), end_of("open_close")
    ('exit', 'entry', None, None)
    """
    words = set(name.split("_"))
    if words & _ORDER:
        return None
    opens = words & _OPEN or _EAST_OPEN.search(name) or _COMPOUND_OPEN.search(name)
    closes = words & _CLOSE or _EAST_CLOSE.search(name) or _COMPOUND_CLOSE.search(name)
    return None if bool(opens) == bool(closes) else "entry" if opens else "exit"


def is_price(name: str) -> bool:
    """Whether a word for prices is in the name.

    >>> end_of("schließpreis"), is_price("schließpreis"), is_price("öffnungszeit")
    ('exit', True, False)
    >>> is_price("precio_de_salida"), is_price("決済約定価格"), is_price("hora_de_salida")
    (True, True, False)
    """
    return bool(
        set(name.split("_")) & _PRICE or _EAST_PRICE.search(name) or _COMPOUND_PRICE.search(name)
    )
