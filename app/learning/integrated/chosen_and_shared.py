"""Chosen and shared effects: the few chosen effects of a group and the posterior mean of all its
slices, as one sum of effects.

May touch: nothing but its arguments.

Two predictors estimate what a context earns beyond the group's level: the few chosen effects, and
the shared effects of all slices.  The published effect is their mean, with the second one weighted
by the module's record.  A slice that is in both gets one effect.  Shared effects
are deviations from the group's mean, but an override adds its effect only where it matches: the
whole group's effect absorbs the difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import fsum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.learning.integrated.group_path import GroupPath
from app.learning.integrated.held_lesson import AnyLesson, packed_posteriors
from app.learning.integrated.learner_weight import Counts, in_steps
from app.learning.integrated.net_of_segments import (
    AnyEffect,
    Effect,
    SharedEffect,
    packed_shared,
)
from app.learning.integrated.prior_share import SHARES, between
from app.learning.integrated.whole_groups import PooledLevel

Floats = NDArray[np.float64]

LEAST_SIZE = 0.002
"""Shared effects below this, in units of size, are left out.  It is less than half a step of the
multiplier, since up to a hundred of them add up in one context."""


class SharedPart(NamedTuple):
    """The shared effects of a group.

    Attributes
    ----------
    effects
        Effects of slices that are not chosen, by lesson id.
    added
        What is added to those that are chosen, by lesson id.
    mean
        What the average trade of the group gets from both.
    """

    effects: dict[str, AnyEffect]
    added: dict[str, float]
    mean: float


def shared_weight(chosen: Iterable[Effect], counts: Counts) -> float:
    """How far shared effects count beside the chosen ones of a group.

    Without chosen effects that are phased in, there is nothing to weigh them against.

    Parameters
    ----------
    chosen
        The chosen effects of the group.
    counts
        How far learners count in the module.

    Returns
    -------
    A weight from 0 to 1, in steps.
    """
    surest = max((effect.ramp for effect in chosen), default=0.0)
    return in_steps(counts.open * (1.0 - surest * (1.0 - counts.shared)))


class SharedEffects(NamedTuple):
    """The shared effects of L lessons of a group.

    Attributes
    ----------
    lessons
        The lessons.
    effects
        Their effects (L, shares).
    precision
        1 / variance of each slice's mean (L,).
    prior
        Prior variance of each effect per share (L,).
    weight
        Weight of each in the mean of the group's trades (L,).
    """

    lessons: list[AnyLesson]
    effects: Floats
    precision: Floats
    prior: Floats
    weight: Floats


def shared_effects(group: GroupPath) -> SharedEffects:
    """The shared effects of a group's slices as arrays.

    Parameters
    ----------
    group
        The group and its path.

    Returns
    -------
    Arrays of the L lessons that have a shared effect, in units of the outcome.
    """
    found = [lesson for lesson in group.shared if lesson.scope]
    rows = np.frombuffer(packed_posteriors(found), "<f8")
    rows = rows.reshape(len(found), 2 + len(SHARES))
    return SharedEffects(
        found,
        rows[:, 2:],
        rows[:, 0],
        rows[:, 1],
        np.array([lesson.n for lesson in found], np.float64) / max(group.summary.n, 1),
    )


def shared_part(
    group: GroupPath,
    chosen: tuple[str, ...],
    weight: float,
    share: float,
    scale: float,
) -> SharedPart:
    """The shared effects of a group's slices, weighed.

    Those below `LEAST_SIZE` are left out.

    Parameters
    ----------
    group
        The group and its path.
    chosen
        Ids of lessons that have a chosen effect.
    weight
        Weight of shared effects, from 0 to 1.
    share
        Posterior mean of the persistent share of the group's variance.
    scale
        Units of the outcome per unit of size.

    Returns
    -------
    Effects in units of the outcome.
    """
    shared, have = shared_effects(group), frozenset(chosen)
    raw = (shared.effects * between(share)).sum(axis=1)
    sizes = weight * raw
    sds = 1.0 / np.sqrt(shared.precision + 1.0 / np.maximum(share * shared.prior, 1e-300))
    seen = (np.abs(sizes) >= LEAST_SIZE * scale).tolist()
    part = SharedPart({}, {}, 0.0)
    as_of, mean = group.summary.as_of, []
    packed = packed_shared(raw, sds, sizes)
    for lesson, size, numbers, moves, n in zip(
        shared.lessons, sizes.tolist(), packed, seen, shared.weight.tolist(), strict=True
    ):
        if lesson.lesson_id in have:
            part.added[lesson.lesson_id] = size
        elif moves:
            part.effects[lesson.lesson_id] = SharedEffect(lesson, as_of, numbers)
        else:
            continue
        mean.append(size * n)
    return part._replace(mean=fsum(mean))


def with_shared(
    group: GroupPath,
    whole: AnyLesson,
    found: Mapping[str, Effect],
    level: PooledLevel,
    part: SharedPart,
    weight: float,
    opened: float,
    scale: float,
) -> dict[str, AnyEffect]:
    """The effects of a group, chosen and shared ones weighed.

    Parameters
    ----------
    group
        The group and its path.
    whole
        The lesson of the whole group.
    found
        Its chosen effects, by lesson id, the whole group's among them.
    level
        Posterior mean of its level.
    part
        What its slices share.
    weight
        Weight of shared effects, from 0 to 1.
    opened
        How far the module has opened, above 0.
    scale
        Units of the outcome per unit of size.

    Returns
    -------
    Effects by lesson id, in units of the outcome.

    References
    ----------
    Robinson 1991, "That BLUP is a good thing", Statistical Science 6.
    """
    made = dict(part.effects)
    for i in group.path.lesson_ids:
        if i in found:
            made[i] = _with_moved(found[i], weight, part.added.get(i, 0.0))
    of_level, own_level = opened, found.get(whole.lesson_id)
    if own_level is not None:  # as far as it passes alone, it stays as it is
        of_level *= 1.0 - own_level.ramp
    # The mean of a group includes its chosen effects, so only the predictor without these starts
    # from it.
    of_mean = weight / opened
    pooled = of_mean * level.mean + (1.0 - of_mean) * level.net
    size = of_level * pooled + (opened - of_level) * of_mean * level.added - part.mean
    if own_level is not None:
        made[whole.lesson_id] = _plus(own_level, of_level, size)
    elif abs(size) >= LEAST_SIZE * scale:
        [numbers] = packed_shared([pooled], [abs(pooled)], [size])
        made[whole.lesson_id] = SharedEffect(whole, group.summary.as_of, numbers)
    return made


def _plus(effect: Effect, share: float, size: float) -> Effect:
    """A chosen effect minus the `share` that the shared one replaces, plus the `size` of the shared
    one."""
    return effect.resized(effect.effect * (1.0 - share) + size)


def _with_moved(effect: Effect, share: float, size: float) -> Effect:
    """The same for a slice whose effect may have moved from its mean since.

    Shared effects are constant over time: the amount that one adds to the effect's mean decays as
    the effect does, and the effect's movement stays.  If the effect is not phased in, all of it
    counts, as for slices that are not chosen.
    """
    mean, now = effect.raw * effect.ramp, effect.effect
    gone = 1.0 - min(abs(now / mean), 1.0) if mean else 0.0
    return effect.resized(now + (1.0 - effect.ramp * gone) * (size - share * mean))
