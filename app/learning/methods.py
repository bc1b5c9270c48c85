"""The two learning methods behind one interface: the learner of a group, the judge of a module, and
which of them the setting `learning` chooses.

May touch: nothing but its arguments.  Only this module imports both learning methods.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from app.learning.classic.group import ClassicLearner
from app.learning.classic.judge import ClassicJudge
from app.learning.common.changes import Changes
from app.learning.common.config import LearningConfig
from app.learning.common.refit import Refit, Work
from app.learning.common.trade_columns import Trades
from app.learning.common.window import GroupWindow
from app.learning.integrated.group import IntegratedLearner
from app.learning.integrated.judge import IntegratedJudge
from app.learning.integrated.learner_weight import Counts
from schemas.lessons import GroupSummary, Lesson


class GroupLearner(Protocol):
    """The learner of one group, with either learning method.
    `app.learning.integrated.group.IntegratedLearner` documents the methods.

    Attributes
    ----------
    module, pattern_key, action_category
        The group.
    window
        Its trades.
    search_cut
        Whether the last search left out its deepest slices.
    apart
        Whether `begin` begins refits that can run in another thread or process.
    """

    module: str
    pattern_key: str
    action_category: str
    window: GroupWindow
    search_cut: bool
    apart: bool

    @property
    def needs_rebuild(self) -> bool:
        """True while the window lacks trades; see `GroupWindow`."""

    @property
    def dirty(self) -> bool:
        """Whether a refit may change anything."""

    @property
    def touched(self) -> bool:
        """Whether `provisional` may return anything."""

    @property
    def due(self) -> bool:
        """Whether a refit is needed next, since it may change more than digits."""

    @property
    def stale(self) -> float:
        """Part of the trades that came or went since the last refit; 1 before the first."""

    def fold(self, trades: Trades) -> None:
        """Add trades, or corrections of them, to the window."""

    def adopt(self, published: Iterable[Lesson | GroupSummary]) -> None:
        """Start from the published records."""

    def refit(self, version: int) -> Refit:
        """Learn from the whole window; return what differs from the published records."""

    def provisional(self, version: int) -> Refit:
        """What differs, as far as it is known without a refit."""

    def begin(self, version: int) -> Work | None:
        """Begin a refit, to be run and then finished; None if no trade has changed."""

    def finish(self, work: Any, found: Any, version: int) -> Refit:
        """What differs by the result `found` of a refit, updated by trades folded since it
        began."""


class Judge(Protocol):
    """The judge of one module, with either learning method.
    `app.learning.integrated.judge.IntegratedJudge` documents the methods.

    Attributes
    ----------
    module
        The module.
    """

    module: str

    @property
    def n_lessons(self) -> int:
        """Lessons held."""

    def fold(self, records: Iterable[Lesson | GroupSummary], retired: Iterable[str] = ()) -> None:
        """Add lessons and summaries, then drop those that were retired."""

    def adopt(self, published: Iterable[Any]) -> None:
        """Start from the published records."""

    def judge(self, version: int, *, urgent_only: bool = False) -> Changes:
        """What differs from the previous output; with `urgent_only`, what changes no size waits."""

    def parts(self, version: int, *, urgent_only: bool = False) -> Iterator[Changes]:
        """As `judge`, some records at a time."""

    def counts(self) -> dict[str, Counts]:
        """The weight of each learner, by category; empty with `classic`."""


def group_learner(
    config: LearningConfig,
    module: str,
    pattern_key: str,
    action_category: str,
    *,
    between: bool = False,
) -> GroupLearner:
    """A learner of one group.

    Parameters
    ----------
    config
        The settings; `learning` chooses the method.
    module, pattern_key, action_category
        The group.
    between
        Whether it is asked for provisional results between two refits.

    Returns
    -------
    The learner.
    """
    if config.learning == "integrated":
        return IntegratedLearner(module, pattern_key, action_category, config, between)
    return ClassicLearner(
        module,
        pattern_key,
        action_category,
        window_us=config.window_us,
        window_trades=config.window_trades,
        n_min=config.n_min,
        max_dims=config.max_dims,
        outcome=config.outcome,
    )


def module_judge(config: LearningConfig, module: str) -> Judge:
    """A judge of one module.

    Parameters
    ----------
    config
        The settings; `learning` chooses the method.
    module
        The module.

    Returns
    -------
    The judge.
    """
    if config.learning == "integrated":
        return IntegratedJudge(module, config)
    return ClassicJudge(
        module,
        n_min=config.n_min,
        edge_min=config.edge_min,
        baseline_default=config.baseline_default,
        outcome=config.outcome,
    )
