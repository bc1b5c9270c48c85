"""Reads numbers in a helper process, for the toy app; slowly where `TOY_SLOW` is set."""

from __future__ import annotations

import asyncio
import os
import time

from app.kafka.bulk_reader import read_part
from app.stages.owned import Part
from schemas.kinds import FACTS


def read_numbers(part: Part) -> dict[str, list[int]]:
    """The numbers of each key."""
    seen: dict[str, list[int]] = {}

    async def read() -> None:
        async for records, _ in read_part(
            part.settings, FACTS, part.partition, part.start, part.end
        ):
            for record in records:
                seen.setdefault(record.key.decode(), []).append(int(record.value))

    asyncio.run(read())
    if os.environ.get("TOY_SLOW"):
        time.sleep(600)  # longer than any test waits
    return seen
