"""The audit's work, spread over processes: cuts, placebos and the current overrides.

May touch: the processes of its own pool.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from typing import NamedTuple

from app.audit import decay, placebo
from app.audit.differences import differences
from app.audit.timeline import Timeline
from app.audit.trades import Module
from app.audit.variants import published, variants
from app.audit.walk_forward import PROBES, Cut, cut_times, judge_cut
from app.child_process import end_with_parent
from app.learning.common.config import LearningConfig
from app.learning.engine import Engine
from app.learning.integrated.learner_weight import Counts
from edgeloop.overrides import Override
from schemas.lessons import (
    Baseline,
    GroupSummary,
    LatentFactor,
    Lesson,
    LessonVerdict,
    RegimeWeight,
)


@dataclass(frozen=True)
class AuditPlan:
    """What to audit and how: `cuts` past times, `placebos` shuffles of outcomes, `jobs`
    processes."""

    modules: Mapping[str, Module]
    config: LearningConfig
    categories: tuple[str, ...]
    cuts: int
    placebos: int
    seed: int
    jobs: int


class Now(NamedTuple):
    """The current state of a module: overrides of the categories by variant; the lessons,
    summaries, verdicts, factors and regime weights of `integrated`, and the effects behind its
    overrides; by variant, how many overrides differ from `integrated`, with the largest difference;
    by category, how much each learner counts; and the baselines."""

    overrides: dict[str, list[Override]]
    lessons: list[Lesson]
    summaries: list[GroupSummary]
    verdicts: list[LessonVerdict]
    factors: list[LatentFactor]
    weights: list[RegimeWeight]
    effects: list[decay.TrackedEffect]
    changes: dict[str, tuple[int, float]]
    counts: dict[str, Counts]
    baselines: list[Baseline]


class Done(NamedTuple):
    """The results: `cuts` of all modules, `now` by module, and `placebos`: by setting, the number
    of overrides in each shuffle (all modules together)."""

    cuts: dict[str, list[Cut]]
    now: dict[str, Now]
    placebos: dict[str, list[int]]


class _Desk:
    """The data of one process."""

    def __init__(self, plan: AuditPlan) -> None:
        self.plan = plan
        self.timelines = {
            name: Timeline(module, plan.config, plan.categories)
            for name, module in plan.modules.items()
        }
        self.cuts = cut_times(
            sorted(
                (d for timeline in self.timelines.values() for d in timeline.decisions),
                key=lambda d: d.at_us,
            ),
            plan.cuts,
        )

    def tasks(self) -> list[tuple[str, str, int]]:
        """The tasks as (what, module, number), the longest first."""
        names = sorted(self.timelines)
        return [
            *(("now", name, 0) for name in names),
            *(("cut", name, k) for k in reversed(range(len(self.cuts))) for name in names),
            *(("placebo", name, i) for i in range(self.plan.placebos) for name in names),
        ]

    def do(self, what: str, name: str, number: int) -> Cut | Now | dict[str, int]:
        """Do one task."""
        timeline, config, categories = self.timelines[name], self.plan.config, self.plan.categories
        if what == "cut":
            end_us = [*self.cuts, 2**62][number + 1]
            step = max(1, len(timeline.decisions) // PROBES)
            return judge_cut(
                name, timeline, config, self.cuts[number], end_us, timeline.decisions[::step]
            )
        known = timeline.known(timeline.end_us)
        if what == "now":
            return _now(name, timeline, config, categories)
        shuffled = placebo.shuffled(known, self.plan.seed * 1_000_003 + number)
        found = placebo.overrides_of(name, shuffled, config, timeline.home)
        return {
            setting: placebo.counted(overrides, categories) for setting, overrides in found.items()
        }


def _now(name: str, timeline: Timeline, config: LearningConfig, categories: Collection[str]) -> Now:
    configs = variants(config)
    known = timeline.known(timeline.end_us)
    integrated, classic = Engine(configs["integrated"], name), Engine(configs["classic"], name)
    integrated.fold(known)
    classic.fold({group: trades for group, trades in known.items() if group in timeline.home})
    current = {
        variant: [o for o in overrides if o.action_category in categories]
        for variant, overrides in published(integrated, classic, configs).items()
    }
    changes = {
        variant: (len(found), max((d.size for d in found), default=0.0))
        for variant, found in (
            (v, differences(current["integrated"], overrides, []))
            for v, overrides in current.items()
        )
    }
    ids = {o.override_id for o in current["integrated"]}
    groups = {(o.pattern_key, o.action_category) for o in current["integrated"]}
    one_each = {d.group: d for d in timeline.decisions if d.group in groups}
    effects = [
        e
        for e in decay.effects(integrated, known, list(one_each.values()))
        if e.lesson.lesson_id in ids
    ]
    return Now(
        current,
        integrated.lessons(),
        integrated.summaries(),
        integrated.verdicts(),
        integrated.latent_factors(),
        integrated.regime_weights(),
        effects,
        changes,
        {
            category: counts
            for category, counts in integrated.counts().items()
            if category in categories
        },
        integrated.baselines(),
    )


def run(plan: AuditPlan, progress: Callable[[int, int], None] = lambda done, total: None) -> Done:
    """Do all the work; `progress` gets the number of finished pieces and their total."""
    desk = _Desk(plan)
    tasks = desk.tasks()
    results: dict[tuple[str, str, int], object] = {}
    progress(0, len(tasks))
    for task, result in _done(plan, desk, tasks):
        results[task] = result
        progress(len(results), len(tasks))
    names = sorted(plan.modules)
    return Done(
        {name: [results["cut", name, k] for k in range(len(desk.cuts))] for name in names},  # type: ignore[misc]
        {name: results["now", name, 0] for name in names},  # type: ignore[misc]
        {
            setting: [
                sum(results["placebo", name, i][setting] for name in names)  # type: ignore[index]
                for i in range(plan.placebos)
            ]
            for setting in placebo.SETTINGS
        },
    )


def _done(
    plan: AuditPlan, desk: _Desk, tasks: Sequence[tuple[str, str, int]]
) -> Iterator[tuple[tuple[str, str, int], object]]:
    if plan.jobs <= 1:
        for task in tasks:
            yield task, desk.do(*task)
        return
    with ProcessPoolExecutor(plan.jobs, get_context("spawn"), _sit_down, (plan,)) as pool:
        running = {pool.submit(_do, *task): task for task in tasks}
        try:
            for future in as_completed(running):
                yield running[future], future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


_desk: _Desk | None = None


def _sit_down(plan: AuditPlan) -> None:
    global _desk
    end_with_parent()
    _desk = _Desk(plan)


def _do(what: str, name: str, number: int) -> object:
    if _desk is None:
        raise RuntimeError("The worker process has no plan.")
    return _desk.do(what, name, number)
