"""The rows of a table that count, and the keys of the mapping that select them.

May touch: nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from app.sources.cells import DASHES, as_text
from app.sources.drafting.contents import Contents


@dataclass
class Kept:
    """The rows that count, and the keys of the mapping that select them."""

    contents: Contents
    keep: dict[str, list[str]] = field(default_factory=dict)
    leave_out: dict[str, list[str]] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    def drop(self, column: str, words: list[str], why: str) -> None:
        """Leave out the rows whose cell in the column is one of the words (`` for an empty
        cell)."""
        gone = set(words)
        rows = [
            row
            for row, value in zip(self.contents.rows, self.contents.cells(column), strict=True)
            if ("" if value is None else as_text(value)) not in gone
        ]
        n_gone = self.contents.n_rows - len(rows)
        if not n_gone or not rows:
            return
        dashes = {str(row.cells.get(column) or "").strip() for row in self.contents.rows} & DASHES
        self.contents = self.contents.with_rows(rows)
        self.leave_out.setdefault(column, []).extend(words)
        if "" in gone and not dashes & self.contents.words(column).keys():
            self.leave_out[column].extend(sorted(dashes))
        shown = ", ".join(word or "nothing" for word in words[:8])
        self.said.append(f"{n_gone:,} rows are left out, where {column} is {shown}: {why}.")

    def only(self, column: str, words: list[str], why: str) -> None:
        """Keep the rows whose cell in the column is one of the words."""
        rows = [
            row
            for row, value in zip(self.contents.rows, self.contents.cells(column), strict=True)
            if value is not None and as_text(value) in words
        ]
        n_gone = self.contents.n_rows - len(rows)
        if not n_gone or not rows:
            return
        self.contents = self.contents.with_rows(rows)
        self.keep[column] = words
        self.said.append(
            f"{n_gone:,} rows are left out, as only those count where {column} is"
            f" {', '.join(words)}: {why}."
        )
