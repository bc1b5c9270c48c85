"""`faust -A app produce`: all kinds of files, keys, broken lines, shifting in time, limits."""

from __future__ import annotations

import asyncio
import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
import zstandard
from aiokafka import TopicPartition
from click.testing import CliRunner, Result

from app.commands.produce import produce
from app.kafka import topics
from app.kafka.bulk_reader import read_to_end, reader
from app.settings import Settings
from app.sources.jsonl import key_of
from app.time_shift import shifted
from schemas.kinds import CLOSES

EVENT = {
    "event_id": "e1",
    "schema_version": 1,
    "trade_id": "t1",
    "trade_summary": {
        "exit_timestamp": "2020-03-01T10:00:00Z",
        "rr": 1.0,
        "entry_timestamp": "2020-02-01T10:00:00+02:00",
    },
    "actions": [{"ts": "2020-02-01T08:00:00Z", "pattern_key": "pm.a", "action_category": "entry"}],
}


def run(settings: Settings, *words: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(produce, list(words), env=settings.environment(), input=stdin)


def written(settings: Settings) -> list[tuple[bytes | None, bytes]]:
    async def read() -> list[tuple[bytes | None, bytes]]:
        consumer = reader(settings)
        await consumer.start()
        try:
            starts = {
                TopicPartition(settings.topic(CLOSES), p): None for p in range(settings.partitions)
            }
            return [
                (r.key, r.value)
                async for _, records, _ in read_to_end(consumer, starts)
                for r in records
            ]
        finally:
            await consumer.stop()

    return asyncio.run(read())


@pytest.fixture
def installation(stack_settings: Settings) -> Settings:
    asyncio.run(topics.create(stack_settings))
    return stack_settings


@pytest.mark.stack
def test_plain_gzip_zstd_and_standard_input_arrive_unchanged(
    installation: Settings, tmp_path: Path
) -> None:
    lines = [orjson.dumps(EVENT | {"trade_id": f"t{i}"}) for i in range(4)]
    plain, zipped, packed = tmp_path / "a.jsonl", tmp_path / "b.jsonl.gz", tmp_path / "c.jsonl.zst"
    plain.write_bytes(lines[0] + b"\n\n")
    zipped.write_bytes(gzip.compress(lines[1] + b"\n"))
    packed.write_bytes(zstandard.compress(lines[2]))
    result = run(
        installation,
        str(plain),
        str(zipped),
        str(packed),
        "-",
        "--json",
        stdin=lines[3] + b"\nnot json\n",
    )
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout.splitlines()[-1])["sent"] == 5
    found = written(installation)
    assert sorted(found, key=lambda r: r[1]) == sorted(
        [(f"t{i}".encode(), line) for i, line in enumerate(lines)] + [(None, b"not json")],
        key=lambda r: r[1],
    )


@pytest.mark.stack
def test_shift_to_moves_every_time_alike_and_the_newest_exit_to_the_target(
    installation: Settings, tmp_path: Path
) -> None:
    earlier = EVENT | {
        "trade_id": "t2",
        "trade_summary": {"exit_timestamp": "2020-02-20T10:00:00Z", "rr": 1.0},
    }
    log = tmp_path / "log.jsonl"
    log.write_bytes(orjson.dumps(EVENT) + b"\n" + orjson.dumps(earlier))
    before = datetime.now(UTC)
    assert run(installation, str(log), "--shift-to", "now").exit_code == 0
    events = {
        event["trade_id"]: event
        for _, value in written(installation)
        if (event := orjson.loads(value))
    }
    exit_, entry = (
        datetime.fromisoformat(events["t1"]["trade_summary"][k])
        for k in ("exit_timestamp", "entry_timestamp")
    )
    assert before <= exit_ <= datetime.now(UTC)
    assert exit_ - entry == timedelta(days=29, hours=2)
    assert exit_ - datetime.fromisoformat(
        events["t2"]["trade_summary"]["exit_timestamp"]
    ) == timedelta(days=10)
    assert exit_ - datetime.fromisoformat(events["t1"]["actions"][0]["ts"]) == timedelta(
        days=29, hours=2
    )


@pytest.mark.stack
def test_limit_and_dry_run(installation: Settings, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_bytes(b"\n".join(orjson.dumps(EVENT | {"trade_id": f"t{i}"}) for i in range(10)))
    assert run(installation, str(log), "--dry-run").exit_code == 0
    assert written(installation) == []
    assert run(installation, str(log), "--limit", "3").exit_code == 0
    assert len(written(installation)) == 3


@pytest.mark.parametrize(
    ("words", "exit_code", "says"),
    [
        (["/nowhere.jsonl"], 2, "cannot be read"),
        (["-", "--shift-to", "now"], 2, "standard input"),
        (["{log}", "--shift-to", "yesterday"], 2, "not a time"),
        (["{log}", "--shift-to", "2020-01-01"], 2, "not a time"),
        (["{empty}"], 5, "contains no lines"),
        (["{damaged}"], 5, "damaged"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    words: list[str], exit_code: int, says: str, tmp_path: Path
) -> None:
    (tmp_path / "log.jsonl").write_bytes(orjson.dumps(EVENT))
    (tmp_path / "empty.jsonl").write_bytes(b"\n")
    (tmp_path / "damaged.jsonl.gz").write_bytes(gzip.compress(orjson.dumps(EVENT) * 100)[:-20])
    names = {"log": "log.jsonl", "empty": "empty.jsonl", "damaged": "damaged.jsonl.gz"}
    paths = {key: str(tmp_path / name) for key, name in names.items()}
    result = run(Settings(), *(word.format(**paths) for word in words), "--dry-run")
    assert result.exit_code == exit_code, result.output
    assert says in result.stderr


def test_no_broker_is_exit_code_4(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_bytes(orjson.dumps(EVENT))
    result = run(Settings(broker="127.0.0.1:1"), str(log))
    assert result.exit_code == 4
    assert "faust -A app stack up" in result.stderr


def test_keys_come_from_either_envelope_and_never_stop_a_line() -> None:
    assert key_of(orjson.dumps(EVENT)) == b"t1"
    assert key_of(b'{"id": 1, "kind": "position_closed", "content": {"trade_id": "x"}}') == b"x"
    for value in (
        b"",
        b"[]",
        b"{",
        b'{"trade_id": 5}',
        b'{"content": []}',
        b'{"trade_id": "\\ud800"}',
        b"\xff",
    ):
        assert key_of(value) is None


def test_what_cannot_be_shifted_is_left_for_the_door_to_judge() -> None:
    day = timedelta(days=1)
    assert shifted(b"no json", day) == b"no json"
    assert orjson.loads(shifted(b'{"ts": "soon", "a": [{"ts": "9999-12-31T23:59:59Z"}]}', day)) == {
        "ts": "soon",
        "a": [{"ts": "9999-12-31T23:59:59Z"}],
    }
