"""Rows that are fills, as closed positions: from flat to flat, first in first out.

May touch: temporary files (see `spool`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from app.sources import making
from app.sources.books import Books, Fill, Position, positions
from app.sources.deliveries import UNDELIVERED, is_delivered, underlying
from app.sources.fill_events import FillEvents
from app.sources.fill_reader import UNREADABLE, Closing, FillReader
from app.sources.mapping import TableMapping
from app.sources.notes import Notes
from app.sources.spool import Spool, moment_of
from app.sources.tables import Row

__all__ = ["Closing", "Fill", "Fills", "positions"]

STILL_OPEN = "positions that are still open, left out"
_HELD = 50_000
"""Rows that are not fills and wait until all rows have been read, at most."""
OVERSOLD = "symbols with more sold than was held; the rest was left out"


class Fills:
    """Makes events from the rows of all files together: a position may be opened in one file and
    closed in the next."""

    def __init__(self, mapping: TableMapping, module: str, notes: Notes) -> None:
        self._mapping = mapping
        self._notes = notes
        self._reader = FillReader(mapping, module, notes)
        self._events = FillEvents(mapping, module, notes)
        self._in_unread: set[str] = set()
        self._values: dict[Any, tuple[str, Decimal]] = {}
        self._symbols: Counter[str] = Counter()
        self.oversold: dict[str, Decimal] = {}

    def closings(self, files: Iterable[tuple[str, Iterable[Row]]]) -> Iterator[Closing]:
        """The closes in the (path, rows) of each file: first the rows that are not fills, which
        input validation refuses, then the closes by time."""
        events = self._events
        for found in self.positions(files):
            if isinstance(found, Closing):
                yield found
            elif found.held == 0:
                last = found.steps[-1].fill
                yield Closing(events.event(found), last.place, last.position, events.told(found))
            else:
                symbol, held = str(found.steps[0].fill.book[1]), found.direction * found.held
                self._notes.add(STILL_OPEN, name=f"{symbol} {held.normalize():f}")

    def positions(self, files: Iterable[tuple[str, Iterable[Row]]]) -> Iterator[Closing | Position]:
        """The rows that are not fills, then each position when it is closed, then those that stay
        open."""
        with Spool() as spool:
            assigned: list[Fill] = []
            unread: list[Closing] = []
            for number, (path, rows) in enumerate(files):
                for closing in self._read(path, rows, number, spool, assigned):
                    if len(unread) < _HELD:
                        unread.append(closing)
                    else:
                        yield closing
            yield from unread
            self._reader.multiplier_check.note()
            alone = self._undelivered(assigned, spool)
            yield from map(self._refused, alone)
            books = Books(self._mapping.splits, self._doubted(), self._mapping.shorts)
            for position, _ in positions(self._completed(spool, alone), books):
                yield position
        self.oversold = dict(books.oversold)
        for symbol, rest in books.oversold.items():
            self._notes.add(OVERSOLD, name=f"{symbol} {rest.normalize():f}")
        for what, fill in books.odd:
            self._notes.add(what, name=str(fill.book[1]))

    def _read(
        self, path: str, rows: Iterable[Row], number: int, spool: Spool, assigned: list[Fill]
    ) -> Iterator[Closing]:
        """The rows of a file that are not fills; the others go into `spool`."""
        before, falls = "", 0
        for row in rows:
            found = self._reader.read(path, row)
            if isinstance(found, Closing):
                self._note_unread(row)
                yield found
                continue
            if found is None:
                continue
            spool.add(found, number)
            moment = moment_of(found)
            falls += (before > moment) - (before < moment) if before else 0
            before = moment
            self._symbols[str(found.book[1])] += 1
            if found.kind == "assignment":
                assigned.append(found)
            if found.multiplier is not None:
                first = self._values.get(found.book[1])
                if first is None or moment < first[0]:
                    self._values[found.book[1]] = moment, found.multiplier
        if falls > 0 if self._mapping.newest_first is None else self._mapping.newest_first:
            # Newest first, as in many exports: of rows with equal times, too, the last is the
            # first.
            spool.turn(number)

    def _undelivered(self, assigned: list[Fill], spool: Spool) -> list[Fill]:
        """The assignments whose shares have no fill of their own."""
        if not assigned:
            return []
        shares = {underlying(str(fill.book[1])) for fill in assigned}
        moved = [fill for fill in spool if str(fill.book[1]).strip().upper() in shares]
        return [fill for fill in assigned if not is_delivered(fill, moved)]

    def _refused(self, fill: Fill) -> Closing:
        row = Row(dict(fill.row), int(fill.place.rpartition(":")[2]), fill.position, [])
        self._note_unread(row)
        self._symbols[str(fill.book[1])] -= 1
        self._notes.add(UNREADABLE)
        wrong = UNDELIVERED.format(symbol=fill.book[1])
        return Closing(self._reader.unreadable(row, True, wrong), fill.place, fill.position)

    def _note_unread(self, row: Row) -> None:
        self._in_unread.update(str(cell).strip() for cell in (*row.cells.values(), *row.beyond))

    def _doubted(self) -> set[str]:
        """The symbols that occur anywhere in rows that could not be read."""
        found = {symbol for symbol, n in self._symbols.items() if n} & self._in_unread
        for symbol in sorted(found):
            self._notes.add(UNREADABLE, 0, symbol)
        return found

    def _completed(self, spool: Spool, alone: list[Fill]) -> Iterator[Fill]:
        """The fills in order of time.  Equal ones without an id are numbered, and those without a
        contract value get the first one of their symbol."""
        twins, moment = making.Occurrences(), ""
        gone = {fill.place for fill in alone}
        for fill in spool:
            if fill.place in gone:
                continue
            if fill.ts != moment:
                twins, moment = making.Occurrences(), fill.ts
            value = fill.multiplier
            if value is None and fill.book[1] in self._values:
                value = self._values[fill.book[1]][1]
            yield fill._replace(
                own_id=fill.own_id if fill.has_id else twins.unique(fill.own_id),
                multiplier=None if fill.kind in ("expiry", "assignment") else value,
            )
