"""Work that takes seconds: explanations, the learners' record, attribution, comparison of shadows.

May touch: the broker and PostgreSQL (read only), from processes of its own pool.

Everything here runs in a child process (`Pool`), takes and returns plain records, and does its own
reading, so it never blocks the event loop of the process that serves pages.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

import msgspec

from app.audit.differences import differences
from app.child_process import end_with_parent
from app.dashboard.attribution import Helped, helped
from app.dashboard.learners import Weighed, weighed
from app.errors import BadDataError, EdgeloopError, UnreachableError
from app.explain.context import canonical_or_none, explain_context
from app.explain.document import ContextDocument, OverrideDocument
from app.explain.effect import Part, part_of
from app.explain.known import Known
from app.explain.override import explain_override
from app.explain.reading import find_override, read_changes, read_known
from app.kafka.skipped import Skipped
from app.kafka.snapshot import current
from app.learning.common.event_time import micros_from_text, text_from_micros
from app.replay.digest import digest
from app.replay.promote import require_finished
from app.replay.published import read_live
from app.replay.shadow import opened
from app.settings import Settings
from edgeloop.overrides import Override
from schemas import kinds
from schemas.lessons import GroupSummary, Lesson, LessonVerdict

T = TypeVar("T")

TRADES = 50
"""Maximum number of trades that an override's page lists: of those behind it, and of those that it
sized."""
MOST_DIFFERENCES = 100


class Touched(msgspec.Struct, frozen=True):
    """A closed trade that names the override: its outcome, and the size that this override alone
    gave it (1: neutral)."""

    trade_id: str
    exit_ts: str
    outcome: float
    uplift: float
    size: float


class Behind(msgspec.Struct, frozen=True):
    """Everything behind an override."""

    document: OverrideDocument
    touched: tuple[Touched, ...]


class ShadowDifference(msgspec.Struct, frozen=True):
    """A context in which a shadow and the published records differ."""

    live: Override | None
    shadow: Override | None
    reason: str


class Compared(msgspec.Struct, frozen=True):
    """A shadow compared with the published records."""

    name: str
    settings: dict[str, Any]
    live_digest: str
    shadow_digest: str
    total: int
    differences: tuple[ShadowDifference, ...]

    @property
    def same(self) -> bool:
        """Whether there is nothing to promote."""
        return self.live_digest == self.shadow_digest


# -- in a child process


def behind(settings: Settings, override_id: str) -> Behind:
    """Everything behind one override.  Raises `EdgeloopError`s."""

    async def read() -> Known:
        held = await read_changes(settings)
        found = find_override(held, override_id)
        known, _ = await read_known(
            settings, held, found.module, found.pattern_key, found.action_category
        )
        return known

    known = asyncio.run(read())
    document = explain_override(known, override_id, time.time_ns() // 1000, trades=TRADES)
    return Behind(document, _touched(known, override_id))


def _touched(known: Known, override_id: str) -> tuple[Touched, ...]:
    by_id: dict[str, list[Any]] = {}
    for change in known.changes:
        by_id.setdefault(change.override_id, []).append(change)
    found = []
    for counted in known.trades.values():
        parts: list[Part] = [
            part_of(override_id, action, by_id)
            for action in counted.actions
            if override_id in action.applied_overrides
        ]
        if parts:
            trade = counted.trade
            size = 1.0 + sum(part.part for part in parts) / len(parts)
            uplift = trade.outcome - known.baseline(trade.segment)
            found.append(
                (
                    trade.exit_us,
                    Touched(
                        trade.trade_id, text_from_micros(trade.exit_us), trade.outcome, uplift, size
                    ),
                )
            )
    found.sort(key=lambda pair: (-pair[0], pair[1].trade_id))
    return tuple(touched for _, touched in found[:TRADES])


def context(
    settings: Settings, pattern: str, category: str, scope: dict[str, str], module: str, at: str
) -> ContextDocument:
    """Why a context resolves to what it does.  Raises `EdgeloopError`s."""

    async def read() -> tuple[Known, set[tuple[str, str]]]:
        held = await read_changes(settings)
        key = canonical_or_none(pattern, module) or ""
        return await read_known(settings, held, module, key, category)

    known, groups = asyncio.run(read())
    return explain_context(
        known,
        pattern,
        category,
        scope,
        micros_from_text(at),
        dimensions=settings.dimensions,
        groups=groups,
    )


def learners(settings: Settings) -> tuple[Weighed, ...]:
    """How much each learner counts now, and counted before.  Raises `EdgeloopError`s."""

    async def read() -> dict[str, Any]:
        return await current(settings, kinds.LESSONS, Skipped())

    records: list[Lesson | GroupSummary] = [
        r for r in asyncio.run(read()).values() if r.learning == settings.learning
    ]
    return weighed(records, settings.learning_config)


def attribution(settings: Settings) -> Helped:
    """What applied overrides have earned.  Raises `EdgeloopError`s."""
    return helped(settings)


def compared(settings: Settings, name: str) -> Compared:
    """A finished shadow compared with the published records.  Raises `EdgeloopError`s."""

    async def read() -> tuple[Any, dict[str, dict[str, bytes]], Any]:
        async with opened(settings, name) as shadow:
            state = await shadow.state()
            require_finished(state)
            return state, await shadow.records(), await read_live(settings)

    state, records, live = asyncio.run(read())

    def decoded(held: dict[str, bytes], kind: Any) -> list[Any]:
        decode = msgspec.json.Decoder(kind).decode
        try:
            return [decode(value) for value in held.values()]
        except msgspec.MsgspecError as error:
            raise BadDataError(
                f"A record of the replay {name} cannot be read: {error}.",
                f"Run it again: faust -A app replay run {name} … --restart",
            ) from error

    found = differences(
        decoded(records[kinds.OVERRIDES], Override),
        decoded(live.records[kinds.OVERRIDES], Override),
        decoded(records[kinds.VERDICTS], LessonVerdict),
    )
    return Compared(
        name,
        state.settings,
        digest(live.records),
        digest(records),
        len(found),
        tuple(ShadowDifference(d.theirs, d.ours, d.reason) for d in found[:MOST_DIFFERENCES]),
    )


# -- the processes


def _begin() -> None:
    """Runs first in each child."""
    # Ctrl-C reaches the whole process group, but the serving process ends its children itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()


class Pool:
    """Child processes, replaced when one dies.  Each piece of work may take `within_s` seconds."""

    def __init__(self, settings: Settings, processes: int = 1, within_s: float = 120.0) -> None:
        self._settings = settings
        self._processes = processes
        self._within_s = within_s
        self._executor: ProcessPoolExecutor | None = None

    def _started(self) -> ProcessPoolExecutor:
        if self._executor is None:
            self._executor = ProcessPoolExecutor(
                self._processes, multiprocessing.get_context("spawn"), _begin
            )
        return self._executor

    async def run(self, work: Callable[..., T], *arguments: Any) -> T:
        """The result of `work(settings, *arguments)` in a child.  Raises what it raises, and
        `UnreachableError` when the child dies or takes too long."""
        loop, executor = asyncio.get_running_loop(), self._started()
        future = loop.run_in_executor(executor, _done, work, self._settings, arguments)
        try:
            result, failure = await asyncio.wait_for(future, self._within_s)
        except TimeoutError as error:
            self._end(executor)
            raise UnreachableError(
                f"It took longer than {self._within_s:.0f} s and was cancelled.", "Try it again."
            ) from error
        except BrokenProcessPool as error:
            self._end(executor)
            raise UnreachableError(
                "The process that did the work has ended.",
                "Try it again, and check that there is enough memory.",
            ) from error
        if failure is not None:
            kind, what, remedy = failure
            raise kind(what, remedy)
        return result  # type: ignore[no-any-return]

    def close(self) -> None:
        """End the children."""
        if self._executor is not None:
            self._end(self._executor)

    def _end(self, executor: ProcessPoolExecutor) -> None:
        if self._executor is executor:
            self._executor = None
        children = list((executor._processes or {}).values())
        for child in children:
            child.terminate()
        executor.shutdown(wait=True, cancel_futures=True)  # returns soon: the children have ended


def _done(
    work: Callable[..., Any], settings: Settings, arguments: tuple[Any, ...]
) -> tuple[Any, tuple[type[EdgeloopError], str, str] | None]:
    """The result, or the error in parts: exceptions with several arguments cannot be pickled."""
    try:
        return work(settings, *arguments), None
    except EdgeloopError as error:
        return None, (type(error), error.what, error.remedy)
