"""Handing out: the verdict on every lesson of a module, and the overrides.

May touch: nothing but its arguments.  What was made of an effect, or of a lesson without one, is
said again only when it is made of something else.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from app.learning.common.config import LearningConfig
from app.learning.common.multiplier import multiplier, on_grid
from app.learning.integrated.factors import Factor
from app.learning.integrated.held_lessons import HeldGroup
from app.learning.integrated.merging import Group
from app.learning.integrated.netting import Effect
from app.learning.integrated.records import (
    Rejection,
    override_record,
    rejected_record,
    verdict_record,
)
from app.learning.integrated.refinements import refined, refinements_of
from app.learning.integrated.regime_gains import gains_of, steps_of
from app.learning.integrated.regimes import RegimeWeights
from edgeloop.overrides import Override
from schemas.lessons import Lesson, LessonVerdict, Metrics


class Common(NamedTuple):
    """What all records of a module are made with: `scale` units of the outcome are one unit of
    size, `centre` is the baseline that verdicts name, `newest_us` the newest exit on the grid of
    `ALIVE_US`, `weights` those of regimes where any is active."""

    scale: float
    centre: float
    newest_us: int
    weights: Sequence[RegimeWeights]


@dataclass
class Handed:
    """Records that have changed, and the ids of those that should not be there any more."""

    verdicts: list[LessonVerdict] = field(default_factory=list)
    overrides: list[Override] = field(default_factory=list)
    without_verdict: list[str] = field(default_factory=list)
    without_override: list[str] = field(default_factory=list)


class _Why(NamedTuple):
    """What a verdict or an override is made of, beside the effect or the lesson."""

    members: tuple[str, ...] = ()
    cover: str | None = None
    factor_id: str | None = None
    gains: tuple[tuple[str, float], ...] = ()
    on_path: bool = False


class _Said:
    """What was said of a group: what each lesson's verdict was `made_of`, by id, and the ids of its
    `overrides`; of these `gaining`, by id the metrics of those that could have gains.  `plain`: no
    lesson is in a factor."""

    __slots__ = ("gaining", "made_of", "overrides", "plain")

    def __init__(self) -> None:
        self.made_of: dict[str, tuple[Effect | Lesson, _Why]] = {}
        self.overrides: set[str] = set()
        self.gaining: dict[str, Metrics] = {}
        self.plain = True


_PLAIN = _Why()
_ON_PATH = _Why(on_path=True)


class HandingOut:
    """The verdicts and overrides of one module."""

    def __init__(self, config: LearningConfig) -> None:
        self._config = config
        self._said: dict[Group, _Said] = {}
        self._common: Common | None = None
        self._anew = False  # all records are made of other numbers that they have in common
        self._steps: dict[tuple[Group, str], bytes] = {}
        self._regained: set[tuple[Group, str]] = set()

    def forget(self) -> None:
        """Say everything again."""
        self._said, self._common, self._steps = {}, None, {}

    def prepare(self, common: Common) -> set[Group]:
        """Make records with this from now on; the groups to be handed out again for it."""
        before, self._common = self._common, common
        self._regained = set()
        self._anew = before is not None and before[:3] != common[:3]
        if self._anew:
            self._steps = {}
            return set(self._said)
        if before is None or before.weights is common.weights:
            return set()
        self._regained = self._others(common.weights)
        return {key for key, _ in self._regained}

    def _others(self, weights: Sequence[RegimeWeights]) -> set[tuple[Group, str]]:
        """The overrides, by group and id, whose gains are others with these weights."""
        places = [(key, i) for key, said in self._said.items() for i in said.gaining]
        rows = [m for said in self._said.values() for m in said.gaining.values()]
        found = steps_of(rows, weights)
        before, self._steps = self._steps, dict(zip(places, found, strict=True))
        return {place for place, steps in self._steps.items() if before.get(place) != steps}

    def hand_out(
        self,
        key: Group,
        group: HeldGroup | None,
        effects: Mapping[str, Effect],
        factor_of: Mapping[str, Factor],
        touched: bool,
        version: int,
        handed: Handed,
    ) -> None:
        """Add what has changed of a group, marked with `version`; None for one that is gone.

        `effects` are by lesson id, as is the factor of each lesson that is in one; not `touched`
        are groups of which lessons, the summary and factors are as before.
        """
        assert self._common is not None
        lessons = {} if group is None else group.lessons
        members = refinements_of(effects, self._config.regime_signature)
        if members and self._common.weights:
            effects = refined(effects, members, self._common.weights, self._config.regime_signature)
        said = self._said.get(key)
        if said is None:
            said = self._said[key] = _Said()
        known = said.made_of
        plain = not factor_of or not any([i in factor_of for i in lessons])
        whole = touched or self._anew or not known or not (plain and said.plain)
        said.plain = plain
        found = [
            (i, effect)
            for i, effect in effects.items()
            if whole or i not in known or known[i][0] is not effect or (key, i) in self._regained
        ]
        left = [i for i, (of, _) in known.items() if isinstance(of, Effect) and i not in effects]
        covered = self._hand_out_effects(
            said, found, lessons, effects, members, factor_of, version, handed
        )
        rejected = lessons if whole else [i for i in left if i in lessons]
        path: Container[str] = ()
        if group is not None and group.summary is not None and group.summary.path is not None:
            path = frozenset(group.summary.path.lesson_ids)
        for i in rejected:
            if i not in effects:
                factor, cover, on_path = factor_of.get(i), covered.get(i), i in path
                why = _ON_PATH if on_path else _PLAIN
                if factor is not None or cover is not None:
                    why = _Why((), cover, factor and factor.factor_id, (), on_path)
                self._reject(said, lessons[i], why, version, handed)
        for i in left:
            if i in said.overrides:
                said.overrides.discard(i)
                said.gaining.pop(i, None)
                handed.without_override.append(i)
        for i in [i for i in (known if whole else left) if i not in effects and i not in lessons]:
            del known[i]
            handed.without_verdict.append(i)
        if not known:
            del self._said[key]

    def _hand_out_effects(
        self,
        said: _Said,
        found: list[tuple[str, Effect]],
        lessons: Mapping[str, Lesson],
        effects: Mapping[str, Effect],
        chopped: Container[str],
        factor_of: Mapping[str, Factor],
        version: int,
        handed: Handed,
    ) -> dict[str, str]:
        """Add what has changed of these effects; returns the lessons that are covered, and what
        covers each.  Gains of `chopped` slices matter without an override."""
        assert self._common is not None
        scale, _, newest_us, weights = self._common
        covered: dict[str, str] = {}
        found.sort()
        sizes = np.array([effect.effect for _, effect in found]) / scale
        multipliers = on_grid(multiplier(sizes)).tolist()
        for (i, effect), size, times in zip(found, sizes.tolist(), multipliers, strict=True):
            factor = factor_of.get(i) if factor_of else None
            why: _Why = _PLAIN
            gains: tuple[tuple[str, float], ...] = ()
            metrics, gaining = effect.lesson.metrics, times != 1.0 or i in chopped
            if gaining and metrics is not None and effect.lesson.scope:
                said.gaining[i] = metrics
            else:
                said.gaining.pop(i, None)
            if times != 1.0:
                if weights and i in said.gaining:
                    gains = tuple(gains_of(effect.lesson, weights).items())
                members = () if factor is None else _silent(factor, lessons, effects, covered)
                covered.update(dict.fromkeys(members, i))
                if members or gains:
                    why = _Why(members, gains=gains)
            if factor is not None:
                why = why._replace(factor_id=factor.factor_id)
            old = said.made_of.get(i)
            again = self._anew or old is None or old[0] is not effect or old[1] != why
            said.made_of[i] = effect, why
            if times == 1.0:
                if i in said.overrides:
                    said.overrides.discard(i)
                    handed.without_override.append(i)
            else:
                said.overrides.add(i)
            if again:
                handed.verdicts.append(verdict_record(effect, size, times, factor, scale, version))
                if times != 1.0:
                    handed.overrides.append(
                        override_record(
                            effect, size, times, why.members, factor, dict(why.gains), scale,
                            newest_us, version,
                        )
                    )  # fmt: skip
        return covered

    def _reject(self, said: _Said, lesson: Lesson, why: _Why, version: int, handed: Handed) -> None:
        """Add the verdict on a lesson without an effect, if it has changed."""
        assert self._common is not None
        old = said.made_of.get(lesson.lesson_id)
        if self._anew or old is None or old[0] is not lesson or old[1] != why:
            said.made_of[lesson.lesson_id] = lesson, why
            rejection = Rejection(why.cover, why.factor_id, self._common.centre, why.on_path)
            handed.verdicts.append(rejected_record(lesson, rejection, self._config.n_min, version))


def _silent(
    factor: Factor,
    lessons: Mapping[str, Lesson],
    effects: Mapping[str, Effect],
    covered: Mapping[str, str],
) -> tuple[str, ...]:
    """Lessons of a factor in a group that have no effect themselves, nor are covered yet: an
    override of the factor in that group speaks for their trades."""
    return tuple(
        [m for m in factor.members if m in lessons and m not in effects and m not in covered]
    )
