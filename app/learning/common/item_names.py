"""The names of a window's items: dimension and value.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Names(Protocol):
    """What gives items their names: a window, or a copy of its names."""

    @property
    def n_items(self) -> int:
        """Items known, the missing one (0) included."""

    def pair(self, item: int) -> tuple[str, str]:
        """The dimension and the value of an item."""


class ItemNames:
    """A copy of the names of a window's items, which can be pickled.

    Parameters
    ----------
    items
        Dimension and value of each item; the first is the missing one.

    >>> names = ItemNames([("", ""), ("chain", "sol")])
    >>> names.n_items, names.pair(1)
    (2, ('chain', 'sol'))
    """

    def __init__(self, items: Sequence[tuple[str, str]]) -> None:
        self._items = list(items)

    @property
    def n_items(self) -> int:
        """Items known, the missing one (0) included."""
        return len(self._items)

    def pair(self, item: int) -> tuple[str, str]:
        """The meaning of an item.

        Parameters
        ----------
        item
            Its number.

        Returns
        -------
        Dimension and value.
        """
        return self._items[item]
