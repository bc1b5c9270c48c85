"""What a group's refit changed, the condition for starting one, and the interface of a refit in
progress.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from app.learning.common.window import GroupWindow
from schemas.lessons import GroupSummary, Lesson

DUE_PART = 0.02
"""A refit is due when this part of the trades has come or gone since the last one."""


class Refit(NamedTuple):
    """What a refit has changed.

    Attributes
    ----------
    lessons
        Lessons to publish.
    retired
        Ids to retire.
    summary
        The group's summary, if it has changed.
    """

    lessons: list[Lesson]
    retired: list[str]
    summary: GroupSummary | None


class RebuildNeeded(RuntimeError):
    """The window lacks trades that belong inside; fold the log again before learning from it."""


def require_trades(window: GroupWindow, pattern_key: str, action_category: str) -> None:
    """Require that a group's window has all trades that belong inside.

    Parameters
    ----------
    window
        The window.
    pattern_key, action_category
        The group.

    Raises
    ------
    RebuildNeeded
        If it lacks some.
    """
    if window.needs_rebuild:
        raise RebuildNeeded(
            f"The window of {pattern_key}|{action_category} is missing trades: fold the log again."
        )


def require_module(record: Lesson | GroupSummary, module: str) -> None:
    """Require that a record belongs to a module.

    Parameters
    ----------
    record
        The record.
    module
        The module.

    Raises
    ------
    ValueError
        If it belongs to another.
    """
    if record.module != module:
        raise ValueError(
            f"The record {record.lesson_id} is of module {record.module!r}, not of {module!r}."
        )


class Work(Protocol):
    """A refit that was begun.  Its result goes to the group's `finish`."""

    def run(self) -> Any:
        """The result, computed on any thread, while the group folds on."""

    def apart(self) -> tuple[Callable[[Any], Any], Any]:
        """The same as a function and its argument, to be pickled for another process."""
