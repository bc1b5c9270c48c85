"""Known trades rewritten in bulk: counted, with an alert when there are many.

May touch: nothing but its arguments.

A correction replaces a close that counted before.  A few are normal; very many within minutes are a
mistake or an attack, since their author determines what is learned.  The alert is a metric, a line
in the log, and a record in the control log, which `doctor` shows until it is acknowledged.
"""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog

from app.kafka.control import Rewrites
from app.kafka.records import Outgoing
from app.metrics import REWRITTEN
from app.settings import Settings
from schemas.kinds import CONTROL

log = structlog.get_logger(__name__)

WITHIN_MS = 600_000
"""Rewrites within ten minutes count together, by the times at which their facts were written."""


class RewriteWatch:
    """Counts the rewritten trades of one partition of facts, module by module."""

    def __init__(self, settings: Settings, partition: int) -> None:
        self._settings = settings
        self._partition = partition
        self._recent: dict[str, deque[tuple[int, int]]] = {}
        self._alerted: dict[str, int] = {}
        self._alerts: dict[str, Rewrites] = {}

    def note(self, module: str, trades: int, at_ms: int, now_ms: int, offset: int) -> None:
        """Note that `trades` of `module` were rewritten by facts written at `at_ms`.  Old facts,
        which a start reads again, are ignored.
        """
        if not trades or at_ms < now_ms - WITHIN_MS:
            return
        REWRITTEN.inc(trades)
        for name in [name for name in self._recent if not self._count(name, now_ms)]:
            del self._recent[name]
            self._alerted.pop(name, None)
        self._recent.setdefault(module, deque()).append((at_ms, trades))
        count = self._count(module, now_ms)
        limit = max(self._settings.rewrite_alert, 2 * self._alerted.get(module, 0))
        if count > limit or (count > self._settings.rewrite_alert and module not in self._alerted):
            self._alerted[module] = count
            at = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds")
            self._alerts[module] = Rewrites(count, at, self._partition, offset)
            log.warning(
                "trades.rewritten",
                module=module,
                trades=count,
                within_s=WITHIN_MS // 1000,
                partition=self._partition,
                offset=offset,
                do="faust -A app doctor",
            )

    @property
    def trades(self) -> int:
        """The rewritten trades that count."""
        return sum(n for recent in self._recent.values() for _, n in recent)

    @property
    def settled(self) -> bool:
        """Whether no alert is pending."""
        return not self._alerts

    def alerts(self) -> list[Outgoing]:
        """The pending alerts as records for the control log; they are pending no longer."""
        alerts, self._alerts = self._alerts, {}
        topic = self._settings.topic(CONTROL)
        return [
            Outgoing(topic, 0, f"rewrites|{module}".encode(), msgspec.json.encode(alert))
            for module, alert in alerts.items()
        ]

    def _count(self, module: str, now_ms: int) -> int:
        recent = self._recent[module]
        while recent and recent[0][0] < now_ms - WITHIN_MS:
            recent.popleft()
        return sum(n for _, n in recent)


def written_ms(record: Any) -> int:
    """The time at which a record was written, in ms since 1970; Faust gives seconds, the client
    milliseconds."""
    at = record.timestamp or 0
    return round(at if at > 100_000_000_000 else at * 1000)
