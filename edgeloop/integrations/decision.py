"""A decision: the interface that sizes it, the answer, and its part of the close.

May touch: nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

import msgspec

from edgeloop.resolution import Resolution


class Book(Protocol):
    """An `OverrideBook`, a `ThreadedOverrideBook` or an `OverrideHistory`."""

    def resolve(
        self,
        pattern_key: str,
        action_category: str,
        scope: Mapping[str, object],
        at: datetime | None = None,
        *,
        module: str = "pm",
        emergency: bool = False,
        decision_id: str | None = None,
    ) -> Resolution:
        """The size multiplier for an action."""


class Decision(msgspec.Struct, frozen=True):
    """One action for which a size was requested; kept with the open trade, on disk or in the bot's
    own database."""

    pattern_key: str
    action_category: str
    scope: dict[str, Any]
    multiplier: float = 1.0
    reason: str = ""
    applied: tuple[Any, ...] = ()

    @classmethod
    def of(
        cls, pattern_key: str, category: str, scope: Mapping[str, Any], found: Resolution
    ) -> Decision:
        """The decision with the answer `found`."""
        return cls(
            pattern_key, category, dict(scope), found.multiplier, found.reason, found.applied
        )

    def fields(self, scope: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The fields of an action of `position_closed`; `scope` adds to its scope."""
        return {
            "pattern_key": self.pattern_key,
            "action_category": self.action_category,
            "scope": {**(scope or {}), **self.scope},
            "applied_overrides": list(self.applied),
        }
