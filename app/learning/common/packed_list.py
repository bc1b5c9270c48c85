"""A list of short bytes, held in one piece.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable


class PackedList:
    """Bytes by place, in an eighth of the memory that objects take beside their content.

    >>> ranks = PackedList()
    >>> ranks.append(b"ab"), ranks.append(b""), ranks.append(b"c")
    (None, None, None)
    >>> ranks[0], ranks[1], ranks[2]
    (b'ab', b'', b'c')
    >>> ranks.keep([2, 0])
    >>> ranks[0], ranks[1]
    (b'c', b'ab')
    """

    def __init__(self) -> None:
        self._content = bytearray()
        self._ends = array("Q", [0])

    def __getitem__(self, place: int) -> bytes:
        return bytes(self._content[self._ends[place] : self._ends[place + 1]])

    def append(self, item: bytes) -> None:
        """Add an item at the next place.

        Parameters
        ----------
        item
            The item.
        """
        self._content += item
        self._ends.append(len(self._content))

    def keep(self, places: Iterable[int]) -> None:
        """Keep the items of some places, in this order.

        Parameters
        ----------
        places
            The places.
        """
        kept = [self[place] for place in places]
        self._content, self._ends = bytearray(), array("Q", [0])
        for item in kept:
            self.append(item)
