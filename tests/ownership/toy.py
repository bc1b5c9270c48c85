"""A Faust app around a `PartitionOwner` whose state is a set of numbers per key: its records show
any lost or doubled input.

Run as `faust -A tests.ownership.toy worker` with the settings in the environment.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from app.kafka.records import Outgoing, partition_of
from app.ownership import PartitionOwner
from app.settings import Settings
from app.worker import helpers
from app.worker.process import make_app, raw_topic
from schemas.kinds import FACTS, LESSONS
from tests.ownership.apart import read_numbers

helpers.WORTH_HELP_RECORDS = 10_000
settings = Settings.from_environment()
app = make_app(settings)


class Numbers:
    """For each key, the numbers seen, with their counts: the published sums are right only if every
    record was folded exactly once."""

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.seen: dict[str, list[int]] = {}
        self.published: dict[str, bytes | None] = {}
        self.version = 0
        self.needs_rebuild = False
        self.unfinished = False
        self.progress = None

    def fold(self, records: Sequence[Any], next_offset: int) -> None:
        for record in records:
            self.seen.setdefault(record.key.decode(), []).append(int(record.value))
        self.version = next_offset

    def take_over(self, folded: dict[str, list[int]]) -> None:
        self.seen = folded

    def _wanted(self) -> dict[str, bytes]:
        return {
            key: orjson.dumps(
                {"key": key, "n": len(values), "distinct": len(set(values)), "sum": sum(values)}
            )
            for key, values in self.seen.items()
        }

    def adopt(self, published: Iterable[Any]) -> None:
        self.published = {record.key.decode(): record.value for record in published}

    @property
    def settled(self) -> bool:
        return self._wanted() == self.published

    def changes(self, full: bool) -> list[Outgoing]:
        wanted = self._wanted()
        changed = [key for key, value in wanted.items() if self.published.get(key) != value]
        self.published.update({key: wanted[key] for key in changed})
        version = (("version", str(self.version).encode()),)
        return [
            Outgoing(
                settings.topic(LESSONS),
                partition_of(key, settings.partitions),
                key.encode(),
                wanted[key],
                version,
            )
            for key in changed
        ]


class Toy:
    """The stage."""

    role = "toy"
    source = FACTS
    outputs = (LESSONS,)

    read_apart = staticmethod(read_numbers)

    def new_store(self, partition: int) -> Numbers:
        return Numbers(partition)

    def route(self, record: Any) -> int:
        return partition_of(record.key.decode(), settings.partitions)


owner = PartitionOwner(app, settings, Toy())
app.agent(raw_topic(app, settings, FACTS), concurrency=1, name=Toy.role)(owner.follow)
