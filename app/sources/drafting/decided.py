"""The decisions about a table so far, and the questions.

May touch: nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from app.sources.drafting.kept_rows import Kept
from app.sources.drafting.spec import Fields
from app.sources.mapping import OPEN_QUESTION


@dataclass
class Decided:
    """How a table is read.  `keys` are top-level keys of the mapping with their comments,
    `sections` further sections by name (their values with comments); `asked` are questions that
    appear in the mapping as `"?"`, `left` those that do not prevent reading; `in_points` are
    columns whose numbers are points, pips or ticks."""

    rows: str
    fields: Fields
    kept: Kept
    keys: dict[str, tuple[Any, str]] = field(default_factory=dict)
    sections: dict[str, dict[str, tuple[Any, str]]] = field(default_factory=dict)
    guessed: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    two_rows: bool = False
    in_points: set[str] = field(default_factory=set)

    def ask(self, key: str, question: str, comment: str, *, section: str = "") -> None:
        """A question whose answer must replace `"?"`."""
        self.asked.append(question)
        if section:
            self.sections.setdefault(section, {})[key] = (OPEN_QUESTION, comment)
        else:
            self.keys[key] = (OPEN_QUESTION, comment)

    def used(self) -> set[str]:
        """The columns of all fields."""
        return {column for spec in self.fields.values() for column in spec.columns}

    def score(self, title: str) -> float:
        """How likely it is that the table has the trades, judged by its fields and its title."""
        there = self.fields.keys()
        points = 3.0 if self.rows == "fills" and {"side", "symbol"} & there else 1.0
        if self.rows == "positions":
            points = (
                1.0
                + 1.5 * ({"entry_price", "exit_price"} <= there)
                + 1.5 * ({"entry_timestamp", "exit_timestamp"} <= there)
            )
            points += 0.5 * bool({"pnl_usd", "roi"} & there)
        words = title.lower()
        points += 0.6 * any(
            word in words
            for word in ("trade", "position", "closed", "deal", "execution", "transaction", "fill")
        )
        points -= 0.8 * any(
            word in words
            for word in (
                "order",
                "open",
                "cash",
                "summary",
                "pending",
                "working",
                "balance",
                "lots",
                "dividend",
            )
        )
        return points - 0.3 * len(self.asked)
