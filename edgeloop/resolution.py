"""From the overrides that match a context to one size multiplier.

Pure and without I/O; it never raises, and is neutral whenever in doubt.

May touch: nothing; the clock only where no time is given.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from math import exp2, fsum, inf, isfinite
from typing import Any

import msgspec

from edgeloop.identity import check_category
from edgeloop.overrides import MAX_MULTIPLIER, MIN_MULTIPLIER, Override
from edgeloop.pattern_key import canonical_pattern_key
from edgeloop.scope import canonical_value, pairs_of


class Match(msgspec.Struct, frozen=True, gc=False):
    """One override that matched.  Before the clamp, the multiplier is 1 + the sum of the
    contributions.
    """

    override_id: str
    contribution: float


class Resolution(msgspec.Struct, frozen=True, gc=False):
    """The answer.

    `reason`: matched, no_match, emergency, disabled, not_ready, stale or error (then `detail` has
    the error).  `sizing`: with exploration on, how the multiplier was drawn (see
    `edgeloop.explore`).
    """

    multiplier: float
    reason: str
    detail: str = ""
    ids: tuple[str, ...] = ()
    contributions: tuple[float, ...] = ()
    sizing: dict[str, Any] | None = None

    @property
    def applied(self) -> tuple[Any, ...]:
        """The value for the action's `applied_overrides`: the ids, and the sizing if there is
        one."""
        return self.ids if self.sizing is None else (*self.ids, self.sizing)

    @property
    def matches(self) -> tuple[Match, ...]:
        """The matching overrides, the strongest first."""
        pairs = sorted(
            zip(self.ids, self.contributions, strict=True),
            key=lambda pair: (-abs(pair[1]), pair[0]),
        )
        return tuple(Match(*pair) for pair in pairs)


NO_MATCH = Resolution(1.0, "no_match")
EMERGENCY = Resolution(1.0, "emergency", "Emergency exits are never resized.")


def failed(error: Exception) -> Resolution:
    """A neutral answer that describes the error."""
    return Resolution(1.0, "error", f"{type(error).__name__}: {error}")


Items = tuple[tuple[str, str], ...]


class Regimes:
    """The regimes for which overrides have gains, the most specific first.  Overrides with the same
    regimes share one instance, so that the current regime is determined once per context.
    """

    __slots__ = ("conditions",)

    def __init__(self, conditions: tuple[Items, ...]) -> None:
        self.conditions = conditions

    def holding(self, context: Mapping[str, object], texts: dict[str, str | None]) -> int:
        """The index of the first regime that `context` is in, or the number of regimes if there is
        none.  `texts` caches canonical values between calls.
        """
        place = 0
        for items in self.conditions:
            for dimension, value in items:
                raw = context.get(dimension)
                if raw != value:
                    if dimension not in texts:
                        texts[dimension] = canonical_value(raw, dimension)
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
    overrides that match together: id, expiry, `as_of_s`, half-life (infinite without one), regimes,
    effect and gains.
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
    row: tuple[str, float, float, float, Regimes | None, float, tuple[float, ...]]


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
            as_of_s,
            inf if half_life_s is None else half_life_s,
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


class Together:
    """Overrides that all match a context.  Whatever does not depend on the context or the time is
    computed once, since the same sets match repeatedly.

    integrated: clamp(1 + Σ effect · regime gain · 2^(−age / half-life)), age ≥ 0.  classic: the
    mean of the multipliers weighted by confidence · (dimensions + 1)^1.5, clamped.  If both match,
    during a change of the learning method, only the integrated ones count: together they would
    count the same evidence twice.
    """

    __slots__ = (
        "_decays",
        "_effects",
        "_expires_s",
        "_fixed",
        "_gains",
        "_ids",
        "_of",
        "_of_regimes",
        "_regimes",
        "_terms",
        "overrides",
    )

    def __init__(self, matched: Sequence[Prepared]) -> None:
        self.overrides = matched
        live = [o.row for o in matched if o.integrated]
        if not live:
            self._fixed: Resolution | None = _classic(matched)
            self._expires_s = min([o.expires_s for o in matched])
            return
        self._fixed = None
        self._ids, expires_s, as_of_s, lives_s, regimes, self._effects, self._gains = zip(
            *live, strict=True
        )
        self._expires_s = min(expires_s)
        newest_s = max(as_of_s)
        # In most sets, all overrides are as of the same time, none decays, and all have gains for
        # the same regimes.
        if min(as_of_s) == newest_s and min(lives_s) == max(lives_s):
            self._decays: tuple[tuple[float, float], ...] = ((newest_s, lives_s[0]),)
            self._of: list[int] | None = None
        else:
            decays = list(zip(as_of_s, lives_s, strict=True))
            place = {decay: number for number, decay in enumerate(dict.fromkeys(decays))}
            self._decays = tuple(place)
            self._of = [place[decay] for decay in decays]
        if len(live) < len(matched):
            self._expires_s = min([o.expires_s for o in matched])
        self._of_regimes = regimes
        if regimes.count(regimes[0]) == len(regimes):
            self._regimes = regimes[:1] if regimes[0] is not None else ()
        else:
            self._regimes = tuple([r for r in dict.fromkeys(regimes) if r is not None])
        # By current regime: each override's effect times its gain.
        self._terms: dict[tuple[int, ...], list[float]] = {}

    def at(self, context: Mapping[str, object], at_s: float) -> Resolution:
        """The multiplier in `context` at `at_s` (Unix seconds)."""
        if at_s >= self._expires_s:
            live = [o for o in self.overrides if o.expires_s > at_s]
            return Together(live).at(context, at_s) if live else NO_MATCH
        if self._fixed is not None:
            return self._fixed
        places: tuple[int, ...] = ()
        if self._regimes:
            texts: dict[str, str | None] = {}
            places = tuple([regimes.holding(context, texts) for regimes in self._regimes])
        terms = self._terms.get(places)
        if terms is None:
            terms = self._terms[places] = self._terms_in(places)
        if self._of is None:
            since, life = self._decays[0]
            if at_s > since and life != inf:
                factor = exp2((since - at_s) / life)
                return _sum(self._ids, [x * factor for x in terms])
            return _sum(self._ids, terms)
        left = [
            exp2((since - at_s) / life) if at_s > since else 1.0 for since, life in self._decays
        ]
        contributions = [x * left[k] for x, k in zip(terms, self._of, strict=True)]
        return _sum(self._ids, contributions)

    def _terms_in(self, places: tuple[int, ...]) -> list[float]:
        if not places:
            return list(self._effects)
        if self._of_regimes.count(self._regimes[0]) == len(self._effects):
            place = places[0]
            return [x * gains[place] for x, gains in zip(self._effects, self._gains, strict=True)]
        at: dict[Regimes | None, int] = dict(zip(self._regimes, places, strict=True))
        at[None] = -1  # the last gain is 1
        return [
            x * gains[at[regimes]]
            for x, gains, regimes in zip(self._effects, self._gains, self._of_regimes, strict=True)
        ]


def combine(matched: Sequence[Prepared], context: Mapping[str, object], at_s: float) -> Resolution:
    """The multiplier of overrides that all match `context`, at `at_s` (Unix seconds)."""
    return Together(matched).at(context, at_s)


def _classic(live: Sequence[Prepared]) -> Resolution:
    total = fsum([o.weight for o in live])
    if total <= 0.0:
        return NO_MATCH
    contributions = [o.uplift * (o.weight / total) for o in live]
    return _sum(tuple([o.override_id for o in live]), contributions)


def _sum(ids: tuple[str, ...], contributions: list[float]) -> Resolution:
    multiplier = 1.0 + fsum(contributions)
    if not isfinite(multiplier):
        raise ValueError("The contributions have no finite sum.")
    clamped = (
        MIN_MULTIPLIER
        if multiplier < MIN_MULTIPLIER
        else MAX_MULTIPLIER
        if multiplier > MAX_MULTIPLIER
        else multiplier
    )
    return Resolution(clamped, "matched", "", ids, tuple(contributions))


def resolve(
    overrides: Iterable[Override],
    pattern_key: str,
    action_category: str,
    scope: Mapping[str, object],
    at: datetime | None = None,
    *,
    module: str = "pm",
    emergency: bool = False,
) -> Resolution:
    """The size multiplier for an action, from `overrides`: records of the topic or of the table.

    `pattern_key` may be in any accepted form, `scope` raw; `at` is the time of the decision (aware;
    default now).  An override counts if it is of this pattern and category, all of its scope is in
    `scope`, and it has not expired.  `emergency` is for exits of any category that must close the
    whole position (stop, liquidation, kill switch): they are never resized.  An ordinary exit or
    trim is sized like any other action.  Always within [0.3, 3.0], and exactly 1.0 without a match,
    on any error, and for invalid overrides (they are ignored).  Never raises.
    `OverrideBook.resolve` gives the same answer from an index.

    >>> resolve([], "uptrend.S1.entry", "add", {"chain": "sol"}).reason
    'no_match'
    """
    if emergency:
        return EMERGENCY
    try:
        group = (canonical_pattern_key(pattern_key, module), check_category(action_category))
        at_s = time.time() if at is None else unix_seconds(at)
        matched = []
        for override in overrides:
            if (override.pattern_key, override.action_category) != group:
                continue
            try:
                prepared = prepare(override)
            except (ValueError, TypeError, OverflowError):
                continue
            if contained(prepared.items, scope):
                matched.append(prepared)
        return combine(matched, scope, at_s) if matched else NO_MATCH
    except Exception as error:
        return failed(error)
