"""`Trade`: the actions of an open trade, kept on disk, and its close.

May touch: the spool's folder, the clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import msgspec

from edgeloop.integrations.decision import Book, Decision
from edgeloop.integrations.making import closing_id, rfc3339, without_nothing
from edgeloop.integrations.spool import Spool

ABOUT = ("symbol", "timeframe", "bucket", "chain", "position_id", "context")


class TradeClosedError(RuntimeError):
    """The trade was closed already; a correction needs a higher `revision`."""


class Trade:
    """One trade that is open.  Every recorded action is on disk when the call returns, so a
    restarted bot continues with the same trade (`connection.trade` with the same id).

    As a context manager it does not close the trade: after the block, with or without an error, the
    trade stays open unless `close` was called.
    """

    def __init__(
        self,
        book: Book,
        spool: Spool,
        send: Callable[[Mapping[str, Any]], bool],
        module: str,
        trade_id: str,
        about: Mapping[str, Any],
    ) -> None:
        if unknown := sorted(about.keys() - set(ABOUT)):
            raise TypeError(f"A trade has no {unknown[0]!r}; it has: {', '.join(ABOUT)}.")
        self.trade_id = trade_id
        self._book, self._spool, self._send, self._module = book, spool, send, module
        state = spool.recall(self._name) or {}
        self._about = {**state.get("about", {}), **without_nothing(about)}
        self._actions: list[dict[str, Any]] = state.get("actions", [])
        self.is_closed = False

    def __enter__(self) -> Trade:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass

    @property
    def actions(self) -> tuple[dict[str, Any], ...]:
        """What has been recorded so far."""
        return tuple(self._actions)

    def decide(
        self,
        pattern_key: str,
        action_category: str,
        scope: Mapping[str, Any] | None = None,
        *,
        at: datetime | None = None,
        emergency: bool = False,
    ) -> Decision:
        """Ask for a size without recording an action: never raises, 1.0 whenever in doubt."""
        own = dict(scope or {})
        found = self._book.resolve(
            pattern_key,
            action_category,
            {**(self._about.get("context") or {}), **own},
            at,
            module=self._module,
            emergency=emergency,
            decision_id=f"{self.trade_id}/{len(self._actions)}",
        )
        return Decision.of(pattern_key, action_category, own, found)

    def record(
        self, decision: Decision, *, ts: datetime | None = None, size_frac: float | None = None
    ) -> None:
        """Keep an action that was taken; it is on disk when this returns."""
        if self.is_closed:
            raise TradeClosedError(
                f"The trade {self.trade_id} is closed and accepts no more actions."
            )
        action = {
            "ts": rfc3339(ts or datetime.now(UTC)),
            "size_frac": size_frac,
            **decision.fields(),
        }
        actions = [*self._actions, without_nothing(action)]
        self._spool.remember(self._name, {"about": self._about, "actions": actions})
        self._actions = actions

    def entry(
        self, pattern_key: str, scope: Mapping[str, Any] | None = None, **how: Any
    ) -> Decision:
        """Ask for the size of an entry, and record it.  `how`: `ts`, `size_frac`, `emergency`."""
        return self._act(pattern_key, "entry", scope, **how)

    def add(self, pattern_key: str, scope: Mapping[str, Any] | None = None, **how: Any) -> Decision:
        """Ask for the size of an addition, and record it."""
        return self._act(pattern_key, "add", scope, **how)

    def trim(
        self, pattern_key: str, scope: Mapping[str, Any] | None = None, **how: Any
    ) -> Decision:
        """Ask for the size of a partial exit, and record it."""
        return self._act(pattern_key, "trim", scope, **how)

    def exit(
        self, pattern_key: str, scope: Mapping[str, Any] | None = None, **how: Any
    ) -> Decision:
        """Ask for the size of an exit, and record it; `emergency=True` if it must close the whole
        position."""
        return self._act(pattern_key, "exit", scope, **how)

    def _act(
        self,
        pattern_key: str,
        category: str,
        scope: Mapping[str, Any] | None,
        *,
        ts: datetime | None = None,
        size_frac: float | None = None,
        emergency: bool = False,
    ) -> Decision:
        decision = self.decide(pattern_key, category, scope, at=ts, emergency=emergency)
        self.record(decision, ts=ts, size_frac=size_frac)
        return decision

    def close(
        self, *, exit_timestamp: datetime | None = None, revision: int = 0, **summary: Any
    ) -> dict[str, Any]:
        """Send the close: `rr`, `roi`, `pnl_usd` and the other fields of `trade_summary`.

        It is on disk when this returns; its `event_id` comes from the trade and the revision, so
        closing again after a crash sends the same event.  Returns it.
        """
        if self.is_closed:
            raise TradeClosedError(f"The trade {self.trade_id} is closed already.")
        if not self._actions:
            raise ValueError(f"The trade {self.trade_id} has no action; record its entry first.")
        ended = rfc3339(exit_timestamp) if exit_timestamp else self._actions[-1]["ts"]
        about = dict(self._about)
        event = without_nothing(
            {
                "event_id": closing_id(self.trade_id) + (f"/{revision}" if revision else ""),
                "schema_version": 1,
                "module": self._module,
                "trade_id": self.trade_id,
                "revision": revision or None,
                "entry_context": about.pop("context", None),
                **about,
                "trade_summary": without_nothing(
                    {
                        "entry_timestamp": self._actions[0]["ts"],
                        **summary,
                        "exit_timestamp": ended,
                    }
                ),
                "actions": self._actions,
            }
        )
        self._send(event)
        self._spool.forget(self._name)
        self.is_closed = True
        return event

    @property
    def _name(self) -> str:
        return msgspec.json.encode([self._module, self.trade_id]).decode()
