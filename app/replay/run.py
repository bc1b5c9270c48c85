"""A replay from beginning to end, or resumed from where an earlier one was interrupted.

May touch: the broker (read only, no group), files (read only), the work folder, PostgreSQL (the
shadow).

1. Start the shadow: record settings, source, range and the current end of the log.  An existing
   shadow must have the same source, range and settings; then finished parts are skipped below.
2. From closes and files: explode into the spool.
3. Fold each partition of groups.
4. Judge each module.
5. Store the digest of everything, and remove the spool.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from app.errors import ConfigurationError, UsageError
from app.kafka.bulk_reader import log_bounds
from app.replay import explode, fold, judge, spool
from app.replay.digest import digest
from app.replay.pool import Pool, peak_bytes
from app.replay.shadow import (
    Folded,
    Shadow,
    Source,
    State,
    differing,
    learning_settings,
    make_schema,
    opened,
)
from app.replay.span import Span, check_partitions
from app.settings import Settings
from app.sources.contradictions import Against, refuse
from schemas import kinds

WORK_FOLDER = Path(".edgeloop/replay")
Report = Callable[[str, int, int | None], None]
"""Called with (stage, records done, total or None) every POLL_S seconds and at the end of each
stage."""


class Result(NamedTuple):
    """The result of a replay.  `trades` counts closed trades (facts in their home group),
    `rejected` closes by reason; `seconds` and `records`, read from the source, are this run's
    alone; `peak_memory_bytes` is that of all processes together."""

    name: str
    trades: int
    facts: int
    lessons: int
    overrides: int
    unreadable: int
    rejected: dict[str, int]
    records: int
    seconds: float
    rate: float
    peak_memory_bytes: int
    digest: str


def source_of_files(
    span: Span, paths: Sequence[str], file_kind: str | None, mapping: Path | None
) -> Source:
    """Files as a source.  Raises `UsageError` for files that cannot be read, and for standard
    input, which cannot be read twice."""
    if span.offsets is not None:
        raise UsageError(
            "--offsets applies to topics; FILES have none.",
            "Use --all, --from/--to or --by-duration with files.",
        )
    found = []
    for path in paths:
        try:
            status = Path(path).stat()
        except OSError as error:
            raise UsageError(
                f"{path} cannot be read: {error.strerror}.",
                "A replay needs regular files, which it may have to read again.",
            ) from error
        found.append((path, status.st_size, status.st_mtime_ns))
    return Source(
        "files",
        span,
        files=found,
        file_kind=file_kind,
        mapping=None if mapping is None else str(mapping),
        at_ms=round(time.time() * 1000),
    )


def work_folder(name: str, chosen: Path | None) -> Path:
    """The folder of a replay's spool."""
    return (WORK_FOLDER if chosen is None else chosen) / name


async def run(
    settings: Settings,
    name: str,
    source: Source,
    *,
    folder: Path,
    workers: Pool,
    restart: bool,
    report: Report,
    against: Against = refuse,
) -> Result:
    """Steps 1 to 5.  `against` gets what figures in tables say against their mapping.

    Raises `ConfigurationError` if the shadow has another source or other settings, and whatever the
    stages raise.
    """
    started = time.monotonic()
    async with opened(settings, name) as shadow:
        await shadow.lock()
        if restart:
            await shadow.drop()
            shutil.rmtree(folder, ignore_errors=True)
        state = await _begun(settings, shadow, source)
        replay = _Replay(settings, state, folder, workers, report, against)
        if state.finished_at is None:
            await replay.work(shadow)
            state = await shadow.state()
        return replay.result(state, time.monotonic() - started)


async def _begun(settings: Settings, shadow: Shadow, source: Source) -> State:
    """Step 1."""
    mine = learning_settings(settings)
    if await shadow.exists():
        state = await shadow.state()
        again = (
            "Use another name, or start over with --restart (or faust -A app replay drop"
            f" {shadow.name})."
        )
        if not source.asks_as(state.source):
            raise ConfigurationError(
                f"The shadow {shadow.name} has another source or range: {described(state.source)}.",
                again,
            )
        if differences := differing(state.settings, mine):
            raise ConfigurationError(
                f"The shadow {shadow.name} was started with other settings:"
                f" {', '.join(differences)}.",
                again,
            )
        return state
    if source.kind != "files":
        _, ends = await log_bounds(settings, topic_of(source))
        check_partitions(source.span, range(len(ends)))
        source = Source(source.kind, source.span, ends)
    await make_schema(settings, shadow.name)
    await shadow.begin(mine, source)
    return await shadow.state()


def topic_of(source: Source) -> str:
    """The topic of a source."""
    return {"facts": kinds.FACTS, "closes": kinds.CLOSES}[source.kind]


def described(source: Source) -> str:
    """A source in words."""
    where = (
        ", ".join(path for path, _, _ in source.files)
        if source.kind == "files"
        else f"the topic {topic_of(source)}"
    )
    return f"{where}, {source.span.asked}"


class _Replay:
    """The stages of one run, and the figures that it reports."""

    def __init__(
        self,
        settings: Settings,
        state: State,
        folder: Path,
        workers: Pool,
        report: Report,
        against: Against,
    ) -> None:
        self._settings = settings
        self._state = state
        self._source = state.source
        self._folder = folder
        self._workers = workers
        self._report = report
        self._against = against
        self._records = 0
        self._peak = 0

    async def work(self, shadow: Shadow) -> None:
        """Steps 2 to 5."""
        bounds: dict[str, tuple[int, int]] = {}
        if self._source.kind != "files":
            begins, _ = await log_bounds(self._settings, topic_of(self._source))
            bounds = {
                p: self._source.span.bounds(int(p), min(begins[p], end), end)
                for p, end in sorted(self._source.ends.items(), key=lambda i: int(i[0]))
            }
        total = sum(end - start for start, end in bounds.values())
        if self._source.kind != "facts":
            self._explode(bounds, total)
            await shadow.note_rejected(self._rejected())
        folded = self._fold(bounds)
        judged = sorted(
            {module for done in folded.values() for module in done.modules}
            - self._state.judged.keys()
        )
        self._judge(judged)
        self._peak = peak_bytes()
        if self._workers.jobs > 1:
            self._peak += sum(self._workers.peaks.values())
        await shadow.finish(digest(await shadow.records()))
        shutil.rmtree(self._folder, ignore_errors=True)

    def _explode(self, bounds: dict[str, tuple[int, int]], total: int) -> None:
        """Step 2."""
        workers = self._workers
        if len(self._state.folded) == self._settings.partitions:
            return
        skipped = sum(c.closes for c in spool.checkpoints(self._folder))
        if self._source.kind == "files":
            explode.explode_files(
                self._settings,
                self._source,
                self._folder,
                workers,
                lambda total: self._report("exploding", workers.done, total),
                self._against,
            )
            self._records = workers.done - skipped
            return
        tasks = [
            explode.ExplodeTask(
                self._settings,
                int(p),
                self._source.span,
                start,
                end,
                str(self._folder),
            )
            for p, (start, end) in bounds.items()
        ]

        def tick() -> None:
            self._report("exploding", workers.done, total)

        # The longest tasks start first, here and below, so that the last one ends soon after the
        # others.
        for _ in workers.run(
            explode.explode_partition, sorted(tasks, key=lambda t: t.start - t.end), tick
        ):
            tick()
        self._records = workers.done - skipped

    def _rejected(self) -> dict[str, int]:
        counts: Counter[str] = Counter(self._state.rejected)
        if found := spool.checkpoints(self._folder):
            counts = sum((Counter(c.rejected) for c in found), Counter())
        return dict(counts)

    def _fold(self, bounds: dict[str, tuple[int, int]]) -> dict[str, Folded]:
        """Step 3; returns each partition's result."""
        before = self._workers.done
        folded = dict(self._state.folded)
        spooled = self._source.kind != "facts"
        versions = {
            str(p): sum(c.facts for c in spool.checkpoints(self._folder))
            for p in range(self._settings.partitions)
        }
        tasks = []
        for p in range(self._settings.partitions):
            if str(p) in folded:
                continue
            start, end = (0, versions[str(p)]) if spooled else bounds[str(p)]
            folder = str(self._folder) if spooled else None
            tasks.append(
                fold.FoldTask(
                    self._settings,
                    self._state.name,
                    p,
                    self._source.span,
                    start,
                    end,
                    folder,
                )
            )
        total = versions["0"] if spooled else sum(task.end - task.start for task in tasks)

        def tick() -> None:
            self._report("folding", self._workers.done - before, total)

        tasks.sort(key=self._left)
        for partition, done in self._workers.run(_fold_numbered, tasks, tick):
            folded[str(partition)] = done
            tick()
        if not spooled:
            self._records = self._workers.done
        return folded

    def _left(self, task: fold.FoldTask) -> int:
        """The remaining partitions, the longest first, by their records or the bytes of their
        spool."""
        if task.spool_folder is None:
            return task.start - task.end
        return -sum(
            c.lengths.get(name, 0)
            for c in spool.checkpoints(self._folder)
            for name in c.lengths
            if name.endswith(f"-{task.partition}")
        )

    def _judge(self, modules: Sequence[str]) -> None:
        """Step 4."""
        tasks = [judge.JudgeTask(self._settings, self._state.name, module) for module in modules]
        for done, _ in enumerate(self._workers.run(judge.judge_module, tasks, lambda: None), 1):
            self._report("judging", done, len(modules))

    def result(self, state: State, seconds: float) -> Result:
        """The shadow's contents and its cost."""
        folded = state.folded.values()
        return Result(
            name=state.name,
            trades=sum(done.trades for done in folded),
            facts=sum(done.facts for done in folded),
            lessons=sum(done.lessons for done in folded),
            overrides=sum(state.judged.values()),
            unreadable=sum(done.unreadable for done in folded),
            rejected=state.rejected,
            records=self._records,
            seconds=seconds,
            rate=self._records / max(seconds, 1e-9),
            peak_memory_bytes=self._peak or peak_bytes(),
            digest=state.digest or "",
        )


def _fold_numbered(task: fold.FoldTask) -> tuple[int, Folded]:
    return task.partition, fold.fold_partition(task)
