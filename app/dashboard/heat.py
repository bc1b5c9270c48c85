"""The heat map: patterns by the values of one dimension, by default the market's regime.

May touch: nothing but its arguments.

A cell is the size of a context in which only this value is known: the position manager's answer,
with regime gains, decay and clamp.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from edgeloop.overrides import Override
from edgeloop.resolution import resolve
from edgeloop.scope import pairs_of

MOST_ROWS = 24
MOST_COLUMNS = 12
STEPS = 5
"""Shades on either side of neutral."""


class Cell(NamedTuple):
    """`size`, its shade `step` (−5 to 5), and the number of overrides behind it (`made_by`)."""

    size: float
    step: int
    made_by: int


class Row(NamedTuple):
    """A group, with a cell for each column."""

    module: str
    pattern_key: str
    action_category: str
    cells: list[Cell]


class Heat(NamedTuple):
    """Each row is a group; the `hidden` groups are left out, as they differ less from neutral."""

    dimension: str
    dimensions: list[str]
    columns: list[str]
    rows: list[Row]
    hidden: int


def heat(
    overrides: Sequence[Override], signature: Sequence[str], at: datetime, wanted: str = ""
) -> Heat:
    """The map over the dimension `wanted`.  If no override has it: over the first dimension of the
    regime `signature` that overrides have, else over the most used dimension."""
    used = Counter(d for o in overrides for d in o.scope)
    used.update(d for o in overrides for text in o.regime_gains for d, _ in pairs_of(text))
    dimensions = sorted(used, key=lambda d: (-used[d], d))
    first = next((d for d in signature if d in used), dimensions[0] if dimensions else "")
    dimension = wanted if wanted in used else first
    values = Counter(o.scope[dimension] for o in overrides if dimension in o.scope)
    for o in overrides:
        for text in o.regime_gains:
            values.update(v for d, v in pairs_of(text) if d == dimension)
    columns = sorted(v for v, _ in values.most_common(MOST_COLUMNS))
    groups: dict[tuple[str, str, str], list[Override]] = {}
    for o in overrides:
        met = groups.setdefault((o.module, o.pattern_key, o.action_category), [])
        if o.scope.keys() <= {dimension}:
            met.append(o)
    rows = [
        Row(*group, [_cell(held, *group, {dimension: column}, at) for column in columns])
        for group, held in groups.items()
    ]
    rows = [row for row in rows if any(cell.made_by for cell in row.cells)]
    rows.sort(key=lambda row: (-max(abs(c.size - 1.0) for c in row.cells), row[:3]))
    kept = sorted(rows[:MOST_ROWS], key=lambda row: row[:3])
    return Heat(dimension, dimensions, columns, kept, len(rows) - len(kept))


def _cell(
    held: Sequence[Override],
    module: str,
    key: str,
    category: str,
    scope: dict[str, str],
    at: datetime,
) -> Cell:
    found = resolve(held, key, category, scope, at, module=module)
    return Cell(found.multiplier, step_of(found.multiplier), len(found.ids))


def step_of(size: float) -> int:
    """The shade of a size: a step for each 15 % up or 10 % down.

    >>> [step_of(x) for x in (0.3, 0.95, 1.0, 1.04, 1.5, 3.0)]
    [-5, -1, 0, 1, 3, 5]
    """
    away = (size - 1.0) / 0.15 if size > 1.0 else (size - 1.0) / 0.10
    if abs(size - 1.0) < 0.005:  # sizes that are shown as 1.00
        return 0
    steps = min(STEPS, max(1, round(abs(away))))
    return steps if away > 0 else -steps
