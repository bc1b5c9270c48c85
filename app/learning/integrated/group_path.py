"""A group's path as its module's judge reads it: the effects that were chosen in the group, in
order, and the fits of the first of them.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import fsum
from typing import NamedTuple

import numpy as np

from app.learning.common.baselines import SegmentBaselines
from app.learning.common.rounding import shortened
from app.learning.integrated.held_lesson import AnyLesson, shared_of
from schemas.lessons import Fit, GroupSummary, Path


class GroupPath(NamedTuple):
    """A group's path with the records that belong to it.

    Attributes
    ----------
    summary
        The group's summary.
    path
        Its path.
    lessons
        The lessons on the path, by id.
    shared
        The lessons with a shared effect.
    """

    summary: GroupSummary
    path: Path
    lessons: Mapping[str, AnyLesson]
    shared: tuple[AnyLesson, ...]


def shared_sum(lessons: Iterable[AnyLesson]) -> tuple[int, float]:
    """How many lessons have a shared effect, and the sum of these effects.

    Parameters
    ----------
    lessons
        Lessons of a group, in any order.

    Returns
    -------
    The number, and the sum in units of the outcome, the same in whatever order they come.
    """
    effects = [shared for lesson in lessons if (shared := shared_of(lesson))]
    return len(effects), shortened(fsum(x for shares in effects for x in shares))


def of_one_refit(
    summary: GroupSummary, path: Path, lessons: Mapping[str, AnyLesson], shared: Sequence[AnyLesson]
) -> bool:
    """Whether all records of a group come from the same refit.

    Parameters
    ----------
    summary
        The group's summary.
    path
        Its path.
    lessons
        The group's lessons, by id.
    shared
        The lessons that have a shared effect.

    Returns
    -------
    True if every lesson of the path is there with the coefficient of the last fit, and if the
    shared effects add up to those of the summary.
    """
    if summary.shared is not None and summary.shared != shared_sum(shared):
        return False
    found = [lesson.marginal for i in path.lesson_ids if (lesson := lessons.get(i)) is not None]
    return len(found) == len(path.lesson_ids) and all(
        marginal is not None and marginal.effect == coefficient
        for marginal, coefficient in zip(found, path.fits[-1].coefficients[1:], strict=True)
    )


def blended(fits: Sequence[Fit], ramps: Sequence[float]) -> Fit:
    """One fit of the first k effects, each as far as it is phased in.

    It is a weighted mean of the fits of 0, 1, … k effects: the weight of each is the part by which
    the next effect is not yet phased in. So what an effect takes from the others does not jump
    either.

    Parameters
    ----------
    fits
        Fits of 0, 1, 2, … effects.
    ramps
        How far each of the first k effects is phased in (k,), from 1 down to 0.

    Returns
    -------
    The blended fit, in the units of `fits`.

    >>> fits = [Fit((1.0,), (0.1,), ((1.0,),)), Fit((0.5, 2.0), (0.1, 0.2), ((1.0,), (0.0,)))]
    >>> [blended(fits, ramps).coefficients for ramps in ([], [0.25], [1.0])]
    [(1.0,), (0.875, 2.0), (0.5, 2.0)]
    """
    came = np.array([1.0, *ramps])
    weight = came - np.append(came[1:], 0.0)
    columns = [
        np.column_stack((fit.coefficients, fit.sds, fit.loadings)) for fit in fits[: len(came)]
    ]
    total = np.zeros_like(columns[-1])
    for share, column in zip(weight.tolist(), columns, strict=True):
        total[: len(column)] += share * column
    total /= came[:, None]
    return Fit(
        tuple(total[:, 0].tolist()),
        tuple(total[:, 1].tolist()),
        tuple(map(tuple, total[:, 2:].tolist())),
    )


def explained(
    loadings: Sequence[float], path: Path, baselines: SegmentBaselines
) -> tuple[float, float]:
    """What the segments explain of a coefficient.

    Parameters
    ----------
    loadings
        Loadings (S,) of the coefficient on the path's segments.
    path
        The group's path.
    baselines
        Mean outcome of the module's segments.

    Returns
    -------
    The part explained, in units of the outcome, and its variance.
    """
    total = variance = 0.0
    for loading, key in zip(loadings, path.segments, strict=True):
        total += loading * baselines.means.get(key, baselines.elsewhere[0])
        variance += loading * loading * baselines.variances.get(key, baselines.elsewhere[1])
    return total, variance
