"""A list of short bytes, held in one piece.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate


class PackedList:
    """Bytes by place, in an eighth of the memory that objects take beside their content.

    >>> ranks = PackedList()
    >>> ranks.extend([b"ab", b"", b"c"])
    >>> ranks[0], ranks[1], ranks[2]
    (b'ab', b'', b'c')
    >>> ranks.keep([2, 0])
    >>> ranks.extend([b"d", b"ef"])
    >>> ranks[0], ranks[1], ranks[3]
    (b'c', b'ab', b'ef')
    """

    def __init__(self) -> None:
        self._content = bytearray()
        self._ends = array("I", [0])

    def __getitem__(self, place: int) -> bytes:
        return bytes(self._content[self._ends[place] : self._ends[place + 1]])

    def extend(self, items: Sequence[bytes]) -> None:
        """Add items at the next places.

        Parameters
        ----------
        items
            The items.
        """
        ends = accumulate(map(len, items), initial=len(self._content))
        next(ends)
        self._content += b"".join(items)
        self._ends.extend(ends)

    def keep(self, places: Iterable[int]) -> None:
        """Keep the items of some places, in this order.

        Parameters
        ----------
        places
            The places.
        """
        kept = [self[place] for place in places]
        self._content, self._ends = bytearray(), array("I", [0])
        self.extend(kept)
