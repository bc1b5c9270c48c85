"""A Faust app around an `Owner` whose state is a set of numbers per key: what it publishes tells of any record lost or doubled.

Run as `faust -A tests.worker.toy worker` with the settings in the environment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from app.broker import Outgoing
from app.settings import Settings
from app.topics import FACTS, LESSONS, partition_of
from app.worker.owner import Owner
from app.worker.process import make_app

settings = Settings.from_environment()
app = make_app(settings)


class Numbers:
    """Per key the numbers seen, with how often: the published sums are right only if every record was folded exactly once."""

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.seen: dict[str, list[int]] = {}
        self.published: dict[str, bytes | None] = {}
        self.version = 0
        self.needs_rebuild = False

    def fold(self, records: Sequence[Any], next_offset: int) -> None:
        for record in records:
            self.seen.setdefault(record.key.decode(), []).append(int(record.value))
        self.version = next_offset

    def _wanted(self) -> dict[str, bytes]:
        return {
            key: orjson.dumps({"key": key, "n": len(values), "distinct": len(set(values)), "sum": sum(values)})
            for key, values in self.seen.items()
        }

    def adopt(self, published: Mapping[bytes, Any]) -> None:
        self.published = {record.key.decode(): record.value for record in published.values()}

    @property
    def settled(self) -> bool:
        return self._wanted() == self.published

    def changes(self, full: bool) -> list[Outgoing]:
        wanted = self._wanted()
        changed = [key for key, value in wanted.items() if self.published.get(key) != value]
        self.published.update({key: wanted[key] for key in changed})
        version = (("version", str(self.version).encode()),)
        return [
            Outgoing(settings.topic(LESSONS), partition_of(key, settings.partitions), key.encode(), wanted[key], version) for key in changed
        ]


def route(record: Any) -> int:
    return partition_of(record.key.decode(), settings.partitions)


owner = Owner(
    app, settings, "toy", topic=FACTS, outputs=[LESSONS], new_state=Numbers, route=route, records_per_second=settings.lessons_per_second
)
