"""Lines of JSON (plain, `.gz`, `.zst` or standard input), and the key under which each is sent.

May touch: the files it is given (read only).
"""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from app.errors import BadDataError
from app.sources.files import MOST_LINE_BYTES, opened


def lines(path: str) -> Iterator[tuple[bytes, int, int]]:
    """(line without its end, its number from 1, bytes of the file read so far) for each line that
    is not blank.

    Raises `UsageError` for a file that cannot be opened, and `BadDataError` for a broken one.
    """
    with opened(path) as (stream, position):
        number = 0
        while line := stream.readline(MOST_LINE_BYTES + 1):
            number += 1
            if len(line) > MOST_LINE_BYTES:
                raise BadDataError(
                    f"{path}, line {number} has more than {MOST_LINE_BYTES >> 20} MB.",
                    "Each line has to be one event of JSON; get the file again.",
                )
            if stripped := line.strip():
                yield stripped, number, position()


def key_of(value: bytes) -> bytes | None:
    """The message key: the event's `trade_id` (either envelope) if it can be read, else none;
    broken lines are sent all the same."""
    try:
        event = orjson.loads(value)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(event, dict):
        return None
    inner = event.get("content")
    trade_id = event.get("trade_id") or (inner.get("trade_id") if isinstance(inner, dict) else None)
    try:
        return trade_id.encode() if isinstance(trade_id, str) else None
    except UnicodeEncodeError:
        return None
