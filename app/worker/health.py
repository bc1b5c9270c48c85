"""`/healthz`, `/readyz` and `/metrics` of one worker, on the loopback interface by default.

May touch: one listening socket.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

import faust
import orjson
import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from app import metrics
from app.errors import ConfigurationError
from app.settings import Settings
from app.worker.end_process import refuse
from app.worker.log_guard import Guard
from app.worker.watchdog import Watchdog

log = structlog.get_logger(__name__)


def degraded() -> list[dict[str, str]]:
    """What does not work although the worker is ready: a word and a sentence each.  Learning
    continues without PostgreSQL, so its absence does not make the worker unready.
    """
    (metric,) = metrics.PROJECTION_WAITING.collect()
    if not any(sample.value for sample in metric.samples):
        return []
    text = "PostgreSQL accepts no writes: its tables are out of date. Learning goes on."
    return [{"reason": "database_away", "text": text}]


class Health:
    """Serves the worker's state while it runs.  Healthy: the event loop answers.  Ready: it has
    joined the group and is hydrated, no rebalance is in progress, its input is not blocked, and
    nothing has stalled."""

    def __init__(
        self, app: faust.App, settings: Settings, guard: Guard, watchdog: Watchdog
    ) -> None:
        self._app = app
        self._watchdog = watchdog
        self._settings = settings
        self._guard = guard
        self._runner: web.AppRunner | None = None
        self._joined = False
        self._enabled = True
        self._port = settings.metrics_port
        app.on_rebalance_complete.connect(self._on_joined)
        app.on_before_shutdown.connect(self.stop)
        app.task(self.start)

    def configure(self, *, enabled: bool, port: int | None) -> None:
        """Set, before the worker starts, whether to listen at all, and on which port (None: the one
        in the settings)."""
        self._enabled = enabled
        self._port = self._settings.metrics_port if port is None else port

    async def _on_joined(self, *_: Any, **__: Any) -> None:
        self._joined = True

    async def start(self) -> None:
        """Listen, unless disabled; port 0 picks a free one, so that any number of workers share a
        machine.  The log says which."""
        if not self._enabled:
            return
        application = web.Application()
        application.router.add_get("/healthz", self._healthz)
        application.router.add_get("/readyz", self._readyz)
        application.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._settings.metrics_host, self._port)
        try:
            await site.start()
        except OSError as error:
            refuse(self._refusal(error))
        host, port = self._runner.addresses[0][:2]
        log.warning(
            "worker.listening",
            url=f"http://{host}:{port}",
            paths=["/healthz", "/readyz", "/metrics"],
        )

    def _refusal(self, error: OSError) -> ConfigurationError:
        place = f"{self._settings.metrics_host}:{self._port}"
        # asyncio's own text repeats the address
        number = error.errno or 0
        why = os.strerror(number) if number > 0 else error.strerror
        return ConfigurationError(
            f"The worker cannot listen on {place}: {why}.",
            "Set EDGELOOP_METRICS_PORT to a free port (0 takes one; each worker of a machine needs"
            " its own) and EDGELOOP_METRICS_HOST to an address of this machine, or start with"
            " --without-web.",
        )

    async def stop(self, *_: Any, **__: Any) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @property
    def ready(self) -> bool:
        """Whether there is no reason against it."""
        return not self.reasons

    @property
    def reasons(self) -> list[dict[str, str]]:
        """Why the worker is not ready: a word and a sentence each.  It is hydrated once the
        rebalance is complete.
        """
        found = []
        if self._app.should_stop:
            found.append(("stopping", "The worker is stopping."))
        elif not self._joined or self._app.rebalancing:
            found.append(
                ("not_hydrated", "The worker is joining its group, or reading its partitions.")
            )
        found += self._guard.reasons
        found += self._watchdog.reasons
        return [{"reason": word, "text": text} for word, text in found]

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.json_response(
            {"status": "ok", "agents": list(self._settings.agents)},
            dumps=lambda d: orjson.dumps(d).decode(),
        )

    async def _readyz(self, _: web.Request) -> web.Response:
        reasons = self.reasons
        return web.json_response(
            {"ready": not reasons, "reasons": reasons, "degraded": degraded()},
            status=503 if reasons else 200,
        )

    async def _metrics(self, _: web.Request) -> web.Response:
        metrics.TASKS.set(len(asyncio.all_tasks()))
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})
