"""What an override has achieved: the trades that name it in `applied_overrides`, and what they
earned.

May touch: nothing but its arguments.

A trade counts once, whichever of its actions name the override.  What the override predicted is its
contribution to the size when the action was taken (effect · regime gain · the part that had not
decayed), computed by the reader's own function from the version in force at that time.  What its
sizing added is its part of the size actually taken (after the clamp to 0.3 … 3.0, or as drawn by a
reader that explored), times the trade's uplift.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from app.explain.document import Attribution
from app.explain.known import Counted, Known
from app.learning.common.event_time import DAY_US, micros_from_text, text_from_micros
from app.override_changes import OverrideChange
from edgeloop.overrides import Override
from edgeloop.resolution import resolve
from schemas.facts import FactAction

LEVEL = 0.90
"""Probability of the interval."""


class Part(NamedTuple):
    """The part of one override in one action: its contribution, that of all overrides that the
    action names, its part of the size that was taken (1 + part is its factor of the size), and
    whether a later version is used instead of the one in force."""

    promised: float
    promised_by_all: float
    part: float
    assumed: bool


def attribution(known: Known, override_id: str) -> Attribution | None:
    """The effect attribution of one override of the group whose facts and changes are `known`; None
    if no trade names it."""
    by_id: dict[str, list[OverrideChange]] = {}
    for change in known.changes:
        by_id.setdefault(change.override_id, []).append(change)
    held = [change.record for change in by_id.get(override_id, ()) if change.record is not None]
    touched: list[Counted] = []
    parts: list[list[Part]] = []
    for counted in known.trades.values():
        actions = [action for action in counted.actions if override_id in action.applied_overrides]
        if actions:
            touched.append(counted)
            parts.append([part_of(override_id, action, by_id) for action in actions])
    if not touched or not held:
        return None
    exits = [counted.trade.exit_us for counted in touched]
    outcome = np.array([counted.trade.outcome for counted in touched])
    uplift = outcome - np.array(
        [known.baseline(counted.trade.segment, judged=False) for counted in touched]
    )
    means = np.array(
        [
            [np.mean([getattr(p, name) for p in of_trade]) for name in Part._fields[:3]]
            for of_trade in parts
        ]
    )
    days = [exit_us // DAY_US for exit_us in exits]
    level = known.level(held[-1].pattern_key, held[-1].action_category)
    low, high = mean_interval(uplift, days) or (None, None)
    made_low, made_high = mean_interval(uplift - level, days) or (None, None)
    return Attribution(
        n=len(touched),
        n_actions=sum(map(len, parts)),
        n_assumed=sum(any(p.assumed for p in of_trade) for of_trade in parts),
        first_exit_ts=text_from_micros(min(exits)),
        last_exit_ts=text_from_micros(max(exits)),
        mean_outcome=float(outcome.mean()),
        mean_uplift=float(uplift.mean()),
        low=low,
        high=high,
        promised=float(means[:, 0].mean()) * known.unit,
        promised_by_all=float(means[:, 1].mean()) * known.unit,
        made=float(uplift.mean()) - level,
        made_low=made_low,
        made_high=made_high,
        mean_multiplier=1.0 + float(means[:, 2].mean()),
        added=float(means[:, 2] @ uplift),
    )


def part_of(
    override_id: str, action: FactAction, changes: Mapping[str, Sequence[OverrideChange]]
) -> Part:
    """The part of one override in an action that names it.  `changes` has the changes of each
    override, oldest first."""
    at_us = micros_from_text(action.ts)
    records: list[Override] = []
    assumed = False
    for i in dict.fromkeys((override_id, *action.applied_overrides)):
        record, stands_in = _held_at(changes.get(i, ()), at_us)
        assumed |= stands_in and i == override_id
        if record is not None:
            records.append(record)
    if not records:
        return Part(0.0, 0.0, 0.0, assumed)
    first = records[0]
    at = datetime.fromtimestamp(at_us / 1e6, UTC)
    found = resolve(
        records, first.pattern_key, first.action_category, action.scope, at, module=first.module
    )
    total = sum(found.contributions)
    own = sum(c for i, c in zip(found.ids, found.contributions, strict=True) if i == override_id)
    sizing = action.sizing
    taken = found.multiplier if isinstance(sizing, msgspec.UnsetType) else sizing.multiplier
    return Part(own, total, own * (taken - 1.0) / total if total else 0.0, assumed)


def _held_at(changes: Iterable[OverrideChange], at_us: int) -> tuple[Override | None, bool]:
    """The override after the last change before `at_us`, and whether the earliest known change was
    used instead.  An action may name an override that had just been retired: then its last content
    counts.
    """
    before: Override | None = None
    for change in changes:
        if change.record is not None and change.published_us <= at_us:
            before = change.record
        elif change.record is not None and before is None:
            return change.record, True
    return before, before is None


def mean_interval(
    values: ArrayLike, clusters: Sequence[int], level: float = LEVEL
) -> tuple[float, float] | None:
    """Confidence interval of the mean of `values` (n,) whose `clusters` (n,) (days) are independent
    of each other; None for fewer than two.

    The variance of the mean is G/(G − 1) · Σ over clusters of (the sum of their residuals)² / n²,
    with Student's t of G − 1 degrees of freedom (Liang & Zeger 1986; Cameron & Miller 2015).  With
    one value per cluster it is the ordinary interval.

    >>> low, high = mean_interval([1.0, 2.0, 3.0], [0, 1, 2])
    >>> round(low, 4), round(high, 4)
    (0.3141, 3.6859)
    """
    x = np.asarray(values, np.float64)
    distinct, place = np.unique(np.asarray(clusters), return_inverse=True)
    g = len(distinct)
    if g < 2:
        return None
    mean = float(x.mean())
    sums = np.bincount(place, x - mean)
    half = float(stdtrit(g - 1, 0.5 + level / 2) * np.sqrt(g / (g - 1) * float(sums @ sums))) / len(
        x
    )
    return mean - half, mean + half
