"""Judgement of `integrated`: of a module's lessons, which are certain enough, given all that
was searched, and what size follows from each?

May touch: nothing but its arguments.  Apart from versions, the published records are a function of
the lessons and summaries held.

An effect becomes an override in six steps:

1. netted: the part that the baselines of its trades' segments explain is subtracted
   (`net_of_segments.py`; `group_path.py` has the fits);
2. judged: it stays if its p-value passes for the whole module (Bonferroni over all slices searched
   in it: a false override costs real money, and controlling false discoveries instead, Benjamini &
   Hochberg 1995, let one through for each twenty that are true), and is phased in continuously over
   half a standard error beyond that bar; so are the levels of whole groups (`whole_groups.py`);
3. merged: effects of several groups that rest on the same trades are one piece of evidence, the
   representative's (`merging.py`);
4. weighed: half-lives and shared effects count by the module's record (`category_weights.py`,
   `chosen_and_shared.py`);
5. scaled: `roi` and `pnl` in units of the module's robust standard deviation;
6. sized: given its regime gains (`regime_gains.py`), which a slice within one regime does not
   repeat (`regime_refinements.py`), and its multiplier on the grid, and put into records
   (`sizing.py`, `judge_records.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from sys import intern
from typing import Any, NamedTuple

from app.learning.common.baselines import SegmentBaselines, SegmentSums, baselines_of
from app.learning.common.changes import Changes, Outboxes
from app.learning.common.columns import Columns
from app.learning.common.config import LearningConfig
from app.learning.common.event_time import micros_from_text
from app.learning.common.size_unit import spread_of_outcomes, unit_of
from app.learning.integrated.expiry import alive_at
from app.learning.integrated.held_lessons import HeldLessons
from app.learning.integrated.judge_records import (
    baseline_record,
    coarse,
    factor_record,
    override_part,
    verdict_part,
    weight_record,
)
from app.learning.integrated.judged_groups import JudgedGroups
from app.learning.integrated.latent_factors import Clusterer, Member
from app.learning.integrated.learner_weight import Counts, HalfLives
from app.learning.integrated.merging import Group
from app.learning.integrated.regime_gains import RegimeHistories
from app.learning.integrated.sizing import Common, SizeChanges, Sizing
from app.learning.integrated.sketches import packed_texts
from schemas.lessons import GroupSummary, LatentFactor, Lesson

SIZED_GROUPS = 32
"""Groups whose records are made and compared at a time."""
URGENT_CELLS = 5_000
"""Weights of regimes are fitted to the histories of all effects together: beyond this many cells in
full calls only."""


class Standings(NamedTuple):
    """How clearly the effects of a module pass.

    Attributes
    ----------
    searched
        Slices and levels searched in the module.
    bar
        |z| that an effect needs.
    effects
        By lesson id of each effect that passes, its |z| (or that of its representative) and how far
        it is phased in beyond the bar, 0 to 1.
    shared
        Ids of the effects that only count together and need not pass.
    counts
        Weights of the learners, by category.
    shares
        Persistent share of each group that has one, by summary id.
    half_lives
        Weights of half-lives in each group, by summary id.
    """

    searched: int
    bar: float
    effects: dict[str, tuple[float, float]]
    shared: frozenset[str] = frozenset()
    counts: Mapping[str, Counts] = {}
    shares: Mapping[str, float] = {}
    half_lives: Mapping[str, HalfLives] = {}


class IntegratedJudge:
    """The judge of one module; the interface is that of `app.learning.methods.Judge`.

    Parameters
    ----------
    module
        The module.
    config
        The settings.
    """

    def __init__(self, module: str, config: LearningConfig) -> None:
        self.module = module
        self._config = config
        self._held = HeldLessons(module)
        self._sums = SegmentSums()
        self._clusterer = Clusterer(config.factor_jaccard)
        self._judged = JudgedGroups(config)
        self._histories = RegimeHistories(config.regime_signature)
        self._sizing = Sizing(config)
        # Only overrides and verdicts have a part that changes sizes.
        self._published = Outboxes(lambda record, old: False, override_part, verdict_part)
        self._spreads: Columns[Group] = Columns(2)
        self._newest: Columns[Group] = Columns(1)
        self._scale, self._as_of = 1.0, ""
        # groups to be sized again, and factors that may have changed
        self._due: set[Group] = set()
        self._touched: set[Group] = set()
        self._factors: set[str] = set()
        self._anew = False  # what is published is not what was judged last

    @property
    def n_lessons(self) -> int:
        """Lessons held."""
        return len(self._held)

    def fold(self, records: Iterable[Lesson | GroupSummary], retired: Iterable[str] = ()) -> None:
        """Add lessons and group summaries, then drop those that were retired. A later record
        replaces an earlier one with the same id.

        Parameters
        ----------
        records
            Lessons and summaries.
        retired
            Ids of those that no longer hold.

        Raises
        ------
        ValueError
            If a record belongs to another module.
        """
        self._held.fold(records, retired)

    def adopt(self, published: Iterable[Any]) -> None:
        """Start from the published records: from now on `judge` returns the differences from them.

        Parameters
        ----------
        published
            All published records of this module, of any kind.
        """
        self._published.adopt(published)
        self._anew = True

    def judge(self, version: int, *, urgent_only: bool = False) -> Changes:
        """The differences from the previous output; a second call in a row returns nothing.

        Parameters
        ----------
        version
            The version that changed records are marked with.
        urgent_only
            Whether changes without an effect on sizes (other digits, the same multiplier and decay)
            wait for a full call, and so do regime weights that are fitted to long histories.

        Returns
        -------
        What differs.
        """
        changes = Changes()
        for part in self.parts(version, urgent_only=urgent_only):
            changes.add(part)
        return changes

    def parts(self, version: int, *, urgent_only: bool = False) -> Iterator[Changes]:
        """As `judge`, some records at a time: a module has very many, and what is made of one part
        can be dropped before the next.  All parts must be taken before anything else is called.

        Parameters
        ----------
        version, urgent_only
            As in `judge`.

        Yields
        ------
        What differs, in parts of different records.
        """
        baselines = self._update(version)
        if self._histories.stale and not (urgent_only and len(self._histories) > URGENT_CELLS):
            self._histories.fit()
        if self._anew:
            self._sizing.forget()
            self._due |= self._held.groups.keys()
            self._factors = set(self._clusterer.by_id)
        yield from self._size(baselines, version, urgent_only)
        weights = (
            [weight_record(w, self.module, self._as_of, version) for w in self._histories.weights]
            if self._config.regime_weights is not False
            else []
        )
        factors, gone = self._changed_factors(version)
        out, complete, self._anew = self._published, self._anew, False
        self._due, self._touched = set(), set()
        yield Changes(
            baselines=out.baselines.replace(
                [baseline_record(record) for record in baselines.records],
                version,
                urgent_only=urgent_only,
            ),
            regime_weights=out.regime_weights.replace(weights, version, urgent_only=urgent_only),
            factors=(
                out.factors.replace(factors, version, urgent_only=urgent_only)
                if complete
                else out.factors.update(factors, sorted(gone), version, urgent_only=urgent_only)
            ),
        )
        if not urgent_only:
            yield from out.waited(version)

    def standings(self) -> Standings:
        """How clearly the effects pass that `judge` would publish now.

        Returns
        -------
        The standings.
        """
        self._update(0)
        judged = self._judged
        effects = judged.all_effects()
        ids = {
            key: group.summary.lesson_id
            for key, group in self._held.groups.items()
            if group.summary is not None
        }
        return Standings(
            judged.searched,
            judged.bar,
            {i: (e.statistic, e.ramp) for i, e in effects.items()},
            frozenset(i for i, e in effects.items() if e.part == "shared"),
            judged.counts,
            {ids[key]: share for key, share in judged.shares.items() if key in ids},
            {ids[key]: weights for key, weights in judged.half_lives.items() if key in ids},
        )

    def counts(self) -> dict[str, Counts]:
        """The weights of the learners at the last judgement.

        Returns
        -------
        The weights, by category.
        """
        return dict(self._judged.counts)

    # -- judging

    def _update(self, version: int) -> SegmentBaselines:
        """Judge what has changed; returns the baselines."""
        touched = self._held.touched()
        for key in touched:
            group = self._held.groups.get(key)
            summary = None if group is None else group.summary
            if summary is None:
                self._sums.put(key, ())
                self._spreads.drop(key)
                self._newest.drop(key)
            else:
                self._sums.put(key, summary.segments)
                self._spreads.put(key, spread_of_outcomes(summary))
                self._newest.put(key, (micros_from_text(summary.as_of),))
        if touched:
            self._as_of = self._newest_as_of()
            self._scale = unit_of(
                self._config.outcome, self._spreads.total(0), self._spreads.total(1)
            )
        baselines = baselines_of(
            self.module, self._sums.totals(), self._as_of, self._config.baseline_default, version
        )
        refactored = self._cluster()
        factor_of = self._clusterer.factor_of
        changed = self._judged.update(
            self._held,
            touched,
            factor_of,
            refactored,
            baselines.on_grid(self._scale),
            self._scale,
        )
        if self._config.regime_weights is not False:
            for key in changed:
                self._histories.take(key, self._judged.effects(key).values())
        homes = {self._held.home(i) for i in refactored}
        self._touched |= touched | {home for home in homes if home is not None}
        self._due |= self._touched | changed
        if factor_of:
            for key in touched & self._held.groups.keys():
                lessons = self._held.groups[key].lessons
                self._factors |= {factor_of[i].factor_id for i in lessons if i in factor_of}
        return baselines

    def _newest_as_of(self) -> str:
        newest = self._newest.values()
        if not len(newest):
            return ""
        summary = self._held.groups[self._newest.groups()[int(newest.argmax())]].summary
        return "" if summary is None else summary.as_of

    def _cluster(self) -> set[str]:
        """The lessons whose factor has changed."""
        new = self._held.new_sketches()
        if self._config.latent_factors is False or not new:
            return set()
        came = [(self._held.lesson(i), x) for i, x in new.items() if x is not None]
        sketches = packed_texts([sketch for _, sketch in came])
        members = [
            Member(
                x.lesson_id,
                intern(f"{x.pattern_key}|{x.action_category}"),
                x.n,
                len(x.scope),
                sketch,
            )
            for (x, _), sketch in zip(came, sketches, strict=True)
        ]
        self._clusterer.update(members, [i for i, x in new.items() if x is None])
        refactored, factors = self._clusterer.changes()
        self._factors |= factors
        return refactored

    def _size(
        self, baselines: SegmentBaselines, version: int, urgent_only: bool
    ) -> Iterator[Changes]:
        """What differs of the overrides and verdicts: some groups at a time, since most records are
        as they were and need not be held."""
        weights = self._histories.weights
        newest_us = micros_from_text(self._as_of) if self._as_of else 0
        mean = baselines.records[0].mean if baselines.records else self._config.baseline_default
        common = Common(
            self._scale,
            coarse(mean, self._scale),
            alive_at(newest_us),
            weights if any(w.active for w in weights) else (),
        )
        out = self._published

        def differing(sizes: SizeChanges) -> Changes:
            return Changes(
                overrides=out.overrides.update(
                    sizes.overrides,
                    sorted(sizes.without_override),
                    version,
                    urgent_only=urgent_only,
                ),
                verdicts=out.verdicts.update(
                    sizes.verdicts,
                    sorted(sizes.without_verdict),
                    version,
                    urgent_only=urgent_only,
                ),
            )

        # The previously published records that no group has produced yet.
        overrides_left: set[str] = set(out.overrides.held) if self._anew else set()
        verdicts_left: set[str] = set(out.verdicts.held) if self._anew else set()
        due = sorted(self._due | self._sizing.prepare(common))
        for start in range(0, len(due), SIZED_GROUPS):
            sizes = SizeChanges()
            for key in due[start : start + SIZED_GROUPS]:
                self._sizing.size(
                    key,
                    self._held.groups.get(key),
                    self._judged.effects(key),
                    self._clusterer.factor_of,
                    key in self._touched,
                    version,
                    sizes,
                )
            if self._anew:
                overrides_left.difference_update([x.override_id for x in sizes.overrides])
                verdicts_left.difference_update([x.lesson_id for x in sizes.verdicts])
            yield differing(sizes)
        yield differing(
            SizeChanges(without_verdict=[*verdicts_left], without_override=[*overrides_left])
        )

    def _changed_factors(self, version: int) -> tuple[list[LatentFactor], list[str]]:
        """The records of factors that may have changed, and the ids of those that are gone."""
        due, self._factors = self._factors, set()
        found = [self._clusterer.by_id[i] for i in sorted(due) if i in self._clusterer.by_id]
        records = [
            factor_record(
                f, self.module, max([self._held.lesson(i).as_of for i in f.members]), version
            )
            for f in found
        ]
        return records, [i for i in due if i not in self._clusterer.by_id]
