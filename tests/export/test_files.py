"""Files: CSV and Parquet have the same content, appear whole or not at all, and replace nothing
without --force."""

from __future__ import annotations

import csv
import io
import os
import stat
import sys
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from app.errors import ConfigurationError, UsageError
from app.export import files
from app.export.columns import column, json_text, wide
from app.export.files import format_of, write
from app.export.tables import TABLES

COLUMNS = [
    column("text", "text", "Any.", lambda row: row[0]),
    column("count", "integer", "Whole.", lambda row: row[1]),
    column("share", "number", "Not whole.", lambda row: row[2]),
    column("flag", "flag", "Yes or no.", lambda row: row[3]),
    column("at", "time", "When.", lambda row: row[4]),
    column("scope", "json", "A map.", lambda row: json_text(row[5])),
]
ROWS = [
    ('a,"b"\nü', 2**53 + 1, 0.1, True, "2026-01-31T12:00:00.000001Z", {"b": "2", "a": "1"}),
    (None, None, None, None, None, None),
    ("", 0, -1e-300, False, "1970-01-01T00:00:00+00:00", {}),
]


async def rows_of(rows: Iterable[Any]) -> AsyncIterator[Any]:
    for row in rows:
        yield row


async def test_csv(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    assert await write(rows_of(ROWS), COLUMNS, str(file), "csv") == 3
    header, first, nothing, last = csv.reader(
        io.StringIO(file.read_text(encoding="utf-8"), newline="")
    )
    assert header == ["text", "count", "share", "flag", "at", "scope"]
    assert first == [
        'a,"b"\nü',
        "9007199254740993",
        "0.1",
        "true",
        "2026-01-31T12:00:00.000001Z",
        '{"a":"1","b":"2"}',
    ]
    assert nothing == [""] * 6
    assert last == ["", "0", "-1e-300", "false", "1970-01-01T00:00:00+00:00", "{}"]


async def test_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "BATCH", 2)  # more than one row group
    file = tmp_path / "x.parquet"
    assert await write(rows_of(ROWS), COLUMNS, str(file), "parquet") == 3
    table = pyarrow.parquet.read_table(file)
    assert [str(field.type) for field in table.schema] == [
        "string",
        "int64",
        "double",
        "bool",
        "timestamp[us, tz=UTC]",
        "string",
    ]
    assert table.schema.field("at").metadata == {b"meaning": b"When."}
    first, nothing, last = table.to_pylist()
    assert first == {
        "text": 'a,"b"\nü', "count": 2**53 + 1, "share": 0.1, "flag": True,
        "at": datetime(2026, 1, 31, 12, 0, 0, 1, tzinfo=UTC), "scope": '{"a":"1","b":"2"}',
    }  # fmt: skip
    assert set(nothing.values()) == {None}
    assert last["at"] == datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
async def test_a_table_without_rows_has_its_columns(kind: str, tmp_path: Path) -> None:
    file = tmp_path / f"x.{kind}"
    assert await write(rows_of([]), COLUMNS, str(file), kind) == 0
    names = (
        file.read_text().strip().split(",")
        if kind == "csv"
        else pyarrow.parquet.read_table(file).column_names
    )
    assert names == [c.name for c in COLUMNS]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
async def test_whole_or_not_at_all(kind: str, tmp_path: Path) -> None:
    async def breaking() -> AsyncIterator[Any]:
        yield ROWS[0]
        raise RuntimeError("broker away")

    file = tmp_path / f"x.{kind}"
    file.write_text("before")
    with pytest.raises(RuntimeError, match="broker away"):
        await write(breaking(), COLUMNS, str(file), kind, force=True)
    assert os.listdir(tmp_path) == [file.name]
    assert file.read_text() == "before"


async def test_nothing_is_replaced_unasked(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_text("before")
    with pytest.raises(UsageError, match="exists already"):
        await write(rows_of(ROWS), COLUMNS, str(file), "csv")
    assert file.read_text() == "before"
    await write(rows_of(ROWS), COLUMNS, str(file), "csv", force=True)
    assert file.read_text().startswith("text,count")
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(file.stat().st_mode) == 0o666 & ~mask


async def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"Cannot write .*: No such file or directory"):
        await write(rows_of(ROWS), COLUMNS, str(tmp_path / "no" / "x.csv"), "csv")


async def test_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigurationError, match=r"edgeloop\[files\]"):
        await write(rows_of(ROWS), COLUMNS, str(tmp_path / "x.parquet"), "parquet")
    assert os.listdir(tmp_path) == []
    await write(rows_of(ROWS), COLUMNS, str(tmp_path / "x.csv"), "csv")


def test_formats() -> None:
    assert [
        format_of(*given) for given in (("a.CSV", None), ("a.parquet", "csv"), ("-", "csv"))
    ] == ["csv", "csv", "csv"]
    for out, kind in (("a.xlsx", None), ("a", None), ("-", "parquet")):
        with pytest.raises(UsageError):
            format_of(out, kind)


def test_columns_have_names_of_their_own_known_kinds_and_a_meaning() -> None:
    for name, table in TABLES.items():
        names = [
            c.name
            for c in (
                wide(table.columns, ("chain",), table.scope) if table.scope else table.columns
            )
        ]
        assert len(set(names)) == len(names), name
        assert {c.kind for c in table.columns} <= {
            "text",
            "integer",
            "number",
            "flag",
            "time",
            "json",
        }, name
        assert all(c.meaning.endswith(".") for c in table.columns), name
