"""Open files (plain, `.gz`, `.zst` or standard input), with the number of bytes read so far.

May touch: the files it is given (read only).
"""

from __future__ import annotations

import gzip
import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import zstandard

from app.errors import BadDataError, UsageError

DAMAGE = (EOFError, gzip.BadGzipFile, zstandard.ZstdError)
"""Exceptions of a damaged file while it is read."""


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
        elif path.endswith(".zst"):
            stream = io.BufferedReader(
                zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
            )
        else:
            stream = raw
        try:
            yield stream, raw.tell
        except DAMAGE as error:
            raise BadDataError(f"{path} is damaged: {error}.", "Get the file again.") from error


def plain_name(path: str) -> str:
    """The name without `.gz` or `.zst`, in small letters."""
    return path.lower().removesuffix(".gz").removesuffix(".zst")


def file_size(paths: tuple[str, ...]) -> int | None:
    """Bytes of all files together, None if one is standard input."""
    return None if "-" in paths else sum(Path(p).stat().st_size for p in paths if Path(p).exists())
