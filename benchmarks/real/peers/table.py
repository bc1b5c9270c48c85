"""A peer's input: the known entries and the decisions as rows, in the same codes.

May touch: nothing but its arguments.  The table is that of the audit's own peers
(`app.audit.peers`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from app.audit.peers import Floats, Ints, Lesson, Slices, slices
from app.audit.peers import lesson as table
from app.audit.trades import Decision, Group
from app.learning.common.trade import SegmentKey, Trade

__all__ = ["Floats", "Ints", "Lesson", "Slices", "lesson", "slices"]


def lesson(
    known: Mapping[Group, Sequence[Trade]],
    asked: Sequence[Decision],
    categories: Collection[str],
    unit: float,
) -> Lesson:
    """The table of the known trades of these categories, relative to the plain mean of each
    segment."""
    segments: dict[SegmentKey, list[float]] = {}
    for group, trades in known.items():
        if group[1] in categories:
            for trade in trades:
                segments.setdefault(trade.segment, []).append(trade.outcome)
    means = {segment: float(np.mean(outcomes)) for segment, outcomes in segments.items()}
    return table(known, asked, categories, means.__getitem__, unit)
