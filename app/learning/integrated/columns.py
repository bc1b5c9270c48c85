"""Numbers of every group of a module as columns, of which a row changes at a time.

May touch: nothing but its arguments.  Rows are in the order of their groups, and sums are exact or
in that order: they depend on the set of rows alone, not on how it came about.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum

import numpy as np
from numpy.typing import NDArray

from app.learning.integrated.merging import Group
from app.learning.integrated.persistence import symmetric
from schemas.lessons import BlockProducts

Floats = NDArray[np.float64]


class Columns:
    """A row of `width` numbers for each group.

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
        self._row: dict[Group, Sequence[float]] = {}
        self._place: dict[Group, int] | None = {}  # None: groups have come or gone
        self._values = np.zeros((0, width))

    def __len__(self) -> int:
        return len(self._row)

    def put(self, group: Group, row: Sequence[float]) -> None:
        """Set the row of a group."""
        new = group not in self._row
        self._row[group] = row
        if new:
            self._place = None
        elif self._place is not None:
            self._values[self._place[group]] = row

    def drop(self, group: Group) -> None:
        """Remove the row of a group, if it has one."""
        if self._row.pop(group, None) is not None:
            self._place = None

    def groups(self) -> list[Group]:
        """The groups, in the order of the rows."""
        self.values()
        return list(self._place or ())

    def values(self) -> Floats:
        """All rows (G, width), by group."""
        if self._place is None:
            ordered = sorted(self._row)
            self._place = {group: place for place, group in enumerate(ordered)}
            self._values = np.array([self._row[group] for group in ordered], np.float64).reshape(
                len(ordered), self._width
            )
        return self._values

    def total(self, column: int) -> float:
        """The sum of a column, rounded once."""
        return fsum(self.values()[:, column].tolist())


class Products:
    """Products of blocks of every group, and their sum."""

    def __init__(self) -> None:
        self._grid: dict[Group, tuple[int, int]] = {}
        self._columns: dict[tuple[int, int], Columns] = {}

    def put(self, group: Group, part: BlockProducts | None) -> None:
        """Set those of a group; None: it has none."""
        grid = None if part is None else (part.first, part.blocks)
        before = self._grid.get(group)
        if before is not None and before != grid:
            self._columns[before].drop(group)
            if not len(self._columns[before]):
                del self._columns[before]
            del self._grid[group]
        if part is not None and grid is not None:
            self._grid[group] = grid
            if grid not in self._columns:
                self._columns[grid] = Columns(len(part.upper))
            self._columns[grid].put(group, part.upper)

    def total(self) -> Floats:
        """The sum (B, B) over the same grid of blocks."""
        if not self._columns:
            return np.zeros((0, 0))
        first = min(first for first, _ in self._columns)
        size = max(sum(grid) for grid in self._columns) - first
        added = np.zeros((size, size))
        for (begin, blocks), columns in sorted(self._columns.items()):
            place = slice(begin - first, begin - first + blocks)
            added[place, place] += symmetric(columns.values().sum(axis=0).tolist())
        return added
