"""Select the records of the requested groups.

May touch: nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def matching(
    records: Mapping[str, Any], *, module: str | None, pattern: str | None, category: str | None
) -> Iterator[Any]:
    """The records (overrides, lessons, verdicts) whose group matches.

    A filter of None matches every group; `pattern` may end in `*`.
    """
    for record in records.values():
        if module is not None and record.module != module:
            continue
        if category is not None and record.action_category != category:
            continue
        key = record.pattern_key
        if pattern is None or (
            key.startswith(pattern[:-1]) if pattern.endswith("*") else key == pattern
        ):
            yield record
