"""An effect over time: the days of its history, the same by week or month, and the curve of its
published half-life.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from math import exp2

from app.explain.document import DecayLine, DecayLines
from app.learning.common.event_time import HOUR_US, micros_from_text
from edgeloop.overrides import Override
from schemas.lessons import EdgeHistory

WEEKS = 26
"""Maximum number of weeks shown as weeks (from Monday); a longer time is shown by months."""


def decay_lines(
    override: Override, days: Sequence[EdgeHistory], unit: float, shift: float = 0.0
) -> DecayLines:
    """The decay of `override`, whose lesson has the history `days`; `unit` units of the outcome are
    one of size, and `shift` is added to predicted and realised uplift.

    The curve is the effect now, backwards by the half-life (without one it is level), in units of
    the outcome.
    """
    lines = tuple(_day(override, day, unit, shift) for day in sorted(days, key=lambda d: d.day))
    return DecayLines(
        state=override.decay.state,
        half_life_hours=override.decay.half_life_hours,
        interval=override.decay.interval,
        now=override.effect * unit,
        as_of=override.as_of,
        days=lines,
        stretches=stretches(lines),
    )


def _day(override: Override, day: EdgeHistory, unit: float, shift: float) -> DecayLine:
    noon_us = micros_from_text(f"{day.day}T12:00:00Z")
    return DecayLine(
        day.day,
        day.day,
        day.n,
        day.predicted + shift,
        day.uplift + shift,
        fitted_at(override, noon_us) * unit,
    )


def fitted_at(override: Override, at_us: int) -> float:
    """The effect at `at_us`, extrapolated from now by its half-life, in units of size.

    At most eight half-lives back: further back, a short half-life would give arbitrarily large
    numbers.
    """
    half_life = override.decay.half_life_hours
    if half_life is None:
        return override.effect
    hours = (micros_from_text(override.as_of) - at_us) / HOUR_US
    return override.effect * exp2(min(hours / half_life, 8.0))


def stretches(days: Sequence[DecayLine]) -> tuple[DecayLine, ...]:
    """The days by week, or by month when there are more than `WEEKS` weeks; each figure is the mean
    over the trades.

    >>> from app.explain.document import DecayLine
    >>> days = ("2025-01-01", 1, 0.0, 1.0), ("2025-01-03", 3, 0.4, 0.2)
    >>> found = stretches(
    ...     [DecayLine(day, day, n, predicted, uplift, 0.5) for day, n, predicted, uplift in days]
    ... )
    >>> [(s.first_day, s.last_day, s.n, round(s.predicted, 3), round(s.uplift, 3)) for s in found]
    [('2025-01-01', '2025-01-03', 4, 0.3, 0.4)]
    """
    if not days:
        return ()
    span = date.fromisoformat(days[-1].last_day) - date.fromisoformat(days[0].first_day)
    monthly = span > timedelta(weeks=WEEKS)
    parts: dict[str, list[DecayLine]] = {}
    for day in days:
        on = date.fromisoformat(day.first_day)
        key = day.first_day[:7] if monthly else (on - timedelta(days=on.weekday())).isoformat()
        parts.setdefault(key, []).append(day)
    return tuple(_together(part) for part in parts.values())


def _together(days: Sequence[DecayLine]) -> DecayLine:
    n = sum(day.n for day in days)

    def mean(name: str) -> float:
        return float(sum(day.n * getattr(day, name) for day in days) / n)

    return DecayLine(
        days[0].first_day, days[-1].last_day, n, mean("predicted"), mean("uplift"), mean("fitted")
    )
