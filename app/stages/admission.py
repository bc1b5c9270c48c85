"""Admission: limits on the numbers of groups and modules, and closes that wait for approval.

May touch: nothing but its arguments.

A group stays admitted.  The control log holds the admissions in one order for all workers, and the
first `max_groups_per_module` groups of each of the first `max_modules` modules count, up to
`max_groups` in all.  A close that would open another group becomes a dead letter as a whole: it can
be sent again once there is room.  So a flood of new groups causes dead letters, and earlier groups
continue to learn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from uuid import uuid4

from app.closes import RefusedCloseError, held_revision
from app.kafka.control import Admitted, ControlState
from app.settings import Settings
from schemas.facts import PatternTradeEvent, group_key

DOOR_REASONS = ("too_many_actions", "too_many_groups", "too_many_modules", "held_revision")
"""Reasons of dead letters that are not about the close itself, but about the limits."""

Facts = Sequence[PatternTradeEvent]


class Admission:
    """The groups and modules that are admitted, according to the control log so far."""

    def __init__(self, settings: Settings, state: ControlState) -> None:
        self._settings = settings
        self._state = state
        self._seen = -1
        self._admitted: set[str] = set()
        self._by_module: Counter[str] = Counter()

    @property
    def groups(self) -> int:
        """The number of admitted groups."""
        self._look()
        return len(self._admitted)

    @property
    def modules(self) -> int:
        """The number of modules that have one."""
        self._look()
        return len(self._by_module)

    def problem(self, facts: Facts) -> RefusedCloseError | None:
        """Why a close is refused; None if it is accepted."""
        self._look()
        first = facts[0]
        if self._is_held(first):
            return held_revision(first, self._settings.max_revision)
        for fact in facts:
            if _key(fact) not in self._admitted:
                return self._refusal(fact)
        return None

    def wanted(self, closes: Iterable[Facts]) -> list[tuple[str, Admitted]]:
        """The admissions to claim for closes that could be accepted, each group once."""
        self._look()
        found: dict[str, Admitted] = {}
        by_module = Counter(self._by_module)
        for facts in closes:
            new = [
                fact
                for fact in facts
                if (key := _key(fact)) not in self._admitted
                and key not in found
                and key not in self._state.group
            ]
            if not new or self._is_held(facts[0]):
                continue
            module = new[0].module
            if (
                by_module[module] + len(new) > self._settings.max_groups_per_module
                or sum(by_module.values()) + len(new) > self._settings.max_groups
                or (not by_module[module] and len(+by_module) >= self._settings.max_modules)
            ):
                continue
            by_module[module] += len(new)
            found.update((_key(fact), Admitted(module)) for fact in new)
        return [(f"group|{key}|{uuid4().hex}", admitted) for key, admitted in found.items()]

    def _is_held(self, fact: PatternTradeEvent) -> bool:
        return (
            fact.revision > self._settings.max_revision
            and fact.value_sha256 not in self._state.approval
        )

    def _refusal(self, fact: PatternTradeEvent) -> RefusedCloseError:
        settings, count = self._settings, self._by_module[fact.module]
        if not count and len(self._by_module) >= settings.max_modules:
            return RefusedCloseError(
                "too_many_modules",
                "$.module",
                f"{fact.module} would be one module more than EDGELOOP_MAX_MODULES="
                f"{settings.max_modules}.",
                "Quota",
            )
        limit = (
            f"EDGELOOP_MAX_GROUPS_PER_MODULE={settings.max_groups_per_module}"
            if count >= settings.max_groups_per_module
            else f"EDGELOOP_MAX_GROUPS={settings.max_groups}"
        )
        return RefusedCloseError(
            "too_many_groups",
            "$.actions",
            f"{_key(fact)} would exceed {limit}: {fact.module} has {count} groups,"
            f" all modules {len(self._admitted)}.",
            "Quota",
        )

    def _look(self) -> None:
        """Count again if the log has changed."""
        if self._seen == self._state.changes:
            return
        self._seen = self._state.changes
        self._admitted.clear()
        self._by_module.clear()
        for key, admitted in self._state.group.items():
            module = admitted.module
            if (
                len(self._admitted) < self._settings.max_groups
                and self._by_module[module] < self._settings.max_groups_per_module
                and (self._by_module[module] or len(+self._by_module) < self._settings.max_modules)
            ):
                self._admitted.add(key)
                self._by_module[module] += 1
        self._by_module = +self._by_module


def _key(fact: PatternTradeEvent) -> str:
    return group_key(fact.pattern_key, fact.action_category)
