"""What the readers of rows have in common: a mapping, the cells that it names, contract values, and
the ids of rows that have none of their own.

May touch: nothing.
"""

from __future__ import annotations

import fnmatch
from typing import Any

from app.sources import making
from app.sources.cells import Cells
from app.sources.mapping import TableMapping
from app.sources.notes import Notes
from app.sources.pairs import future_of, is_option


class RowReader:
    """Reads rows as `mapping` says; it remembers the rows without an id, to tell equal ones
    apart."""

    def __init__(self, mapping: TableMapping, module: str, notes: Notes) -> None:
        self._cells = Cells(mapping)
        self._mapping = mapping
        self._module = module
        self._notes = notes
        self._twins = making.Occurrences()

    def _value_by_name(self, symbol: Any) -> float | None:
        """Money per point and unit, by the first pattern of `[multipliers]` that the symbol
        matches."""
        return next(
            (
                value
                for pattern, value in self._mapping.multipliers.items()
                if fnmatch.fnmatchcase(str(symbol), pattern)
            ),
            None,
        )

    def _lacks_value(self, symbol: Any) -> bool:
        """Whether the mapping tells contract values of others, and none of what looks like an
        option or a future."""
        return bool(self._mapping.multipliers) and (
            is_option(str(symbol)) or future_of(str(symbol)) is not None
        )
