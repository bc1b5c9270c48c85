"""Files with any bytes, most of them nearly exports of a known program: they are read, or refused
with a sentence."""

from __future__ import annotations

import random
import tempfile
from functools import cache
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import EdgeloopError
from app.sources import Notes, closes
from tests.sources.test_never_raises import FILLS, POSITIONS

FOLDER = Path(__file__).parent / "exports"
SUFFIXES = (".csv", ".json", ".jsonl", ".sqlite", ".xlsx", ".html", ".xml", ".txt", ".zip")
COMPRESSED = ("", "", "", ".gz", ".zst")
SOME = settings(max_examples=60)
PIECES = [
    *(bytes([byte]) for byte in b'",;\t\r\n{}[]\0\xff'),
    *(b"\xef\xbb\xbf", b"<table>", b"<tr><td>", b"PK\x03\x04", b"\x1f\x8b", b"\x28\xb5\x2f\xfd"),
    *(b"1e999", b"NaN"),
]
MOST_BYTES = 20_000


@cache
def examples() -> list[tuple[str, bytes]]:
    """The suffix and the beginning of each recorded export."""
    return [
        (path.suffix, path.read_bytes()[:MOST_BYTES])
        for path in sorted(FOLDER.iterdir())
        if path.is_file() and path.name != "cases.json"
    ]


def damaged(data: bytes, source: random.Random, times: int) -> bytes:
    """The bytes, flipped, cut, doubled or extended in some places."""
    made = bytearray(data)
    for _ in range(times):
        if not made:
            break
        at = source.randrange(len(made))
        match source.randrange(5):
            case 0:
                made[at] = source.randrange(256)
            case 1:
                made[at:at] = source.choice(PIECES)
            case 2:
                del made[at : at + source.randint(1, 200)]
            case 3:
                made[at:at] = made[at : at + source.randint(1, 200)]
            case _:
                del made[at:]
    return bytes(made)


def read(data: bytes, suffix: str, mapping: str | None, kind: str | None) -> None:
    """Read a file as `import` does."""
    with tempfile.TemporaryDirectory() as folder:
        path, toml = Path(folder, "t" + suffix), Path(folder, "m.toml")
        path.write_bytes(data)
        if mapping is not None:
            toml.write_text(mapping)
        try:
            for closed in closes(
                [str(path)], kind, toml if mapping is not None else None, notes=Notes()
            ):
                assert isinstance(closed.value, bytes)
        except EdgeloopError as error:
            refused = error.what
        else:
            return
        assert refused.endswith((".", "?")), refused


@SOME
@given(
    st.binary(max_size=300),
    st.sampled_from(SUFFIXES),
    st.sampled_from(COMPRESSED),
    st.sampled_from([None, POSITIONS, FILLS]),
    st.sampled_from([None, None, "jsonl", "freqtrade", "nautilus", "table"]),
)
def test_any_bytes(
    data: bytes, suffix: str, compressed: str, mapping: str | None, kind: str | None
) -> None:
    read(data, suffix + compressed, mapping, kind)


@SOME
@given(
    st.integers(0, 10_000),
    st.randoms(use_true_random=False),
    st.integers(1, 5),
    st.sampled_from([None, POSITIONS, FILLS]),
    st.sampled_from([None, None, "jsonl", "freqtrade", "nautilus", "table"]),
)
def test_damaged_exports(
    number: int, source: random.Random, times: int, mapping: str | None, kind: str | None
) -> None:
    suffix, data = examples()[number % len(examples())]
    read(damaged(data, source, times), suffix, mapping, kind)
