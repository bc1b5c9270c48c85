"""The comparison of tables with a mapping, without the closes.

May touch: the files it is given (read only).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from app.sources.comparing import Comparing
from app.sources.contradictions import Contradicted
from app.sources.filters import rows_of
from app.sources.mapping import TableMapping
from app.sources.notes import Notes
from app.sources.tables import Row


def contradicted(paths: Sequence[str], mapping: TableMapping) -> list[Contradicted]:
    """What figures of the tables say against `mapping`; raises as `app.sources.closes` does."""
    found: list[Contradicted] = []
    comparing = Comparing(mapping, lambda some, _: found.extend(some))
    files: Iterator[tuple[str, Iterator[Row]]] = (
        (path, rows_of(path, mapping, Notes(), comparing.watched)) for path in paths
    )
    if mapping.rows == "fills":
        files = comparing.fills(files)
    else:
        files = ((path, comparing.positions(path, rows)) for path, rows in files)
    for _, rows in files:
        deque(rows, 0)
    return found
