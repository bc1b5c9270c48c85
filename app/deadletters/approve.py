"""Approve held closes: the approval goes into the control log, then the close is sent again.

May touch: the broker: reads `position_closed.dlq` and `position_closed`, writes `edgeloop_control`
and `position_closed`.

The approval comes first, so that ingest finds it when the close arrives again; if this is
interrupted, running it again sends the rest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from aiokafka.errors import KafkaError

from app.deadletters.read import Letter
from app.deadletters.redrive import send
from app.errors import UnreachableError
from app.kafka.bulk_reader import scan
from app.kafka.client import client_id
from app.kafka.control import Approval, ControlLog
from app.settings import Settings
from schemas.kinds import DEAD_LETTERS


async def approve(
    settings: Settings,
    chosen: Sequence[Letter],
    *,
    progress: Callable[[int], None] = lambda n: None,
) -> int:
    """Approve these letters and send them again; returns how many are on the broker.

    Raises `UnreachableError`.
    """
    at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    approval = Approval(client_id(), at)
    hashes = await _hashes(settings, chosen)
    async with ControlLog(settings) as control:
        try:
            await control.write((f"approval|{sha256}", approval) for sha256 in hashes)
        except (KafkaError, OSError) as error:
            raise UnreachableError(
                f"The approvals could not be written to {settings.broker}: {error!r}.",
                "Run the same command again.",
            ) from error
    return await send(settings, chosen, progress=progress)


async def _hashes(settings: Settings, chosen: Sequence[Letter]) -> list[str]:
    """The SHA-256 of the value of each letter."""
    known = [letter.sha256 for letter in chosen if letter.sha256 is not None]
    by_partition: dict[int, set[int]] = {}
    for letter in chosen:
        if letter.sha256 is None:
            by_partition.setdefault(letter.place.partition, set()).add(letter.place.offset)
    starts = {p: min(offsets) for p, offsets in by_partition.items()}
    if starts:
        async for records in scan(settings, DEAD_LETTERS, starts=starts):
            known += [
                hashlib.sha256(record.value or b"").hexdigest()
                for record in records
                if record.offset in by_partition[record.partition]
            ]
    return known
