"""override_materializer: owns modules; judges their lessons and publishes overrides, verdicts, and what it learned of the module.

May touch: reads `learning_lessons` and its own output; writes `pm_overrides`, `lesson_verdicts`, `learning_baselines`,
`learning_regime_weights`, `learning_latent_factors` (partition: module).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import structlog

from app.broker import JSON_HEADERS, Outgoing, version_of
from app.faust_app import app, settings
from app.learning.common.changes import KINDS, Changes
from app.learning.engine import Judge, materializer
from app.published import JUDGED
from app.topics import LESSONS, partition_of
from app.worker.metrics import UNREADABLE
from app.worker.owner import Owner
from schemas.lessons import GroupSummary, Lesson

log = structlog.get_logger(__name__)

_decoders: dict[str, Any] = {settings.topic(name): msgspec.json.Decoder(kind).decode for kind, name in JUDGED.items()}
_decode_lesson = msgspec.json.Decoder(Lesson | GroupSummary).decode
_encode = msgspec.json.Encoder(order="deterministic").encode


class Modules:
    """The modules of one partition of `learning_lessons`; the version of what they publish is the offset folded so far."""

    def __init__(self, partition: int) -> None:
        self._partition = partition
        self._modules: dict[str, Judge] = {}
        self._versions: dict[bytes, int] = {}  # lesson id → highest version seen, tombstones too
        self._module_of: dict[bytes, str] = {}
        self._unjudged: set[str] = set()  # modules that a full judgement may change
        self._version = 0

    def fold(self, records: Sequence[Any], next_offset: int) -> None:
        """Take in lessons, summaries and tombstones; of each key the highest version counts, of equal ones the later."""
        current: dict[bytes, Lesson | GroupSummary | None] = {}
        for record in records:
            version = version_of(record)
            if version < self._versions.get(record.key, -1):
                continue
            try:
                lesson = None if record.value is None else _decode_lesson(record.value)
            except msgspec.MsgspecError as error:
                UNREADABLE.labels("override_materializer").inc()
                log.error("lesson.unreadable", partition=self._partition, offset=record.offset, error=str(error))
                continue
            self._versions[record.key] = version
            # One of another way of learning, from before a change of the setting, says nothing here; its owner will replace or retire it.
            current[record.key] = lesson if lesson is not None and lesson.learning == settings.learning else None
        held: dict[str, list[Lesson | GroupSummary]] = {}
        retired: dict[str, list[str]] = {}
        for key, lesson in current.items():
            if lesson is not None:
                self._module_of[key] = lesson.module
                held.setdefault(lesson.module, []).append(lesson)
            elif (module := self._module_of.pop(key, None)) is not None:
                retired.setdefault(module, []).append(key.decode())
        for module in held.keys() | retired.keys():
            self._materializer(module).fold(held.get(module, ()), retired.get(module, ()))
            self._unjudged.add(module)
        self._version = next_offset

    def _materializer(self, module: str) -> Judge:
        if module not in self._modules:
            self._modules[module] = materializer(settings.learning_config, module)
        return self._modules[module]

    def adopt(self, published: Mapping[bytes, Any]) -> None:
        """Hand what is published to the modules it belongs to; what no lesson holds up any more is retired by the next changes."""
        by_module: dict[str, list[Any]] = {}
        for record in published.values():
            if record.value is not None:
                decoded = _decoders[record.topic](record.value)
                by_module.setdefault(decoded.module, []).append(decoded)
        for module in self._modules.keys() | by_module.keys():
            self._materializer(module).adopt(by_module.get(module, ()))
            self._unjudged.add(module)

    def changes(self, full: bool) -> list[Outgoing]:
        """Records and tombstones of all kinds that differ from what is published."""
        judged = {module: self._modules[module].judge(self._version, urgent_only=not full) for module in sorted(self._unjudged)}
        if full:
            self._unjudged.clear()
        return [record for module, changes in judged.items() for record in self._outgoing(module, changes)]

    @property
    def settled(self) -> bool:
        """No module has anything to publish."""
        return not self._unjudged

    @property
    def needs_rebuild(self) -> bool:
        """Never: a compacted topic holds the last record of every key."""
        return False

    def _outgoing(self, module: str, changes: Changes) -> Iterator[Outgoing]:
        partition = partition_of(module, settings.partitions)
        headers = (("version", str(self._version).encode()), *JSON_HEADERS)
        for kind, name in JUDGED.items():
            field, key = KINDS[kind]
            topic = settings.topic(name)
            for record in getattr(changes, field):
                yield Outgoing(topic, partition, getattr(record, key).encode(), _encode(record), headers)
            for record_id in getattr(changes, f"retired_{field}"):
                yield Outgoing(topic, partition, record_id.encode(), None, headers)


def route(record: Any) -> int | None:
    """The partition of `learning_lessons` whose owner publishes this record; None if it cannot be read."""
    try:
        return partition_of(_decoders[record.topic](record.value).module, settings.partitions)
    except msgspec.MsgspecError:
        return None


owner = Owner(
    app,
    settings,
    "override_materializer",
    topic=LESSONS,
    outputs=[*JUDGED.values()],
    new_state=Modules,
    route=route,
    records_per_second=settings.lessons_per_second,
)
