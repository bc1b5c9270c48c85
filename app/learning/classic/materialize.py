"""Judgement: which lessons of a module become overrides, and what has to be published so that readers know.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from app.learning.classic import formulas
from app.learning.common.baselines import module_baseline, same_baseline
from app.learning.common.changes import Changes, same
from app.learning.common.multiplier import multiplier, on_grid
from app.learning.common.refit import same_lesson
from app.learning.common.size import unit_of_size
from schemas.lessons import Baseline, GroupSummary, LatentFactor, Lesson, LessonVerdict, RegimeWeight
from schemas.overrides import Override, OverrideDecay

NEVER, INSUFFICIENT, NEUTRAL, OVERRIDE = -1, 0, 1, 2
DECISIONS = ("insufficient", "neutral", "override")


class _Judged(NamedTuple):
    """Per slot: edge (in units of size), confidence, multiplier (on the grid; 1 unless an override) and decision, all judged against
    `baseline`, where `unit` units of the outcome are one unit of size."""

    edge: NDArray[np.float64]
    confidence: NDArray[np.float64]
    multiplier: NDArray[np.float64]
    decision: NDArray[np.int8]
    baseline: float
    unit: float


class Materializer:
    """The lessons of one module and what was handed out about them.

    `fold` takes lessons in, `judge` returns what differs from what was handed out last.  After a full `judge` what has been handed out, all
    calls together, is a function of the lessons and summaries alone, save for versions: a record is not handed out again merely because a
    version moved.

    The formulas see outcomes in units of size: `rr` as it is, any other `outcome` in robust standard deviations of the module.  `edge_min`
    is in units of size, `baseline_default` in units of the outcome.
    """

    def __init__(self, module: str, *, n_min: int, edge_min: float, baseline_default: float, outcome: str = "rr") -> None:
        self.module = module
        self.n_min = n_min
        self.edge_min = edge_min
        self.baseline_default = baseline_default
        self.outcome = outcome
        self._summaries: dict[str, GroupSummary] = {}
        self._baseline: Baseline | None = None
        # Lessons by slot: id, the record (None: free, or retired and not yet judged), its numbers (n, mean, variance, decay multiplier,
        # slope per hour, NaN without one).
        self._slot_of: dict[str, int] = {}
        self._free: list[int] = []
        self._ids: list[str] = []
        self._lessons: list[Lesson | None] = []
        self._numbers = np.zeros((5, 0))
        self._touched: set[int] = set()
        # What was handed out by slot: the lesson it was made of, and what was made of it.
        self._out_lessons: list[Lesson | None] = []
        self._out_numbers = np.zeros((5, 0))  # edge, confidence, multiplier, baseline, unit
        self._out_decision = np.zeros(0, np.int8)
        # What was published before this object lived, as long as nothing newer was handed out.
        self._published_verdicts: dict[str, LessonVerdict] = {}
        self._published_overrides: dict[str, Override] = {}
        self._published_baselines: dict[str, Baseline] = {}
        self._foreign_weights: list[str] = []
        self._foreign_factors: list[str] = []

    @property
    def n_lessons(self) -> int:
        """Lessons held."""
        return sum(lesson is not None for lesson in self._lessons)

    def fold(self, records: Iterable[Lesson | GroupSummary], retired: Iterable[str] = ()) -> None:
        """Take in lessons and group summaries, then the ids of those that were retired.  A later record replaces an earlier one of its id.

        Raises `ValueError` if a record is another module's.
        """
        for record in records:
            if record.module != self.module:
                raise ValueError(f"The record {record.lesson_id} is of module {record.module!r}, not of {self.module!r}.")
            if isinstance(record, GroupSummary):
                self._summaries[record.lesson_id] = record
                continue
            slot = self._slot_of.get(record.lesson_id)
            if slot is None:
                slot = self._new_slot(record.lesson_id)
            elif same_lesson(record, self._lessons[slot]):
                continue
            self._lessons[slot] = record
            slope = record.decay.slope_per_hour
            self._numbers[:, slot] = record.n, record.mean, record.variance, record.decay.multiplier, np.nan if slope is None else slope
            self._touched.add(slot)
        for lesson_id in retired:
            slot = self._slot_of.get(lesson_id)
            if slot is not None:
                self._lessons[slot] = None
                self._touched.add(slot)
            else:
                self._summaries.pop(lesson_id, None)

    def adopt(self, published: Iterable[Any]) -> None:
        """What is published of this module, records of any kind: from here on `judge` returns what differs from exactly this.

        Fold all lessons before judging: what is published of a lesson that is not there is retired.
        """
        records = list(published)
        self._published_verdicts = {r.lesson_id: r for r in records if isinstance(r, LessonVerdict)}
        self._published_overrides = {r.override_id: r for r in records if isinstance(r, Override)}
        self._published_baselines = {r.baseline_id: r for r in records if isinstance(r, Baseline)}
        # What `integrated` published of factors and regimes has no meaning here.
        self._foreign_weights = sorted(r.regime_id for r in records if isinstance(r, RegimeWeight))
        self._foreign_factors = sorted(r.factor_id for r in records if isinstance(r, LatentFactor))
        self._baseline = None
        self._out_lessons = [None] * len(self._lessons)
        self._out_decision[:] = NEVER
        self._touched = set(self._slot_of.values())

    def judge(self, version: int, *, urgent_only: bool = False) -> Changes:
        """What differs from what was handed out, marked with `version`; a second call in a row returns nothing.

        With `urgent_only`, a lesson that has not changed itself counts only where its decision or its multiplier (on the grid) has moved
        with the baseline or the unit of size; the rest, such as the baseline it names, waits for the next full call.
        """
        changes = Changes(retired_regime_weights=self._foreign_weights, retired_factors=self._foreign_factors)
        self._foreign_weights, self._foreign_factors = [], []
        baseline = module_baseline(self.module, self._summaries.values(), self.baseline_default, version)
        self._hand_out_baseline(baseline, changes)
        self._retire_unknown(changes)
        if not self._slot_of:
            return changes
        unit = unit_of_size(self.outcome, self._summaries.values())
        judged = self._judged(self.baseline_default if baseline is None else baseline.mean, unit)
        size = len(self._ids)
        out_multiplier, out_baseline, out_unit = self._out_numbers[2:, :size]
        moved = (judged.decision != self._out_decision[:size]) | (judged.multiplier != out_multiplier)
        if not urgent_only:
            moved |= (out_baseline != judged.baseline) | (out_unit != judged.unit)
        moved[self._free] = False
        moved[list(self._touched)] = True
        self._touched.clear()
        for slot in np.flatnonzero(moved).tolist():
            self._hand_out(slot, judged, version, urgent_only, changes)
        return changes

    # -- handing out

    def _hand_out_baseline(self, baseline: Baseline | None, changes: Changes) -> None:
        out = self._published_baselines
        if self._baseline is not None:
            out[self._baseline.baseline_id] = self._baseline
        if baseline is not None:
            before = out.pop(baseline.baseline_id, None)
            if same_baseline(baseline, before):
                baseline = before
            else:
                changes.baselines.append(baseline)
        changes.retired_baselines += sorted(out)
        self._baseline, self._published_baselines = baseline, {}

    def _retire_unknown(self, changes: Changes) -> None:
        """Retire what is published of lessons that do not exist (any more)."""
        for published, retired in (
            (self._published_verdicts, changes.retired_verdicts),
            (self._published_overrides, changes.retired_overrides),
        ):
            unknown = sorted(i for i in published if i not in self._slot_of)
            for record_id in unknown:
                del published[record_id]
            retired += unknown

    def _hand_out(self, slot: int, judged: _Judged, version: int, urgent_only: bool, changes: Changes) -> None:
        lesson, lesson_id = self._lessons[slot], self._ids[slot]
        verdict, override = (None, None) if lesson is None else self._records(lesson, slot, judged, version)
        adopted = lesson_id in self._published_verdicts or lesson_id in self._published_overrides
        if adopted:
            old_verdict, old_override = self._published_verdicts.get(lesson_id), self._published_overrides.get(lesson_id)
            if urgent_only and not _urgent(verdict, override, old_verdict, old_override):
                self._out_decision[slot] = judged.decision[slot]
                self._out_numbers[:, slot] = np.nan, np.nan, judged.multiplier[slot], np.nan, np.nan
                return
            self._published_verdicts.pop(lesson_id, None)
            self._published_overrides.pop(lesson_id, None)
        else:
            old_verdict, old_override = self._handed_out(slot)
        if verdict is not None and not same(verdict, old_verdict):
            changes.verdicts.append(verdict)
        elif verdict is None and old_verdict is not None:
            changes.retired_verdicts.append(lesson_id)
        if override is not None and not same(override, old_override):
            changes.overrides.append(override)
        elif override is None and old_override is not None:
            changes.retired_overrides.append(lesson_id)
        if lesson is None:
            self._release(slot)
            return
        self._out_lessons[slot] = lesson
        self._out_decision[slot] = judged.decision[slot]
        self._out_numbers[:, slot] = judged.edge[slot], judged.confidence[slot], judged.multiplier[slot], judged.baseline, judged.unit

    def _handed_out(self, slot: int) -> tuple[LessonVerdict | None, Override | None]:
        lesson = self._out_lessons[slot]
        if lesson is None:
            return None, None
        edge, confidence, multiplier, baseline, unit = self._out_numbers
        judged = _Judged(edge, confidence, multiplier, self._out_decision, float(baseline[slot]), float(unit[slot]))
        return self._records(lesson, slot, judged, 0)

    # -- judging

    def _judged(self, baseline: float, unit: float) -> _Judged:
        n, mean, variance, decay, slope = self._numbers[:, : len(self._ids)]
        if self.outcome != "rr":
            mean, variance, decay = mean / unit, variance / (unit * unit), self._decay(slope, unit)[1]
        edge = formulas.edge_raw(n, mean, variance, decay, baseline / unit)
        decision = np.where(formulas.is_override(n, edge, self.n_min, self.edge_min), OVERRIDE, NEUTRAL)
        decision[n < self.n_min] = INSUFFICIENT
        times = np.where(decision == OVERRIDE, on_grid(multiplier(edge)), 1.0)
        return _Judged(edge, formulas.confidence(n, variance), times, decision.astype(np.int8), baseline, unit)

    @staticmethod
    def _decay(slope: ArrayLike, unit: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """State and multiplier by slopes (NaN: too few exits) in units of size."""
        return formulas.decay(np.asarray(slope) / unit, np.where(np.isnan(slope), 0, formulas.DECAY_EXITS))

    def _records(self, lesson: Lesson, slot: int, judged: _Judged, version: int) -> tuple[LessonVerdict, Override | None]:
        edge, confidence = float(judged.edge[slot]), float(judged.confidence[slot])
        multiplier, decision = float(judged.multiplier[slot]), int(judged.decision[slot])
        override = None
        if decision == OVERRIDE:
            reason = f"The edge of {edge:+.4f} over {lesson.n} trades is at least {self.edge_min:g} from neutral."
            override = Override(
                override_id=lesson.lesson_id,
                learning=lesson.learning,
                module=lesson.module,
                pattern_key=lesson.pattern_key,
                action_category=lesson.action_category,
                scope=lesson.scope,
                effect=edge,
                effect_sd=None,
                multiplier=multiplier,
                confidence=confidence,
                n_trades=lesson.n,
                baseline=judged.baseline,
                decay=OverrideDecay(state=self._state(lesson, judged.unit)),
                latent_factor_id=None,
                covers=(),
                regime_gains={},
                evidence=lesson.evidence,
                as_of=lesson.as_of,
                expires_at=None,
                version=version,
            )
        elif decision == NEUTRAL:
            reason = f"The edge of {edge:+.4f} over {lesson.n} trades is less than {self.edge_min:g} from neutral."
        else:
            reason = f"The {lesson.n} trades are fewer than the {self.n_min} that a judgement needs."
        verdict = LessonVerdict(
            learning=lesson.learning,
            lesson_id=lesson.lesson_id,
            module=lesson.module,
            pattern_key=lesson.pattern_key,
            action_category=lesson.action_category,
            scope=lesson.scope,
            n=lesson.n,
            edge=edge,
            baseline=judged.baseline,
            multiplier=multiplier,
            confidence=confidence,
            decision=DECISIONS[decision],
            reason=reason,
            override_id=lesson.lesson_id if override is not None else None,
            latent_factor_id=None,
            lesson_version=lesson.version,
            as_of=lesson.as_of,
            version=version,
        )
        return verdict, override

    def _state(self, lesson: Lesson, unit: float) -> str:
        slope = lesson.decay.slope_per_hour
        if self.outcome == "rr" or slope is None:
            return lesson.decay.state
        return formulas.DECAY_STATES[int(self._decay(slope, unit)[0])]

    # -- slots

    def _new_slot(self, lesson_id: str) -> int:
        if self._free:
            slot = self._free.pop()
        else:
            slot = len(self._ids)
            self._ids.append("")
            self._lessons.append(None)
            self._out_lessons.append(None)
            if slot == len(self._out_decision):
                room = max(64, slot)
                self._numbers = np.concatenate((self._numbers, np.ones((5, room))), axis=1)
                self._out_numbers = np.concatenate((self._out_numbers, np.full((5, room), np.nan)), axis=1)
                self._out_decision = np.concatenate((self._out_decision, np.full(room, NEVER, np.int8)))
        self._slot_of[lesson_id] = slot
        self._ids[slot] = lesson_id
        return slot

    def _release(self, slot: int) -> None:
        del self._slot_of[self._ids[slot]]
        self._ids[slot] = ""
        self._out_lessons[slot] = None
        self._numbers[:, slot] = 1.0
        self._out_numbers[:, slot] = np.nan
        self._out_decision[slot] = NEVER
        self._free.append(slot)


def _urgent(
    verdict: LessonVerdict | None, override: Override | None, old_verdict: LessonVerdict | None, old_override: Override | None
) -> bool:
    """Whether the difference to what an earlier owner published is one that the position manager should know at once."""
    if verdict is None or old_verdict is None or (override is None) != (old_override is None):
        return True
    if override is not None and old_override is not None and override.multiplier != old_override.multiplier:
        return True
    return (verdict.decision, verdict.multiplier, verdict.n, verdict.as_of) != (
        old_verdict.decision, old_verdict.multiplier, old_verdict.n, old_verdict.as_of
    )  # fmt: skip
