"""The record of each learner: how much it counts now, and how much it counted as its record grew.

May touch: nothing but its arguments.

Group summaries hold what each learner would have predicted at past times, and the outcomes.  The
weight at a past time is computed from today's lessons and the record up to that time.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from app.learning.common.config import LearningConfig
from app.learning.common.event_time import micros_from_text
from app.learning.integrated.judge import IntegratedJudge
from app.learning.integrated.learner_weight import Counts
from app.learning.integrated.track_record import STEPS
from schemas.lessons import GroupSummary, Lesson


class Point(msgspec.Struct, frozen=True):
    """Weights by the record up to a time (Unix seconds), each 0 to 1."""

    at: float
    half_life: float
    shared_effects: float


class Weighed(msgspec.Struct, frozen=True):
    """The learners of one module and category; the last point is now.  `opened` is the degree to
    which the module is open (docs/glossary.md)."""

    module: str
    category: str
    opened: float
    points: tuple[Point, ...]


def weighed(
    records: Iterable[Lesson | GroupSummary], config: LearningConfig
) -> tuple[Weighed, ...]:
    """The learners of every module and category; empty with `classic`."""
    if config.learning != "integrated":
        return ()
    modules: dict[str, list[Lesson | GroupSummary]] = {}
    for record in records:
        modules.setdefault(record.module, []).append(record)
    return tuple(
        line for module, held in sorted(modules.items()) for line in _module(module, held, config)
    )


def _module(
    module: str, held: list[Lesson | GroupSummary], config: LearningConfig
) -> list[Weighed]:
    summaries = [r for r in held if isinstance(r, GroupSummary)]
    cuts = sorted({cell.cut_us for s in summaries for cell in s.record})
    newest_us = max((micros_from_text(s.as_of) for s in summaries), default=0)
    step_us = config.window_us // STEPS
    judge = IntegratedJudge(module, config)
    judge.fold(held)
    points: dict[str, list[Point]] = {}
    opened: dict[str, float] = {}
    for known_until in (None, *cuts):
        judge.fold(
            msgspec.structs.replace(
                s,
                record=tuple(
                    c for c in s.record if known_until is not None and c.cut_us <= known_until
                ),
            )
            for s in summaries
        )
        first = cuts[0] if cuts else newest_us
        at_us = first if known_until is None else min(known_until + step_us, newest_us)
        counts: dict[str, Counts] = dict(judge.standings().counts)
        for category, found in counts.items():
            opened[category] = found.open
            points.setdefault(category, []).append(
                Point(at_us / 1e6, found.half_life, found.shared)
            )
    return [
        Weighed(module, category, opened[category], tuple(line))
        for category, line in sorted(points.items())
    ]
