"""override_materializer: judge the lessons of whole modules.

May touch: nothing but its arguments, and the metrics.  It produces overrides, verdicts, baselines,
regime weights and latent factors.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from sys import intern
from typing import Any

import msgspec
import structlog

from app.kafka.records import UNREADABLE, Outgoing, partition_of, published, tombstone, version_of
from app.kafka.trace import Newest
from app.learning.common.outbox import Difference
from app.learning.methods import Judge, module_judge
from app.metrics import UNREADABLE_RECORDS
from app.settings import Settings
from app.stages.gauges import ModuleGauges
from app.stages.owned import OwnedStage, StateStore
from edgeloop.overrides import Override
from edgeloop.versions import Latest
from schemas.kinds import JUDGED, KINDS, LESSONS, OVERRIDES
from schemas.lessons import GroupSummary, Lesson, decode_lesson

log = structlog.get_logger(__name__)


class OverrideMaterializer(OwnedStage):
    """The stage as `app.ownership` runs it."""

    role = "override_materializer"
    source = LESSONS
    outputs = JUDGED

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._kinds = {
            settings.topic(topic): (KINDS[topic], msgspec.json.Decoder(KINDS[topic].struct).decode)
            for topic in JUDGED
        }

    @property
    def read_apart(self) -> None:
        """None: a topic of lessons is compacted, and seldom long."""

    def new_store(self, partition: int) -> ModuleStore:
        """An empty store of one partition of lessons."""
        return ModuleStore(self._settings, partition, self.decode)

    def decode(self, record: Any) -> Any:
        """The struct of a published record.  Raises one of `UNREADABLE`."""
        kind, decode = self._kinds[record.topic]
        return kind.checked(decode(record.value), record.key)

    def route(self, record: Any) -> int | None:
        """The partition of lessons whose owner publishes this record; None if it cannot be read."""
        try:
            return partition_of(self.decode(record).module, self._settings.partitions)
        except UNREADABLE:
            return None


class ModuleStore(StateStore):
    """The modules of one partition of lessons.

    The version of what they publish is the offset folded so far.
    """

    def __init__(self, settings: Settings, partition: int, decode: Any) -> None:
        self._settings = settings
        self._partition = partition
        self._decode = decode
        self._modules: dict[str, Judge] = {}
        self._latest: Latest[str, str | None] = Latest()  # lesson id → module; None: not in force
        self._unjudged: set[str] = set()  # modules that a full judgement may change
        self._version = 0
        self._traces = Newest()
        self._gauges = ModuleGauges(partition)

    def fold(self, records: Sequence[Any], next_offset: int) -> None:
        """Take in lessons, summaries and tombstones."""
        in_force: dict[str, Lesson | GroupSummary] = {}
        gone: dict[str, str] = {}
        last = -1
        for record in records:
            key, version = (record.key or b"").decode(errors="replace"), version_of(record)
            version = last = last if version == last else version  # one object for a batch
            if not self._latest.accepts(key, version):
                continue
            try:
                lesson = None if record.value is None else self._lesson(record)
            except UNREADABLE as error:
                UNREADABLE_RECORDS.labels(OverrideMaterializer.role).inc()
                log.error(
                    "lesson.unreadable",
                    topic=record.topic,
                    partition=self._partition,
                    offset=record.offset,
                    error=str(error),
                )
                continue
            if lesson is not None and lesson.learning != self._settings.learning:
                # From before a change of the setting: its owner will replace or retire it.
                lesson = None
            before = self._latest.get(key)
            if module := lesson.module if lesson is not None else before:
                self._traces.note(module, record)
            self._gauges.lesson(key, lesson, known=before is not None)
            if lesson is not None:
                key = lesson.lesson_id  # one object shared by all that hold it
                self._latest.put(key, version, intern(lesson.module))
                in_force[key] = lesson
                gone.pop(key, None)
            else:
                self._latest.put(key, version, None)
                in_force.pop(key, None)
                if before is not None:
                    gone[key] = before
        self._hand_over(in_force, gone)
        self._version = next_offset

    def _lesson(self, record: Any) -> Lesson | GroupSummary:
        """The lesson of a record.  Raises one of `UNREADABLE`, also if its key or its partition is
        another lesson's."""
        lesson: Lesson | GroupSummary = KINDS[LESSONS].checked(
            decode_lesson(record.value), record.key
        )
        if partition_of(lesson.module, self._settings.partitions) != self._partition:
            raise ValueError(f"Lessons of {lesson.module} belong to another partition.")
        return lesson

    def _hand_over(self, in_force: dict[str, Lesson | GroupSummary], gone: dict[str, str]) -> None:
        held: dict[str, list[Lesson | GroupSummary]] = {}
        retired: dict[str, list[str]] = {}
        for lesson in in_force.values():
            held.setdefault(lesson.module, []).append(lesson)
        for key, module in gone.items():
            retired.setdefault(module, []).append(key)
        for module in held.keys() | retired.keys():
            self._judge(module).fold(held.get(module, ()), retired.get(module, ()))
            self._unjudged.add(module)

    def _judge(self, module: str) -> Judge:
        if module not in self._modules:
            self._modules[module] = module_judge(self._settings.learning_config, module)
        return self._modules[module]

    def take_over(self, folded: Any) -> None:
        """Never called: see `OverrideMaterializer.read_apart`."""
        raise NotImplementedError

    def adopt(self, published: Iterable[Any]) -> None:
        """Start from the published records as the current output.

        Records without a supporting lesson are retired by the next changes.
        """
        by_module: dict[str, list[Any]] = {}
        self._gauges.no_overrides()
        for record in published:
            decoded = self._decode(record)
            if isinstance(decoded, Override):
                self._gauges.override(decoded.override_id, decoded)
            by_module.setdefault(decoded.module, []).append(decoded)
        for module in self._modules.keys() | by_module.keys():
            self._judge(module).adopt(by_module.get(module, ()))
            self._unjudged.add(module)

    def changes(self, full: bool) -> list[Outgoing]:
        """Records and tombstones of all kinds that differ from what is published."""
        judged = sorted(self._unjudged)
        outgoing = [record for module in judged for record in self._judged(module, full)]
        if full:
            self._unjudged.clear()
            self._gauges.show()
        self._gauges.show_weights(self._modules, judged)
        return outgoing

    def _judged(self, module: str, full: bool) -> Iterator[Outgoing]:
        """What differs of a module.  Records are encoded some at a time: as objects, those of a
        large module would take several times the memory."""
        by_topic: dict[str, list[Outgoing]] = {}
        for changes in self._modules[module].parts(self._version, urgent_only=not full):
            for topic, difference in changes.by_topic():
                by_topic.setdefault(topic, []).extend(self._outgoing(module, topic, difference))
        return itertools.chain.from_iterable(by_topic.values())

    @property
    def progress(self) -> int | None:
        """None: the progress is not known before everything is settled."""
        return None

    @property
    def settled(self) -> bool:
        """Whether no module has anything to publish."""
        return not self._unjudged

    @property
    def unfinished(self) -> bool:
        """False: each call judges all modules that have changed."""
        return False

    @property
    def needs_rebuild(self) -> bool:
        """False: a compacted topic holds the last record of every key."""
        return False

    def _outgoing(self, module: str, topic: str, difference: Difference[Any]) -> Iterator[Outgoing]:
        trace = self._traces.of(module)
        for record in difference.published:
            if topic == OVERRIDES:
                self._gauges.override(record.override_id, record)
            yield published(self._settings, topic, record, self._version, trace)
        for key in difference.retired:
            if topic == OVERRIDES:
                self._gauges.override(key, None)
            yield tombstone(self._settings, topic, module, key, self._version, trace)
