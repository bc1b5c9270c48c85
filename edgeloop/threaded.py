"""`ThreadedOverrideBook`: the book for programs without asyncio, in its own thread.

May touch: the broker (read only), a daemon thread.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from datetime import datetime
from types import TracebackType
from typing import Any

from edgeloop.book import BookStatus, OverrideBook
from edgeloop.kafka_security import KafkaSecurity
from edgeloop.overrides import Override
from edgeloop.resolution import Resolution


class ThreadedOverrideBook:
    """An `OverrideBook` that a thread keeps current.

        with ThreadedOverrideBook("127.0.0.1:9092") as book:
            book.ready(timeout=30)
            size *= book.resolve("uptrend.S1.entry", "add", {"chain": "sol"}).multiplier

    The arguments are those of `OverrideBook`.  Every method may be called from any thread;
    `resolve` reads from memory only.  After the `with` every answer is neutral.
    """

    def __init__(
        self,
        broker: str,
        *,
        topic_prefix: str = "",
        stale_after_s: float = 60.0,
        enabled: bool = True,
        security: KafkaSecurity | None = None,
        client_options: Mapping[str, Any] | None = None,
        explore_share: float | None = None,
    ) -> None:
        self._book = OverrideBook(
            broker,
            topic_prefix=topic_prefix,
            stale_after_s=stale_after_s,
            enabled=enabled,
            security=security,
            client_options=client_options,
            explore_share=explore_share,
        )
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="override-book", daemon=True)

    def __enter__(self) -> ThreadedOverrideBook:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def ready(self, timeout: float | None = None) -> bool:
        """Wait until all overrides that existed at the start have been read.

        False after `timeout` seconds; the book keeps trying.
        """
        return asyncio.run_coroutine_threadsafe(self._book.ready(timeout), self._loop).result()

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
        """The size multiplier for an action: see `OverrideBook.resolve`."""
        return self._book.resolve(
            pattern_key,
            action_category,
            scope,
            at,
            module=module,
            emergency=emergency,
            decision_id=decision_id,
        )

    def overrides(self) -> list[Override]:
        """The overrides in the book."""
        return self._book.overrides()

    @property
    def enabled(self) -> bool:
        """Whether the book sizes; if false, every answer is neutral."""
        return self._book.enabled

    @enabled.setter
    def enabled(self, value: bool) -> None:
        self._book.enabled = value

    @property
    def status(self) -> BookStatus:
        """For health pages and logs."""
        return self._book.status

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._follow())
        finally:
            self._loop.close()

    async def _follow(self) -> None:
        async with self._book:
            await self._stop.wait()
