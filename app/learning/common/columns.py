"""Numbers of every group of a module as columns, of which one row changes at a time.

May touch: nothing but its arguments.  Rows are in the order of their groups, and sums are exact or
in that order: they depend on the set of rows alone, not on its history.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Key = TypeVar("Key")


class Columns(Generic[Key]):
    """A row of numbers for each group.

    Parameters
    ----------
    width
        Numbers in a row.

    >>> columns = Columns(2)
    >>> columns.put(("b", "add"), (1.0, 2.0))
    >>> columns.put(("a", "add"), (3.0, 4.0))
    >>> columns.put(("b", "add"), (5.0, 6.0))
    >>> columns.values().tolist(), columns.total(0)
    ([[3.0, 4.0], [5.0, 6.0]], 8.0)
    >>> columns.drop(("a", "add"))
    >>> columns.total(1)
    6.0
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._row: dict[Key, Sequence[float]] = {}
        self._place: dict[Key, int] | None = {}  # None: groups have come or gone
        self._values = np.zeros((0, width))

    def __len__(self) -> int:
        return len(self._row)

    def __contains__(self, group: object) -> bool:
        return group in self._row

    def put(self, group: Key, row: Sequence[float]) -> None:
        """Set the row of a group.

        Parameters
        ----------
        group
            The group.
        row
            Its numbers.
        """
        new = group not in self._row
        self._row[group] = row
        if new:
            self._place = None
        elif self._place is not None:
            self._values[self._place[group]] = row

    def drop(self, group: Key) -> None:
        """Remove the row of a group, if it has one.

        Parameters
        ----------
        group
            The group.
        """
        if self._row.pop(group, None) is not None:
            self._place = None

    def groups(self) -> list[Key]:
        """The groups, in the order of the rows."""
        self.values()
        return list(self._place or ())

    def values(self) -> Floats:
        """All rows.

        Returns
        -------
        The rows (G, width), sorted by group.
        """
        if self._place is None:
            ordered = sorted(self._row, key=_order)
            self._place = {group: place for place, group in enumerate(ordered)}
            self._values = np.array([self._row[group] for group in ordered], np.float64).reshape(
                len(ordered), self._width
            )
        return self._values

    def total(self, column: int) -> float:
        """The sum of a column, rounded once (whatever the order of the groups).

        Parameters
        ----------
        column
            Its place in the rows.

        Returns
        -------
        The sum.
        """
        return fsum(self.values()[:, column].tolist())


def _order(group: Any) -> Any:
    return group
