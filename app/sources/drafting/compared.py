"""What is compared: the rows as a mapping reads them, beside the columns that it does not read.

May touch: nothing.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import NamedTuple

from app.sources.drafting.adding_up import MOST
from app.sources.drafting.contents import Contents
from app.sources.drafting.outcomes import Outcome
from app.sources.mapping import Column, TableMapping

ALIKE, FAR, EXACT = 0.1, 5, 0.005
"""Within which share ratios are the same, by which factor amounts differ if something else was read
than what the file means, and what an exact figure may be off."""
NEAR_TIMES = (2.0, 2.5, 4.0, 0.5, 0.4, 0.25)
"""By which factors below `FAR` contract values differ from one another."""
FEWEST = 3
"""Rows at least that show a rule."""


class Contradiction(NamedTuple):
    """What speaks against the reading, as a question, and the rows that do, by their place among
    those compared; none where it is about all of them."""

    said: str
    rows: tuple[int, ...] = ()


@dataclass(frozen=True)
class Compared:
    """Rows (`positions` or `fills`) with their outcomes, the columns that are `read`, the fields
    that have one, whether the rows are all of the table, the `keys` that say how prices and
    quantities are read, and how the mapping reads the `columns` of fields."""

    kind: str
    contents: Contents
    found: Sequence[Outcome]
    read: AbstractSet[str]
    fields: AbstractSet[str]
    whole: bool = True
    keys: AbstractSet[str] = frozenset()
    columns: Mapping[str, Column] = field(default_factory=dict)

    @property
    def unread(self) -> list[str]:
        """The columns that are not read."""
        return [column for column in self.contents.columns if column not in self.read]

    def unread_numbers(self) -> list[str]:
        """Those of them with numbers."""
        return [
            column
            for column in self.unread
            if self.contents.is_numeric(column) and self.contents.time(column) is None
        ]


def keys_of(mapping: TableMapping) -> set[str]:
    """The keys that say how prices and quantities of fills are read, `inverse`, and `gross` where
    profits are before fees."""
    columns = [mapping.columns[name] for name in ("price", "quantity") if name in mapping.columns]
    found = {key for key in ("per_unit", "money", "part") if any(getattr(c, key) for c in columns)}
    if mapping.profit == "gross":
        found.add("gross")
    return found | ({"inverse"} if mapping.inverse else set())


def near(one: float, other: float, share: float) -> bool:
    """Whether two numbers differ by at most a share of the larger one."""
    return abs(one - other) <= share * max(abs(one), abs(other)) + 1e-9


def multiple(pairs: Sequence[tuple[float, float]], share: float = ALIKE) -> float | None:
    """The ratio that nearly all pairs have; None if there are too few, or there is none."""
    ratios = [told / made for told, made in pairs]
    if len({round(made, 6) for _, made in pairs}) < FEWEST:
        return None
    middle = statistics.median(ratios)
    close = sum(near(ratio, middle, share) for ratio in ratios)
    return middle if close >= MOST * len(ratios) else None
