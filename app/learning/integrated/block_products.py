"""Products of blocks of every group of a category; they change one group at a time.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from array import array

import numpy as np
from numpy.typing import NDArray

from app.learning.common.columns import Columns
from app.learning.integrated.merging import Group
from app.learning.integrated.persistence import symmetric
from schemas.lessons import BlockProducts

Floats = NDArray[np.float64]


class Products:
    """Products of blocks of every group, and their sum."""

    def __init__(self) -> None:
        self._grid: dict[Group, tuple[int, int]] = {}
        self._columns: dict[tuple[int, int], Columns[Group]] = {}

    def put(self, group: Group, part: BlockProducts | None) -> None:
        """Set the products of a group.

        Parameters
        ----------
        group
            The group.
        part
            Its products of blocks; None: it has none any more.
        """
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
            self._columns[grid].put(group, array("d", part.upper))

    def total(self) -> Floats:
        """The sum of the products of all groups.

        Returns
        -------
        Sums (B, B) over one grid of blocks, from the first to the last; (0, 0) without any.

        >>> held = Products()
        >>> held.put(("a", "add"), BlockProducts(3, 2, (1.0, 2.0, 3.0)))
        >>> held.put(("b", "add"), BlockProducts(4, 1, (10.0,)))
        >>> held.total().tolist()
        [[1.0, 2.0], [2.0, 13.0]]
        """
        if not self._columns:
            return np.zeros((0, 0))
        first = min(first for first, _ in self._columns)
        size = max(sum(grid) for grid in self._columns) - first
        added = np.zeros((size, size))
        for (begin, blocks), columns in sorted(self._columns.items()):
            place = slice(begin - first, begin - first + blocks)
            added[place, place] += symmetric(columns.values().sum(axis=0).tolist())
        return added
