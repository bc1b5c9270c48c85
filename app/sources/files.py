"""Opening what is read: plain, `.gz`, `.zst` or standard input, always together with how far it has
been read, and never more of it than a trade log can be.

May touch: the files it is given (read only).
"""

from __future__ import annotations

import gzip
import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import zstandard

from app.errors import BadDataError, UsageError

DAMAGE = (EOFError, gzip.BadGzipFile, zstandard.ZstdError)
"""What a damaged file raises while it is read."""
MOST_BYTES = 256 * 1024 * 1024
"""Maximum size of what has to be held in memory: HTML, JSON, XML, the parts of a spreadsheet."""
MOST_VALUES = 8_000_000
"""Values of a document that is held in memory: each takes some hundred bytes, however short."""
MOST_LINE_BYTES = 64 * 1024 * 1024
"""Maximum number of bytes of an event in a line; input validation accepts a quarter of that."""
_UNPACKS_FREELY_BYTES = 64 * 1024 * 1024
_MOST_TIMES = 100
"""A trade log of text unpacks to 5 to 50 times its size; a bomb to thousands."""


class _Unpacked(io.RawIOBase):
    """The bytes of a compressed file, as long as they are not too many for its size."""

    def __init__(self, path: str, stream: IO[bytes], raw: IO[bytes]) -> None:
        self._path, self._stream, self._raw = path, stream, raw
        self._unpacked = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        self._unpacked += len(data)
        if self._unpacked > max(_UNPACKS_FREELY_BYTES, _MOST_TIMES * self._raw.tell()):
            raise BadDataError(
                f"{self._path} unpacks to more than {_MOST_TIMES} times its size"
                f" ({self._unpacked >> 20} MB so far).",
                "That is no trade log; get the file again, or unpack it yourself if you trust it.",
            )
        return len(data)


@contextmanager
def opened(path: str) -> Iterator[tuple[IO[bytes], Callable[[], int]]]:
    """(the bytes as they were before compression, a function that gives the bytes of the file read
    so far).

    Raises `UsageError` for a file that cannot be opened and `BadDataError` for one that turns out
    to be damaged.
    """
    if path == "-":
        yield sys.stdin.buffer, lambda: 0
        return
    try:
        raw = Path(path).open("rb")  # noqa: SIM115 (closed below)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}.",
            "Name an existing file (plain, .gz or .zst), or - for stdin.",
        ) from error
    with raw:
        stream: IO[bytes]
        if path.endswith(".gz"):
            stream = gzip.GzipFile(fileobj=raw)  # type: ignore[assignment]
            stream = io.BufferedReader(_Unpacked(path, stream, raw))
        elif path.endswith(".zst"):
            unpacked = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
            stream = io.BufferedReader(_Unpacked(path, unpacked, raw))
        else:
            stream = raw
        try:
            yield stream, raw.tell
        except DAMAGE as error:
            raise BadDataError(f"{path} is damaged: {error}.", "Get the file again.") from error


def read_whole(path: str) -> bytes:
    """All bytes of a file that has to be held in memory.  Raises `BadDataError` for one that is too
    large."""
    with opened(path) as (stream, _):
        return bounded(path, stream.read(MOST_BYTES + 1))


def bounded(path: str, raw: bytes) -> bytes:
    """`raw`, if a document of it fits into memory; else raises `BadDataError`."""
    smaller = "Export a shorter time, or the same trades as CSV."
    if len(raw) > MOST_BYTES:
        raise BadDataError(f"{path} is larger than {MOST_BYTES >> 20} MB.", smaller)
    if sum(raw.count(mark) for mark in (b",", b"[", b"{", b"<")) > MOST_VALUES:
        raise BadDataError(f"{path} holds more than {MOST_VALUES:,} values.", smaller)
    return raw


def plain_name(path: str) -> str:
    """The name without `.gz` or `.zst`, in small letters."""
    return path.lower().removesuffix(".gz").removesuffix(".zst")


def file_size(paths: tuple[str, ...]) -> int | None:
    """Bytes of all files together, None if one is standard input."""
    return None if "-" in paths else sum(Path(p).stat().st_size for p in paths if Path(p).exists())
