"""Sides that are written as the first letters of the two words in their column's name.

May touch: nothing.
"""

from __future__ import annotations

import re

from app.sources.drafting.decided import Decided
from app.sources.sides import Side, read_side


def first_letters(column: str, words: list[str]) -> dict[str, str] | None:
    """What means a purchase and what a sale, where the column's name has both words and its cells
    have their first letters.

    >>> first_letters("Nákup/Prodej", ["N", "P"]), first_letters("Buy/Sell", ["1", "2"])
    ({'buy': 'n', 'sell': 'p'}, None)
    """
    parts = [part.strip().lower() for part in re.split("[/|]", column)]
    said = [read_side(part) for part in parts]
    found = {
        "buy" if side.fill > 0 else "sell": part[0]
        for part, side in zip(parts, said, strict=True)
        if isinstance(side, Side)
    }
    same = {word.strip().lower() for word in words} <= {*found.values()}
    if [read_side(letter) for letter in found.values()] == said:
        return None  # They are known.
    return found if len(parts) == len(found) == len({*found.values()}) == 2 and same else None


def take_letters(decided: Decided, column: str, letters: dict[str, str]) -> None:
    """Write which first letter means which side, whatever it means in other languages."""
    decided.sections["sides"] = {
        side: ([letter], f"by the words in {column}") for side, letter in letters.items()
    }
