"""Lines of JSON (plain, `.gz`, `.zst` or standard input), and the key under which each is sent.

May touch: the files it is given (read only).
"""

from __future__ import annotations

import gzip
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import orjson
import zstandard

from app.errors import BadDataError, UsageError


@contextmanager
def _opened(path: str) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """(the lines, the file whose position tells the progress)."""
    if path == "-":
        yield sys.stdin.buffer, sys.stdin.buffer
        return
    try:
        raw = Path(path).open("rb")  # noqa: SIM115 (closed below)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.", "Name a JSONL file, plain, .gz or .zst, or -.") from error
    with raw:
        if path.endswith(".gz"):
            yield gzip.GzipFile(fileobj=raw), raw  # type: ignore[misc]
        elif path.endswith(".zst"):
            yield io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(raw)), raw
        else:
            yield raw, raw


def lines(path: str) -> Iterator[tuple[bytes, int]]:
    """(line without its end, bytes of the file read so far) for each line that is not blank.  Raises `BadDataError` on a broken file."""
    with _opened(path) as (stream, raw):
        position = raw.tell if path != "-" else lambda: 0
        try:
            for line in stream:
                if stripped := line.strip():
                    yield stripped, position()
        except (EOFError, gzip.BadGzipFile, zstandard.ZstdError) as error:
            raise BadDataError(f"{path} is damaged: {error}.", "Get the file again.") from error


def file_size(paths: tuple[str, ...]) -> int | None:
    """Bytes of all files together, None if one is standard input."""
    return None if "-" in paths else sum(Path(p).stat().st_size for p in paths if Path(p).exists())


def key_of(value: bytes) -> bytes | None:
    """The message key: the event's `trade_id` (either envelope) where it can be read, else none; what is broken is sent all the same."""
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
