"""Judgement of `integrated`: of a module's lessons, which are sure enough among all that was searched, and what sizes do they make?

May touch: nothing but its arguments.  What is published is a function of the lessons and summaries held, save for versions.

The way of an effect to its override:

1. netted: what the baselines of its trades' segments explain is taken off (`GroupSummary.path.fits[k].loadings`);
2. judged: it stays if its p-value passes for the whole module (Bonferroni over all slices searched in it: a false override costs real
   money, and controlling false discoveries instead, Benjamini & Hochberg 1995, let one through for each twenty that are true), and comes
   in continuously over half a standard error beyond that bar;
3. merged: effects of several groups that the same trades made are one piece of evidence, the representative's;
4. scaled: `roi` and `pnl` in units of the module's robust standard deviation;
5. given its regime gains, its half-life, its multiplier on the grid.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from scipy.special import ndtr

from app.learning.common.baselines import SegmentBaselines, segment_baselines
from app.learning.common.changes import KINDS, Changes, same
from app.learning.common.config import LearningConfig
from app.learning.common.digits import shortened
from app.learning.common.event_time import DAY_US, HOUR_US, micros_from_text, text_from_micros
from app.learning.common.multiplier import multiplier, on_grid
from app.learning.integrated import regimes
from app.learning.integrated.effects import entry_log_p, z_of_log_p
from app.learning.integrated.factors import Clusterer, Factor, Member, decoded
from app.learning.integrated.half_life import edge_states
from app.learning.integrated.history import decay_of
from schemas.identity import regime_id, slice_id
from schemas.lessons import (
    Baseline,
    Fit,
    GroupSummary,
    LatentFactor,
    Lesson,
    LessonDecay,
    LessonVerdict,
    Metrics,
    Path,
    RegimeWeight,
)
from schemas.overrides import Override, OverrideDecay
from schemas.scope import canonical_text, pairs_of

RAMP_SDS = 0.5
"""Standard errors beyond the bar over which an effect comes in."""
SHRINK = 0.5
"""Share of the James–Stein shrinkage that is applied: the filters shrink by themselves, but an edge of nearly 0 was published as a
hundredth or two of the wrong sign half of the time (void overrides 3.9 %; 2.1 % with all of it, for half a point of the gain)."""
LIFETIME_US = 30 * DAY_US
"""An override expires so long after the newest trade of its group."""
Group = tuple[str, str]
"""(pattern key, category)."""


class _Effect(NamedTuple):
    """A chosen effect that passed: `raw` net of the baseline, with its standard error `sd`; `effect` what is left of it now, in force,
    `ramp` of 0 to 1 how far it has come in; now is `as_of`."""

    lesson: Lesson
    statistic: float
    ramp: float
    raw: float
    sd: float
    effect: float
    effect_sd: float
    decay: LessonDecay
    baseline: float
    as_of: str


class Standings(NamedTuple):
    """How surely effects pass: `searched` slices and levels in the module, the |z| that it takes (`bar`), and by lesson id of each effect
    that passes its |z| (or that of the effect whose evidence it shares) and how far, from 0 to 1, it has come in beyond the bar."""

    searched: int
    bar: float
    effects: dict[str, tuple[float, float]]


class IntegratedMaterializer:
    """The lessons of one module and what was handed out about them; the interface is that of `app.learning.engine.Judge`."""

    def __init__(self, module: str, config: LearningConfig) -> None:
        self.module = module
        self._config = config
        self._lessons: dict[str, Lesson] = {}
        self._summaries: dict[str, GroupSummary] = {}
        self._clusterer = Clusterer(config.factor_jaccard)
        self._changed: dict[str, None] = {}  # lessons whose trades the clusterer has not seen
        self._out: dict[type, dict[str, Any]] = {kind: {} for kind in KINDS}
        self._complete: dict[str, tuple[GroupSummary, Path, dict[str, Lesson]]] = {}
        self._rejected: dict[str, tuple[tuple[Any, ...], LessonVerdict]] = {}

    @property
    def n_lessons(self) -> int:
        """Lessons held."""
        return len(self._lessons)

    def fold(self, records: Iterable[Lesson | GroupSummary], retired: Iterable[str] = ()) -> None:
        """Take in lessons and group summaries, then the ids of those that were retired.  A later record replaces an earlier one of its id.

        Raises `ValueError` if a record is another module's.
        """
        for record in records:
            if record.module != self.module:
                raise ValueError(f"The record {record.lesson_id} is of module {record.module!r}, not of {self.module!r}.")
            if isinstance(record, GroupSummary):
                self._summaries[record.lesson_id] = record
            else:
                old = self._lessons.get(record.lesson_id)
                self._lessons[record.lesson_id] = record
                if old is None or old.sketch != record.sketch or old.n != record.n:
                    self._changed[record.lesson_id] = None
        for lesson_id in retired:
            if self._lessons.pop(lesson_id, None) is not None:
                self._changed[lesson_id] = None
            self._summaries.pop(lesson_id, None)

    def adopt(self, published: Iterable[Any]) -> None:
        """What is published of this module, records of `KINDS`: from here on `judge` returns what differs from exactly this."""
        self._out = {kind: {} for kind in KINDS}
        for record in published:
            if type(record) in self._out:
                self._out[type(record)][getattr(record, KINDS[type(record)][1])] = record

    def judge(self, version: int, *, urgent_only: bool = False) -> Changes:
        """What differs from what was handed out, marked with `version`; a second call in a row returns nothing.

        With `urgent_only`, what a position manager would not notice (other digits, the same multiplier and decay) waits for a full call.
        """
        changes = Changes()
        for kind, records in self._judged(version).items():
            out, name = self._out[kind], KINDS[kind][0]
            for key, record in records.items():
                old = out.get(key)
                if record is old or same(record, old) or (urgent_only and old is not None and not _urgent(record, old)):
                    continue
                if record.version != version:  # said before, and something else since
                    record = msgspec.structs.replace(record, version=version)
                out[key] = record
                getattr(changes, name).append(record)
            for key in sorted(out.keys() - records.keys()):
                del out[key]
                getattr(changes, f"retired_{name}").append(key)
        return changes

    def standings(self) -> Standings:
        """How surely the effects pass that `judge` would hand out now."""
        baselines = segment_baselines(self.module, self._summaries.values(), self._config.baseline_default, 0)
        effects = self._effects(baselines, {member: factor for factor in self._factors() for member in factor.members})
        searched, bar = self._bar(path for _, path, _ in self._whole_groups())
        return Standings(searched, bar, {i: (e.statistic, e.ramp) for i, e in effects.items()})

    # -- judging

    def _judged(self, version: int) -> dict[type, dict[str, Any]]:
        """All records that are right now, by kind and id."""
        baselines = segment_baselines(self.module, self._summaries.values(), self._config.baseline_default, version)
        factors = self._factors()
        factor_of = {member: factor for factor in factors for member in factor.members}
        scale = unit_of_size(self._config.outcome, self._summaries.values())
        effects = self._effects(baselines, factor_of)
        weights = self._regime_weights(effects)
        verdicts, overrides = self._handed_out(effects, factor_of, weights, scale, baselines, version)
        as_of = max((s.as_of for s in self._summaries.values()), default="")
        return {
            LessonVerdict: verdicts,
            Override: overrides,
            Baseline: {record.baseline_id: _rounded(record) for record in baselines.records},
            RegimeWeight: {r.regime_id: r for r in (self._weight_record(w, as_of, version) for w in weights)},
            LatentFactor: {f.factor_id: self._factor_record(f, version) for f in factors},
        }

    def _factors(self) -> list[Factor]:
        if not self._config.latent_factors:
            return []
        if self._changed:
            held = [self._lessons[i] for i in self._changed if i in self._lessons]
            sketches = decoded([x.sketch for x in held])
            members = [
                Member(x.lesson_id, f"{x.pattern_key}|{x.action_category}", x.n, len(x.scope), sketch)
                for x, sketch in zip(held, sketches, strict=True)
            ]
            self._clusterer.update(members, [i for i in self._changed if i not in self._lessons])
            self._changed = {}
        return self._clusterer.factors()

    def _effects(self, baselines: SegmentBaselines, factor_of: dict[str, Factor]) -> dict[str, _Effect]:
        """The chosen effects that pass, and those of whole groups, by lesson id."""
        chosen: list[tuple[GroupSummary, Path, list[str]]] = []
        statistics: dict[str, float] = {}
        held: dict[str, Lesson] = {}
        for summary, path, lessons in self._whole_groups():
            chosen.append((summary, path, list(path.lesson_ids)))
            held.update(lessons)
            statistics.update(zip(path.lesson_ids, path.statistics, strict=True))
        lead = self._representatives(held, factor_of)
        _, bar = self._bar(path for _, path, _ in chosen)
        found: dict[str, _Effect] = {}
        passed: dict[str, Fit] = {}
        for summary, path, ids in chosen:
            ramps: list[float] = []
            for i in ids:
                ramp = min((statistics[lead.get(i, i)] - bar) / RAMP_SDS, *ramps[-1:], 1.0)
                if ramp <= 0:
                    break
                ramps.append(ramp)
            fit = passed[summary.lesson_id] = _blended(path.fits, ramps)
            for j, i in enumerate(ids[: len(ramps)], 1):
                found[i] = self._netted(held[i], summary.as_of, path, fit, j, statistics[lead.get(i, i)], bar, baselines)
        for lesson_id, effect in self._levels(chosen, baselines, passed).items():
            lesson = self._lessons.get(lesson_id)
            if lesson is not None and lesson.n >= self._config.n_min and effect[0] > bar:
                found[lesson_id] = self._whole(lesson, effect, bar)
        for i, representative in lead.items():
            if i != representative and i in found and representative in found:
                source = found[representative]
                found[i] = found[i]._replace(
                    raw=source.raw, sd=source.sd, effect=source.effect, effect_sd=source.effect_sd, decay=source.decay, as_of=source.as_of
                )
        return found

    def _bar(self, paths: Iterable[Path]) -> tuple[int, float]:
        """Hypotheses of the module (each group's level is one more), and the |z| that an effect needs among them."""
        searched = sum(path.hypotheses + 1 for path in paths)
        return searched, z_of_log_p(entry_log_p(self._config.alpha, searched))

    def _whole_groups(self) -> list[tuple[GroupSummary, Path, dict[str, Lesson]]]:
        """Each group's summary, its path, and the lessons on it, all of one refit: a batch may part what was sent together.

        Until the rest has arrived the refit before counts.
        """
        for key, summary in self._summaries.items():
            path = summary.path
            lessons = {} if path is None else {i: self._lessons[i] for i in path.lesson_ids if i in self._lessons}
            if path is not None and _of_one_refit(path, lessons):
                self._complete[key] = summary, path, lessons
        self._complete = {key: whole for key, whole in sorted(self._complete.items()) if key in self._summaries}
        return list(self._complete.values())

    def _representatives(self, chosen: dict[str, Lesson], factor_of: dict[str, Factor]) -> dict[str, str]:
        """Chosen effect → the effect of another group that is the same evidence, or itself: a factor's first by trades, generality, id.

        Within a group every chosen effect counts, so of each group only the one most like the representative (the first) is merged.
        """
        members: dict[str, list[Lesson]] = {}
        for i, lesson in chosen.items():
            if i in factor_of:
                members.setdefault(factor_of[i].factor_id, []).append(lesson)
        lead: dict[str, str] = {}
        for lessons in members.values():
            lessons.sort(key=lambda x: (-x.n, len(x.scope), x.lesson_id))
            seen: set[Group] = set()
            for lesson in lessons:
                group = (lesson.pattern_key, lesson.action_category)
                if group not in seen:
                    lead[lesson.lesson_id] = lessons[0].lesson_id
                    seen.add(group)
        return lead

    def _netted(
        self, lesson: Lesson, as_of: str, path: Path, fit: Fit, j: int, statistic: float, bar: float, baselines: SegmentBaselines
    ) -> _Effect:
        """The j-th of the effects of a fit, beyond what the segments of its trades explain."""
        marginal = lesson.marginal
        if marginal is None:
            raise ValueError(f"The lesson {lesson.lesson_id} is on its group's path without having been chosen.")
        explained, variance = _explained(fit.loadings[j], path, baselines)
        level, _ = _explained(fit.loadings[0], path, baselines)
        fitted, sd = fit.coefficients[j], fit.sds[j]
        now, now_sd, decay = marginal.effect, marginal.effect_sd, LessonDecay(state="stable")
        if self._config.half_life:
            now, now_sd, decay = marginal.now, marginal.now_sd, lesson.decay
        now += fitted - marginal.effect
        share = max(_share(fitted, explained), _share(now, explained)) * sd / max(np.sqrt(sd * sd + variance), 1e-300)
        ramp = min(max((min(statistic, statistic * share) - bar) / RAMP_SDS, 0.0), 1.0)
        left = (now - explained) * ramp * _kept(now - explained, now_sd**2 + variance)
        return _Effect(
            lesson, statistic, ramp, fitted - explained, float(np.sqrt(sd * sd + variance)), left, float(np.sqrt(now_sd**2 + variance)),
            decay, level + explained, as_of,
        )  # fmt: skip

    def _levels(
        self, chosen: Sequence[tuple[GroupSummary, Path, list[str]]], baselines: SegmentBaselines, passed: dict[str, Fit]
    ) -> dict[str, tuple[float, float, float, float]]:
        """Of each group's level against the baseline: lesson id → (|z|, net, standard error, baseline).

        |z| is the smaller of that of all trades together and that beyond the chosen effects, 0 where their signs differ.  What the chosen
        effects add to the average trade of the module is not held against a group without any: beyond the effects, levels are compared
        with a baseline beyond them.
        """
        home = {summary.lesson_id: sum(part.n for part in summary.segments) for summary, _, _ in chosen}
        added = sum(
            home[summary.lesson_id] * (path.fits[0].coefficients[0] - passed[summary.lesson_id].coefficients[0])
            for summary, path, _ in chosen
        ) / max(sum(home.values()), 1)
        levels = {}
        for summary, path, _ in chosen:
            values = []
            for fit, beyond in ((path.fits[0], 0.0), (passed[summary.lesson_id], added)):
                explained, variance = _explained(fit.loadings[0], path, baselines)
                explained -= beyond
                sd = float(np.sqrt(fit.sds[0] ** 2 + variance))
                values.append((fit.coefficients[0] - explained, sd, explained))
            (alone, alone_sd, _), (net, sd, explained) = values
            agrees = alone * net > 0 and sd > 0 and alone_sd > 0
            z = min(abs(alone) / alone_sd, abs(net) / sd) if agrees else 0.0
            levels[self._whole_id(summary)] = (z, net, sd, explained)
        return levels

    def _whole_id(self, summary: GroupSummary) -> str:
        return slice_id(self.module, summary.pattern_key, summary.action_category, {})

    def _whole(self, lesson: Lesson, level: tuple[float, float, float, float], bar: float) -> _Effect:
        """The edge of a whole group, now: from its days, since only here the baseline is known."""
        z, net, sd, baseline = level
        ramp = min(max((z - bar) / RAMP_SDS, 0.0), 1.0)
        now, now_sd, decay = net, sd, LessonDecay(state="stable")
        cells = lesson.history
        if self._config.half_life and len(cells) > 1 and lesson.marginal is not None:
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
        return _Effect(lesson, z, ramp, net, sd, now * ramp * _kept(now, now_sd**2), now_sd, decay, baseline, lesson.as_of)

    # -- regimes and factors

    def _regime_weights(self, effects: dict[str, _Effect]) -> list[regimes.RegimeWeights]:
        if not self._config.regime_weights:
            return []
        signature = self._config.regime_signature
        cells: list[regimes.Cell] = []
        variance: list[float] = []
        regime_of: dict[str, tuple[str, ...]] = {}
        for effect in sorted(effects.values(), key=lambda e: e.lesson.lesson_id):
            lesson = effect.lesson
            # A slice within one regime says nothing of how regimes differ.
            if lesson.marginal is None or not lesson.scope or any(name in lesson.scope for name in signature):
                continue
            number = len(variance)
            # What has hardly passed hardly counts, so that nothing jumps when it does.
            variance.append(max(lesson.marginal.noise_sd**2, 1e-300) / max(effect.ramp, 1e-6))
            for cell in lesson.history:
                for part in cell.regimes:
                    regime = regime_of.get(part.regime)
                    if regime is None:
                        values = dict(pairs_of(part.regime))
                        regime = regime_of[part.regime] = tuple(values.get(name, "") for name in signature)
                    cells.append(regimes.Cell(number, cell.day, regime, cell.predicted, cell.metrics, part.n, part.uplift))
        return regimes.fit(regimes.history(cells, variance), signature) if cells else []

    def _weight_record(self, w: regimes.RegimeWeights, as_of: str, version: int) -> RegimeWeight:
        text = canonical_text(dict(w.regime))
        names = ("offset", *regimes.METRICS)
        return RegimeWeight(
            learning="integrated",
            regime_id=regime_id(self.module, text),
            module=self.module,
            regime=text,
            n_cells=w.n_cells,
            n_trades=w.n_trades,
            weights=dict(zip(names, map(shortened, w.weights.tolist()), strict=True)),
            sds=dict(zip(names, map(shortened, w.sd.tolist()), strict=True)),
            centres=dict(zip(regimes.METRICS, map(shortened, w.centre.tolist()), strict=True)),
            p_value=shortened(w.p_value),
            active=w.active,
            as_of=as_of,
            version=version,
        )

    def _factor_record(self, factor: Factor, version: int) -> LatentFactor:
        return LatentFactor(
            learning="integrated",
            factor_id=factor.factor_id,
            module=self.module,
            representative=factor.representative,
            members=factor.members,
            cohesion=shortened(factor.cohesion),
            as_of=max(self._lessons[i].as_of for i in factor.members),
            version=version,
        )

    # -- records

    def _handed_out(
        self,
        effects: dict[str, _Effect],
        factor_of: dict[str, Factor],
        weights: list[regimes.RegimeWeights],
        scale: float,
        baselines: SegmentBaselines,
        version: int,
    ) -> tuple[dict[str, LessonVerdict], dict[str, Override]]:
        verdicts: dict[str, LessonVerdict] = {}
        overrides: dict[str, Override] = {}
        covers: dict[tuple[str, Group], list[str]] = {}
        for factor in {f.factor_id: f for f in factor_of.values()}.values():
            for i in factor.members:
                if i not in effects:
                    lesson = self._lessons[i]
                    covers.setdefault((factor.factor_id, (lesson.pattern_key, lesson.action_category)), []).append(i)
        covered: dict[str, str] = {}
        for i, effect in sorted(effects.items()):
            lesson = effect.lesson
            group = (lesson.pattern_key, lesson.action_category)
            size = effect.effect / scale
            times = float(on_grid(multiplier(size)))
            members: tuple[str, ...] = ()
            factor_ = factor_of.get(i)
            if times != 1.0:
                if factor_ is not None:
                    members = tuple(m for m in covers.get((factor_.factor_id, group), ()) if m not in covered)
                    covered.update(dict.fromkeys(members, i))
                overrides[i] = self._override(effect, size, times, members, factor_, weights, scale, version)
            verdicts[i] = self._verdict(effect, size, times, factor_, scale, version)
        centre = baselines.records[0].mean if baselines.records else self._config.baseline_default
        tick = 10.0 ** np.floor(np.log10(scale)) * 1e-2 if scale > 0 else 1e-2
        centre = float(np.round(centre / tick) * tick)
        steps = {i: len(path.lesson_ids) for s in self._summaries.values() if (path := s.path) for i in path.lesson_ids}
        for i, lesson in self._lessons.items():
            if i not in verdicts:
                key = (lesson, covered.get(i), factor_of[i].factor_id if i in factor_of else None, centre, i in steps)
                verdicts[i] = self._rejection(i, lesson, key, version)
        self._rejected = {i: made for i, made in self._rejected.items() if i in self._lessons}
        return verdicts, overrides

    def _rejection(self, i: str, lesson: Lesson, key: tuple[Any, ...], version: int) -> LessonVerdict:
        made = self._rejected.get(i)
        if made is not None and made[0][0] is key[0] and made[0][1:] == key[1:]:
            return made[1]
        _, cover, factor, centre, on_path = key
        if cover is not None:
            decision, reason = "covered", f"The override {cover} speaks for its trades."
        elif lesson.n < self._config.n_min:
            decision, reason = "insufficient", f"The {lesson.n} trades are fewer than the {self._config.n_min} that a judgement needs."
        elif on_path and lesson.marginal is not None:
            decision = "neutral"
            reason = f"Its statistic of {lesson.marginal.statistic:.2f} passes in its group, but not among all slices of the module."
        else:
            decision = "neutral"
            reason = lesson.marginal.reason if lesson.marginal is not None else "Of another way of learning."
        verdict = LessonVerdict(
            learning=lesson.learning, lesson_id=i, module=lesson.module, pattern_key=lesson.pattern_key,
            action_category=lesson.action_category, scope=lesson.scope, n=lesson.n, edge=0.0, baseline=centre, multiplier=1.0,
            confidence=0.0, decision=decision, reason=reason, override_id=cover, latent_factor_id=factor,
            lesson_version=lesson.version, as_of=lesson.as_of, version=version,
            edge_raw=lesson.marginal.effect if lesson.marginal is not None else None,
            effect_sd=lesson.marginal.effect_sd if lesson.marginal is not None else None,
        )  # fmt: skip
        self._rejected[i] = key, verdict
        return verdict

    def _verdict(self, e: _Effect, size: float, times: float, factor: Factor | None, scale: float, version: int) -> LessonVerdict:
        lesson = e.lesson
        if times != 1.0:
            reason = f"An edge of {size:+.4f} now ({e.raw / scale:+.4f} over the window), {e.statistic:.2f} standard errors from chance."
        elif abs(e.effect) < abs(e.raw) * 0.01:
            reason = f"The edge of {e.raw / scale:+.4f} over the window is gone, or what its trades' segments explain."
        else:
            reason = f"What is left of the edge, {size:+.4f}, is less than a step of the multiplier."
        return LessonVerdict(
            learning="integrated", lesson_id=lesson.lesson_id, module=lesson.module, pattern_key=lesson.pattern_key,
            action_category=lesson.action_category, scope=lesson.scope, n=lesson.n, edge=shortened(size), baseline=shortened(e.baseline),
            multiplier=times, confidence=_confidence(e), decision="neutral" if times == 1.0 else "override", reason=reason,
            override_id=None if times == 1.0 else lesson.lesson_id, latent_factor_id=factor.factor_id if factor else None,
            lesson_version=lesson.version, as_of=lesson.as_of, version=version, edge_raw=shortened(e.raw / scale),
            effect_sd=shortened(e.effect_sd / scale),
        )  # fmt: skip

    def _override(
        self,
        e: _Effect,
        size: float,
        times: float,
        covers: tuple[str, ...],
        factor: Factor | None,
        weights: list[regimes.RegimeWeights],
        scale: float,
        version: int,
    ) -> Override:
        lesson = e.lesson
        metrics = lesson.metrics
        gains = {} if metrics is None or not lesson.scope else regimes.gains(weights, metric_values(metrics), lesson.scope)
        return Override(
            override_id=lesson.lesson_id, learning="integrated", module=lesson.module, pattern_key=lesson.pattern_key,
            action_category=lesson.action_category, scope=lesson.scope, effect=shortened(size), effect_sd=shortened(e.effect_sd / scale),
            multiplier=times, confidence=_confidence(e), n_trades=lesson.n, baseline=shortened(e.baseline),
            decay=OverrideDecay(state=e.decay.state, half_life_hours=e.decay.half_life_hours, interval=e.decay.interval),
            latent_factor_id=factor.factor_id if factor else None, covers=covers, regime_gains=gains, evidence=lesson.evidence,
            as_of=e.as_of, expires_at=text_from_micros(micros_from_text(e.as_of) + LIFETIME_US), version=version,
        )  # fmt: skip


def unit_of_size(outcome: str, summaries: Iterable[GroupSummary]) -> float:
    """Units of the outcome that are one unit of size: 1 for `rr`, else the module's robust standard deviation."""
    if outcome == "rr":
        return 1.0
    ordered = sorted(summaries, key=lambda s: s.lesson_id)
    paths = [(s.path.robust_sd, s.n) for s in ordered if s.path is not None and s.path.robust_sd > 0]
    trades = sum(n for _, n in paths)
    return float(np.sqrt(sum(sd * sd * n for sd, n in paths) / trades)) if trades else 1.0


def _blended(fits: Sequence[Fit], ramps: Sequence[float]) -> Fit:
    """The fit of the first k effects, of which each has come in as far as `ramps` (k,) says, from 1 down to 0.

    A mean of the fits of 0, 1, … k effects, each of which counts as far as the effect after it has not come in: so that what an effect
    takes from the others, as it comes in, does not jump either.

    >>> fits = [Fit((1.0,), (0.1,), ((1.0,),)), Fit((0.5, 2.0), (0.1, 0.2), ((1.0,), (0.0,)))]
    >>> [_blended(fits, ramps).coefficients for ramps in ([], [0.25], [1.0])]
    [(1.0,), (0.875, 2.0), (0.5, 2.0)]
    """
    came = np.array([1.0, *ramps])
    weight = came - np.append(came[1:], 0.0)
    columns = [np.column_stack((fit.coefficients, fit.sds, fit.loadings)) for fit in fits[: len(came)]]
    total = np.zeros_like(columns[-1])
    for share, column in zip(weight.tolist(), columns, strict=True):
        total[: len(column)] += share * column
    total /= came[:, None]
    return Fit(tuple(total[:, 0].tolist()), tuple(total[:, 1].tolist()), tuple(map(tuple, total[:, 2:].tolist())))


def _of_one_refit(path: Path, lessons: dict[str, Lesson]) -> bool:
    """Whether the lessons of a path are there, and say the coefficients that its last fit has."""
    found = [lesson.marginal for i in path.lesson_ids if (lesson := lessons.get(i)) is not None]
    return len(found) == len(path.lesson_ids) and all(
        marginal is not None and marginal.effect == coefficient
        for marginal, coefficient in zip(found, path.fits[-1].coefficients[1:], strict=True)
    )


def _kept(now: float, variance: float) -> float:
    """How much of an edge is published: 1 − SHRINK · variance/edge², not below 0 (James & Stein 1961).  What may as well be gone is gone.

    >>> round(_kept(0.4, 0.01), 3), _kept(0.05, 0.01)
    (0.969, 0.0)
    """
    return max(0.0, 1.0 - SHRINK * variance / max(now * now, 1e-300))


def _explained(loadings: Sequence[float], path: Path, baselines: SegmentBaselines) -> tuple[float, float]:
    """What the segments explain of a coefficient, and the variance of that."""
    total = variance = 0.0
    for loading, key in zip(loadings, path.segments, strict=True):
        total += loading * baselines.means.get(key, baselines.elsewhere[0])
        variance += loading * loading * baselines.variances.get(key, baselines.elsewhere[1])
    return total, variance


def _share(value: float, explained: float) -> float:
    return abs(value - explained) / abs(value) if value else 1.0


def _confidence(e: _Effect) -> float:
    """Probability that the edge has this sign now."""
    return shortened(float(ndtr(abs(e.effect) / e.effect_sd))) if e.effect_sd > 0 else 0.5


def metric_values(metrics: Metrics) -> tuple[float, ...]:
    """In the order of `regimes.METRICS`."""
    return tuple(getattr(metrics, name) for name in regimes.METRICS)


def _rounded(record: Baseline) -> Baseline:
    return msgspec.structs.replace(record, mean=shortened(record.mean), variance=shortened(record.variance))


def _urgent(record: Any, old: Any) -> bool:
    """Whether a position manager should know of the difference at once."""
    if isinstance(record, Override):
        return (record.multiplier, record.decay.state, record.regime_gains, record.latent_factor_id) != (
            old.multiplier, old.decay.state, old.regime_gains, old.latent_factor_id,
        )  # fmt: skip
    if isinstance(record, LessonVerdict):
        return (record.decision, record.multiplier, record.n) != (old.decision, old.multiplier, old.n)
    return False
