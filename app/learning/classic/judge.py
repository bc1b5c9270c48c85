"""Judgement: decide which lessons of a module become overrides, and which records to publish.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from app.learning.classic import formulas
from app.learning.common.baselines import module_baseline
from app.learning.common.changes import Changes, Outboxes
from app.learning.common.multiplier import multiplier, on_grid
from app.learning.common.outbox import Difference, same
from app.learning.common.refit import require_module
from app.learning.common.size_unit import unit_of_size
from edgeloop.overrides import Override, OverrideDecay
from schemas.lessons import GroupSummary, Lesson, LessonVerdict

NEVER, INSUFFICIENT, NEUTRAL, OVERRIDE = -1, 0, 1, 2
DECISIONS = ("insufficient", "neutral", "override")


class _Judged(NamedTuple):
    """Per slot: edge (in units of size), confidence, multiplier (on the grid; 1 unless an override)
    and decision, all judged against `baseline`, where `unit` units of the outcome are one unit of
    size."""

    edge: NDArray[np.float64]
    confidence: NDArray[np.float64]
    multiplier: NDArray[np.float64]
    decision: NDArray[np.int8]
    baseline: float
    unit: float


class ClassicJudge:
    """The judge of one module: verdicts and overrides from its lessons.

    `fold` takes lessons in; `judge` returns what differs from the last output. After a full `judge`
    the output of all calls together is a function of the lessons and summaries alone, apart from
    versions: a record is not published again merely because a version moved.

    The formulas use outcomes in units of size: `rr` as it is, any other outcome in robust standard
    deviations of the module.

    Parameters
    ----------
    module
        The module.
    n_min
        Trades that a slice needs to be judged.
    edge_min
        Smallest absolute edge that makes an override, in units of size.
    baseline_default
        Baseline of a module without trades, in units of the outcome.
    outcome
        What trades are measured by.
    """

    def __init__(
        self,
        module: str,
        *,
        n_min: int,
        edge_min: float,
        baseline_default: float,
        outcome: str = "rr",
    ) -> None:
        self.module = module
        self.n_min = n_min
        self.edge_min = edge_min
        self.baseline_default = baseline_default
        self.outcome = outcome
        self._summaries: dict[str, GroupSummary] = {}
        # Lessons by slot: id, the record (None: free, or retired and not yet judged), its numbers
        # (n, mean, variance, decay multiplier, slope per hour, NaN without one).
        self._slot_of: dict[str, int] = {}
        self._free: list[int] = []
        self._ids: list[str] = []
        self._lessons: list[Lesson | None] = []
        self._numbers = np.zeros((5, 0))
        self._touched: set[int] = set()
        # The decision, multiplier, baseline and unit with which a slot was last judged: only slots
        # that differ may differ from the published records.  Slots that an urgent call has judged
        # are judged again by the next full one.
        self._seen_decision = np.zeros(0, np.int8)
        self._seen = np.zeros((3, 0))
        self._waiting: set[int] = set()
        self._adopted = False
        self._published = Outboxes(_urgent)

    @property
    def n_lessons(self) -> int:
        """Lessons held."""
        return sum(lesson is not None for lesson in self._lessons)

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
        for record in records:
            require_module(record, self.module)
            if isinstance(record, GroupSummary):
                self._summaries[record.lesson_id] = record
                continue
            slot = self._slot_of.get(record.lesson_id)
            if slot is None:
                slot = self._new_slot(record.lesson_id)
            elif same(record, self._lessons[slot]):
                continue
            self._lessons[slot] = record
            slope = record.decay.slope_per_hour
            self._numbers[:, slot] = (
                record.n,
                record.mean,
                record.variance,
                record.decay.multiplier,
                np.nan if slope is None else slope,
            )
            self._touched.add(slot)
        for lesson_id in retired:
            slot = self._slot_of.get(lesson_id)
            if slot is not None:
                self._lessons[slot] = None
                self._touched.add(slot)
            else:
                self._summaries.pop(lesson_id, None)

    def adopt(self, published: Iterable[Any]) -> None:
        """Start from the published records: from now on `judge` returns the differences from them.

        Fold all lessons before judging: published records of a lesson that is not there are
        retired.

        Parameters
        ----------
        published
            All published records of this module, of any kind.
        """
        self._published.adopt(published)
        self._adopted = True
        self._seen_decision[:] = NEVER
        self._touched = set(self._slot_of.values())

    def counts(self) -> dict[str, Any]:
        """The weights of the learners.

        Returns
        -------
        Empty: `classic` has no weights.
        """
        return {}

    def judge(self, version: int, *, urgent_only: bool = False) -> Changes:
        """The differences from the previous output; a second call in a row returns nothing.

        Parameters
        ----------
        version
            The version that changed records are marked with.
        urgent_only
            Whether a lesson that has not changed itself counts only if its decision or its
            multiplier (on the grid) has moved with the baseline or the unit of size. The rest, such
            as the baseline that its verdict shows, waits for the next full call.

        Returns
        -------
        What differs.
        """
        baseline = module_baseline(
            self.module, self._summaries.values(), self.baseline_default, version
        )
        changes = Changes(
            baselines=self._published.baselines.replace(
                [] if baseline is None else [baseline], version
            ),
            # Records of regimes and factors that `integrated` published have no meaning here: they
            # are retired.
            regime_weights=self._published.regime_weights.replace([], version),
            factors=self._published.factors.replace([], version),
        )
        gone = self._unknown()
        if self._slot_of:
            unit = unit_of_size(self.outcome, self._summaries.values())
            judged = self._judged(
                self.baseline_default if baseline is None else baseline.mean, unit
            )
            slots = self._moved(judged, urgent_only)
            changes.verdicts, changes.overrides = self._differing(
                slots, gone, judged, version, urgent_only
            )
        else:
            changes.verdicts = self._published.verdicts.update([], gone, version)
            changes.overrides = self._published.overrides.update([], gone, version)
        if not urgent_only:
            for waited in self._published.waited(version):
                changes.add(waited)
        return changes

    def parts(self, version: int, *, urgent_only: bool = False) -> Iterator[Changes]:
        """As `judge`, in parts.

        Parameters
        ----------
        version, urgent_only
            As in `judge`.

        Yields
        ------
        What differs, in one part.
        """
        yield self.judge(version, urgent_only=urgent_only)

    # -- what may differ

    def _unknown(self) -> list[str]:
        """Published records of lessons that do not exist (any more)."""
        if not self._adopted:
            return []
        self._adopted = False
        return sorted(
            (self._published.verdicts.held.keys() | self._published.overrides.held.keys())
            - self._slot_of.keys()
        )

    def _moved(self, judged: _Judged, urgent_only: bool) -> list[int]:
        """The slots whose records may differ from what is published."""
        size = len(self._ids)
        multiplier, baseline, unit = self._seen[:, :size]
        moved = (judged.decision != self._seen_decision[:size]) | (judged.multiplier != multiplier)
        if not urgent_only:
            moved |= (baseline != judged.baseline) | (unit != judged.unit)
        moved[self._free] = False
        moved[list(self._touched)] = True
        if urgent_only:
            self._waiting |= self._touched
        else:
            moved[list(self._waiting)] = True
            self._waiting.clear()
        self._touched.clear()
        slots: list[int] = np.flatnonzero(moved).tolist()
        return slots

    def _differing(
        self, slots: list[int], gone: list[str], judged: _Judged, version: int, urgent_only: bool
    ) -> tuple[Difference[LessonVerdict], Difference[Override]]:
        verdicts: list[LessonVerdict] = []
        overrides: list[Override] = []
        neutral: list[str] = []
        for slot in slots:
            lesson = self._lessons[slot]
            if lesson is None:
                gone.append(self._ids[slot])
                self._release(slot)
                continue
            verdict, override = self._records(lesson, slot, judged, version)
            verdicts.append(verdict)
            if override is None:
                neutral.append(verdict.lesson_id)
            else:
                overrides.append(override)
            self._seen_decision[slot] = judged.decision[slot]
            self._seen[:, slot] = judged.multiplier[slot], judged.baseline, judged.unit
        return (
            self._published.verdicts.update(verdicts, gone, version, urgent_only=urgent_only),
            self._published.overrides.update(
                overrides, gone + neutral, version, urgent_only=urgent_only
            ),
        )

    # -- judging

    def _judged(self, baseline: float, unit: float) -> _Judged:
        n, mean, variance, decay, slope = self._numbers[:, : len(self._ids)]
        if self.outcome != "rr":
            mean, variance, decay = (
                mean / unit,
                variance / (unit * unit),
                self._decay(slope, unit)[1],
            )
        edge = formulas.edge_raw(n, mean, variance, decay, baseline / unit)
        decision = np.where(
            formulas.is_override(n, edge, self.n_min, self.edge_min), OVERRIDE, NEUTRAL
        )
        decision[n < self.n_min] = INSUFFICIENT
        times = np.where(decision == OVERRIDE, on_grid(multiplier(edge)), 1.0)
        return _Judged(
            edge, formulas.confidence(n, variance), times, decision.astype(np.int8), baseline, unit
        )

    @staticmethod
    def _decay(slope: ArrayLike, unit: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """State and multiplier by slopes (NaN: too few exits) in units of size."""
        return formulas.decay(
            np.asarray(slope) / unit, np.where(np.isnan(slope), 0, formulas.DECAY_EXITS)
        )

    def _records(
        self, lesson: Lesson, slot: int, judged: _Judged, version: int
    ) -> tuple[LessonVerdict, Override | None]:
        edge, confidence = float(judged.edge[slot]), float(judged.confidence[slot])
        multiplier, decision = float(judged.multiplier[slot]), int(judged.decision[slot])
        override = None
        if decision == OVERRIDE:
            reason = (
                f"The edge of {edge:+.4f} over {lesson.n} trades reaches the minimum of"
                f" {self.edge_min:g}."
            )
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
            reason = (
                f"The edge of {edge:+.4f} over {lesson.n} trades is below the minimum of"
                f" {self.edge_min:g}."
            )
        else:
            reason = f"The {lesson.n} trades are below the minimum of {self.n_min}."
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
            if slot == len(self._seen_decision):
                room = max(64, slot)
                self._numbers = np.concatenate((self._numbers, np.ones((5, room))), axis=1)
                self._seen = np.concatenate((self._seen, np.full((3, room), np.nan)), axis=1)
                self._seen_decision = np.concatenate(
                    (self._seen_decision, np.full(room, NEVER, np.int8))
                )
        self._slot_of[lesson_id] = slot
        self._ids[slot] = lesson_id
        return slot

    def _release(self, slot: int) -> None:
        del self._slot_of[self._ids[slot]]
        self._ids[slot] = ""
        self._waiting.discard(slot)
        self._numbers[:, slot] = 1.0
        self._seen[:, slot] = np.nan
        self._seen_decision[slot] = NEVER
        self._free.append(slot)


def _urgent(record: Any, old: Any) -> bool:
    """Whether the difference cannot wait: another decision or multiplier, or a lesson that has
    changed itself."""
    if isinstance(record, LessonVerdict):
        return (record.decision, record.multiplier, record.lesson_version) != (
            old.decision,
            old.multiplier,
            old.lesson_version,
        )
    if isinstance(record, Override):
        return (record.multiplier, record.evidence.lesson_version) != (
            old.multiplier,
            old.evidence.lesson_version,
        )
    return True
