"""override_materializer: owns modules; judges their lessons and publishes verdicts, overrides and baselines.

May touch: reads `learning_lessons` and its own output; writes `lesson_verdicts`, `pm_overrides`, `learning_baselines` (partition: module).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import structlog

from app.broker import Outgoing, version_of
from app.core0.materialize import Judgement, JudgementRules, ModuleJudgement
from app.faust_app import app, raw_topic, settings
from app.topics import BASELINES, LESSONS, OVERRIDES, VERDICTS, partition_of
from app.worker.fatal import die
from app.worker.metrics import UNREADABLE
from app.worker.owner import Owner
from schemas.lessons import Baseline, GroupSummary, Lesson, LessonVerdict
from schemas.overrides import Override

log = structlog.get_logger(__name__)

RULES = JudgementRules(n_min=settings.n_min, edge_min=settings.edge_min, baseline_default=settings.baseline_default)
HEADERS = (("content-type", b"application/json"), ("schema-version", b"1"))

_decode_lesson = msgspec.json.Decoder(Lesson | GroupSummary).decode
_KINDS: dict[str, type] = {
    settings.topic(VERDICTS): LessonVerdict,
    settings.topic(OVERRIDES): Override,
    settings.topic(BASELINES): Baseline,
}
_decoders: dict[str, Any] = {topic: msgspec.json.Decoder(kind).decode for topic, kind in _KINDS.items()}
_encode = msgspec.json.Encoder(order="deterministic").encode


class Modules:
    """The modules of one partition of `learning_lessons`; the version of what they publish is the offset folded so far."""

    def __init__(self, partition: int, patient: bool) -> None:
        self._partition = partition
        self._modules: dict[str, ModuleJudgement] = {}
        self._versions: dict[bytes, int] = {}  # lesson id → highest version seen, tombstones too
        self._module_of: dict[bytes, str] = {}
        self._version = 0
        self.needs_rebuild = False

    def fold(self, records: Sequence[Any], next_offset: int) -> None:
        """Take in lessons, summaries and tombstones; of each key the highest version counts, of equal ones the later."""
        for record in records:
            version = version_of(record)
            if version < self._versions.get(record.key, -1):
                continue
            self._versions[record.key] = version
            if record.value is None:
                if (module := self._module_of.pop(record.key, None)) is not None:
                    self._modules[module].retire(record.key.decode())
                continue
            try:
                lesson = _decode_lesson(record.value)
            except msgspec.MsgspecError as error:
                UNREADABLE.labels("override_materializer").inc()
                log.error("lesson.unreadable", partition=self._partition, offset=record.offset, error=str(error))
                continue
            self._module_of[record.key] = lesson.module
            if isinstance(lesson, GroupSummary):
                self._judgement(lesson.module).fold_summary(lesson)
            else:
                self._judgement(lesson.module).fold_lesson(lesson)
        self._version = next_offset

    def _judgement(self, module: str) -> ModuleJudgement:
        found = self._modules.get(module)
        if found is None:
            found = self._modules[module] = ModuleJudgement(module, RULES)
        return found

    def adopt(self, published: Mapping[bytes, Any], complete: bool) -> None:
        """Hand what is published to the modules it belongs to."""
        by_module: dict[str, dict[type, list[Any]]] = {}
        retired: dict[type, set[str]] = {}
        for record in published.values():
            kind = _KINDS[record.topic]
            if record.value is None:
                retired.setdefault(kind, set()).add(record.key.decode())
                continue
            decoded = _decoders[record.topic](record.value)
            self._judgement(decoded.module)
            by_module.setdefault(decoded.module, {}).setdefault(kind, []).append(decoded)
        for module, judgement in self._modules.items():
            records = by_module.get(module, {})
            if complete or retired or records:
                parts = (records.get(kind, []) for kind in (LessonVerdict, Override, Baseline))
                judgement.adopt(*parts, retired, complete=complete)

    def changes(self, full: bool) -> list[Outgoing]:
        """Verdicts, overrides, baselines and tombstones that differ from what is published."""
        return [
            record
            for judgement in self._modules.values()
            if not judgement.settled
            for record in self._outgoing(judgement.module, judgement.judge(self._version, full=full))
        ]

    @property
    def settled(self) -> bool:
        """No module has anything to publish."""
        return all(judgement.settled for judgement in self._modules.values())

    def _outgoing(self, module: str, judgement: Judgement) -> Iterator[Outgoing]:
        partition = partition_of(module, settings.partitions)
        headers = (("version", str(self._version).encode()), *HEADERS)
        for name, records, retired in (
            # Overrides first: they are what a position manager waits for.
            (OVERRIDES, [(o.override_id, o) for o in judgement.overrides], judgement.retired_overrides),
            (VERDICTS, [(v.lesson_id, v) for v in judgement.verdicts], judgement.retired_verdicts),
            (BASELINES, [(b.baseline_id, b) for b in judgement.baselines], judgement.retired_baselines),
        ):
            topic = settings.topic(name)
            for key, record in records:
                yield Outgoing(topic, partition, key.encode(), _encode(record), headers)
            for key in retired:
                yield Outgoing(topic, partition, key.encode(), None, headers)


def route(record: Any) -> int:
    """The partition of `learning_lessons` whose owner publishes this record."""
    return partition_of(_decoders[record.topic](record.value).module, settings.partitions)


owner = Owner(
    app,
    settings,
    "override_materializer",
    topic=LESSONS,
    outputs=[VERDICTS, OVERRIDES, BASELINES],
    new_state=Modules,
    route=route,
    records_per_second=settings.lessons_per_second,
)


@app.agent(raw_topic(LESSONS), concurrency=1, name="override_materializer")
async def override_materializer(stream: Any) -> AsyncIterator[None]:
    """Hand every batch to the owner of the partitions' state."""
    async for events in stream.take_events(500, within=0.02):
        try:
            await owner.receive([event.message for event in events])
        except Exception as error:
            die("override_materializer", error)
        yield
