"""Whole groups: how far the level of a group lies from the baseline, and what is left of that now.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from app.learning.common.baselines import SegmentBaselines
from app.learning.common.event_time import HOUR_US, micros_from_text
from app.learning.integrated.half_life import edge_states
from app.learning.integrated.history import decay_of
from app.learning.integrated.netting import Effect, kept, ramp_of
from app.learning.integrated.paths import GroupPath, explained
from schemas.identity import slice_id
from schemas.lessons import Fit, Lesson, LessonDecay


class Level(NamedTuple):
    """A group's level against the baseline: |z|, net of the baseline, its standard error, and the baseline."""

    z: float
    net: float
    sd: float
    baseline: float


def levels(groups: Sequence[GroupPath], passed: Mapping[str, Fit], baselines: SegmentBaselines) -> dict[str, Level]:
    """The level of each group, by the id of its whole lesson; `passed` has the fit of the effects that passed, by the summary's id.

    |z| is the smaller of that of all trades together and that beyond the chosen effects, 0 where their signs differ.  What the chosen
    effects add to the average trade of the module is not held against a group without any: beyond the effects, levels are compared
    with a baseline beyond them.
    """
    home = {summary.lesson_id: sum(part.n for part in summary.segments) for summary, _, _ in groups}
    added = sum(
        home[summary.lesson_id] * (path.fits[0].coefficients[0] - passed[summary.lesson_id].coefficients[0]) for summary, path, _ in groups
    ) / max(sum(home.values()), 1)
    found = {}
    for summary, path, _ in groups:
        values = []
        for fit, beyond in ((path.fits[0], 0.0), (passed[summary.lesson_id], added)):
            baseline, variance = explained(fit.loadings[0], path, baselines)
            baseline -= beyond
            sd = float(np.sqrt(fit.sds[0] ** 2 + variance))
            values.append((fit.coefficients[0] - baseline, sd, baseline))
        (alone, alone_sd, _), (net, sd, baseline) = values
        agrees = alone * net > 0 and sd > 0 and alone_sd > 0
        z = min(abs(alone) / alone_sd, abs(net) / sd) if agrees else 0.0
        found[slice_id(summary.module, summary.pattern_key, summary.action_category, {})] = Level(z, net, sd, baseline)
    return found


def whole_effect(lesson: Lesson, level: Level, bar: float, half_life: bool) -> Effect:
    """The edge of a whole group, now: from its days, since only here the baseline is known."""
    z, net, sd, baseline = level
    now, now_sd, decay = net, sd, LessonDecay(state="stable")
    cells = lesson.history
    if half_life and len(cells) > 1 and lesson.marginal is not None:
        n = np.array([sum(part.n for part in cell.regimes) for cell in cells])
        mean = np.array([sum(part.n * part.uplift for part in cell.regimes) for cell in cells]) / n
        shift = net - (lesson.marginal.effect - baseline)
        hours = (np.array([cell.day for cell in cells]) + 0.5) * 24.0
        noise = lesson.marginal.noise_sd
        # A day's mean of n trades stands for n observations of it.
        state = edge_states(
            np.repeat(hours, n),
            np.repeat(mean - baseline + shift, n),
            np.array([0, n.sum()]),
            np.array([max(noise, sd * float(np.sqrt(n.sum())))]),
            micros_from_text(lesson.as_of) / HOUR_US,
        )[0]
        now, now_sd = state.now, state.now_sd
        decay = decay_of(state)
    ramp = ramp_of(z, bar)
    return Effect(lesson, z, ramp, net, sd, now * ramp * kept(now, now_sd**2), now_sd, decay, baseline, lesson.as_of)
