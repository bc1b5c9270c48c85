"""The overrides in the log, ready for queries.

May touch: nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

import msgspec

from edgeloop.lookup import GroupIndex
from edgeloop.overrides import Override
from edgeloop.prepared import Prepared, prepare
from edgeloop.versions import MAX_VERSION, Latest

log = logging.getLogger(__name__)

_UNREADABLE = (ValueError, TypeError, OverflowError, RecursionError)
"""What decoding a record may raise: msgspec's and the canonical forms' errors are ValueErrors, and
deeply nested JSON raises a RecursionError."""


class Shelf:
    """The overrides in the log, and an index per group."""

    def __init__(self) -> None:
        self.bad_records = 0
        self.records: dict[str, Override] = {}
        self._latest: Latest[str, None] = Latest()
        self._groups: dict[tuple[str, str], dict[str, Prepared]] = {}
        self._group_of: dict[str, tuple[str, str]] = {}
        self._index: dict[
            tuple[str, str], GroupIndex
        ] = {}  # replaced, never changed, so that another thread sees either version as a whole
        self._decode = msgspec.json.Decoder(Override).decode

    def apply(self, records: Iterable[Any]) -> None:
        """Take in Kafka records, in log order.  Invalid ones are counted and skipped."""
        changed = set()
        for record in records:
            try:
                changed |= self._take(record)
            except _UNREADABLE as error:
                self.bad_records += 1
                if self.bad_records <= 10 or self.bad_records % 1_000 == 0:
                    log.warning(
                        "Skipped a bad override at offset %s of partition %s (the %d.): %s",
                        record.offset, record.partition, self.bad_records, error,
                    )  # fmt: skip
        if not changed:
            return
        index = dict(self._index)
        for group in changed:
            members = self._groups.get(group)
            if members:
                index[group] = GroupIndex(members.values())
            else:
                self._groups.pop(group, None)
                index.pop(group, None)
        self._index = index

    def _take(self, record: Any) -> set[tuple[str, str]]:
        """Take in one record; returns the groups it changed."""
        if record.key is None:
            raise ValueError("The key is missing.")
        override_id = record.key.decode()
        version = _version(record.headers)
        if not self._latest.accepts(override_id, version):
            return set()
        override = prepared = None
        if record.value is not None:
            override = self._decode(record.value)
            if override.override_id != override_id:
                raise ValueError("The key is not the record's override_id.")
            prepared = prepare(override)
        self._latest.put(override_id, version, None)
        changed = set()
        if (old := self._group_of.pop(override_id, None)) is not None:
            del self._groups[old][override_id]
            del self.records[override_id]
            changed.add(old)
        if override is not None and prepared is not None:
            self.records[override_id] = override
            self._group_of[override_id] = prepared.group
            self._groups.setdefault(prepared.group, {})[override_id] = prepared
            changed.add(prepared.group)
        return changed

    def group(self, pattern_key: str, action_category: str) -> GroupIndex | None:
        """The index of a group, None where there are no overrides."""
        return self._index.get((pattern_key, action_category))


def _version(headers: Iterable[tuple[str, bytes]]) -> int:
    found = [value for name, value in headers if name == "version"]
    version = int(found[-1]) if found else -1
    if not 0 <= version <= MAX_VERSION:
        raise ValueError("The header `version` is missing or is not an offset.")
    return version
