"""The spool: trades on disk on the way from closes to their groups, and how far their source has
been read.

May touch: the folder it is given.

1. Each source (a partition of closes, or the files) has one file for each partition of groups, and
   a checkpoint.
2. A file is a sequence of blocks: the length as four bytes, then a zstd frame of MessagePack,
   columns of trades by group.  Most trades turn out to be outside their window, so scopes, which
   are most of it, are read as they are packed, and unpacked last.
3. The checkpoint has the position in the source and the lengths of the files, and is replaced in
   one step after the blocks are written.  Bytes beyond these lengths belong to no checkpoint, and
   are cut off before reading resumes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import zstandard

from app.learning.common.trade_columns import TradeColumns

Group = tuple[str, str, str]
"""(module, pattern key, category)."""

_encode = msgspec.msgpack.Encoder().encode
_decode_scopes = msgspec.msgpack.Decoder(tuple[dict[str, str], ...]).decode
_Packed: Any = msgspec.defstruct(
    "_Packed",
    [
        (field.name, list[msgspec.Raw] if field.name == "scopes" else field.type)
        for field in msgspec.structs.fields(TradeColumns)
    ],
    array_like=True,
    gc=False,
)
_decode: Any = msgspec.msgpack.Decoder(list[tuple[Group, _Packed]]).decode


class Checkpoint(msgspec.Struct):
    """How far a source has been read: `position` is where to resume, `lengths` the bytes of each
    file; the rest counts what was read."""

    position: int
    lengths: dict[str, int] = {}
    closes: int = 0
    facts: int = 0
    rejected: dict[str, int] = {}


def packed(trades: dict[Group, TradeColumns]) -> bytes:
    """Trades as a block."""
    frame = zstandard.ZstdCompressor(level=1).compress(_encode(list(trades.items())))
    return len(frame).to_bytes(4, "big") + frame


class Spool:
    """Writes the trades of one source, in one process."""

    def __init__(self, folder: Path, source: int) -> None:
        self._folder = folder
        self._source = source
        folder.mkdir(parents=True, exist_ok=True)

    def resume(self, start: int) -> Checkpoint:
        """The checkpoint, or a new one at `start`; what was written after it is cut off."""
        path = self._folder / f"source-{self._source}.json"
        found = (
            msgspec.json.decode(path.read_bytes(), type=Checkpoint)
            if path.exists()
            else Checkpoint(start)
        )
        for file in self._folder.glob(f"trades-{self._source}-*"):
            length = found.lengths.get(file.name, 0)
            if file.stat().st_size > length:
                os.truncate(file, length)
        return found

    def write(self, checkpoint: Checkpoint, blocks: dict[int, list[bytes]]) -> None:
        """Append blocks (by partition of groups), then replace the checkpoint, whose `lengths` are
        brought up to date."""
        for partition, parts in blocks.items():
            file = self._folder / f"trades-{self._source}-{partition}"
            with file.open("ab") as stream:
                stream.writelines(parts)
                checkpoint.lengths[file.name] = stream.tell()
        path = self._folder / f"source-{self._source}.json"
        new = path.with_suffix(".new")
        new.write_bytes(msgspec.json.encode(checkpoint))
        new.replace(path)


def read(folder: Path, partition: int) -> Iterator[dict[Group, TradeColumns]]:
    """The blocks of a partition of groups, of all sources; their scopes are packed."""
    unpack = zstandard.ZstdDecompressor()
    for file in sorted(folder.glob(f"trades-*-{partition}")):
        with file.open("rb") as stream:
            while length := stream.read(4):
                block = unpack.decompress(stream.read(int.from_bytes(length, "big")))
                yield {
                    group: TradeColumns(*msgspec.structs.astuple(columns))
                    for group, columns in _decode(block)
                }


def unpacked(trades: TradeColumns) -> TradeColumns:
    """Trades that were read, with their scopes."""
    scopes = [_decode_scopes(scopes) for scopes in trades.scopes]  # type: ignore[arg-type]
    return msgspec.structs.replace(trades, scopes=scopes)


def checkpoints(folder: Path) -> list[Checkpoint]:
    """The checkpoints of all sources."""
    return [
        msgspec.json.decode(file.read_bytes(), type=Checkpoint)
        for file in sorted(folder.glob("source-*.json"))
    ]
