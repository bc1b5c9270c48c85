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
4. weighed: how far half-lives and shared effects count, the module's record says (`weighing.py`,
   `sharing.py`);
5. scaled: `roi` and `pnl` in units of the module's robust standard deviation;
6. handed out: given its regime gains (`regime_gains.py`), which a slice within one regime does not
   repeat (`refinements.py`), and its multiplier on the grid, and put into records
   (`handing_out.py`, `records.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

from app.learning.common.baselines import SegmentBaselines, segment_baselines
from app.learning.common.changes import Changes, Outboxes
from app.learning.common.config import LearningConfig
from app.learning.common.size import unit_of_size
from app.learning.integrated.error_rate import entry_log_p, z_of_log_p
from app.learning.integrated.factors import Clusterer, Factor, Member
from app.learning.integrated.handing_out import HandingOut
from app.learning.integrated.held_lessons import HeldLessons
from app.learning.integrated.merging import merged, representatives
from app.learning.integrated.netting import Effect, netted, path_ramps, ramp_of
from app.learning.integrated.paths import GroupPath, blended
from app.learning.integrated.records import (
    baseline_record,
    factor_record,
    urgent,
    weight_record,
)
from app.learning.integrated.refinements import refined
from app.learning.integrated.regime_gains import weights_of
from app.learning.integrated.remembered import Remembered
from app.learning.integrated.sharing import (
    SharedPart,
    shared_part,
    shared_weight,
    with_shared,
)
from app.learning.integrated.sketches import decoded
from app.learning.integrated.weighing import Weighing
from app.learning.integrated.weights import (
    Counts,
)
from app.learning.integrated.whole_groups import (
    Spread,
    levels,
    pooled_level,
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
        self._held = HeldLessons(module)
        self._clusterer = Clusterer(config.factor_jaccard)
        self._weighing = Weighing(config)
        self._parts: Remembered[SharedPart] = Remembered()
        self._handing_out = HandingOut(config)
        self._published = Outboxes(urgent)
        self._counted: dict[str, Counts] = {}

    @property
    def n_lessons(self) -> int:
        """Lessons held."""
        return len(self._held.lessons)

    def fold(self, records: Iterable[Lesson | GroupSummary], retired: Iterable[str] = ()) -> None:
        """Take in lessons and group summaries, then the ids of those that were retired.  A later
        record replaces an earlier one of its id.

        Raises `ValueError` if a record is another module's.
        """
        self._held.fold(records, retired)

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
        scale = unit_of_size(self._config.outcome, self._held.summaries.values())
        effects, counts, shares = self._effects(self._baselines(0), factor_of, scale)
        searched, bar = self._bar(self._held.whole_groups())
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
        scale = unit_of_size(self._config.outcome, self._held.summaries.values())
        effects, self._counted, _ = self._effects(baselines, factor_of, scale)
        weights = (
            weights_of(effects.values(), self._config.regime_signature)
            if self._config.regime_weights is not False
            else []
        )
        effects = refined(effects, weights, self._config.regime_signature)
        verdicts, overrides = self._handing_out.records(
            self._held, effects, factor_of, weights, scale, baselines, version
        )
        self._weighing.keep(self._held.summaries)
        self._parts.keep(self._held.summaries)
        as_of = max((s.as_of for s in self._held.summaries.values()), default="")
        return _Judged(
            verdicts,
            overrides,
            [baseline_record(record) for record in baselines.records],
            [weight_record(w, self.module, as_of, version) for w in weights],
            [
                factor_record(
                    f, self.module, max(self._held.lessons[i].as_of for i in f.members), version
                )
                for f in factors
            ],
        )

    def _baselines(self, version: int) -> SegmentBaselines:
        return segment_baselines(
            self.module, self._held.summaries.values(), self._config.baseline_default, version
        )

    def _factors(self) -> list[Factor]:
        new = self._held.new_sketches()
        if self._config.latent_factors is False:
            return []
        if new:
            came = [(self._held.lessons[i], x) for i, x in new.items() if x is not None]
            sketches = decoded([sketch for _, sketch in came])
            members = [
                Member(
                    x.lesson_id, f"{x.pattern_key}|{x.action_category}", x.n, len(x.scope), sketch
                )
                for (x, _), sketch in zip(came, sketches, strict=True)
            ]
            self._clusterer.update(members, [i for i, x in new.items() if x is None])
        return self._clusterer.factors()

    def _effects(
        self, baselines: SegmentBaselines, factor_of: dict[str, Factor], scale: float
    ) -> tuple[dict[str, Effect], dict[str, Counts], dict[str, float]]:
        """What is said of each lesson that has an effect (the chosen ones that pass, whole groups,
        and what is shared), by category how far each learner counts, and by summary id each group's
        persistent share."""
        config = self._config
        groups = self._held.whole_groups()
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
            half_lives = self._weighing.half_lives(alike, found_levels, spread)
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
            shares = self._weighing.shares(alike)
            counts = self._weighing.counts(alike, half_lives, spread, sure, len(categories), shares)
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
                whole, level = self._held.lessons.get(i), found_levels[i]
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

    def _bar(self, groups: Iterable[GroupPath]) -> tuple[int, float]:
        """Hypotheses of the module (each group's level is one more), and the |z| that an effect
        needs among them."""
        searched = sum(group.path.hypotheses + 1 for group in groups)
        return searched, z_of_log_p(entry_log_p(self._config.alpha, searched))
