"""One module: judge all its lessons at once, and write the results to the shadow.

May touch: PostgreSQL (the shadow).
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from app.kafka.records import encode
from app.learning.common.changes import Changes
from app.learning.methods import module_judge
from app.replay.shadow import ShadowRecord, opened
from app.settings import Settings
from schemas.kinds import KINDS, OVERRIDES
from schemas.lessons import decode_lesson


class JudgeTask(NamedTuple):
    """A module of a shadow."""

    settings: Settings
    name: str
    module: str


def judge_module(task: JudgeTask) -> int:
    """The task of a process of the pool; returns the number of overrides."""
    return asyncio.run(_judge_module(task))


async def _judge_module(task: JudgeTask) -> int:
    async with opened(task.settings, task.name) as shadow:
        lessons = await shadow.lessons(task.module)
        judge = module_judge(task.settings.learning_config, task.module)
        judge.fold([decode_lesson(value) for _, value in lessons])
        version = max((version for version, _ in lessons), default=0)
        records = [record for part in judge.parts(version) for record in _records(part)]
        overrides = sum(record.topic == OVERRIDES for record in records)
        await shadow.commit(records, "judged", task.module, overrides)
    return overrides


def _records(changes: Changes) -> list[ShadowRecord]:
    return [
        ShadowRecord(topic, KINDS[topic].key_of(record), record.version, encode(record))
        for topic, difference in changes.by_topic()
        for record in difference.published
    ]
