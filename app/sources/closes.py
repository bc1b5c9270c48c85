"""The one way in: files of any known kind to closed positions, in the order of the files.

May touch: the files it is given (read only).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from app.errors import UsageError
from app.sources import jsonl

KINDS = ("jsonl",)
"""What can be read: a JSON event a line."""


class Closed(NamedTuple):
    """One event: its bytes as a record of `position_closed` holds them, its key (the trade's id, where it can be told), where it comes from
    (`closes.jsonl:17`), and how many bytes of its file had been read by then."""

    value: bytes
    key: bytes | None
    place: str
    position: int


def closes(paths: Sequence[str], kind: str | None = None, mapping: Path | None = None) -> Iterator[Closed]:
    """The closes in the files.  `kind` is one of `KINDS` (None: told from each file's name), `mapping` says what columns mean.

    Raises `UsageError` for a file that cannot be read or a kind that cannot be told, and `BadDataError` for one that is damaged.
    """
    for path in paths:
        found = kind or kind_of(path)
        if found == "jsonl":
            for number, (line, position) in enumerate(jsonl.lines(path), 1):
                yield Closed(line, jsonl.key_of(line), f"{path}:{number}", position)


def kind_of(path: str) -> str:
    """The kind of a file, by its name.  Raises `UsageError`."""
    name = path.removesuffix(".gz").removesuffix(".zst")
    if path == "-" or name.endswith((".jsonl", ".ndjson", ".json")):
        return "jsonl"
    raise UsageError(f"What {path} holds cannot be told from its name.", f"Name its kind with --from: {', '.join(KINDS)}.")
