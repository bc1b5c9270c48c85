"""Decay curves as sparklines: the effect of an override until it expires, and the realised uplift.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp2

from sparklines import sparklines

from app.explain.document import DecayLines
from app.learning.common.event_time import DAY_US, HOUR_US, micros_from_text, text_from_micros
from edgeloop.overrides import Override

STEPS = 48
LEVEL_DAYS = 30
"""Days drawn for an override that never expires."""


def curve(override: Override, at_us: int) -> list[str]:
    """Lines: the effect from its time to its expiry, and where it stands at `at_us`."""
    start_us = micros_from_text(override.as_of)
    end_us = (
        start_us + LEVEL_DAYS * DAY_US
        if override.expires_at is None
        else max(micros_from_text(override.expires_at), start_us + HOUR_US)
    )
    times = [start_us + (end_us - start_us) * step / (STEPS - 1) for step in range(STEPS)]
    values = [effect_at(override, us) for us in times]
    now = min(STEPS - 1, max(0, round((at_us - start_us) / (end_us - start_us) * (STEPS - 1))))
    ended = at_us >= end_us and override.expires_at is not None
    left = "expired" if ended else f"{effect_at(override, max(at_us, start_us)):+.3f} now"
    half_life = override.decay.half_life_hours
    fades = "it does not decay" if half_life is None else f"half-life {half_life / 24:.1f} d"
    return [
        *spark(values, 2),
        f"{' ' * now}^ {left}",
        f"{values[0]:+.3f} on {override.as_of[:10]}, {values[-1]:+.3f} on {_day(end_us)}; {fades}",
    ]


def effect_at(override: Override, at_us: float) -> float:
    """The remaining effect at `at_us`, at the earliest at `as_of`, as the reader computes it."""
    half_life = override.decay.half_life_hours
    if half_life is None:
        return override.effect
    hours = (at_us - micros_from_text(override.as_of)) / HOUR_US
    return override.effect * exp2(-max(0.0, hours) / half_life)


def history(decay: DecayLines) -> list[tuple[str, str]]:
    """(name, sparkline) of the realised uplift, the predicted one and the fitted curve, on one
    scale; nothing for fewer than two stretches."""
    points = decay.stretches
    if len(points) < 2:
        return []
    series = {
        name: [getattr(p, name) for p in points] for name in ("uplift", "predicted", "fitted")
    }
    observed = [*series["uplift"], *series["predicted"], 0.0]
    low, high = min(observed), max(observed)
    return [
        (shown, spark([min(max(v, low), high) for v in series[name]], 1, low, high)[0])
        for shown, name in (("made", "uplift"), ("promised", "predicted"), ("fitted", "fitted"))
    ]


def spark(
    values: Sequence[float], lines: int, low: float | None = None, high: float | None = None
) -> list[str]:
    """`values` as lines of text; zero is always within the scale.

    >>> spark([1.0, 0.5, 0.25, 0.0], 1)
    ['█▄▃▁']
    """
    low = min(0.0, *values) if low is None else low
    high = max(0.0, *values) if high is None else high
    if low == high:
        return ["▁" * len(values)]
    return [str(line) for line in sparklines(list(values), lines, minimum=low, maximum=high)]


def _day(at_us: float) -> str:
    return text_from_micros(round(at_us))[:10]
