"""One module: all its lessons judged at once, and what that comes to written to the shadow.

May touch: PostgreSQL (the shadow).
"""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

import msgspec

from app.learning.common.changes import KINDS, Changes
from app.learning.engine import materializer
from app.published import JUDGED
from app.replay.shadow import Written, opened
from app.settings import Settings
from schemas.lessons import GroupSummary, Lesson

_encode = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder(Lesson | GroupSummary).decode


class Task(NamedTuple):
    """A module of a shadow."""

    settings: Settings
    name: str
    module: str


def judge_module(task: Task) -> int:
    """The task of a process of the pool; returns the number of overrides."""
    return asyncio.run(_judge_module(task))


async def _judge_module(task: Task) -> int:
    async with opened(task.settings, task.name) as shadow:
        lessons = await shadow.lessons(task.module)
        judge = materializer(task.settings.learning_config, task.module)
        judge.fold([_decode(value) for _, value in lessons])
        changes = judge.judge(max((version for version, _ in lessons), default=0))
        await shadow.commit(list(_records(changes)), "judged", task.module, len(changes.overrides))
    return len(changes.overrides)


def _records(changes: Changes) -> list[Written]:
    found: list[Written] = []
    for kind, topic in JUDGED.items():
        field, key = KINDS[kind]
        records: list[Any] = getattr(changes, field)
        found += [Written(topic, getattr(record, key), record.version, _encode(record)) for record in records]
    return found
