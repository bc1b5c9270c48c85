"""One module in one process, from closed trades to overrides: what benchmarks, tests, replays and
the audit call.  The agents do the same with Kafka in between.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from app.learning.common.changes import Changes
from app.learning.common.config import LearningConfig
from app.learning.common.trade import Trade
from app.learning.integrated.learner_weight import Counts
from app.learning.methods import GroupLearner, group_learner, module_judge
from edgeloop.overrides import Override
from schemas.facts import group_key
from schemas.kinds import BASELINES, FACTORS, JUDGED, KINDS, OVERRIDES, REGIME_WEIGHTS, VERDICTS
from schemas.lessons import (
    Baseline,
    GroupSummary,
    LatentFactor,
    Lesson,
    LessonVerdict,
    RegimeWeight,
)


class Engine:
    """One module: trades in, overrides out.

    Parameters
    ----------
    config
        The settings.
    module
        The module.

    >>> engine = Engine(LearningConfig(learning="classic", n_min=2, max_dims=1))
    >>> def close(i):
    ...     evidence = (0, 1, i, "e", "00")
    ...     scopes = ({"x": str(i % 2)},)
    ...     return Trade(str(i), evidence, i, float(i > 1), ("micro", "1h"), True, scopes)
    >>> engine.fold({("pm.a", "add"): [close(i) for i in range(6)]})
    >>> [(o.scope, o.multiplier) for o in engine.learn() if o.multiplier > 1]
    []
    """

    def __init__(self, config: LearningConfig, module: str = "pm") -> None:
        self.config = config
        self.module = module
        self._groups: dict[str, GroupLearner] = {}
        self._judge = module_judge(config, module)
        self._lessons: dict[str, Lesson] = {}
        self._summaries: dict[str, GroupSummary] = {}
        self._published: dict[str, dict[str, Any]] = {topic: {} for topic in JUDGED}
        self._version = 0

    def fold(self, groups: Mapping[tuple[str, str], Iterable[Trade]]) -> None:
        """Add closed trades.

        Parameters
        ----------
        groups
            Trades by canonical pattern key and category, in any order.
        """
        for (pattern_key, category), trades in groups.items():
            key = group_key(pattern_key, category)
            if key not in self._groups:
                self._groups[key] = group_learner(self.config, self.module, pattern_key, category)
            self._groups[key].fold(trades)

    def learn(self) -> list[Override]:
        """Refit what has changed, and judge.

        Returns
        -------
        The overrides in force, by id.
        """
        self._version += 1
        for key in sorted(self._groups):
            group = self._groups[key]
            if group.dirty:
                refit = group.refit(self._version)
                self._judge.fold(
                    [*refit.lessons, *([refit.summary] if refit.summary else [])], refit.retired
                )
                self._lessons.update((lesson.lesson_id, lesson) for lesson in refit.lessons)
                if refit.summary:
                    self._summaries[refit.summary.lesson_id] = refit.summary
                for lesson_id in refit.retired:
                    self._lessons.pop(lesson_id, None)
                    self._summaries.pop(lesson_id, None)
        self._take(self._judge.judge(self._version))
        return self._records(OVERRIDES)

    def _take(self, changes: Changes) -> None:
        for topic, difference in changes.by_topic():
            held, key_of = self._published[topic], KINDS[topic].key_of
            held.update((key_of(record), record) for record in difference.published)
            for key in difference.retired:
                del held[key]

    def _records(self, topic: str) -> list[Any]:
        return [record for _, record in sorted(self._published[topic].items())]

    def lessons(self) -> list[Lesson]:
        """All lessons, by id."""
        return [lesson for _, lesson in sorted(self._lessons.items())]

    def summaries(self) -> list[GroupSummary]:
        """A summary of each group."""
        return [summary for _, summary in sorted(self._summaries.items())]

    def overrides(self) -> list[Override]:
        """The overrides in force, by id."""
        return self._records(OVERRIDES)

    def verdicts(self) -> list[LessonVerdict]:
        """The verdict on each lesson."""
        return self._records(VERDICTS)

    def baselines(self) -> list[Baseline]:
        """The mean outcomes of trades."""
        return self._records(BASELINES)

    def regime_weights(self) -> list[RegimeWeight]:
        """How edges persist by regime."""
        return self._records(REGIME_WEIGHTS)

    def counts(self) -> dict[str, Counts]:
        """The current weight of each learner, by category; empty with `classic`."""
        return self._judge.counts()

    def latent_factors(self) -> list[LatentFactor]:
        """Slices that are one piece of evidence."""
        return self._records(FACTORS)
