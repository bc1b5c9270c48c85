"""Publishes the lag of each role as metrics: in records, and the seconds for which the oldest has
waited.

The lag is that of the whole installation, from committed offsets, as in `status`.  Every worker
shows the same, so the lag is visible as long as one worker is left.

May touch: the broker (read only).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import faust
import structlog
from aiokafka.errors import KafkaError

from app.errors import EdgeloopError
from app.kafka.lag import Lag, SharedLags
from app.kafka.retry import client_errors
from app.kafka.shared_offsets import SharedOffsets
from app.metrics import LAG, LAG_SECONDS
from app.settings import Settings
from app.worker.end_process import fatal_exit

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 15.0
_SEEN = 1_000
"""Number of ends remembered per partition; beyond it, every second one is dropped."""

Place = tuple[str, int]
"""A topic and a partition."""


class Waiting:
    """How long records have been in the log, to the precision of the interval between checks.  The
    timestamps of records are set by producers, so the ends of the log are remembered with the time
    at which they were seen.  Records that exist at the first check count from then.
    """

    def __init__(self) -> None:
        self._ends: dict[Place, deque[tuple[float, int]]] = {}

    def look(self, now_s: float, ends: Mapping[Place, int], firsts: Mapping[Place, int]) -> float:
        """The seconds for which the oldest pending record has waited.  `firsts` has the offset of
        the first pending record of each partition that has one, `ends` the ends of these
        partitions."""
        longest = 0.0
        for place in self._ends.keys() - firsts.keys():
            del self._ends[place]
        for place, first in firsts.items():
            seen = self._ends.setdefault(place, deque())
            if not seen or ends[place] > seen[-1][1]:
                seen.append((now_s, ends[place]))
            while len(seen) > 1 and seen[0][1] <= first:
                seen.popleft()
            if len(seen) > _SEEN:
                self._ends[place] = deque([*list(seen)[:-1:2], seen[-1]])
            longest = max(longest, now_s - seen[0][0])
        return longest


class LagWatch:
    """Measures the lag while the worker runs."""

    def __init__(
        self, app: faust.App, settings: Settings, offsets: SharedOffsets | None = None
    ) -> None:
        self._lags = SharedLags(settings, offsets or SharedOffsets(settings))
        self._waiting: dict[str, Waiting] = {}
        self._stop = asyncio.Event()
        app.on_before_shutdown.connect(self.stop)
        app.task(self.run)

    async def stop(self, *_: Any, **__: Any) -> None:
        """Stop measuring."""
        self._stop.set()

    async def run(self) -> None:
        """Measure every few seconds, until stopped; while the broker is away, the metrics stay as
        they are."""
        while not self._stop.is_set():
            try:
                with client_errors():
                    self.show(await self._lags.lags(), time.monotonic())
            except (KafkaError, OSError, EdgeloopError) as error:
                log.info("lag.broker_away", error=repr(error))
            except Exception as error:
                fatal_exit("lag watch", error)
            await self._pause()

    async def _pause(self) -> None:
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._stop.wait(), LOOK_EVERY_S)

    def show(self, lags: list[Lag], now_s: float) -> None:
        """Set the metrics, role by role."""
        for role in dict.fromkeys(lag.role for lag in lags):
            own = [lag for lag in lags if lag.role == role]
            firsts = {(lag.topic, p): at for lag in own for p, at in lag.next_offsets.items()}
            ends = {
                (lag.topic, p): at + lag.by_partition[p]
                for lag in own
                for p, at in lag.next_offsets.items()
            }
            waiting = self._waiting.setdefault(role, Waiting())
            LAG.labels(role).set(sum(lag.records for lag in own))
            LAG_SECONDS.labels(role).set(waiting.look(now_s, ends, firsts))
