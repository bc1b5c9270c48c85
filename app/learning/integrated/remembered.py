"""Remembered results: what a judge made of a group, made again once it is made of something else.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any, Generic, TypeVar

Made = TypeVar("Made")

PLAIN = (str, int, float, tuple)
"""Types that are compared by value; everything else is the same only if it is the same object."""


class Remembered(Generic[Made]):
    """The last result for each key.

    >>> squares = Remembered()
    >>> squares.get("a", (3,), lambda: 9), squares.get("a", (3,), lambda: 0)
    (9, 9)
    >>> squares.get("a", (4,), lambda: 16)
    16
    """

    def __init__(self) -> None:
        self._held: dict[str, tuple[tuple[Any, ...], Made]] = {}

    def get(self, key: str, made_of: tuple[Any, ...], make: Callable[[], Made]) -> Made:
        """The last result for `key` if it was made of the same, else what `make` returns."""
        held = self._held.get(key)
        if held is not None and _alike(held[0], made_of):
            return held[1]
        made = make()
        self._held[key] = made_of, made
        return made

    def keep(self, keys: Container[str]) -> None:
        """Forget the results for all other keys."""
        self._held = {key: held for key, held in self._held.items() if key in keys}


def _alike(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    return len(one) == len(other) and all(
        a is b or (type(a) in PLAIN and type(b) in PLAIN and a == b)
        for a, b in zip(one, other, strict=True)
    )
