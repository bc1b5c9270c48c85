"""Sharing: the chosen effects of a group and the posterior mean of all its slices, as one sum of effects.

May touch: nothing but its arguments.

Two accounts of a group say what a context earns beyond the group's level: the few chosen effects, and the shared effects of all slices.
What is published is their mean by the weight that the module's record gives the second one.  A slice that is in both gets one
effect.  Shared effects are around the group's mean, while an override's are added where it matches: the difference goes to the whole
group.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import fsum

import numpy as np

from app.learning.common.baselines import SegmentBaselines
from app.learning.common.multiplier import GRID
from app.learning.integrated.netting import Effect
from app.learning.integrated.paths import GroupPath, explained
from app.learning.integrated.persistence import LEAST_BLOCKS, total
from app.learning.integrated.weights import Counts
from schemas.lessons import Lesson, LessonDecay


def with_shared(
    group: GroupPath,
    whole: Lesson,
    found: Mapping[str, Effect],
    level: float,
    counts: Counts,
    baselines: SegmentBaselines,
    scale: float,
) -> dict[str, Effect]:
    """The effects of a group, chosen and shared ones weighed by `counts`.

    `whole` is the lesson of the whole group, `found` the chosen effects, the whole group's among them;
    `level` is the posterior mean of the group's; `scale` units of the outcome are one unit of size.
    """
    share = counts.shared * counts.open
    if not share or not _told(group):
        return {}
    made = {i: _less(found[i], share, counts.shared_moves) for i in (whole.lesson_id, *group.path.lesson_ids) if i in found}
    moved = []
    for lesson in group.shared:
        marginal = lesson.marginal
        if marginal is None or not lesson.scope:
            continue
        by_segments, _ = explained(marginal.shared_loadings, group.path, baselines)
        size = share * (marginal.shared - by_segments)
        i = lesson.lesson_id
        if i in made:
            made[i] = made[i]._replace(effect=made[i].effect + size)
        elif abs(size) >= 0.5 / GRID * scale:
            made[i] = _shared(lesson, group, size, marginal.shared, marginal.shared_sd)
        else:
            continue
        moved.append(size * lesson.n / max(group.summary.n, 1))
    size, i = share * level - fsum(moved), whole.lesson_id
    if i in made:
        made[i] = made[i]._replace(effect=made[i].effect + size)
    elif abs(size) >= 0.5 / GRID * scale:
        made[i] = _shared(whole, group, size, level, abs(level))
    return made


def _shared(lesson: Lesson, group: GroupPath, size: float, raw: float, sd: float) -> Effect:
    z = abs(raw) / max(sd, 1e-300)
    return Effect(lesson, z, 1.0, raw, sd, size, sd, LessonDecay(state="stable"), 0.0, group.summary.as_of, "shared")


def _less(effect: Effect, share: float, moves: float) -> Effect:
    """A chosen effect without the part that the shared one takes over; of how it has moved the part `moves` stays whole."""
    moved = effect.effect - effect.constant
    return effect._replace(effect=effect.effect - share * (effect.constant + (1.0 - moves) * moved))


def _told(group: GroupPath) -> bool:
    """Whether the group is old enough for shared effects."""
    products = group.summary.persistence
    if products is None:
        return False
    return int(np.count_nonzero(np.diag(total([products])))) >= LEAST_BLOCKS
