"""From the overrides that match a context to one size multiplier.

Pure and without I/O; it never raises, and is neutral whenever in doubt.

May touch: nothing; the clock only where no time is given.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from math import exp2, fsum, inf, isfinite
from operator import itemgetter
from typing import Any, TypeVar

import msgspec

from edgeloop.identity import check_category
from edgeloop.overrides import MAX_MULTIPLIER, MIN_MULTIPLIER, Override
from edgeloop.pattern_key import canonical_pattern_key
from edgeloop.prepared import Prepared, Regimes, contained, prepare, unix_seconds


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


class Columns:
    """Overrides as columns, from which those that match are picked, and what all have in common."""

    __slots__ = (
        "all_integrated",
        "decay",
        "decays",
        "effects",
        "expires_s",
        "expiry_s",
        "gains",
        "ids",
        "of_regimes",
        "overrides",
        "regimes",
    )

    def __init__(self, overrides: Sequence[Prepared]) -> None:
        self.overrides = overrides
        self.all_integrated = all([o.integrated for o in overrides])
        self.ids: Sequence[str]
        self.expires_s: Sequence[float]
        self.decays: Sequence[tuple[float, float]]
        self.of_regimes: Sequence[Regimes | None]
        self.effects: Sequence[float]
        self.gains: Sequence[tuple[float, ...]]
        self.ids, self.expires_s, self.decays, self.of_regimes, self.effects, self.gains = (
            zip(*[o.row for o in overrides], strict=True) if overrides else [()] * 6
        )
        # What all have in common, as in most groups; None where they differ.
        self.expiry_s = _common(self.expires_s)
        self.decay = _common(self.decays)
        regimes = tuple([r for r in dict.fromkeys(self.of_regimes) if r is not None])
        self.regimes = regimes if len(set(self.of_regimes)) <= 1 else None


Common = TypeVar("Common")


def _common(values: Sequence[Common]) -> Common | None:
    return values[0] if values and values.count(values[0]) == len(values) else None


class Together:
    """Overrides that all match a context.  Whatever does not depend on the context or the time is
    computed once, since the same sets match repeatedly.

    integrated: clamp(1 + Σ effect · regime gain · 2^(−age / half-life)), age ≥ 0.  classic: the
    mean of the multipliers weighted by confidence · (dimensions + 1)^1.5, clamped.  If both match,
    during a change of the learning method, only the integrated ones count: together they would
    count the same evidence twice.

    Parameters
    ----------
    columns
        Overrides of one group.
    places
        Which of them match, at least one.
    """

    __slots__ = (
        "_columns",
        "_decays",
        "_effects",
        "_expires_s",
        "_fixed",
        "_gains",
        "_ids",
        "_of",
        "_of_regimes",
        "_places",
        "_regimes",
        "_terms",
    )

    def __init__(self, columns: Columns, places: Sequence[int]) -> None:
        self._columns, self._places = columns, places
        pick = _picker(places)
        self._expires_s = (
            min(pick(columns.expires_s)) if columns.expiry_s is None else columns.expiry_s
        )
        if not columns.all_integrated:
            live = [place for place in places if columns.overrides[place].integrated]
            if not live:
                self._fixed: Resolution | None = _classic(pick(columns.overrides))
                return
            pick = _picker(live)
        self._fixed = None
        self._ids: tuple[str, ...] = pick(columns.ids)
        self._effects: tuple[float, ...] = pick(columns.effects)
        self._gains: tuple[tuple[float, ...], ...] = pick(columns.gains)
        # In most sets, all overrides have the same decay, and gains for the same regimes.
        self._of: list[int] | None = None
        if columns.decay is not None:
            self._decays: tuple[tuple[float, float], ...] = (columns.decay,)
        else:
            decays = pick(columns.decays)
            number = {decay: i for i, decay in enumerate(dict.fromkeys(decays))}
            self._decays = tuple(number)
            if len(number) > 1:
                self._of = [number[decay] for decay in decays]
        if columns.regimes is not None:
            self._of_regimes: tuple[Regimes | None, ...] = ()
            self._regimes: tuple[Regimes, ...] = columns.regimes
        else:
            self._of_regimes = pick(columns.of_regimes)
            self._regimes = tuple([r for r in dict.fromkeys(self._of_regimes) if r is not None])
        # By current regime: each override's effect times its gain.
        self._terms: dict[int | tuple[int, ...], list[float]] = {}

    @property
    def overrides(self) -> tuple[Prepared, ...]:
        """The overrides."""
        return tuple([self._columns.overrides[place] for place in self._places])

    def at(self, context: Mapping[str, object], at_s: float) -> Resolution:
        """The multiplier in `context` at `at_s` (Unix seconds)."""
        if at_s >= self._expires_s:
            live = [i for i in self._places if self._columns.expires_s[i] > at_s]
            return Together(self._columns, live).at(context, at_s) if live else NO_MATCH
        if self._fixed is not None:
            return self._fixed
        regimes = self._regimes
        places: int | tuple[int, ...]
        if len(regimes) == 1:
            places = regimes[0].holding(context)
        else:
            places = tuple([r.holding(context) for r in regimes])
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

    def _terms_in(self, places: int | tuple[int, ...]) -> list[float]:
        if places == ():
            return list(self._effects)
        if isinstance(places, int):
            if not self._of_regimes:
                return [x * g[places] for x, g in zip(self._effects, self._gains, strict=True)]
            places = (places,)
        at: dict[Regimes | None, int] = dict(zip(self._regimes, places, strict=True))
        at[None] = -1  # the last gain is 1
        return [
            x * gains[at[regimes]]
            for x, gains, regimes in zip(self._effects, self._gains, self._of_regimes, strict=True)
        ]


def _picker(places: Sequence[int]) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    """Picks these places of a column."""
    if len(places) == 1:
        place = places[0]
        return lambda column: (column[place],)
    return itemgetter(*places)


def combine(matched: Sequence[Prepared], context: Mapping[str, object], at_s: float) -> Resolution:
    """The multiplier of overrides that all match `context`, at `at_s` (Unix seconds)."""
    return Together(Columns(matched), range(len(matched))).at(context, at_s)


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
