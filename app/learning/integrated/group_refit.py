"""One refit of a group, from scratch, as a function of the trades in its window: on any thread, or
in another process.

May touch: nothing but its argument.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from app.learning.common.config import LearningConfig
from app.learning.common.event_time import text_from_micros
from app.learning.common.item_names import Names
from app.learning.common.rounding import shortened
from app.learning.common.segments import segment_sums
from app.learning.common.window import Snapshot
from app.learning.integrated.effect_history import course
from app.learning.integrated.error_rate import entry_log_p, z_of_log_p
from app.learning.integrated.group_path import shared_sum
from app.learning.integrated.group_search import Search, search_group
from app.learning.integrated.half_life import Models
from app.learning.integrated.lesson_records import LessonRecords
from app.learning.integrated.persistence import packed
from app.learning.integrated.provisional_edges import banks
from app.learning.integrated.provisional_estimates import ProvisionalEstimates, Start
from app.learning.integrated.track_record import Record
from edgeloop.identity import group_id
from schemas.lessons import GroupSummary, Lesson, Path

WATCHED = 64
"""Strongest slices that were not chosen: between refits, their statistics show when one might be.
"""


class Task(NamedTuple):
    """Everything that a refit depends on.

    Attributes
    ----------
    module, pattern_key, action_category
        The group.
    config
        The settings of the learning.
    follows
        Whether there are provisional results until the next refit.
    names
        The names of items, which never change while a snapshot is in use.
    record
        The group's predictors at past times.
    snapshot
        The trades of its window; None if it is empty.
    version
        The version that the results are marked with.
    """

    module: str
    pattern_key: str
    action_category: str
    config: LearningConfig
    follows: bool
    names: Names
    record: Record
    snapshot: Snapshot | None
    version: int


class Learned(NamedTuple):
    """The result of a refit.

    Attributes
    ----------
    lessons
        The lessons: of `{}`, of the chosen slices in order, of the strongest others.
    summary
        The group's summary; None without trades.
    provisional
        Its estimates until the next refit, if there are to be any.
    cut
        Whether the search left out its deepest slices: see `MAX_CELLS`.
    record
        The group's predictors at past times, for the next refit.
    """

    lessons: list[Lesson]
    summary: GroupSummary | None
    provisional: ProvisionalEstimates | None
    cut: bool
    record: Record


def learn(task: Task) -> Learned:
    """Search the group, and make its lessons and its summary.

    Parameters
    ----------
    task
        What to learn from.

    Returns
    -------
    The result; without trades, no lessons.
    """
    module, pattern_key, action_category, config, follows, names, record, snapshot, version = task
    if snapshot is None:
        return Learned([], None, None, False, record)
    records = LessonRecords(module, pattern_key, action_category, names, config)
    search = search_group(names, snapshot, config)
    lessons, models = records.lessons(search, version)
    path = records.path(search)
    summary = GroupSummary(
        learning="integrated",
        lesson_id=group_id(module, pattern_key, action_category),
        module=module,
        pattern_key=pattern_key,
        action_category=action_category,
        n=len(snapshot.exit_us),
        n_slices=search.found.n_slices,
        segments=segment_sums(search.snapshot),
        as_of=text_from_micros(int(snapshot.exit_us[-1])),
        version=version,
        path=path,
        course=course(snapshot.exit_us, search.snapshot.outcome, config.window_us),
        persistence=packed(search.shared.products, search.first_block),
        likeness=shortened(search.shared.likeness),
        unexplained=shortened(search.shared.unexplained),
        shared=shared_sum(lessons),
        record=record.cells(names, snapshot, config, config.regime_signature),
    )
    provisional = None
    if follows:
        start = _start(config, search, lessons, summary, path, models)
        provisional = ProvisionalEstimates(start, snapshot.item_dims, config.window_us)
    return Learned(lessons, summary, provisional, search.found.cut, record)


def _start(
    config: LearningConfig,
    search: Search,
    lessons: list[Lesson],
    summary: GroupSummary,
    path: Path,
    models: Models | None,
) -> Start:
    """The state from which the estimates between this refit and the next start."""
    found, chosen = search.found, search.chosen
    steps = [step.candidate for step in chosen.steps]
    t = len(search.segment_of)
    x = np.ones((t, 1 + len(steps)))
    for k, j in enumerate(steps, 1):
        x[:, k] = 0.0
        x[search.trades_of(j), k] = 1.0
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
        search.bounds,
        x.T @ x,
        x.T @ search.snapshot.outcome,
        loads,
        float(np.sqrt(chosen.residuals @ chosen.residuals / t)),
        found.items[watched],
        chosen.conditional[watched],
        np.diff(found.members.indptr)[watched],
        z_of_log_p(entry_log_p(config.alpha, len(found.judged))),
        config.n_min,
    )
