"""From the overrides that match a context to one size multiplier.

Pure, without I/O, never an exception, neutral whenever in doubt.

May touch: nothing; the clock only where no time is given.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from math import exp2, fsum, isfinite

import msgspec

from edgeloop.identity import check_category
from edgeloop.overrides import MAX_MULTIPLIER, MIN_MULTIPLIER, Override
from edgeloop.pattern_key import canonical_pattern_key
from edgeloop.scope import canonical_value, pairs_of


class Match(msgspec.Struct, frozen=True):
    """One override that took part.

    Before the clamp the multiplier is 1 + the sum of the contributions.
    """

    override_id: str
    contribution: float


class Resolution(msgspec.Struct, frozen=True):
    """The answer.

    `reason`: matched, no_match, emergency, disabled, not_ready, stale or error (then `detail` has
    the error).
    """

    multiplier: float
    reason: str
    detail: str = ""
    ids: tuple[str, ...] = ()
    contributions: tuple[float, ...] = ()

    @property
    def matches(self) -> tuple[Match, ...]:
        """The overrides that took part, the strongest first."""
        pairs = sorted(
            zip(self.ids, self.contributions, strict=True),
            key=lambda pair: (-abs(pair[1]), pair[0]),
        )
        return tuple(Match(*pair) for pair in pairs)


NO_MATCH = Resolution(1.0, "no_match")
EMERGENCY = Resolution(1.0, "emergency", "Emergency exits are never resized.")


def failed(error: Exception) -> Resolution:
    """Neutral, with the error in words."""
    return Resolution(1.0, "error", f"{type(error).__name__}: {error}")


Items = tuple[tuple[str, str], ...]


class Prepared(msgspec.Struct, frozen=True):
    """An override checked and made ready for use.

    Times are Unix seconds, scope and regimes pairs of dimension and value.
    """

    override_id: str
    group: tuple[str, str]
    items: Items
    integrated: bool
    effect: float
    as_of_s: float
    expires_s: float
    half_life_s: float | None
    gains: tuple[tuple[Items, float], ...]
    uplift: float
    weight: float


def prepare(override: Override) -> Prepared:
    """Check `override`.

    Raises `ValueError` if it is not what a learner writes; a reader then ignores it.
    """
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
    gains.sort(
        key=lambda gain: -len(gain[0])
    )  # stable: of two equally specific regimes the one whose text comes first
    return Prepared(
        o.override_id,
        (o.pattern_key, o.action_category),
        tuple(o.scope.items()),
        o.learning == "integrated",
        o.effect,
        _seconds(o.as_of),
        float("inf") if o.expires_at is None else _seconds(o.expires_at),
        None if half_life is None else half_life * 3600.0,
        tuple(gains),
        o.multiplier - 1.0,
        o.confidence * (len(o.scope) + 1) ** 1.5,
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


def combine(matched: Sequence[Prepared], context: Mapping[str, object], at_s: float) -> Resolution:
    """The multiplier of overrides that all match `context`, at `at_s` (Unix seconds).

    integrated: clamp(1 + Σ effect · regime gain · 2^(−age / half-life)), age ≥ 0.  classic: the
    mean of the multipliers weighted by confidence · (dimensions + 1)^1.5, clamped.  Where both
    match, while a learner changes over, only the integrated ones count: they would be the same
    evidence twice.
    """
    # Plain loops throughout: this is what the position manager waits for.
    live, integrated = [], []
    for o in matched:
        if o.expires_s > at_s:
            live.append(o)
            if o.integrated:
                integrated.append(o)
    if integrated:
        live = integrated
        contributions = []
        texts: dict[str, str | None] = {}
        for o in live:
            contribution = o.effect
            if o.gains:
                contribution *= _gain(o.gains, context, texts)
            if o.half_life_s is not None and at_s > o.as_of_s:
                contribution *= exp2((o.as_of_s - at_s) / o.half_life_s)
            contributions.append(contribution)
    else:
        total = fsum([o.weight for o in live])
        if total <= 0.0:
            return NO_MATCH
        contributions = [o.uplift * (o.weight / total) for o in live]
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
    return Resolution(
        clamped, "matched", "", tuple([o.override_id for o in live]), tuple(contributions)
    )


def _gain(
    gains: tuple[tuple[Items, float], ...],
    context: Mapping[str, object],
    texts: dict[str, str | None],
) -> float:
    """The gain of the first regime that holds.

    `texts` remembers canonical values from one override to the next.
    """
    for items, gain in gains:
        for dimension, value in items:
            raw = context.get(dimension)
            if raw != value:
                if dimension not in texts:
                    texts[dimension] = canonical_value(raw, dimension)
                if texts[dimension] != value:
                    break
        else:
            return gain
    return 1.0


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
    `scope`, and it has not expired.  `emergency` is for exits that must happen whole (stop,
    liquidation, kill switch), of whatever category: they are never resized.  An ordinary exit or
    trim is sized like any other action.  Always within [0.3, 3.0], and exactly 1.0 without a match,
    on any error, and for overrides that make no sense (they are ignored).  Never raises.
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
