"""Sharing: the chosen effects of a group and the posterior mean of all its slices, as one sum of
effects.

May touch: nothing but its arguments.

Two accounts of a group say what a context earns beyond the group's level: the few chosen effects,
and the shared effects of all slices. What is published is their mean by the weight that the
module's record gives the second one.  A slice that is in both gets one effect.  Shared effects are
around the group's mean, while an override's are added where it matches: the difference goes to the
whole group.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import fsum

import numpy as np

from app.learning.common.multiplier import GRID
from app.learning.integrated.netting import Effect
from app.learning.integrated.paths import GroupPath
from app.learning.integrated.prior_share import between
from app.learning.integrated.weights import Counts
from app.learning.integrated.whole_groups import PooledLevel
from schemas.lessons import Lesson, LessonDecay


def with_shared(
    group: GroupPath,
    whole: Lesson,
    found: Mapping[str, Effect],
    level: PooledLevel,
    counts: Counts,
    share: float,
    scale: float,
) -> dict[str, Effect]:
    """The effects of a group, chosen and shared ones weighed by `counts`.

    `whole` is the lesson of the whole group, `found` the chosen effects, the whole group's among
    them; `level` is the posterior mean of the group's, `share` that of the persistent share of its
    variance; `scale` units of the outcome are one unit of size.
    """
    if not counts.open or not share:
        return {}
    chosen, own_level = (
        [found[i] for i in group.path.lesson_ids if i in found],
        found.get(whole.lesson_id),
    )
    # Without chosen effects that have come in there is nothing to weigh shared ones against.
    surest = max((effect.ramp for effect in chosen), default=0.0)
    weight = counts.open * (1.0 - surest * (1.0 - counts.shared))
    made = {e.lesson.lesson_id: _less(e, weight) for e in chosen}
    of_level = counts.open
    if own_level is not None:  # one that is sure by itself needs no others, and has moved as it has
        of_level *= 1.0 - own_level.ramp
        made[whole.lesson_id] = _less(own_level, of_level)
    told = between(share)
    moved = []
    for lesson in group.shared:
        marginal = lesson.marginal
        if marginal is None or not lesson.scope:
            continue
        effect = float(told @ marginal.shared)
        size = weight * effect
        i = lesson.lesson_id
        if i in made:
            made[i] = made[i]._replace(effect=made[i].effect + size)
        elif abs(size) >= 0.5 / GRID * scale:
            sd = 1.0 / float(
                np.sqrt(
                    marginal.shared_precision + 1.0 / max(share * marginal.shared_prior, 1e-300)
                )
            )
            made[i] = _shared(lesson, group, size, effect, sd)
        else:
            continue
        moved.append(size * lesson.n / max(group.summary.n, 1))
    # The mean of a group has what its chosen effects add to it: only the account without these
    # begins there.
    part = weight / counts.open
    pooled = part * level.mean + (1.0 - part) * level.net
    size = of_level * pooled + (counts.open - of_level) * part * level.added - fsum(moved)
    i = whole.lesson_id
    if i in made:
        made[i] = made[i]._replace(effect=made[i].effect + size)
    elif abs(size) >= 0.5 / GRID * scale:
        made[i] = _shared(whole, group, size, pooled, abs(pooled))
    return made


def _shared(lesson: Lesson, group: GroupPath, size: float, raw: float, sd: float) -> Effect:
    z = abs(raw) / max(sd, 1e-300)
    return Effect(
        lesson,
        z,
        1.0,
        raw,
        sd,
        size,
        sd,
        LessonDecay(state="stable"),
        0.0,
        group.summary.as_of,
        "shared",
    )


def _less(effect: Effect, share: float) -> Effect:
    """A chosen effect less the part that the shared effect, constant over time, takes over."""
    return effect._replace(effect=effect.effect * (1.0 - share))
