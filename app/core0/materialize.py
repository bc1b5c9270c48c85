"""The judgement over a module: baseline, edge and verdict of every lesson, and the overrides that follow; says what changed.

May touch: nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.core0 import classic
from app.core0.baselines import ModuleBaseline, module_baseline
from schemas.identity import baseline_id
from schemas.lessons import Baseline, Evidence, GroupSummary, Lesson, LessonVerdict
from schemas.overrides import Override, OverrideDecay

LEARNING = "classic"


@dataclass(frozen=True)
class JudgementRules:
    """What verdicts depend on besides the lessons."""

    n_min: int
    edge_min: float
    baseline_default: float


@dataclass(frozen=True)
class Judgement:
    """What has to be published; ids of verdicts, overrides and baselines that no longer hold are `retired_…`."""

    verdicts: list[LessonVerdict]
    overrides: list[Override]
    baselines: list[Baseline]
    retired_verdicts: list[str]
    retired_overrides: list[str]
    retired_baselines: list[str]


# Records without identity and versions, as they are compared with what was handed out.
_Verdict = tuple[int, float, float, float, float, str, str]
_Override = tuple[int, float, float, float, float, str, str, str, str]
_Baseline = tuple[int, float, float, str]


class ModuleJudgement:
    """Holds the lessons and group summaries of one module and judges them.

    `fold_…` and `retire` take in what the lesson builder published.  `judge` returns what differs from what was handed out before: with
    `full=False` only what a reader would notice (an override that came, went or changed its multiplier, and whatever belongs to a lesson
    that changed), with `full=True` everything, so that a tick of the baseline does not publish every record of the module at once.  After a
    full one, what was handed out is a function of lessons and summaries alone, and judging again gives nothing.
    """

    def __init__(self, module: str, rules: JudgementRules) -> None:
        self.module = module
        self._rules = rules
        self._lessons: dict[str, Lesson] = {}
        self._groups: dict[str, GroupSummary] = {}
        self._changed: set[str] = set()  # lessons folded or retired since the last judgement
        self._verdicts: dict[str, _Verdict | None] = {}  # handed out, by lesson id
        self._overrides: dict[str, _Override | None] = {}
        self._baseline: _Baseline | None = None
        self._baseline_handed = False
        self.settled = True

    def fold_lesson(self, lesson: Lesson) -> None:
        """Take in a new or changed lesson."""
        self._lessons[lesson.lesson_id] = lesson
        self._changed.add(lesson.lesson_id)
        self.settled = False

    def fold_summary(self, summary: GroupSummary) -> None:
        """Take in a new or changed group summary."""
        self._groups[summary.lesson_id] = summary
        self.settled = False

    def retire(self, lesson_id: str) -> None:
        """A lesson or a summary no longer holds."""
        if self._groups.pop(lesson_id, None) is None:
            self._lessons.pop(lesson_id, None)
            self._changed.add(lesson_id)
        self.settled = False

    def adopt(
        self,
        verdicts: Iterable[LessonVerdict],
        overrides: Iterable[Override],
        baselines: Iterable[Baseline],
        retired: Mapping[type, Iterable[str]],
        *,
        complete: bool,
    ) -> None:
        """Take these as what is published: all there is if `complete`, else some that another has written over ours.

        `retired` maps the kind of a record (`LessonVerdict`, `Override`, `Baseline`) to the keys of its tombstones.
        """
        if complete:
            self._verdicts.clear()
            self._overrides.clear()
            self._baseline_handed = False
        for verdict in verdicts:
            self._verdicts[verdict.lesson_id] = _verdict_content(verdict) if verdict.learning == LEARNING else None
        for override in overrides:
            self._overrides[override.override_id] = _override_content(override) if override.learning == LEARNING else None
        for baseline in baselines:
            self._baseline, self._baseline_handed = (baseline.n, baseline.mean, baseline.variance, baseline.as_of), True
        for key in retired.get(LessonVerdict, ()):
            self._verdicts.pop(key, None)
        for key in retired.get(Override, ()):
            self._overrides.pop(key, None)
        if baseline_id(self.module) in retired.get(Baseline, ()):
            self._baseline_handed = False
        self.settled = False

    def judge(self, version: int, *, full: bool) -> Judgement:
        """Judge every lesson against the baseline as it is now, and hand out what differs, as of `version`."""
        baseline = module_baseline({key: group.segments for key, group in self._groups.items()}, self._rules.baseline_default)
        ids = list(self._lessons)
        lessons = list(self._lessons.values())
        edge, confidence, multiplier = self._edges(lessons, baseline.mean)
        verdicts: list[LessonVerdict] = []
        overrides: list[Override] = []
        retired_overrides: list[str] = []
        for at, lesson_id in enumerate(ids):
            m = float(multiplier[at])
            handed = self._overrides.get(lesson_id)
            urgent = lesson_id in self._changed or (m if not np.isnan(m) else None) != (handed[1] if handed is not None else None)
            if not (full or urgent):
                continue
            lesson = lessons[at]
            e, c = float(edge[at]), float(confidence[at])
            decision, reason = self._decide(lesson.n, e, not np.isnan(m))
            held = decision == "override"
            verdict: _Verdict = (lesson.n, e, baseline.mean, m if held else 1.0, c, decision, reason)
            if self._verdicts.get(lesson_id) != verdict:
                self._verdicts[lesson_id] = verdict
                verdicts.append(self._verdict(lesson, verdict, version))
            if not held:
                if lesson_id in self._overrides:
                    retired_overrides.append(lesson_id)
                continue
            override: _Override = (
                lesson.n, m, e, c, baseline.mean, lesson.decay.state, lesson.evidence.from_ts, lesson.evidence.to_ts, lesson.as_of,
            )  # fmt: skip
            if self._overrides.get(lesson_id) != override:
                self._overrides[lesson_id] = override
                overrides.append(self._override(lesson, override, version))
        retired_verdicts = [key for key in self._verdicts if key not in self._lessons]
        retired_overrides.extend(key for key in self._overrides if key not in self._lessons)
        for key in retired_verdicts:
            del self._verdicts[key]
        for key in retired_overrides:
            del self._overrides[key]
        baselines, retired_baselines = self._baselines(baseline, version)
        self._changed.clear()
        if full:
            self.settled = True
        return Judgement(verdicts, overrides, baselines, retired_verdicts, retired_overrides, retired_baselines)

    def _edges(self, lessons: list[Lesson], baseline: float) -> tuple[npt.NDArray[np.float64], ...]:
        """Edge, confidence and multiplier (NaN where there is no override) of every lesson; shape (lessons,)."""
        n = np.fromiter((x.n for x in lessons), np.float64, len(lessons))
        mean = np.fromiter((x.mean for x in lessons), np.float64, len(lessons))
        variance = np.fromiter((x.variance for x in lessons), np.float64, len(lessons))
        decay = np.fromiter((x.decay.multiplier for x in lessons), np.float64, len(lessons))
        edge = classic.edge(n, mean, variance, baseline, decay)
        held = (n >= self._rules.n_min) & (np.abs(edge) >= self._rules.edge_min)
        return edge, classic.confidence(n, variance), np.where(held, classic.multiplier(edge), np.nan)

    def _decide(self, n: int, edge: float, held: bool) -> tuple[str, str]:
        rules = self._rules
        if held:
            return "override", f"{n} trades (at least {rules.n_min}) with an edge of {edge:+.3f} (at least ±{rules.edge_min:g})."
        if n < rules.n_min:
            return "insufficient", f"{n} trades, fewer than {rules.n_min}."
        return "neutral", f"The edge of {edge:+.3f} is smaller than ±{rules.edge_min:g}."

    def _verdict(self, lesson: Lesson, content: _Verdict, version: int) -> LessonVerdict:
        n, edge, baseline, multiplier, confidence, decision, reason = content
        return LessonVerdict(
            learning=LEARNING,
            lesson_id=lesson.lesson_id,
            module=lesson.module,
            pattern_key=lesson.pattern_key,
            action_category=lesson.action_category,
            scope=lesson.scope,
            n=n,
            edge=edge,
            baseline=baseline,
            multiplier=multiplier,
            confidence=confidence,
            decision=decision,
            reason=reason,
            override_id=lesson.lesson_id if decision == "override" else None,
            latent_factor_id=None,
            lesson_version=lesson.version,
            as_of=lesson.as_of,
            version=version,
        )

    def _override(self, lesson: Lesson, content: _Override, version: int) -> Override:
        n, multiplier, effect, confidence, baseline, state, from_ts, to_ts, as_of = content
        return Override(
            override_id=lesson.lesson_id,
            learning=LEARNING,
            module=lesson.module,
            pattern_key=lesson.pattern_key,
            action_category=lesson.action_category,
            scope=lesson.scope,
            effect=effect,
            effect_sd=None,
            multiplier=multiplier,
            confidence=confidence,
            n_trades=n,
            baseline=baseline,
            decay=OverrideDecay(state),
            latent_factor_id=None,
            covers=(),
            regime_gains={},
            evidence=Evidence(from_ts, to_ts, lesson.version),
            as_of=as_of,
            expires_at=None,
            version=version,
        )

    def _baselines(self, baseline: ModuleBaseline, version: int) -> tuple[list[Baseline], list[str]]:
        key = baseline_id(self.module)
        if not self._groups:
            handed, self._baseline_handed = self._baseline_handed, False
            return [], [key] if handed else []
        content = (baseline.n, baseline.mean, baseline.variance, max(group.as_of for group in self._groups.values()))
        if self._baseline_handed and content == self._baseline:
            return [], []
        self._baseline, self._baseline_handed = content, True
        n, mean, variance, as_of = content
        record = Baseline(
            learning=LEARNING,
            baseline_id=key,
            module=self.module,
            bucket=None,
            timeframe=None,
            n=n,
            mean=mean,
            variance=variance,
            as_of=as_of,
            version=version,
        )
        return [record], []


def _verdict_content(v: LessonVerdict) -> _Verdict:
    return (v.n, v.edge, v.baseline, v.multiplier, v.confidence, v.decision, v.reason)


def _override_content(o: Override) -> _Override:
    e = o.evidence
    return (o.n_trades, o.multiplier, o.effect, o.confidence, o.baseline, o.decay.state, e.from_ts, e.to_ts, o.as_of)
