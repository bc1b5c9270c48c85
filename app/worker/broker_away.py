"""Ends a worker whose broker has been away for too long.

Everything in a worker waits for its broker and retries, which is right for minutes.  If the broker
never comes back, the process would retry forever, and its supervisor would take it for healthy.

May touch: the broker (asks which brokers there are), the process.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Any

import faust
import structlog
from aiokafka.errors import KafkaError

from app.errors import ConfigurationError, EdgeloopError, UnreachableError
from app.kafka.admin import admin
from app.kafka.retry import client_errors
from app.settings import Settings
from app.worker.end_process import fatal_exit, refuse

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 10.0
ANSWER_WITHIN_S = 10.0


class Away:
    """How long the broker has not answered, check by check.  The time counts from the first failed
    check, so that a process that was frozen does not count its own sleep as the broker's absence.

    >>> away = Away(60.0)
    >>> away.failed(1_000.0), away.failed(1_059.0), away.failed(1_061.0)
    (False, False, True)
    >>> away.answered()
    >>> away.failed(2_000.0)
    False
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._since_s: float | None = None

    def answered(self) -> None:
        """The broker has answered."""
        self._since_s = None

    def failed(self, now_s: float) -> bool:
        """The broker has not answered; returns whether that has lasted too long."""
        if self._since_s is None:
            self._since_s = now_s
        return now_s - self._since_s > self._limit_s


class BrokerWatch:
    """Checks while the worker runs; with a limit of 0, never."""

    def __init__(self, app: faust.App, settings: Settings) -> None:
        self._settings = settings
        self._away = Away(settings.broker_away_s)
        self._stop = asyncio.Event()
        app.on_before_shutdown.connect(self.stop)
        if settings.broker_away_s:
            app.task(self.run)

    async def stop(self, *_: Any, **__: Any) -> None:
        """Stop checking."""
        self._stop.set()

    async def run(self) -> None:
        """Check every few seconds, until stopped."""
        while not self._stop.is_set():
            try:
                with client_errors():
                    await self._watch()
            except (KafkaError, OSError, EdgeloopError) as error:
                if self._away.failed(time.monotonic()):
                    refuse(self._refusal(error))
                await self._pause()
            except Exception as error:
                fatal_exit("broker watch", error)

    async def _watch(self) -> None:
        """Ask over one connection, which stays open; raises when it is lost."""
        async with admin(self._settings, ANSWER_WITHIN_S) as client:
            while not self._stop.is_set():
                await client.describe_cluster()
                self._away.answered()
                await self._pause()

    async def _pause(self) -> None:
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(
                self._stop.wait(), min(LOOK_EVERY_S, self._settings.broker_away_s)
            )

    def _refusal(self, error: Exception) -> EdgeloopError:
        limit_s = self._settings.broker_away_s
        if isinstance(error, ConfigurationError):  # it answers, but no longer accepts this user
            return error
        return UnreachableError(
            f"No Kafka broker has answered at {self._settings.broker} for {limit_s:g} s"
            f" ({error!r}).",
            "Nothing is lost: start the worker again when the broker is back."
            " EDGELOOP_BROKER_AWAY_S says how long a worker waits.",
        )
