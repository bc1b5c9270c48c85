"""Text tables whose columns are aligned by spaces.

May touch: nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

_LEAST_CELLS, _LEAST_LINES = 4, 2
_MOST = 0.8
"""Share of the lines with several cells that have to keep to the columns."""
_MARKS = frozenset(",;|\t")
_GAP = re.compile(r"\s{2,}")


class Aligned(NamedTuple):
    """The gaps between the columns, as where each begins and ends."""

    gaps: tuple[tuple[int, int], ...]

    def keeps(self, line: str) -> bool:
        """Whether nothing stands in the gaps."""
        return not any(line[begin:end].strip() for begin, end in self.gaps)

    def cells(self, line: str) -> list[str]:
        """The cells of a line; one that does not keep to the columns, such as a title, is split
        where two spaces are."""
        text = line.rstrip()
        if not self.keeps(text):
            return _GAP.split(text.strip())
        cuts = [0, *(begin for begin, _ in self.gaps), len(text)]
        return [text[begin:end].strip() for begin, end in pairwise(cuts)]


def aligned(head: Sequence[str]) -> Aligned | None:
    """How the lines are cut, None where they are not cells with two spaces or more between them, at
    the same places.

    >>> lines = ["Symbol  Time              Qty  Price", "MSFT    2024-03-04 10:00   10  410.5"]
    >>> table = aligned(lines)
    >>> table.cells("AAPL    2024-03-05 11:00       171.25")
    ['AAPL', '2024-03-05 11:00', '', '171.25']
    >>> aligned(["Symbol,Qty  ,Price  ,Fee  ,PnL"] * 3)
    """
    lines = [line.strip("\ufeff\r\n").rstrip() for line in head if line.strip()]
    counts = Counter(len(_GAP.split(line.strip())) for line in lines)
    several = [line for line in lines if len(_GAP.split(line.strip())) >= _LEAST_CELLS]
    if not several or _MARKS & {*several[0]}:
        return None
    for n_cells in sorted(counts, reverse=True):
        if n_cells < _LEAST_CELLS or counts[n_cells] < _LEAST_LINES:
            continue
        gaps = _gaps([line for line in lines if len(_GAP.split(line.strip())) == n_cells])
        found = Aligned(gaps)
        if len(gaps) == n_cells - 1 and sum(map(found.keeps, several)) >= _MOST * len(several):
            return found
    return None


def _gaps(lines: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Where all lines have spaces, of which each is beside another one: a single space is within a
    cell, as between a day and a time of day."""
    every = [{at for gap in _GAP.finditer(line) for at in range(*gap.span())} for line in lines]
    common = sorted(set.intersection(*every))
    begins = [at for at in common if at - 1 not in common]
    ends = [at + 1 for at in common if at + 1 not in common]
    return tuple(gap for gap in zip(begins, ends, strict=True) if gap[0] > 0)
