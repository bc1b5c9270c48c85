"""Fills in order of time, however many: they are sorted in runs, which wait in a temporary file.

May touch: a temporary file without a name.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from heapq import merge
from itertools import groupby
from operator import itemgetter
from tempfile import TemporaryFile
from typing import IO, Any

from app.sources.books import Fill

RUN = 50_000
"""Number of fills that are held in memory; fewer never touch the disk."""
_CHUNK = 500
"""Number of fills of a run that are read at once."""
_Entry = tuple[tuple[str, bool], int, int, Fill]
"""(the order by time, the number of the file, the number of the fill, the fill)."""


class Spool:
    """Takes fills in any order and returns them in order of time, as often as requested.  Fills
    with equal times keep their order, or are reversed in files that have the newest first."""

    def __init__(self) -> None:
        self._run: list[_Entry] = []
        self._stored: list[list[int]] = []
        self._file: IO[bytes] | None = None
        self._turned: set[int] = set()
        self._n = 0

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, fill: Fill, file: int) -> None:
        """Add a fill of the file with this number."""
        self._n += 1
        self._run.append((_order(fill), file, self._n, fill))
        if len(self._run) >= RUN:
            self._store()

    def turn(self, file: int) -> None:
        """The file has the newest fill first."""
        self._turned.add(file)

    def __iter__(self) -> Iterator[Fill]:
        self._run.sort(key=itemgetter(0, 1, 2))
        runs = [self._turned_back(self._stored_run(chunks)) for chunks in self._stored]
        for entry in merge(*runs, self._turned_back(iter(self._run)), key=self._key):
            yield entry[3]

    def _key(self, entry: _Entry) -> tuple[Any, ...]:
        order, file, number, _ = entry
        return order, file, -number if file in self._turned else number

    def _store(self) -> None:
        if self._file is None:
            self._file = TemporaryFile(prefix="fills-")  # noqa: SIM115 (closed by __exit__)
        self._run.sort(key=itemgetter(0, 1, 2))
        chunks = []
        for at in range(0, len(self._run), _CHUNK):
            chunks.append(self._file.tell())
            pickle.dump(self._run[at : at + _CHUNK], self._file, pickle.HIGHEST_PROTOCOL)
        self._stored.append(chunks)
        self._run = []

    def _stored_run(self, chunks: list[int]) -> Iterator[_Entry]:
        assert self._file is not None
        for at in chunks:
            self._file.seek(at)
            yield from pickle.load(self._file)

    def _turned_back(self, run: Iterator[_Entry]) -> Iterator[_Entry]:
        """The run, with the fills of equal times reversed in files that have the newest first."""
        for (_, file), entries in groupby(run, key=itemgetter(0, 1)):
            together = list(entries)
            yield from reversed(together) if file in self._turned else together


def moment_of(fill: Fill) -> str:
    """The time of a fill as text that sorts in the order of time."""
    return fill.ts.removesuffix("Z")


def _order(fill: Fill) -> tuple[str, bool]:
    """Sort by time; of one trade's rows at the same time, those that open come first."""
    return moment_of(fill), fill.book[2] is not None and fill.opens is False
