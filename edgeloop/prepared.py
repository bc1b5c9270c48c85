"""An override checked and made ready for use.

May touch: nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from math import inf, isfinite

import msgspec

from edgeloop.identity import check_category
from edgeloop.overrides import Override
from edgeloop.pattern_key import canonical_pattern_key
from edgeloop.scope import canonical_value, pairs_of

Items = tuple[tuple[str, str], ...]

MAX_STATES = 1_024
"""Maximum number of market states for which the regime that holds is cached."""


class Regimes:
    """The regimes for which overrides have gains, the most specific first.  Overrides with the same
    regimes share one instance, so that the current regime is determined once per context.
    """

    __slots__ = ("_dimensions", "_known", "conditions")

    def __init__(self, conditions: tuple[Items, ...]) -> None:
        self.conditions = conditions
        self._dimensions = tuple(dict.fromkeys(d for items in conditions for d, _ in items))
        self._known: dict[tuple[object, ...], int] = {}

    def holding(self, context: Mapping[str, object]) -> int:
        """The index of the first regime that `context` is in, or the number of regimes if there is
        none.
        """
        values = tuple(map(context.get, self._dimensions))
        try:
            place = self._known.get(values)
        except TypeError:  # a value that cannot be looked up: an object or an array
            return self._first(context)
        if place is None:
            place = self._first(context)
            # Only text: True equals 1, but is another value.
            if len(self._known) < MAX_STATES and all(v is None or type(v) is str for v in values):
                self._known[values] = place
        return place

    def _first(self, context: Mapping[str, object]) -> int:
        texts: dict[str, str | None] = {}
        place = 0
        for items in self.conditions:
            for dimension, value in items:
                if dimension not in texts:
                    texts[dimension] = canonical_value(context.get(dimension), dimension)
                if texts[dimension] != value:
                    break
            else:
                return place
            place += 1
        return place


_regimes = lru_cache(maxsize=4_096)(Regimes)


class Prepared(msgspec.Struct, frozen=True):
    """An override checked and made ready for use.

    Times are Unix seconds, scope and regimes pairs of dimension and value.  `gains` has one for
    each of `regimes`, then 1 for contexts in none of them.  `row` repeats what is needed to combine
    overrides that match together: id, expiry, `as_of_s` with the half-life (infinite without one),
    regimes, effect and gains.
    """

    override_id: str
    group: tuple[str, str]
    items: Items
    integrated: bool
    effect: float
    as_of_s: float
    expires_s: float
    half_life_s: float | None
    regimes: Regimes | None
    gains: tuple[float, ...]
    uplift: float
    weight: float
    row: tuple[str, float, tuple[float, float], Regimes | None, float, tuple[float, ...]]


def prepare(override: Override) -> Prepared:
    """Check `override`.  Raises `ValueError` if no learner would write it; readers ignore it."""
    o = override
    if canonical_pattern_key(o.pattern_key, o.module) != o.pattern_key:
        raise ValueError(f"The pattern key {o.pattern_key!r} is not canonical.")
    check_category(o.action_category)
    if o.learning not in ("classic", "integrated"):
        raise ValueError(f"The learning {o.learning!r} is not known.")
    for dimension, value in o.scope.items():
        if canonical_value(value, dimension) != value:
            raise ValueError(f"The scope value {value!r} of {dimension!r} is not canonical.")
    numbers = (o.effect, o.multiplier, o.confidence, *o.regime_gains.values())
    half_life = o.decay.half_life_hours
    if (
        not all(map(isfinite, numbers))
        or o.multiplier <= 0
        or min(o.confidence, *o.regime_gains.values(), 0.0) < 0
    ):
        raise ValueError("A number is not finite, or negative where it may not be.")
    if half_life is not None and not (isfinite(half_life) and half_life > 0):
        raise ValueError(f"The half-life is {half_life}.")
    gains = [(pairs_of(text), gain) for text, gain in sorted(o.regime_gains.items())]
    # The sort is stable: of two equally specific regimes, the one whose text comes first wins.
    gains.sort(key=lambda gain: -len(gain[0]))
    as_of_s = _seconds(o.as_of)
    expires_s = inf if o.expires_at is None else _seconds(o.expires_at)
    half_life_s = None if half_life is None else half_life * 3600.0
    regimes = _regimes(tuple([items for items, _ in gains])) if gains else None
    factors = (*(gain for _, gain in gains), 1.0)
    return Prepared(
        o.override_id,
        (o.pattern_key, o.action_category),
        tuple(o.scope.items()),
        o.learning == "integrated",
        o.effect,
        as_of_s,
        expires_s,
        half_life_s,
        regimes,
        factors,
        o.multiplier - 1.0,
        o.confidence * (len(o.scope) + 1) ** 1.5,
        (
            o.override_id,
            expires_s,
            (as_of_s, inf if half_life_s is None else half_life_s),
            regimes,
            o.effect,
            factors,
        ),
    )


def _seconds(text: str) -> float:
    return unix_seconds(datetime.fromisoformat(text))


def unix_seconds(at: datetime) -> float:
    """Unix seconds of an aware time.

    Raises `ValueError` for a naive one, which could be hours off.
    """
    if at.tzinfo is None:
        raise ValueError(f"The time {at.isoformat()} has no time zone.")
    return at.timestamp()


def contained(items: Items, context: Mapping[str, object]) -> bool:
    """Whether `context` has all of `items`; its values may be raw.

    Raises `CanonicalError` for a value that has no canonical form.
    """
    return all(
        canonical_value(context.get(dimension), dimension) == value for dimension, value in items
    )
