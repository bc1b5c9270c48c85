"""The state of a running dashboard: the feed, the book, the process pools, and the tasks that fill
them.

May touch: what `broker`, `database`, `worker_metrics`, `background` and `edgeloop.OverrideBook`
touch, and the file of `--audit`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from app.audit.document import Audit
from app.dashboard import background, broker, database, worker_metrics
from app.dashboard.feed import Feed
from app.dashboard.polling import poll
from app.errors import BadDataError, ConfigurationError, UnreachableError
from app.override_changes import expired
from app.settings import Settings
from edgeloop.book import OverrideBook
from edgeloop.overrides import Override

KNOWN_FOR_S = 15.0
"""Seconds without an answer after which the broker counts as away; the book asks every five."""
KEPT = 64
"""Maximum number of explanations that are kept until something changes."""


@dataclass(frozen=True)
class Options:
    """Options of the command line."""

    metrics: tuple[str, ...] = ()
    audit: Path | None = None


class Dashboard:
    """The state behind the pages.  Use `running` to fill it."""

    def __init__(self, settings: Settings, options: Options) -> None:
        self.settings = settings
        self.options = options
        self.feed = Feed()
        self.book = OverrideBook(
            settings.broker, topic_prefix=settings.topic_prefix, security=settings.kafka
        )
        self._database = database.Database(settings)
        self._lags = broker.Broker(settings)
        self._slow = background.Pool(settings, within_s=600.0)
        self._pages = background.Pool(settings, within_s=120.0)
        self._one_at_a_time = asyncio.Lock()
        self._of: dict[str, Any] = {}
        self._kept: dict[tuple[Any, ...], Any] = {}
        self._asking: dict[tuple[Any, ...], asyncio.Task[Any]] = {}
        self._sources: list[tuple[str, str, float, Callable[[], Awaitable[Any]], float]] = [
            ("overrides", "overrides", 1.0, self._overrides, 2 * KNOWN_FOR_S),
            ("lags", "lag", 3.0, self._lags.lags, 15.0),
            ("workers", "workers", 4.0, lambda: broker.memberships(settings), 15.0),
            ("letters", "dead letters", 6.0, lambda: broker.dead_letters(settings), 20.0),
            ("stages", "last publications", 6.0, lambda: broker.stages(settings), 20.0),
            (
                "activity",
                "closed trades",
                10.0,
                self._ask_anew("activity", database.activity),
                60.0,
            ),
            ("learned", "lessons", 10.0, self._ask_anew("learned", database.learned), 30.0),
            ("changes", "changes", 5.0, self._ask(database.changes), 20.0),
            (
                "months",
                "predicted and realised",
                30.0,
                self._ask_anew("months", database.months),
                60.0,
            ),
            ("since", "since when", 15.0, self._ask_anew("since", database.since), 30.0),
            ("values", "known values", 30.0, self._ask_anew("values", database.values), 60.0),
            ("shadows", "replays", 10.0, lambda: database.shadows(settings), 20.0),
            (
                "learners",
                "record of learners",
                120.0,
                lambda: self._anew("learners", lambda: self._slow.run(background.learners)),
                600.0,
            ),
            (
                "helped",
                "attribution",
                60.0,
                lambda: self._anew("helped", lambda: self._slow.run(background.attribution)),
                600.0,
            ),
        ]
        if options.metrics:
            self._sources.append(
                (
                    "metrics",
                    "worker metrics",
                    10.0,
                    lambda: worker_metrics.ask(options.metrics),
                    10.0,
                )
            )
        if options.audit is not None:
            self._sources.append(("audit", "audit", 10.0, self._audit, 10.0))
        for name, title, every_s, _, _ in self._sources:
            self.feed.add(name, title, every_s)

    def has(self, name: str) -> bool:
        """Whether the dashboard has this source."""
        return name in self.feed.readings

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Fill the feed for as long as the block runs."""
        async with self.book:
            tasks = [
                asyncio.create_task(
                    poll(self.feed, name, ask, within_s=within_s), name=f"dashboard-{name}"
                )
                for name, _, _, ask, within_s in self._sources
            ]
            try:
                yield
            finally:
                self.feed.close()
                for task in (*tasks, *self._asking.values()):
                    task.cancel()
                await asyncio.gather(*tasks, *self._asking.values(), return_exceptions=True)
                await self._lags.close()
                await self._database.close()
                self._slow.close()
                self._pages.close()

    # -- sources

    async def _overrides(self) -> tuple[Override, ...]:
        if not self.book.status.ready and not self.book.status.last_error:
            await self.book.ready(timeout=KNOWN_FOR_S)
        status = self.book.status
        if status.age_s is None or status.age_s > KNOWN_FOR_S:
            since = "" if status.age_s is None else f" for {status.age_s:.0f} s"
            raise UnreachableError(
                f"The broker at {self.settings.broker} has not confirmed the overrides{since}."
            )
        held = self.book.overrides()
        held.sort(key=lambda o: o.override_id)
        return tuple(held)

    def _ask(self, question: Callable[[Any], Awaitable[Any]]) -> Callable[[], Awaitable[Any]]:
        async def ask() -> Any:
            async with self._one_at_a_time:  # the queries share one connection
                return await self._database.ask(question)

        return ask

    def _ask_anew(
        self, name: str, question: Callable[[Any], Awaitable[Any]]
    ) -> Callable[[], Awaitable[Any]]:
        """As `_ask`, for expensive queries: only if something was published or projected since the
        last one."""
        ask, look = self._ask(question), self._ask(database.answers)

        async def ask_anew() -> Any:
            return await self._anew(name, ask, look)

        return ask_anew

    async def _anew(
        self,
        name: str,
        work: Callable[[], Awaitable[Any]],
        look: Callable[[], Awaitable[Any]] | None = None,
    ) -> Any:
        """The result of `work`, or the previous one if the log has not changed; then `look` still
        checks that the server answers."""
        stages, lags = self.feed.value("stages"), self.feed.value("lags")
        now = None
        if stages is not None and lags is not None:
            now = (
                tuple(s.end for s in stages),
                tuple(lag.records for lag in lags if lag.role == "projector"),
            )
        if now is not None and self._of.get(name) == now:
            if look is not None:
                await look()
            return self.feed.value(name)
        result = await work()
        # An incomplete result is computed again next time.
        self._of[name] = None if getattr(result, "note", "") else now
        return result

    async def _audit(self) -> Audit | None:
        assert self.options.audit is not None
        return await asyncio.to_thread(read_audit, self.options.audit)

    # -- what pages ask for

    def overrides(self) -> list[Override]:
        """The overrides in force, as last known."""
        now_us = time.time_ns() // 1000
        return [o for o in self.feed.value("overrides") or () if not expired(o, now_us)]

    def override(self, override_id: str) -> Override | None:
        """An override in force, by its full id."""
        held: Sequence[Override] = self.feed.value("overrides") or ()
        return next((o for o in held if o.override_id == override_id), None)

    async def behind(self, override_id: str) -> background.Behind:
        """Everything behind an override, in force or not; cached until the log changes.  Raises
        `EdgeloopError`s."""
        override = self.override(override_id)
        version = None if override is None else override.version
        key = ("behind", override_id, version, self._of.get("helped"))
        found: background.Behind = await self._once(key, background.behind, override_id)
        return found

    async def context(
        self, pattern: str, category: str, scope: dict[str, str], module: str, at: str
    ) -> Any:
        """Why a context resolves to what it does.  Raises `EdgeloopError`s."""
        key = ("context", pattern, category, tuple(sorted(scope.items())), module, at)
        return await self._once(key, background.context, pattern, category, scope, module, at)

    async def compared(self, name: str) -> background.Compared:
        """A shadow compared with the published records.  Raises `EdgeloopError`s."""
        held = self.feed.value("overrides") or ()
        newest = max((o.version for o in held), default=0)
        key = ("compared", name, newest, len(held), self._finished(name))
        found: background.Compared = await self._once(key, background.compared, name)
        return found

    def _finished(self, name: str) -> str | None:
        lines = self.feed.value("shadows") or ()
        return next((s.finished_at for s in lines if s.name == name), None)

    async def _once(self, key: tuple[Any, ...], work: Callable[..., Any], *arguments: Any) -> Any:
        """The result of `work`, which runs once even if several requests ask for it."""
        if key in self._kept:
            return self._kept[key]
        if key not in self._asking:
            task = asyncio.create_task(self._pages.run(work, *arguments))
            task.add_done_callback(lambda done: self._keep(key, done))
            self._asking[key] = task
        # If the requester disconnects, the work continues for the next request.
        return await asyncio.shield(self._asking[key])

    def _keep(self, key: tuple[Any, ...], done: asyncio.Task[Any]) -> None:
        self._asking.pop(key, None)
        if not done.cancelled() and done.exception() is None:
            self._kept[key] = done.result()
            while len(self._kept) > KEPT:
                self._kept.pop(next(iter(self._kept)))


def read_audit(path: Path) -> Audit | None:
    """The document of `faust -A app audit --json`, None while there is no such file.  Raises
    `ConfigurationError`, `BadDataError`."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Audit)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(
            f"The audit {path} cannot be read: {error.strerror}.",
            f"Create it: faust -A app audit --json > {path}",
        ) from error
    except msgspec.MsgspecError as error:
        raise BadDataError(
            f"{path} is not an audit: {error}.", f"Create it: faust -A app audit --json > {path}"
        ) from error
