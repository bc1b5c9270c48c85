"""The common part of the readers of rows: a mapping, the cells that it names, contract values, and
ids for rows without one.

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
    """Reads rows according to `mapping`; it remembers the rows without an id, to distinguish equal
    ones."""

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
        """Whether the mapping has contract values for other symbols, but none for one that looks
        like an option or a future."""
        return bool(self._mapping.multipliers) and (
            is_option(str(symbol)) or future_of(str(symbol)) is not None
        )
