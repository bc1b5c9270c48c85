"""The form of decay: constant, linear or exponential?  Each is fitted to the trades before a cut
and tested on those after it.

May touch: nothing but its arguments.

Uplift of a trade at t (in spans of the effect's trades, from the first): a · f(t) + noise, with

    constant      f = 1
    linear        f = max(0, 1 − t/T)
    exponential   f = 2^(−t/h)

The two decaying forms have two parameters each, on matching grids (half of the edge is gone at h,
or at T/2) that end with "no decay".  The amplitude has the same normal prior in all three; the time
has the same prior over the grid.  All are Bayesian regressions in closed form, so that what is
scored is the predictive density of a later trade: noise, amplitude and time all uncertain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from app.audit.timeline import Slices
from app.audit.trades import Decision, Group
from app.learning.common.event_time import HOUR_US
from app.learning.common.trade import Trade
from app.learning.engine import Engine
from app.learning.integrated.clipping import clip_bounds
from schemas.lessons import Lesson

Floats = NDArray[np.float64]

FORMS = ("constant", "linear", "exponential")
HALF_GONE = np.append(np.geomspace(1 / 32, 4.0, 29), np.inf)
"""Times at which half of the edge is gone, in spans."""
STAYS = 0.5
"""Prior weight of "no decay" in the two decaying forms; the rest is uniform in ln(time)."""


class TrackedEffect(NamedTuple):
    """A chosen effect that passed at a cut: its trades before and after the cut.

    `hours` (n,) are exits since 1970, ascending; `uplift` (n,) is what each trade made beyond all
    other effects, clipped at the group's bounds; `after_us` (m,) are decisions after the cut,
    `after` (m,) the uplift of their trades; `noise_sd` is the standard deviation of one trade.
    """

    lesson: Lesson
    hours: Floats
    uplift: Floats
    noise_sd: float
    after_us: NDArray[np.int64]
    after: Floats


class DecayFit(NamedTuple):
    """One fitted form: C cells with weights `log_weight`, the amplitude's `mean` and `variance`
    (C,), and `half_gone` (C,) in spans."""

    form: str
    first: float
    span: float
    log_weight: Floats
    mean: Floats
    variance: Floats
    half_gone: Floats

    def shape(self, hours: Floats) -> Floats:
        """The shapes of the cells (C, N) at `hours` (N,)."""
        return shapes(self.form, (hours - self.first) / self.span, self.half_gone)

    def curve(self, hours: Floats) -> Floats:
        """The expected uplift (N,) at `hours`."""
        return np.asarray(np.exp(self.log_weight) * self.mean @ self.shape(hours))

    def log_density(self, hours: Floats, uplift: Floats, noise_sd: float) -> Floats:
        """The log predictive density of each trade's uplift by itself (N,)."""
        f = self.shape(hours)
        variance = noise_sd**2 + self.variance[:, None] * f * f
        log_p = -0.5 * (
            (uplift - self.mean[:, None] * f) ** 2 / variance + np.log(2.0 * np.pi * variance)
        )
        return np.asarray(logsumexp(self.log_weight[:, None] + log_p, axis=0))


def shapes(form: str, t: Floats, half_gone: Floats) -> Floats:
    """The values f (C, N) of a form at times t (N,) in spans.

    >>> shapes("linear", np.array([0.0, 1.0, 3.0]), np.array([1.0, np.inf])).tolist()
    [[1.0, 0.5, 0.0], [1.0, 1.0, 1.0]]
    >>> shapes("exponential", np.array([0.0, 1.0, 3.0]), np.array([1.0])).tolist()
    [[1.0, 0.5, 0.125]]
    """
    if form == "linear":
        return np.maximum(0.0, 1.0 - t / (2.0 * half_gone[:, None]))
    return np.exp2(-t / half_gone[:, None])


def fit(form: str, hours: Floats, uplift: Floats, noise_sd: float) -> DecayFit:
    """Fit `form` (one of `FORMS`) to trades at `hours` (n,).

    >>> hours = np.arange(200.0)
    >>> going = fit("exponential", hours, np.exp2(-hours / 50), 0.1)
    >>> going.curve(np.array([50.0, 250.0])).round(2).tolist()
    [0.5, 0.03]
    """
    first, span = float(hours[0]), max(float(hours[-1] - hours[0]), 1.0)
    half_gone = HALF_GONE[-1:] if form == "constant" else HALF_GONE
    f = shapes(form, (hours - first) / span, half_gone)
    noise2 = max(noise_sd**2, 1e-300)
    prior = 4.0 * float(np.mean(uplift)) ** 2 + noise2
    precision = (f * f).sum(axis=1) / noise2 + 1.0 / prior
    mean = f @ uplift / noise2 / precision
    log_weight = 0.5 * (mean**2 * precision - np.log(prior * precision))
    if form != "constant":
        log_weight += np.log(
            np.append(np.full(len(half_gone) - 1, (1.0 - STAYS) / (len(half_gone) - 1)), STAYS)
        )
    return DecayFit(
        form, first, span, log_weight - logsumexp(log_weight), mean, 1.0 / precision, half_gone
    )


class Densities(NamedTuple):
    """M trades after cuts, each in one effect: `at_us` (M,) is the time of the decision,
    `log_density` (M, 4) the log density of its uplift without any effect, then by each of `FORMS`;
    `n_effects` is the number of fitted effects.
    """

    at_us: NDArray[np.int64]
    log_density: Floats
    n_effects: int


def densities(effects: Sequence[TrackedEffect]) -> Densities:
    """How well each form predicted the trades after the cut."""
    at, rows, n = [np.zeros(0, np.int64)], [np.zeros((0, 1 + len(FORMS)))], 0
    for e in effects:
        if not len(e.after) or len(e.uplift) < 2 or not e.noise_sd > 0:
            continue
        n += 1
        nothing = -0.5 * ((e.after / e.noise_sd) ** 2 + np.log(2.0 * np.pi * e.noise_sd**2))
        hours = e.after_us / HOUR_US
        scored = [
            fit(form, e.hours, e.uplift, e.noise_sd).log_density(hours, e.after, e.noise_sd)
            for form in FORMS
        ]
        at.append(e.after_us)
        rows.append(np.column_stack((nothing, *scored)))
    return Densities(np.concatenate(at), np.concatenate(rows), n)


def together(parts: Sequence[Densities]) -> Densities:
    """The results of several cuts together."""
    if not parts:
        return densities([])
    return Densities(
        np.concatenate([p.at_us for p in parts]),
        np.concatenate([p.log_density for p in parts]),
        sum(p.n_effects for p in parts),
    )


def effects(
    engine: Engine, known: Mapping[Group, Sequence[Trade]], asked: Sequence[Decision]
) -> list[TrackedEffect]:
    """The effects that passed in `engine`'s judgement, with their trades in `known` and the
    decisions of `asked` that they match."""
    passed = {v.lesson_id for v in engine.verdicts() if v.confidence > 0.0}
    lessons = {lesson.lesson_id: lesson for lesson in engine.lessons()}
    of_group: dict[Group, list[Decision]] = {}
    for d in asked:
        of_group.setdefault(d.group, []).append(d)
    found = []
    for summary in engine.summaries():
        path, group = summary.path, (summary.pattern_key, summary.action_category)
        if path is None or group not in of_group or passed.isdisjoint(path.lesson_ids):
            continue
        trades, later = known[group], of_group[group]
        chosen = [lessons[i] for i in path.lesson_ids]
        coefficients = np.array(path.fits[-1].coefficients)
        raw = np.array([t.outcome for t in trades])
        low, high = clip_bounds(raw)
        slices = Slices(trades)
        inside = np.array([slices.members(x.scope) for x in chosen])
        inside_later = np.array(
            [[all(d.scope.get(k) == v for k, v in x.scope.items()) for d in later] for x in chosen]
        )
        residual = np.clip(raw, low, high) - coefficients[0] - coefficients[1:] @ inside
        residual_later = (
            np.clip([d.outcome for d in later], low, high)
            - coefficients[0]
            - coefficients[1:] @ inside_later
        )
        hours = np.array([t.exit_us for t in trades]) / HOUR_US
        at_us = np.array([d.at_us for d in later], np.int64)
        first = np.zeros(len(later), np.bool_)
        first[np.unique([d.trade_id for d in later], return_index=True)[1]] = True
        for lesson, b, mine, mine_later in zip(
            chosen, coefficients[1:], inside, inside_later & first, strict=True
        ):
            if lesson.lesson_id in passed and lesson.marginal is not None and mine.any():
                found.append(
                    TrackedEffect(
                        lesson,
                        hours[mine],
                        residual[mine] + b,
                        lesson.marginal.noise_sd,
                        at_us[mine_later],
                        residual_later[mine_later] + b,
                    )
                )
    return found
