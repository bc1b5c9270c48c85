"""A hash of everything learned: equal digests mean equal lessons and overrides.

May touch: nothing but its arguments.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from schemas.kinds import LEARNED

Records = Mapping[str, Mapping[str, bytes]]
"""Topic (without prefix) → key → value."""


def bare(value: bytes) -> bytes:
    """A record's value in canonical JSON, without its version and that of its lesson, which depend
    on the time of reading.

    >>> bare(
    ...     b'{"version": 7, "n": 1.0, "lesson_version": 6,'
    ...     b' "evidence": {"to": "b", "lesson_version": 6, "from": "a"}}'
    ... )
    b'{"evidence":{"from":"a","to":"b"},"n":1.0}'
    """
    record: dict[str, Any] = orjson.loads(value)
    record.pop("version", None)
    record.pop("lesson_version", None)
    if isinstance(evidence := record.get("evidence"), dict):
        evidence.pop("lesson_version", None)
    return orjson.dumps(record, option=orjson.OPT_SORT_KEYS)


def digest(records: Records) -> str:
    """SHA-256, in hex, over the bare records of `LEARNED`, sorted by topic and key.

    >>> digest({"pm_overrides": {"b": b'{"version": 1}', "a": b"{}"}}) == digest(
    ...     {"pm_overrides": {"a": b'{"version": 2}', "b": b"{}"}}
    ... )
    True
    """
    found = hashlib.sha256()
    for topic in LEARNED:
        for key, value in sorted(records.get(topic, {}).items()):
            text = bare(value)
            found.update(f"{topic}\n{key}\n{len(text)}\n".encode())
            found.update(text)
    return found.hexdigest()
