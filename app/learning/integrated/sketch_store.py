"""The sketches of points, held compactly: slices of one group share most of their trades.

May touch: nothing but its arguments.

New sketches are loose, six bytes a hash.  Once enough of them have gathered, they become a block:
its distinct hashes once, and of each sketch the places of its hashes among them, two bytes each.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from app.learning.integrated.sketches import HASH_BYTES, Hashes, packed_hashes, unpacked_hashes

LOOSE = 1024
"""Loose sketches from which they become a block: a change of one group adds fewer."""
MOST_HASHES = 1 << 16
"""Distinct hashes of a block, so that a place takes two bytes."""
LEAST_LEFT = 0.5
"""A block with a smaller part of its sketches left is taken apart when the next one is made."""


class Block:
    """Some sketches.

    Parameters
    ----------
    known
        The distinct hashes of all of them, ascending.
    place
        The places of their hashes in `known`, one sketch after the other.
    start
        Where each begins in `place`, and the end of the last.
    """

    __slots__ = ("_known", "_place", "_start", "left")

    def __init__(self, known: Hashes, place: NDArray[np.uint16], start: NDArray[np.uint32]) -> None:
        self._known, self._place, self._start = known, place, start
        self.left = len(self)
        """Sketches that have not been removed."""

    def __len__(self) -> int:
        return len(self._start) - 1

    def hashes(self, row: int) -> Hashes:
        """The hashes of one sketch, ascending.

        Parameters
        ----------
        row
            Which sketch.

        Returns
        -------
        The hashes.
        """
        return self._known[self._place[self._start[row] : self._start[row + 1]]]


class SketchStore:
    """Sketches by the numbers of their points.

    >>> store = SketchStore()
    >>> store.put(1, packed_hashes(np.array([3, 5], np.uint64)))
    >>> store.put(0, packed_hashes(np.array([5], np.uint64)))
    >>> store.pack(least=2)
    >>> store.hashes([0, 1]).tolist(), store.packed(0).hex()
    ([5, 3, 5], '000000000005')
    >>> store.remove(1)
    >>> store.hashes([0]).tolist()
    [5]
    """

    def __init__(self) -> None:
        self._loose: dict[int, bytes] = {}
        self._blocks: dict[int, Block] = {}
        self._next = 0
        # of each point, its block (−1: it is in none) and its row in it
        self._block, self._row = array("i"), array("H")

    def put(self, point: int, packed: bytes) -> None:
        """Add the sketch of a point that has none.

        Parameters
        ----------
        point
            Its number.
        packed
            The sketch, as `packed_hashes` packs it.
        """
        self._loose[point] = packed

    def remove(self, point: int) -> None:
        """Remove the sketch of a point.

        Parameters
        ----------
        point
            Its number.
        """
        if self._loose.pop(point, None) is None:
            number = self._block[point]
            self._block[point] = -1
            self._blocks[number].left -= 1
            if not self._blocks[number].left:
                del self._blocks[number]

    def packed(self, point: int) -> bytes:
        """The sketch of a point, six bytes a hash.

        Parameters
        ----------
        point
            Its number.

        Returns
        -------
        The sketch, as `packed_hashes` packs it.
        """
        loose = self._loose.get(point)
        return packed_hashes(self._of(point)) if loose is None else loose

    def hashes(self, points: Sequence[int]) -> Hashes:
        """The sketches of points, one after the other.

        Parameters
        ----------
        points
            Their numbers.

        Returns
        -------
        The hashes of all of them.
        """
        loose = self._loose
        if all([point in loose for point in points]):
            return unpacked_hashes(b"".join([loose[point] for point in points]))
        return np.concatenate(
            [
                unpacked_hashes(loose[point]) if point in loose else self._of(point)
                for point in points
            ]
        )

    def pack(self, least: int = LOOSE) -> None:
        """Make blocks of the loose sketches, if there are enough.

        Parameters
        ----------
        least
            How many are enough.
        """
        if len(self._loose) < least:
            return
        sparse = {i for i, block in self._blocks.items() if block.left < LEAST_LEFT * len(block)}
        if sparse:
            moved = [point for point, number in enumerate(self._block) if number in sparse]
            self._loose |= {point: self.packed(point) for point in moved}
            for number in sparse:
                del self._blocks[number]
        points = sorted(self._loose)
        grown = points[-1] + 1 - len(self._block)
        self._block.extend([-1] * grown)
        self._row.extend([0] * grown)
        self._pack(points)
        self._loose = {}

    def _pack(self, points: list[int]) -> None:
        """Make one block of these loose sketches, or two if they have too many hashes."""
        hashes = self.hashes(points)
        known, place = np.unique(hashes, return_inverse=True)
        half = len(points) // 2
        if half and max(len(known), len(points)) > MOST_HASHES:
            self._pack(points[:half])
            self._pack(points[half:])
            return
        start = np.cumsum([0, *self._lengths(points)]).astype(np.uint32)
        self._blocks[self._next] = Block(known, place.astype(np.uint16), start)
        for row, point in enumerate(points):
            self._block[point], self._row[point] = self._next, row
        self._next += 1

    def _lengths(self, points: Iterable[int]) -> list[int]:
        return [len(self._loose[point]) // HASH_BYTES for point in points]

    def _of(self, point: int) -> Hashes:
        return self._blocks[self._block[point]].hashes(self._row[point])
