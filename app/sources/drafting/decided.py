"""The decisions about a table so far, and the questions.

May touch: nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from app.sources.drafting.kept_rows import Kept
from app.sources.drafting.spec import Fields
from app.sources.mapping import OPEN_QUESTION


class Given(Protocol):
    """Answers to questions."""

    @property
    def fields(self) -> Fields:
        """Fields that are named."""

    @property
    def keys(self) -> dict[str, Any]:
        """Keys at the top of the mapping."""

    def settle(self, section: str, key: str) -> bool:
        """Whether they answer the question for `key` of a section (empty: at the top)."""


@dataclass
class Decided:
    """How a table is read.  `keys` are top-level keys of the mapping with their comments,
    `sections` further sections by name (their values with comments); `asked` are questions that
    appear in the mapping as `"?"`, `left` those that do not prevent reading; `in_points` are
    columns whose numbers are points, pips or ticks; `given` are answers that are known
    already, and `key_of` has the keys that questions ask for."""

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
    given: Given | None = None
    key_of: dict[str, str] = field(default_factory=dict)

    def ask(self, key: str, question: str, comment: str, *, section: str = "") -> None:
        """A question whose answer must replace `"?"`; nothing is asked whose answer is given."""
        if self.given is not None and self.given.settle(section, key):
            if section == "columns" and key in self.given.fields:
                self.fields[key] = self.given.fields[key]
            elif not section:
                self.keys[key] = (self.given.keys[key], "")
            return
        self.asked.append(question)
        self.key_of[question] = key
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
