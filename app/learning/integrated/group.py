"""One group's learner in `integrated`: which of its slices have their own edge, how large it is,
and what is left of it now.

May touch: nothing but its arguments.  A refit computes everything from the trades in the window, so
that lessons are a function of the set of trades; differences from the last refit are returned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from app.learning.common.config import LearningConfig
from app.learning.common.digests import Digests
from app.learning.common.digits import shortened
from app.learning.common.event_time import HOUR_US, text_from_micros
from app.learning.common.refit import RebuildNeeded, Refit
from app.learning.common.segments import segment_order, segment_sums
from app.learning.common.size_unit import robust_sd
from app.learning.common.window import GroupWindow, Moves, SegmentKey, Snapshot, Trade
from app.learning.integrated.bank import banks
from app.learning.integrated.between import Between, Start
from app.learning.integrated.candidates import Candidates, candidates, with_dims
from app.learning.integrated.clipping import clip_bounds
from app.learning.integrated.error_rate import entry_log_p, z_of_log_p
from app.learning.integrated.half_life import EdgeState, Models, edges
from app.learning.integrated.history import EffectTrades, course, decay_of, history
from app.learning.integrated.paths import shared_sum
from app.learning.integrated.persistence import block_of, packed
from app.learning.integrated.record import Record
from app.learning.integrated.refinements import coarser
from app.learning.integrated.selection import MAX_STEPS, choose
from app.learning.integrated.selection import Path as Chosen
from app.learning.integrated.shared import SharedFit, least_shared, most_shared, shared_fit
from app.learning.integrated.sketches import encode, sketches, trade_hashes
from edgeloop.identity import group_id, slice_id
from edgeloop.overrides import Evidence
from edgeloop.scope import canonical_text
from schemas.kinds import LESSONS
from schemas.lessons import (
    Fit,
    GroupSummary,
    HistoryCell,
    Lesson,
    LessonDecay,
    Marginal,
    Metrics,
    Path,
)

MAX_ALIASES = 16
"""Aliases of a slice that are named."""
WATCHED = 64
"""Slices that were not chosen and that are watched, in case they could be."""
Floats = NDArray[np.float64]


class _Search(NamedTuple):
    """All that a refit found out: see `IntegratedLearner._learn`."""

    snapshot: Snapshot
    found: Candidates
    chosen: Chosen
    segments: list[SegmentKey]
    segment_of: NDArray[np.int64]
    regime_of: NDArray[np.int64]
    regimes: list[str]
    hashes: NDArray[np.uint64]
    shared: SharedFit


Found = tuple[list[Lesson], GroupSummary | None, Between | None]
"""The lessons of a group, its summary, and its account from here on."""


class Learning:
    """A refit under way: `run` it, on any thread, then have it finished by its learner."""

    def __init__(
        self,
        learn: Callable[[Snapshot | None, int], Found],
        snapshot: Snapshot | None,
        version: int,
    ) -> None:
        self._learn, self._snapshot = learn, snapshot
        self.version = version
        self.found: Found = [], None, None

    def run(self) -> None:
        self.found = self._learn(self._snapshot, self.version)


class IntegratedLearner:
    """Lessons of one group: its chosen effects, `{}`, and the strongest of the slices that were not
    chosen.

    The interface is that of `app.learning.engine.Learner`: `fold` takes trades in, `refit` returns
    what differs since the last refit, or from what `adopt` says is published.  With `between`,
    `provisional` tells in between, at the cost of what has moved, what one may go by until then.

    >>> learner = IntegratedLearner("pm", "pm.uptrend.S1.entry", "add", LearningConfig(n_min=20))
    >>> learner.fold(
    ...     Trade(
    ...         str(i), (0, 1, i, "e", "00"), i * HOUR_US, float(i % 7 + 5 * (i % 4 == 0)),
    ...         ("micro", "1h"), True, ({"x": str(i % 4)},),
    ...     )
    ...     for i in range(100)
    ... )
    >>> lessons, retired, summary = learner.refit(version=7)
    >>> [
    ...     (lesson.scope, lesson.marginal.step, round(lesson.marginal.effect, 1))
    ...     for lesson in lessons
    ...     if lesson.marginal.step == 0
    ... ]
    [({'x': '0'}, 0, 5.0)]
    >>> learner.refit(version=8)
    Refit(lessons=[], retired=[], summary=None)
    """

    def __init__(
        self,
        module: str,
        pattern_key: str,
        action_category: str,
        config: LearningConfig,
        between: bool = False,
    ) -> None:
        self.module = module
        self.pattern_key = pattern_key
        self.action_category = action_category
        self.window = GroupWindow(config.window_us, config.window_trades)
        self.summary_id = group_id(module, pattern_key, action_category)
        self.search_cut = False
        """Whether the last refit's search left out its deepest slices: see `MAX_CELLS`."""
        self._config = config
        self._lessons: Digests[Lesson] = Digests(LESSONS)
        self._summary: Digests[GroupSummary] = Digests(LESSONS)
        self._learned = False
        self._record = Record()
        self._follows = between
        self._between: Between | None = None
        self._sent_provisional = self._under_way = False
        self._since: list[tuple[Moves, Moves] | None] = []
        """What moved since the refit that is under way began."""
        self._names: dict[bytes, str] = {}
        """Lesson ids by item numbers, of the slices of the last refit."""

    @property
    def needs_rebuild(self) -> bool:
        """True while the window lacks trades; see `GroupWindow`."""
        return self.window.needs_rebuild

    @property
    def dirty(self) -> bool:
        """Whether a refit may change anything."""
        return self.window.changed or not self._learned or self._sent_provisional or self._under_way

    def fold(self, trades: Iterable[Trade]) -> None:
        """Take records of trades in, in any order, repeated or not."""
        self.window.fold(trades)

    def adopt(self, published: Iterable[Lesson | GroupSummary]) -> None:
        """What is published of this group: the next refit returns what differs from exactly this,
        and retires what is no longer right."""
        records = list(published)
        self._lessons.adopt(record for record in records if isinstance(record, Lesson))
        self._summary.adopt(record for record in records if isinstance(record, GroupSummary))
        self._learned = False

    def refit(self, version: int) -> Refit:
        """The changes since the last refit (or `adopt`), marked with `version`.  Without changes:
        nothing, whatever the version.

        Raises `RebuildNeeded` while the window lacks trades.
        """
        work = self.begin(version)
        if work is None:
            return Refit([], [], None)
        work.run()
        return self.finish(work, version)

    def begin(self, version: int) -> Learning | None:
        """A refit of the trades that are in the window now, to be run and then to be finished; None
        without changes.

        Meanwhile the group may fold and publish provisionally, but begin no other refit.  Raises
        `RebuildNeeded` as `refit` does.
        """
        self._check()
        if not self.dirty:
            return None
        if self.touched:
            self._take(version)
        snapshot = self.window.snapshot() if len(self.window) else None
        self.window.settle()
        if self._follows:
            self.window.follow()
        self._under_way, self._since = True, []
        return Learning(self._learn, snapshot, version)

    def finish(self, work: Learning, version: int) -> Refit:
        """The result of a refit that has run, with what came since it began, provisionally.

        Raises `RebuildNeeded` as `refit` does.
        """
        self._check()
        lessons, summary, self._between = work.found
        self._under_way, self._learned, self._sent_provisional = False, True, False
        if version != work.version:
            lessons = [_marked(lesson, version) for lesson in lessons]
        parts = self._since
        self._since = []
        if self.touched:
            parts.append(self.window.moves())
        for moves in parts:
            if self._between is None or moves is None:
                self._between = None
                break
            taken = self._between.take(*moves, self.window.segments, version)
            if taken is not None:
                lessons[: len(taken[0])], summary = taken
                self._sent_provisional = True
        if not self.window.changed and self.window.recode() is not None:
            self._names, self._record, self._between = {}, Record(), None
        changed = self._lessons.replace(lessons, version)
        about_group = self._summary.replace([] if summary is None else [summary], version)
        if len(self._names) > 2 * len(lessons) + 64:
            self._names = {key: name for key, name in self._names.items() if name in self._lessons}
        return Refit(
            changed.published,
            changed.retired + about_group.retired,
            about_group.published[0] if about_group.published else None,
        )

    @property
    def touched(self) -> bool:
        """Whether `provisional` may return anything."""
        return self._between is not None and self.window.moved

    @property
    def due(self) -> bool:
        """Whether a refit, and not `provisional`, is what the group needs next: its outcome can
        have changed by more than digits."""
        return self.dirty and (self._between is None or self._between.due)

    @property
    def stale(self) -> float:
        """Part of the trades that came or went since the last refit; 1 where there was none."""
        return 1.0 if self._between is None else self._between.stale

    def provisional(self, version: int) -> Refit:
        """The changes, as far as they are known without a refit: see `between.py`.  Empty where
        only a refit can find them; then `due` is true.

        Raises `RebuildNeeded` as `refit` does.
        """
        self._check()
        taken = self._take(version) if self.touched else None
        if taken is None:
            return Refit([], [], None)
        self._sent_provisional = True
        lessons, summary = taken
        changed = self._lessons.update(lessons, version)
        about_group = self._summary.update([summary], version)
        return Refit(
            changed.published, [], about_group.published[0] if about_group.published else None
        )

    def _take(self, version: int) -> tuple[list[Lesson], GroupSummary] | None:
        """Take what moved into the account between refits; returns its results, if there are
        any."""
        moves = self.window.moves()
        if self._under_way:
            self._since.append(moves)
        if self._between is None or moves is None:
            self._between = None
            return None
        return self._between.take(*moves, self.window.segments, version)

    def lessons(self, version: int) -> list[Lesson]:
        """All lessons of the trades in the window, learned from scratch: what was published
        is not kept."""
        return self._learn(self.window.snapshot(), version)[0] if len(self.window) else []

    def _check(self) -> None:
        if self.needs_rebuild:
            raise RebuildNeeded(
                f"The window of {self.pattern_key}|{self.action_category} is missing trades: fold"
                " the log again."
            )

    # -- learning

    def _learn(self, snapshot: Snapshot | None, version: int) -> Found:
        """Touches the window for the names of items alone, which stay."""
        if snapshot is None:
            return [], None, None
        config = self._config
        low, high = clip_bounds(snapshot.outcome)
        raw = snapshot.outcome
        sd = robust_sd(raw)
        snapshot = replace(snapshot, outcome=np.clip(raw, low, high))
        found = candidates(
            self.window, snapshot, config.n_min, config.max_dims, least_shared(config.n_min)
        )
        self.search_cut = found.cut
        segments = sorted(snapshot.segments, key=segment_order)
        to_sorted = np.array([segments.index(s) for s in snapshot.segments], np.int64)
        segment_of = to_sorted[snapshot.segment]
        present = np.unique(segment_of)
        segments = [segments[s] for s in present.tolist()]
        segment_of = np.searchsorted(present, segment_of)
        indicator = np.zeros((len(segment_of), len(segments)))
        indicator[np.arange(len(segment_of)), segment_of] = 1.0
        hours = (snapshot.exit_us - snapshot.exit_us[0]) / HOUR_US
        of_regime = with_dims(found, snapshot, config.regime_signature)
        chosen = choose(
            found, snapshot.outcome, hours, indicator, config.n_min, of_regime, config.alpha
        )
        regime_of, regimes = self._regimes(snapshot)
        hashes = trade_hashes(snapshot.trade_ids)
        blocks = block_of(snapshot.exit_us, config.window_us)
        shared = shared_fit(
            snapshot.outcome,
            blocks - blocks[0],
            found,
            indicator,
            most_shared(config.lessons_per_group),
        )
        everything = _Search(
            snapshot, found, chosen, segments, segment_of, regime_of, regimes, hashes, shared
        )
        lessons, models = self._all_lessons(everything, version)
        path = Path(
            lesson_ids=tuple(self._name(found.items[step.candidate])[1] for step in chosen.steps),
            statistics=tuple(shortened(step.statistic) for step in chosen.steps),
            fits=tuple(
                Fit(
                    tuple(map(shortened, fit.coefficients.tolist())),
                    tuple(
                        map(shortened, np.sqrt(np.maximum(np.diag(fit.covariance), 0.0)).tolist())
                    ),
                    tuple(tuple(map(shortened, row)) for row in fit.loadings.tolist()),
                )
                for fit in chosen.fits
            ),
            hypotheses=len(found.judged),
            robust_sd=shortened(sd),
            segments=tuple(segments),
        )
        summary = GroupSummary(
            learning="integrated",
            lesson_id=self.summary_id,
            module=self.module,
            pattern_key=self.pattern_key,
            action_category=self.action_category,
            n=len(snapshot.exit_us),
            n_slices=found.n_slices,
            segments=segment_sums(snapshot),
            as_of=text_from_micros(int(snapshot.exit_us[-1])),
            version=version,
            path=path,
            course=course(snapshot.exit_us, snapshot.outcome, config.window_us),
            persistence=packed(shared.products, int(blocks[0])),
            likeness=shortened(shared.likeness),
            shared=shared_sum(lessons),
            record=self._record.cells(
                self.window, replace(snapshot, outcome=raw), config, config.regime_signature
            ),
        )
        between = None
        if self._follows:
            start = self._start(everything, (low, high), lessons, summary, path, models)
            between = Between(start, snapshot.item_dims, config.window_us)
        return lessons, summary, between

    def _start(
        self,
        search: _Search,
        bounds: tuple[float, float],
        lessons: list[Lesson],
        summary: GroupSummary,
        path: Path,
        models: Models | None,
    ) -> Start:
        """The state from which the account between this refit and the next starts."""
        found, chosen = search.found, search.chosen
        steps = [step.candidate for step in chosen.steps]
        t = len(search.segment_of)
        x = np.ones((t, 1 + len(steps)))
        for k, j in enumerate(steps, 1):
            x[:, k] = 0.0
            x[self._trades(found, j), k] = 1.0
        loads = np.zeros((1 + len(steps), len(search.segments)))
        np.add.at(loads.T, search.segment_of, x)
        given = np.abs(chosen.conditional)
        given[steps] = 0.0
        watched = np.argsort(-given[found.judged], kind="stable")[:WATCHED]
        watched = found.judged[watched]
        chosen_lessons = lessons[1 : 1 + len(steps)]
        return Start(
            [lessons[0], *chosen_lessons],
            summary,
            path,
            found.items[steps],
            banks(models, [x.decay.half_life_hours is not None for x in chosen_lessons]),
            bounds,
            x.T @ x,
            x.T @ search.snapshot.outcome,
            loads,
            float(np.sqrt(chosen.residuals @ chosen.residuals / t)),
            found.items[watched],
            chosen.conditional[watched],
            np.diff(found.members.indptr)[watched],
            z_of_log_p(entry_log_p(self._config.alpha, len(found.judged))),
            self._config.n_min,
        )

    def _regimes(self, snapshot: Snapshot) -> tuple[NDArray[np.int64], list[str]]:
        """Of each trade (T,) the place of its regime, by its first action, in the sorted texts."""
        first = np.cumsum(snapshot.row_counts) - snapshot.row_counts
        columns = [
            snapshot.dims.index(d) for d in self._config.regime_signature if d in snapshot.dims
        ]
        rows, inverse = np.unique(snapshot.codes[first][:, columns], axis=0, return_inverse=True)
        texts = [
            canonical_text(dict(self.window.pair(item) for item in row if item))
            for row in rows.tolist()
        ]
        regimes = sorted(texts)
        return np.array([regimes.index(text) for text in texts], np.int64)[inverse.ravel()], regimes

    def _all_lessons(self, search: _Search, version: int) -> tuple[list[Lesson], Models | None]:
        """`{}`, the chosen effects, and of the rest those with the greatest statistic; and the
        models of the chosen ones."""
        chosen, found = search.chosen, search.found
        kept = [step.candidate for step in chosen.steps]
        level = chosen.fits[-1].coefficients[0]
        trades = [np.arange(len(search.snapshot.exit_us)), *(self._trades(found, j) for j in kept)]
        effects = [float(b) for b in chosen.fits[-1].coefficients]
        noise = [
            float(np.sqrt(chosen.residuals @ chosen.residuals / len(chosen.residuals))),
            *chosen.noise_sd.tolist(),
        ]
        scopes = [{}, *(self._scope(found.items[j]) for j in kept)]
        stories = [
            self._story(search, t, b + self._refined(scope, t, scopes, trades, effects), sd)
            for scope, t, b, sd in zip(scopes, trades, effects, noise, strict=True)
        ]
        states, models = self._edges_now(search, trades[1:], effects[1:], noise[1:])
        sketched, moments = self._sketches(search, trades), self._moments(search, trades)
        marginal = self._level(search, level, noise[0])
        shared = self._shared(search)
        lessons = [
            self._lesson(
                search,
                None,
                trades[0],
                moments[0],
                version,
                marginal,
                *stories[0],
                None,
                sketched[0],
            )
        ]
        sds = np.sqrt(np.maximum(np.diag(chosen.fits[-1].covariance), 0.0))
        for k, (step, state) in enumerate(zip(chosen.steps, states, strict=True), 1):
            marginal = Marginal(
                step=k - 1,
                statistic=shortened(step.statistic),
                conditional=shortened(step.statistic),
                p_value=shortened(float(np.exp(step.log_p))),
                hypotheses=len(found.judged),
                effect=shortened(effects[k]),
                effect_sd=shortened(float(sds[k])),
                now=shortened(state.now),
                now_sd=shortened(state.now_sd),
                noise_sd=shortened(noise[k]),
                reason="",
                aliases=self._aliases(found, step.candidate),
                **shared.get(step.candidate, {}),
            )
            lessons.append(
                self._lesson(
                    search,
                    step.candidate,
                    trades[k],
                    moments[k],
                    version,
                    marginal,
                    *stories[k],
                    state,
                    sketched[k],
                )
            )
        return lessons + self._rejected(search, set(kept), shared, version), models

    def _shared(self, search: _Search) -> dict[int, dict[str, Any]]:
        """The shared effects, by candidate."""
        fit = search.shared
        return {
            int(place): {
                "shared": tuple(map(shortened, fit.effects[k].tolist())),
                "shared_precision": shortened(float(fit.precision[k])),
                "shared_prior": shortened(float(fit.prior[k])),
            }
            for k, place in enumerate(fit.slices.tolist())
        }

    def _rejected(
        self, search: _Search, kept: set[int], shared: dict[int, dict[str, Any]], version: int
    ) -> list[Lesson]:
        chosen, found = search.chosen, search.found
        size = np.round(np.abs(chosen.marginal), 6)
        of_shared = np.zeros(len(size), np.bool_)
        of_shared[[j for j in shared if j not in kept]] = True
        judged = np.zeros(len(size), np.bool_)
        judged[found.judged] = True
        size[list(kept)] = -1.0
        size[~judged & ~of_shared] = -1.0
        room = min(
            self._config.lessons_per_group - 1 - len(kept), int(np.count_nonzero(size >= 0.0))
        )
        if room <= 0:
            return []
        strongest = np.lexsort((found.order, -size, ~of_shared))[:room].tolist()
        held = [self._trades(found, j) for j in strongest]
        sketched, moments = self._sketches(search, held), self._moments(search, held)
        bar = z_of_log_p(entry_log_p(self._config.alpha, len(found.judged)))
        ids = [canonical_text(self._scope(found.items[step.candidate])) for step in chosen.steps]
        total = len(search.snapshot.exit_us)
        mean = float(search.snapshot.outcome.mean())
        outcome_sd = max(float(search.snapshot.outcome.std()), 1e-150)
        noise_sd = shortened(outcome_sd)
        if kept:
            overlap = (
                found.members[strongest] @ found.members[[s.candidate for s in chosen.steps]].T
            ).toarray()
            size_kept = np.diff(found.members.indptr)[[s.candidate for s in chosen.steps]]
        lessons = []
        for row, j in enumerate(strongest):
            trades = held[row]
            z, given = float(chosen.marginal[j]), float(chosen.conditional[j])
            n = len(trades)
            if not judged[j]:
                reason = (
                    f"Its {n} trades are below the minimum of {self._config.n_min}; it counts only"
                    " as a shared effect."
                )
            elif kept and abs(z) > bar >= abs(given):
                likeness = np.abs(overlap[row] - n * size_kept / total) / np.sqrt(n * size_kept)
                reason = (
                    f"Explained by {ids[int(np.argmax(likeness))]}: given the chosen slices, its"
                    f" statistic is {given:+.2f} against a threshold of {bar:.2f}."
                )
            elif abs(given) > bar and len(kept) >= MAX_STEPS:
                reason = (
                    f"The group already has {MAX_STEPS} effects, the maximum, and its statistic of"
                    f" {given:+.2f} is weaker than theirs."
                )
            elif abs(given) > bar:
                reason = (
                    f"Passes the approximate threshold ({given:+.2f} against {bar:.2f}) but not the"
                    " exact test, which allows for heavy tails, autocorrelation and the number of"
                    " slices searched."
                )
            else:
                reason = (
                    f"Its statistic of {given:+.2f} could be chance: with {len(found.judged):,}"
                    f" slices searched, the threshold is {bar:.2f}."
                )
            marginal = Marginal(
                step=None,
                statistic=shortened(z),
                conditional=shortened(given),
                p_value=shortened(float(2.0 * ndtr(-abs(given)))),
                hypotheses=len(found.judged),
                effect=shortened((moments[row][0] - mean) / max(1.0 - n / total, 1.0 / total)),
                effect_sd=shortened(outcome_sd / np.sqrt(n * max(1.0 - n / total, 1.0 / total))),
                now=0.0,
                now_sd=0.0,
                noise_sd=noise_sd,
                reason=reason,
                aliases=self._aliases(found, j),
                **shared.get(j, {}),
            )
            lessons.append(
                self._lesson(
                    search,
                    j,
                    trades,
                    moments[row],
                    version,
                    marginal,
                    (),
                    None,
                    None,
                    sketched[row],
                )
            )
        return lessons

    @staticmethod
    def _moments(search: _Search, trades: list[NDArray[np.int64]]) -> list[tuple[float, float]]:
        """Mean and sample variance of the outcome in each slice."""
        n = np.array([len(t) for t in trades])
        starts = np.cumsum(n) - n
        outcome = search.snapshot.outcome[np.concatenate(trades)]
        mean = np.add.reduceat(outcome, starts) / n
        outcome -= np.repeat(mean, n)
        variance = np.add.reduceat(outcome * outcome, starts) / np.maximum(n - 1, 1)
        return list(zip(mean.tolist(), variance.tolist(), strict=True))

    @staticmethod
    def _sketches(search: _Search, trades: list[NDArray[np.int64]]) -> list[str]:
        members = np.zeros((len(trades), len(search.hashes)), np.bool_)
        for row, places in enumerate(trades):
            members[row, places] = True
        return [encode(sketch) for sketch in sketches(search.hashes, members)]

    def _level(self, search: _Search, level: float, noise_sd: float) -> Marginal:
        sd = float(np.sqrt(max(search.chosen.fits[-1].covariance[0, 0], 0.0)))
        return Marginal(
            step=None,
            statistic=0.0,
            conditional=0.0,
            p_value=1.0,
            hypotheses=len(search.found.judged),
            effect=shortened(level),
            effect_sd=shortened(sd),
            now=shortened(level),
            now_sd=shortened(sd),
            noise_sd=shortened(noise_sd),
            reason="The whole group is judged by its level against the baseline.",
            aliases=tuple(self._scope(row) for row in search.found.whole[:MAX_ALIASES]),
        )

    @staticmethod
    def _edges_now(
        search: _Search, trades: list[NDArray[np.int64]], effects: list[float], noise: list[float]
    ) -> tuple[list[EdgeState], Models | None]:
        if not trades:
            return [], None
        hours = search.snapshot.exit_us / HOUR_US
        starts = np.concatenate(([0], np.cumsum([len(t) for t in trades])))
        uplift = np.concatenate(
            [search.chosen.residuals[t] + b for t, b in zip(trades, effects, strict=True)]
        )
        # Now is the group's newest trade, its summary's `as_of`: from there on the reader lets the
        # edge fade.
        return edges(
            np.concatenate([hours[t] for t in trades]),
            uplift,
            starts,
            np.array(noise),
            float(hours[-1]),
        )

    def _refined(
        self,
        scope: dict[str, str],
        trades: NDArray[np.int64],
        scopes: list[dict[str, str]],
        all_trades: list[NDArray[np.int64]],
        effects: list[float],
    ) -> NDArray[np.float64]:
        """What those of the chosen slices add to its trades (n,) that chop it by regime: how a
        slice fares from regime to regime is seen with them, not beyond them."""
        added = np.zeros(len(trades))
        for other, inside, effect in zip(scopes, all_trades, effects, strict=True):
            if scope and coarser(other, self._config.regime_signature) == scope:
                added[np.isin(trades, inside)] += effect
        return added

    def _story(
        self,
        search: _Search,
        trades: NDArray[np.int64],
        effect: NDArray[np.float64],
        noise_sd: float,
    ) -> tuple[tuple[HistoryCell, ...], Metrics]:
        shot = search.snapshot
        return history(
            EffectTrades(
                shot.exit_us[trades],
                search.chosen.residuals[trades] + effect,
                shot.time_efficiency[trades].astype(np.float64),
                search.segment_of[trades],
                search.regime_of[trades],
                noise_sd,
            ),
            search.regimes,
        )

    def _lesson(
        self,
        search: _Search,
        candidate: int | None,
        trades: NDArray[np.int64],
        moments: tuple[float, float],
        version: int,
        marginal: Marginal,
        cells: tuple[HistoryCell, ...],
        metrics: Metrics | None,
        state: EdgeState | None,
        sketch: str,
    ) -> Lesson:
        items = np.zeros(0, np.uint32) if candidate is None else search.found.items[candidate]
        scope, lesson_id = self._name(items)
        decay = LessonDecay(state="stable" if candidate is None else "insufficient")
        if state is not None:
            decay = decay_of(state)
        first, last = (text_from_micros(int(search.snapshot.exit_us[trades[i]])) for i in (0, -1))
        return Lesson(
            learning="integrated",
            lesson_id=lesson_id,
            module=self.module,
            pattern_key=self.pattern_key,
            action_category=self.action_category,
            scope=scope,
            n=len(trades),
            mean=shortened(moments[0]),
            variance=shortened(moments[1]),
            decay=decay,
            evidence=Evidence(from_ts=first, to_ts=last, lesson_version=version),
            as_of=last,
            version=version,
            marginal=marginal,
            metrics=metrics,
            history=cells,
            sketch=sketch,
        )

    # -- names

    @staticmethod
    def _trades(found: Candidates, j: int) -> NDArray[np.int64]:
        return np.asarray(
            found.members.indices[found.members.indptr[j] : found.members.indptr[j + 1]]
        )

    def _scope(self, items: NDArray[np.uint32]) -> dict[str, str]:
        return dict(sorted(self.window.pair(item) for item in items.tolist() if item))

    def _name(self, items: NDArray[np.uint32]) -> tuple[dict[str, str], str]:
        """Scope and lesson id.  A refit mostly finds the slices of the one before, and ids take
        time."""
        scope, key = self._scope(items), items.tobytes()
        name = self._names.get(key)
        if name is None:
            name = self._names[key] = slice_id(
                self.module, self.pattern_key, self.action_category, scope
            )
        return scope, name

    def _aliases(self, found: Candidates, j: int) -> tuple[dict[str, str], ...]:
        return tuple(self._scope(row) for row in found.aliases.get(j, ())[:MAX_ALIASES])


def _marked(lesson: Lesson, version: int) -> Lesson:
    evidence = msgspec.structs.replace(lesson.evidence, lesson_version=version)
    return msgspec.structs.replace(lesson, version=version, evidence=evidence)
