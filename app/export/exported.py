"""What an exported table is: its columns, its rows, and the filter of its records.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from app.export.columns import Column, column
from app.group_filter import matching
from app.kafka.skipped import Skipped
from app.settings import Settings


class Filters(NamedTuple):
    """The filter: records of this module, pattern key (may end in `*`) and category; `as_of_us`
    applies to overrides only."""

    module: str | None = None
    pattern: str | None = None
    category: str | None = None
    as_of_us: int | None = None

    def of(self, records: Mapping[str, Any]) -> list[Any]:
        """The records that match."""
        return list(
            matching(
                dict(records), module=self.module, pattern=self.pattern, category=self.category
            )
        )

    def fit(self, record: Any) -> bool:
        """Whether a record matches."""
        return bool(self.of({"": record}))


Rows = AsyncIterator[Any]


@dataclass(frozen=True)
class Remarks:
    """What may be missing in a table: `notes` are sentences, `skipped` the records that cannot be
    read."""

    notes: list[str] = field(default_factory=list)
    skipped: Skipped = field(default_factory=Skipped)


class Exported(NamedTuple):
    """One table.  `rows` yields the records that its columns read, in a fixed order, and may add
    to the remarks; `grouped`: its records have a pattern key and a category; `scope` gives
    a record's scope where it has one."""

    meaning: str
    columns: tuple[Column, ...]
    rows: Callable[[Settings, Filters, Remarks], Rows]
    grouped: bool = True
    scope: Callable[[Any], Mapping[str, str] | None] | None = None


GROUP_COLUMNS = (
    column("module", "text", "Module."),
    column("pattern_key", "text", "Canonical pattern key."),
    column("action_category", "text", "entry, add, trim or exit."),
)


def decay_columns(half_life: str) -> tuple[Column, ...]:
    """The columns of a record's decay; `half_life` is what its half-life means."""
    return (
        column(
            "decay_state",
            "text",
            "insufficient, stable, decaying, improving or reversed.",
            "decay.state",
        ),
        column(
            "half_life_hours",
            "number",
            half_life,
            "decay.half_life_hours",
        ),
        column(
            "half_life_low_hours",
            "number",
            "Its 80 % interval.",
            lambda x: x.decay.interval and x.decay.interval[0],
        ),
        column(
            "half_life_high_hours",
            "number",
            "Its 80 % interval.",
            lambda x: x.decay.interval and x.decay.interval[1],
        ),
    )


def prefixed(prefix: str, columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """The columns of a record that is the attribute `prefix` of a row."""

    def below(inner: Column) -> Column:
        return inner._replace(
            read=lambda row: (
                None if getattr(row, prefix) is None else inner.read(getattr(row, prefix))
            )
        )

    return tuple(map(below, columns))
