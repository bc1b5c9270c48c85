"""Sizing: the multiplier of each effect of a module, its override, and each lesson's verdict.

May touch: nothing but its arguments.  A record is built again only when what it is based on has
changed.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from app.learning.common.config import LearningConfig
from app.learning.common.multiplier import FINE_GRID, GRID, multiplier, on_grid
from app.learning.integrated.held_lesson import HeldLesson
from app.learning.integrated.held_lessons import HeldGroup
from app.learning.integrated.judge_records import (
    Rejection,
    confidences,
    override_record,
    rejected_record,
    verdict_record,
)
from app.learning.integrated.latent_factors import Factor
from app.learning.integrated.merging import Group
from app.learning.integrated.net_of_segments import AnyEffect, Effect, SharedEffect
from app.learning.integrated.regime_gains import gains_of, steps_of
from app.learning.integrated.regime_refinements import refined, refinements_of
from app.learning.integrated.regime_weights import RegimeWeights
from edgeloop.overrides import Override
from schemas.lessons import LessonVerdict, Metrics


class Common(NamedTuple):
    """What all records of a module share.

    Attributes
    ----------
    scale
        Units of the outcome per unit of size.
    centre
        The baseline that verdicts show.
    newest_us
        Newest exit of the module, as `expiry.alive_at` rounds it.
    weights
        Regime weights; empty where none is active.
    """

    scale: float
    centre: float
    newest_us: int
    weights: Sequence[RegimeWeights]


@dataclass
class SizeChanges:
    """Records that have changed, and ids of records to withdraw.

    Attributes
    ----------
    verdicts, overrides
        The records.
    without_verdict, without_override
        The ids.
    """

    verdicts: list[LessonVerdict] = field(default_factory=list)
    overrides: list[Override] = field(default_factory=list)
    without_verdict: list[str] = field(default_factory=list)
    without_override: list[str] = field(default_factory=list)


class _Why(NamedTuple):
    """The inputs of a verdict or an override, besides the effect or the lesson."""

    members: tuple[str, ...] = ()
    cover: str | None = None
    factor_id: str | None = None
    gains: tuple[tuple[str, float], ...] = ()
    on_path: bool = False


Basis = AnyEffect | HeldLesson | tuple[AnyEffect | HeldLesson, _Why]
"""The inputs of a record: an effect or a lesson, with the other inputs, if any."""


class _LastResult:
    """The last result for a group.

    Attributes
    ----------
    basis
        What each lesson's verdict was made from, by lesson id.
    neutral
        Ids of its effects that have no override.
    gaining
        Metrics of the overrides that may get regime gains, by id.
    plain
        Whether no lesson is in a factor.
    members
        The refinements of its slices, which depend on the `ids` of its effects alone.
    """

    __slots__ = ("basis", "gaining", "ids", "members", "neutral", "plain")

    def __init__(self) -> None:
        self.basis: dict[str, Basis] = {}
        self.neutral: set[str] = set()
        self.gaining: dict[str, Metrics] = {}
        self.plain = True
        self.ids: tuple[str, ...] = ()
        self.members: dict[str, list[str]] = {}


EFFECTS = (Effect, SharedEffect)
_PLAIN = _Why()
_ON_PATH = _Why(on_path=True)


def _basis(of: AnyEffect | HeldLesson, why: _Why) -> Basis:
    return of if why == _PLAIN else (of, why)


def _of(basis: Basis | None) -> AnyEffect | HeldLesson | None:
    """The effect or the lesson: an `Effect` is a tuple as well, but longer."""
    if basis is None or isinstance(basis, (Effect, SharedEffect, HeldLesson)):
        return basis
    return basis[0]


def _same(old: Basis | None, of: AnyEffect | HeldLesson, why: _Why) -> bool:
    """Whether a record that is based on this would be as before."""
    if old is of:
        return why == _PLAIN
    return type(old) is tuple and old[0] is of and old[1] == why


class Sizing:
    """The verdicts and overrides of one module.

    Parameters
    ----------
    config
        The settings.
    """

    def __init__(self, config: LearningConfig) -> None:
        self._config = config
        self._last: dict[Group, _LastResult] = {}
        self._common: Common | None = None
        self._anew = False  # numbers that all records share have changed
        self._steps: dict[tuple[Group, str], bytes] = {}
        self._regained: set[tuple[Group, str]] = set()

    def forget(self) -> None:
        """Build all records again."""
        self._last, self._common, self._steps = {}, None, {}

    def prepare(self, common: Common) -> set[Group]:
        """Make records with these common values from now on.

        Parameters
        ----------
        common
            The values.

        Returns
        -------
        The groups that must be sized again.
        """
        before, self._common = self._common, common
        self._regained = set()
        self._anew = before is not None and before[:3] != common[:3]
        if self._anew:
            self._steps = {}
            return set(self._last)
        if before is None or before.weights is common.weights:
            return set()
        self._regained = self._others(common.weights)
        return {key for key, _ in self._regained}

    def _others(self, weights: Sequence[RegimeWeights]) -> set[tuple[Group, str]]:
        """The overrides, by group and id, whose gains change with these weights."""
        places = [(key, i) for key, last in self._last.items() for i in last.gaining]
        rows = [m for last in self._last.values() for m in last.gaining.values()]
        found = steps_of(rows, weights)
        before, self._steps = self._steps, dict(zip(places, found, strict=True))
        return {place for place, steps in self._steps.items() if before.get(place) != steps}

    def size(
        self,
        key: Group,
        group: HeldGroup | None,
        effects: Mapping[str, AnyEffect],
        factor_of: Mapping[str, Factor],
        touched: bool,
        version: int,
        changes: SizeChanges,
    ) -> None:
        """Decide the sizes of a group, and add what has changed.

        Parameters
        ----------
        key
            Pattern key and category.
        group
            The group; None if it is gone.
        effects
            Its effects, by lesson id.
        factor_of
            Latent factors by lesson id.
        touched
            Whether a lesson, the summary or a factor has changed.
        version
            The version that changed records are marked with.
        changes
            Where changes are added.
        """
        assert self._common is not None
        lessons = {} if group is None else group.lessons
        last = self._last.get(key)
        if last is None:
            last = self._last[key] = _LastResult()
        ids = tuple(effects)
        if ids != last.ids:
            last.ids = ids
            last.members = refinements_of(effects, self._config.regime_signature)
        members = last.members
        if members and self._common.weights:
            effects = refined(effects, members, self._common.weights)
        known = last.basis
        plain = not factor_of or not any([i in factor_of for i in lessons])
        whole = touched or self._anew or not known or not (plain and last.plain)
        last.plain = plain
        found = [
            (i, effect)
            for i, effect in effects.items()
            if whole or i not in known or _of(known[i]) is not effect or (key, i) in self._regained
        ]
        left = [
            i for i, basis in known.items() if i not in effects and isinstance(_of(basis), EFFECTS)
        ]
        covered = self._size_effects(
            last, found, lessons, effects, members, factor_of, version, changes
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
                self._reject(last, lessons[i], why, version, changes)
        for i in left:
            last.gaining.pop(i, None)
            if i in last.neutral:
                last.neutral.discard(i)
            else:
                changes.without_override.append(i)
        for i in [i for i in (known if whole else left) if i not in effects and i not in lessons]:
            del known[i]
            changes.without_verdict.append(i)
        if not known:
            del self._last[key]

    def _size_effects(
        self,
        last: _LastResult,
        found: list[tuple[str, AnyEffect]],
        lessons: Mapping[str, HeldLesson],
        effects: Mapping[str, AnyEffect],
        split_by_regime: Container[str],
        factor_of: Mapping[str, Factor],
        version: int,
        changes: SizeChanges,
    ) -> dict[str, str]:
        """Add what has changed of these effects; returns the lessons that are covered, and what
        covers each.  Gains of slices that are `split_by_regime` by regime matter even without an
        override."""
        assert self._common is not None
        scale, _, newest_us, weights = self._common
        covered: dict[str, str] = {}
        found.sort()
        effects_now = np.array([effect.effect for _, effect in found])
        sizes = effects_now / scale
        grids = [FINE_GRID if effect.part == "shared" else GRID for _, effect in found]
        multipliers = on_grid(multiplier(sizes), np.array(grids)).tolist()
        certain = confidences(effects_now, np.array([effect.effect_sd for _, effect in found]))
        for (i, effect), size, times, confidence in zip(
            found, sizes.tolist(), multipliers, certain, strict=True
        ):
            factor = factor_of.get(i) if factor_of else None
            why: _Why = _PLAIN
            gains: tuple[tuple[str, float], ...] = ()
            metrics, gaining = effect.lesson.metrics, times != 1.0 or i in split_by_regime
            if gaining and metrics is not None and effect.lesson.scope:
                last.gaining[i] = metrics
            else:
                last.gaining.pop(i, None)
            if times != 1.0:
                if weights and i in last.gaining:
                    gains = tuple(gains_of(effect.lesson, weights).items())
                members = () if factor is None else _to_cover(factor, lessons, effects, covered)
                covered.update(dict.fromkeys(members, i))
                if members or gains:
                    why = _Why(members, gains=gains)
            if factor is not None:
                why = why._replace(factor_id=factor.factor_id)
            before = last.basis.get(i)
            again = self._anew or not _same(before, effect, why)
            last.basis[i] = _basis(effect, why)
            if times != 1.0:
                last.neutral.discard(i)
            elif i not in last.neutral:
                last.neutral.add(i)
                if isinstance(_of(before), EFFECTS):
                    changes.without_override.append(i)
            if again:
                verdict = verdict_record(effect, size, times, confidence, factor, scale, version)
                changes.verdicts.append(verdict)
                if times != 1.0:
                    changes.overrides.append(
                        override_record(effect, verdict, why.members, dict(why.gains), newest_us)
                    )
        return covered

    def _reject(
        self, last: _LastResult, lesson: HeldLesson, why: _Why, version: int, changes: SizeChanges
    ) -> None:
        """Add the verdict on a lesson without an effect, if it has changed."""
        assert self._common is not None
        if self._anew or not _same(last.basis.get(lesson.lesson_id), lesson, why):
            last.basis[lesson.lesson_id] = _basis(lesson, why)
            rejection = Rejection(why.cover, why.factor_id, self._common.centre, why.on_path)
            changes.verdicts.append(rejected_record(lesson, rejection, self._config.n_min, version))


def _to_cover(
    factor: Factor,
    lessons: Mapping[str, HeldLesson],
    effects: Mapping[str, AnyEffect],
    covered: Mapping[str, str],
) -> tuple[str, ...]:
    """Lessons of a factor that have no effect and are not covered yet, in a group whose override of
    the factor accounts for their trades."""
    return tuple(
        [m for m in factor.members if m in lessons and m not in effects and m not in covered]
    )
