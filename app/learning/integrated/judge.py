"""Judgement of `integrated`: of a module's lessons, which are sure enough among all that was
searched, and what sizes do they make?

May touch: nothing but its arguments.  What is published is a function of the lessons and summaries
held, save for versions.

The way of an effect to its override:

1. netted: what the baselines of its trades' segments explain is taken off (`netting.py`; `paths.py`
   has the fits);
2. judged: it stays if its p-value passes for the whole module (Bonferroni over all slices searched
   in it: a false override costs real money, and controlling false discoveries instead, Benjamini &
   Hochberg 1995, let one through for each twenty that are true), and comes in continuously over
   half a standard error beyond that bar; so do the levels of whole groups (`whole_groups.py`);
3. merged: effects of several groups that the same trades made are one piece of evidence, the
   representative's (`merging.py`);
4. scaled: `roi` and `pnl` in units of the module's robust standard deviation;
5. given its regime gains (`regime_gains.py`) and its multiplier on the grid, and put into records
   (`records.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from hashlib import blake2b
from sys import intern
from typing import Any, NamedTuple

import numpy as np
from msgspec import structs

from app.learning.common.baselines import SegmentBaselines, segment_baselines
from app.learning.common.changes import Changes, Outboxes
from app.learning.common.config import LearningConfig
from app.learning.common.event_time import micros_from_text
from app.learning.common.multiplier import multiplier, on_grid
from app.learning.common.size import unit_of_size
from app.learning.integrated.error_rate import entry_log_p, z_of_log_p
from app.learning.integrated.factors import Clusterer, Factor, Member
from app.learning.integrated.merging import Group, group_of, merged, representatives, silent_members
from app.learning.integrated.netting import Effect, netted, path_ramps, ramp_of
from app.learning.integrated.paths import GroupPath, blended, of_one_refit
from app.learning.integrated.persistence import sign_flip_log_p, total
from app.learning.integrated.prior_share import Told, between, persistent_shares, told
from app.learning.integrated.records import (
    ALIVE_US,
    Rejection,
    baseline_record,
    coarse,
    factor_record,
    override_record,
    rejected_record,
    urgent,
    verdict_record,
    weight_record,
)
from app.learning.integrated.regime_gains import gains_of, weights_of
from app.learning.integrated.regimes import RegimeWeights
from app.learning.integrated.remembered import Remembered
from app.learning.integrated.sharing import (
    SharedPart,
    shared_part,
    shared_weight,
    with_shared,
)
from app.learning.integrated.sketches import decoded
from app.learning.integrated.weights import (
    HALF_LIFE,
    LEVEL_HALF_LIFE,
    SHARED,
    Counts,
    Evidence,
    half_life_evidence,
    opened,
    shared_evidence,
    weight,
)
from app.learning.integrated.whole_groups import (
    Level,
    Spread,
    coarse_level,
    levels,
    pooled_level,
    record_of_level,
    spread_of,
    whole_effect,
    whole_id,
)
from edgeloop.overrides import Override
from schemas.lessons import (
    Baseline,
    GroupSummary,
    LatentFactor,
    Lesson,
    LessonVerdict,
    RegimeWeight,
)


class Standings(NamedTuple):
    """How surely effects pass: `searched` slices and levels in the module, the |z| that it takes
    (`bar`), and by lesson id of each effect that passes its |z| (or that of the effect whose
    evidence it shares) and how far, from 0 to 1, it has come in beyond the bar.

    `shared` are the ids of those that only count together, which need not pass; `counts` by action
    category how far each learner counts; `shares` by summary id the persistent share of each group
    that has one."""

    searched: int
    bar: float
    effects: dict[str, tuple[float, float]]
    shared: frozenset[str] = frozenset()
    counts: Mapping[str, Counts] = {}
    shares: Mapping[str, float] = {}


class _Judged(NamedTuple):
    """All records that are right."""

    verdicts: list[LessonVerdict]
    overrides: list[Override]
    baselines: list[Baseline]
    weights: list[RegimeWeight]
    factors: list[LatentFactor]


class IntegratedMaterializer:
    """The lessons of one module and what was handed out about them; the interface is that of
    `app.learning.engine.Judge`."""

    def __init__(self, module: str, config: LearningConfig) -> None:
        self.module = module
        self._config = config
        self._lessons: dict[str, Lesson] = {}
        self._summaries: dict[str, GroupSummary] = {}
        self._clusterer = Clusterer(config.factor_jaccard)
        # sketches of lessons whose trades the clusterer has not seen, None of those that are gone
        self._changed: dict[str, str | None] = {}
        self._published = Outboxes(urgent)
        # the last of each group whose lessons were all of one refit
        self._paths: dict[str, GroupPath] = {}
        self._rejected: dict[str, tuple[Lesson, Rejection, LessonVerdict]] = {}
        self._counted: dict[str, Counts] = {}
        # what was made of a group or a lesson, by the id of the summary or the lesson
        self._told: Remembered[Told | None] = Remembered()
        self._moving: Remembered[Evidence] = Remembered()
        self._moving_levels: Remembered[Evidence] = Remembered()
        self._sharing: Remembered[Evidence] = Remembered()
        self._parts: Remembered[SharedPart] = Remembered()
        self._handed: Remembered[tuple[LessonVerdict, Override | None]] = Remembered()
        # groups of which something has come or gone, and lessons with a shared effect by group
        self._touched: set[Group] = set()
        self._sharers: dict[Group, dict[str, Lesson]] = {}

    @property
    def n_lessons(self) -> int:
        """Lessons held."""
        return len(self._lessons)

    def fold(self, records: Iterable[Lesson | GroupSummary], retired: Iterable[str] = ()) -> None:
        """Take in lessons and group summaries, then the ids of those that were retired.  A later
        record replaces an earlier one of its id.

        Raises `ValueError` if a record is another module's.
        """
        for record in records:
            if record.module != self.module:
                raise ValueError(
                    f"The record {record.lesson_id} is of module {record.module!r}, not of"
                    f" {self.module!r}."
                )
            self._touched.add(group_of(record))
            if isinstance(record, GroupSummary):
                self._summaries[record.lesson_id] = record
            else:
                old = self._lessons.get(record.lesson_id)
                held = self._lessons[record.lesson_id] = _compact(record)
                self._note(held)
                if old is None or old.sketch != held.sketch or old.n != held.n:
                    self._changed[record.lesson_id] = record.sketch
        for lesson_id in retired:
            gone = self._lessons.pop(lesson_id, None)
            if gone is not None:
                self._changed[lesson_id] = None
                self._touched.add(group_of(gone))
                self._sharers.get(group_of(gone), {}).pop(lesson_id, None)
            self._summaries.pop(lesson_id, None)

    def _note(self, lesson: Lesson) -> None:
        """Keep the lesson with those of its group that have a shared effect, if it has one."""
        sharers = self._sharers.setdefault(group_of(lesson), {})
        if lesson.marginal is not None and lesson.marginal.shared:
            sharers[lesson.lesson_id] = lesson
        else:
            sharers.pop(lesson.lesson_id, None)

    def adopt(self, published: Iterable[Any]) -> None:
        """What is published of this module, records of any kind: from here on `judge` returns what
        differs from exactly this."""
        self._published.adopt(published)

    def judge(self, version: int, *, urgent_only: bool = False) -> Changes:
        """What differs from what was handed out, marked with `version`; a second call in a row
        returns nothing.

        With `urgent_only`, what a position manager would not notice (other digits, the same
        multiplier and decay) waits for a full call.
        """
        now, out = self._judged(version), self._published
        return Changes(
            overrides=out.overrides.replace(now.overrides, version, urgent_only=urgent_only),
            verdicts=out.verdicts.replace(now.verdicts, version, urgent_only=urgent_only),
            baselines=out.baselines.replace(now.baselines, version, urgent_only=urgent_only),
            regime_weights=out.regime_weights.replace(
                now.weights, version, urgent_only=urgent_only
            ),
            factors=out.factors.replace(now.factors, version, urgent_only=urgent_only),
        )

    def standings(self) -> Standings:
        """How surely the effects pass that `judge` would hand out now."""
        factor_of = {member: factor for factor in self._factors() for member in factor.members}
        scale = unit_of_size(self._config.outcome, self._summaries.values())
        effects, counts, shares = self._effects(self._baselines(0), factor_of, scale)
        searched, bar = self._bar(self._whole_paths())
        shared = frozenset(i for i, e in effects.items() if e.part == "shared")
        return Standings(
            searched,
            bar,
            {i: (e.statistic, e.ramp) for i, e in effects.items()},
            shared,
            counts,
            shares,
        )

    def counts(self) -> dict[str, Counts]:
        """How far each learner counted at the last judgement, by category."""
        return dict(self._counted)

    # -- judging

    def _judged(self, version: int) -> _Judged:
        """All records that are right now."""
        baselines = self._baselines(version)
        factors = self._factors()
        factor_of = {member: factor for factor in factors for member in factor.members}
        scale = unit_of_size(self._config.outcome, self._summaries.values())
        effects, self._counted, _ = self._effects(baselines, factor_of, scale)
        weights = (
            weights_of(effects.values(), self._config.regime_signature)
            if self._config.regime_weights is not False
            else []
        )
        verdicts, overrides = self._handed_out(
            effects, factor_of, weights, scale, baselines, version
        )
        as_of = max((s.as_of for s in self._summaries.values()), default="")
        return _Judged(
            verdicts,
            overrides,
            [baseline_record(record) for record in baselines.records],
            [weight_record(w, self.module, as_of, version) for w in weights],
            [
                factor_record(
                    f, self.module, max(self._lessons[i].as_of for i in f.members), version
                )
                for f in factors
            ],
        )

    def _baselines(self, version: int) -> SegmentBaselines:
        return segment_baselines(
            self.module, self._summaries.values(), self._config.baseline_default, version
        )

    def _factors(self) -> list[Factor]:
        if self._config.latent_factors is False:
            self._changed = {}
            return []
        if self._changed:
            came = [(self._lessons[i], x) for i, x in self._changed.items() if x is not None]
            sketches = decoded([sketch for _, sketch in came])
            members = [
                Member(
                    x.lesson_id, f"{x.pattern_key}|{x.action_category}", x.n, len(x.scope), sketch
                )
                for (x, _), sketch in zip(came, sketches, strict=True)
            ]
            self._clusterer.update(members, [i for i, x in self._changed.items() if x is None])
            self._changed = {}
        return self._clusterer.factors()

    def _effects(
        self, baselines: SegmentBaselines, factor_of: dict[str, Factor], scale: float
    ) -> tuple[dict[str, Effect], dict[str, Counts], dict[str, float]]:
        """What is said of each lesson that has an effect (the chosen ones that pass, whole groups,
        and what is shared), by category how far each learner counts, and by summary id each group's
        persistent share."""
        config = self._config
        groups = self._whole_paths()
        _, bar = self._bar(groups)
        lessons = {i: lesson for group in groups for i, lesson in group.lessons.items()}
        statistics = {
            i: z
            for group in groups
            for i, z in zip(group.path.lesson_ids, group.path.statistics, strict=True)
        }
        lead = representatives(lessons, factor_of)
        ramps = {
            g.summary.lesson_id: path_ramps(
                [statistics[lead.get(i, i)] for i in g.path.lesson_ids], bar
            )
            for g in groups
        }
        passed = {
            g.summary.lesson_id: blended(g.path.fits, ramps[g.summary.lesson_id]) for g in groups
        }
        found_levels = levels(groups, passed, baselines)
        found: dict[str, Effect] = {}
        by_category: dict[str, tuple[list[GroupPath], Spread, Counts, dict[str, float]]] = {}
        categories = sorted({group.summary.action_category for group in groups})
        for category in categories:
            alike = [group for group in groups if group.summary.action_category == category]
            spread = spread_of(alike, found_levels, config, scale)
            half_lives = self._half_lives(alike, found_levels, spread)
            sure = max(ramp_of(found_levels[whole_id(group.summary)].z, bar) for group in alike)
            for group in alike:
                fit = passed[group.summary.lesson_id]
                for j, i in enumerate(
                    group.path.lesson_ids[: len(ramps[group.summary.lesson_id])], 1
                ):
                    found[i] = netted(
                        lessons[i],
                        group,
                        fit,
                        j,
                        statistics[lead.get(i, i)],
                        bar,
                        baselines,
                        half_lives[0],
                    )
                    sure = max(sure, found[i].ramp)
            shares = self._shares(alike)
            counts = self._counts(alike, half_lives, spread, sure, len(categories), shares)
            by_category[category] = alike, spread, counts, shares
        found = merged(found, lead)
        # One category that opens opens the module: its tests share the error rate.
        is_open = max((counts.open for _, _, counts, _ in by_category.values()), default=0.0)
        by_category = {
            category: (alike, spread, counts._replace(open=is_open), shares)
            for category, (alike, spread, counts, shares) in by_category.items()
        }
        for alike, spread, counts, shares in by_category.values():
            for group in alike:
                i = whole_id(group.summary)
                whole, level = self._lessons.get(i), found_levels[i]
                if whole is None or whole.n < config.n_min:
                    continue
                if level.z > bar:
                    found[i] = whole_effect(whole, group, level, counts, bar, config)
                share = shares.get(group.summary.lesson_id, 0.0)
                if not counts.open or not share:
                    continue
                chosen = tuple(i for i in group.path.lesson_ids if i in found)
                count = shared_weight([found[i] for i in chosen], counts)
                part = self._parts.get(
                    group.summary.lesson_id,
                    (group, chosen, count, share, scale),
                    partial(shared_part, group, chosen, count, share, scale),
                )
                pooled = pooled_level(level, spread.noise2[i], spread)
                found.update(
                    with_shared(group, whole, found, pooled, part, count, counts.open, scale)
                )
        counts_of = {category: counts for category, (_, _, counts, _) in by_category.items()}
        return (
            found,
            counts_of,
            {i: share for *_, shares in by_category.values() for i, share in shares.items()},
        )

    def _shares(self, groups: Sequence[GroupPath]) -> dict[str, float]:
        """The persistent share of each group that is old enough to have one, by its summary."""
        known = {
            summary.lesson_id: self._told.get(summary.lesson_id, (summary,), partial(told, summary))
            for summary in (group.summary for group in groups)
        }
        old_enough = {i: found for i, found in known.items() if found is not None}
        return dict(zip(old_enough, persistent_shares(list(old_enough.values())), strict=True))

    def _half_lives(
        self, groups: Sequence[GroupPath], found: Mapping[str, Level], spread: Spread
    ) -> tuple[float, float]:
        """How far half-lives of slices and of whole groups count in the groups of one category."""
        config = self._config
        slices, levels_ = Evidence(), Evidence()
        for summary in (group.summary for group in groups) if config.half_life is None else ():
            key, i = summary.lesson_id, whole_id(summary)
            slices = slices.plus(
                self._moving.get(key, (summary,), partial(half_life_evidence, summary.record))
            )
            mean, noise2 = coarse_level(found[i], spread.noise2[i])
            record = partial(record_of_level, summary, mean, noise2, config)
            levels_ = levels_.plus(self._moving_levels.get(key, (summary, mean, noise2), record))
        return weight(slices, HALF_LIFE, config.half_life), weight(
            levels_, LEVEL_HALF_LIFE, config.half_life
        )

    def _counts(
        self,
        groups: Sequence[GroupPath],
        half_lives: tuple[float, float],
        spread: Spread,
        sure: float,
        categories: int,
        shares: Mapping[str, float],
    ) -> Counts:
        """How far each learner counts in the groups of one of so many categories, of whose effects
        the surest has come in by `sure`."""
        config = self._config
        came = Evidence()
        for summary in (g.summary for g in groups) if config.shared_effects is None else ():
            share = shares.get(summary.lesson_id, 0.0)
            record = partial(shared_evidence, summary.record, between(share), half_lives[0])
            came = came.plus(
                self._sharing.get(summary.lesson_id, (summary, share, half_lives[0]), record)
            )
        shared = weight(came, SHARED, config.shared_effects)
        slopes = total(g.summary.persistence for g in groups if g.summary.persistence is not None)
        log_p = min(sign_flip_log_p(slopes), sign_flip_log_p(spread.products)) + np.log(
            2.0 * categories
        )
        is_open = opened(log_p, config.alpha, sure) if config.shared_effects is not False else 0.0
        return Counts(*half_lives, shared, is_open)

    def _bar(self, groups: Iterable[GroupPath]) -> tuple[int, float]:
        """Hypotheses of the module (each group's level is one more), and the |z| that an effect
        needs among them."""
        searched = sum(group.path.hypotheses + 1 for group in groups)
        return searched, z_of_log_p(entry_log_p(self._config.alpha, searched))

    def _whole_paths(self) -> list[GroupPath]:
        """Each group's path with its lessons, all of one refit: a batch may part what was sent
        together.

        Until the rest has arrived the refit before counts.
        """
        for key, summary in self._summaries.items():
            if group_of(summary) not in self._touched:
                continue
            path = summary.path
            lessons = (
                {}
                if path is None
                else {i: self._lessons[i] for i in path.lesson_ids if i in self._lessons}
            )
            sharers = self._sharers.get(group_of(summary), {})
            shared = tuple(lesson for _, lesson in sorted(sharers.items()))
            if path is not None and of_one_refit(summary, path, lessons, shared):
                self._paths[key] = GroupPath(summary, path, lessons, shared)
        self._touched = set()
        self._paths = {
            key: whole for key, whole in sorted(self._paths.items()) if key in self._summaries
        }
        return list(self._paths.values())

    # -- records

    def _handed_out(
        self,
        effects: dict[str, Effect],
        factor_of: dict[str, Factor],
        weights: list[RegimeWeights],
        scale: float,
        baselines: SegmentBaselines,
        version: int,
    ) -> tuple[list[LessonVerdict], list[Override]]:
        verdicts: dict[str, LessonVerdict] = {}
        overrides: dict[str, Override] = {}
        silent = silent_members(
            {f.factor_id: f for f in factor_of.values()}.values(), effects, self._lessons
        )
        newest = max((s.as_of for s in self._summaries.values()), default="")
        newest_us = micros_from_text(newest) // ALIVE_US * ALIVE_US if newest else 0
        covered: dict[str, str] = {}
        ordered = sorted(effects.items())
        sizes = np.array([effect.effect for _, effect in ordered]) / scale
        multipliers = on_grid(multiplier(sizes)).tolist()
        in_force = [w for w in weights if w.active]
        for (i, effect), size, times in zip(ordered, sizes.tolist(), multipliers, strict=True):
            factor = factor_of.get(i)
            members: tuple[str, ...] = ()
            if times != 1.0 and factor is not None:
                members = tuple(
                    m
                    for m in silent.get((factor.factor_id, group_of(effect.lesson)), ())
                    if m not in covered
                )
                covered.update(dict.fromkeys(members, i))
            gains = gains_of(effect.lesson, weights) if in_force and times != 1.0 else {}
            verdicts[i], made = self._handed.get(
                i,
                (
                    effect,
                    members,
                    factor and factor.factor_id,
                    tuple(gains.items()),
                    scale,
                    newest_us,
                ),
                partial(
                    _records, effect, size, times, members, factor, gains, scale, newest_us, version
                ),
            )
            if made is not None:
                overrides[i] = made
        centre = coarse(
            baselines.records[0].mean if baselines.records else self._config.baseline_default, scale
        )
        on_path = {
            i for s in self._summaries.values() if s.path is not None for i in s.path.lesson_ids
        }
        for i, lesson in self._lessons.items():
            if i not in verdicts:
                why = Rejection(
                    covered.get(i),
                    factor_of[i].factor_id if i in factor_of else None,
                    centre,
                    i in on_path,
                )
                verdicts[i] = self._rejection(lesson, why, version)
        self._rejected = {i: made for i, made in self._rejected.items() if i in self._lessons}
        self._handed.keep(effects)
        for of_groups in (
            self._told,
            self._moving,
            self._moving_levels,
            self._sharing,
            self._parts,
        ):
            of_groups.keep(self._summaries)
        return list(verdicts.values()), list(overrides.values())

    def _rejection(self, lesson: Lesson, why: Rejection, version: int) -> LessonVerdict:
        """The verdict on a lesson without an effect: the one made before, while the lesson and the
        reason are the same."""
        made = self._rejected.get(lesson.lesson_id)
        if made is not None and made[0] is lesson and made[1] == why:
            return made[2]
        verdict = rejected_record(lesson, why, self._config.n_min, version)
        self._rejected[lesson.lesson_id] = lesson, why, verdict
        return verdict


def _compact(lesson: Lesson) -> Lesson:
    """The lesson as it is held: a module has very many, and their texts are mostly the same.  The
    clusterer keeps what a sketch says, so a digest, which tells whether it is another, is enough.
    """
    sketch = lesson.sketch and blake2b(lesson.sketch.encode(), digest_size=8).hexdigest()
    return structs.replace(
        lesson,
        sketch=sketch,
        learning=intern(lesson.learning),
        module=intern(lesson.module),
        pattern_key=intern(lesson.pattern_key),
        action_category=intern(lesson.action_category),
        scope={intern(name): intern(value) for name, value in lesson.scope.items()},
        as_of=intern(lesson.as_of),
        evidence=structs.replace(
            lesson.evidence,
            from_ts=intern(lesson.evidence.from_ts),
            to_ts=intern(lesson.evidence.to_ts),
        ),
    )


def _records(
    effect: Effect,
    size: float,
    times: float,
    members: tuple[str, ...],
    factor: Factor | None,
    gains: dict[str, float],
    scale: float,
    newest_us: int,
    version: int,
) -> tuple[LessonVerdict, Override | None]:
    """The verdict on an effect, and its override where it has one."""
    verdict = verdict_record(effect, size, times, factor, scale, version)
    if times == 1.0:
        return verdict, None
    return verdict, override_record(
        effect, size, times, members, factor, gains, scale, newest_us, version
    )
