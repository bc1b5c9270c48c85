"""Producing a trade log: lines of JSON (plain, `.gz`, `.zst` or standard input) to `position_closed`.

May touch: the files it is given (read only), the broker.
"""

from __future__ import annotations

import gzip
import io
import itertools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

import orjson
import zstandard

from app.errors import BadDataError, UsageError

_TIME_FIELDS = frozenset({"ts", "entry_timestamp", "exit_timestamp"})


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


def newest_exit(paths: tuple[str, ...], limit: int | None) -> datetime | None:
    """The latest `exit_timestamp` in the first `limit` lines (None: all) of the files together, for `--shift-to`."""
    every = (line for path in paths for line, _ in lines(path))
    return max((moment for line in itertools.islice(every, limit) for moment in _exits(line)), default=None)


def _exits(line: bytes) -> Iterator[datetime]:
    try:
        event = orjson.loads(line)
        summaries = [event.get("trade_summary") or event.get("content", {}).get("trade_summary")]
        summaries += [t.get("summary") for t in event.get("content", {}).get("completed_trades", ())]
        for summary in summaries:
            if summary and isinstance(text := summary.get("exit_timestamp"), str):
                yield _parsed(text)
    except (orjson.JSONDecodeError, AttributeError, TypeError, ValueError):
        return  # no close that could be shifted: `shifted` sends it unchanged, and the door judges it


def _parsed(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def shifted(value: bytes, by: timedelta) -> bytes:
    """The event with every time of it moved by `by`; what is no JSON, and any time that cannot be read, is left as it is."""
    try:
        event = orjson.loads(value)
    except orjson.JSONDecodeError:
        return value
    return orjson.dumps(_shift(event, by))


def _shift(node: Any, by: timedelta) -> Any:
    if isinstance(node, dict):
        return {k: _shift_time(v, by) if k in _TIME_FIELDS and isinstance(v, str) else _shift(v, by) for k, v in node.items()}
    if isinstance(node, list):
        return [_shift(item, by) for item in node]
    return node


def _shift_time(text: str, by: timedelta) -> str:
    try:
        return (_parsed(text) + by).astimezone(UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError):
        return text
