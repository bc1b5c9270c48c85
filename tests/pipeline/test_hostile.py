"""One worker, a book and every command, with records that ordinary clients cannot even send:
headers that are not UTF-8, keys of many megabytes, in each topic."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import app.commands
from app.audit.trades import read_modules
from app.commands.base import cli
from app.kafka.records import partition_of
from app.kafka.skipped import Skipped
from edgeloop import OverrideBook
from schemas import kinds
from tests.hostile import BAD_HEADERS, Record, send
from tests.pipeline.compare import bare, check_until_right
from tests.pipeline.installation import FIXED_DATES, POLL_S, Installation
from tests.pipeline.reference import Rules, learn
from tests.pipeline.test_dead_letters import dead_letters, good
from tests.pipeline.trades import Close

app.commands.load()
pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(240)]

RULES = Rules(n_min=5, max_dims=2, window_days=90.0)
MB = 1_000_000
KEPT = 1024 * 1024


@pytest.fixture(scope="module")
def installation(install: Callable[..., Installation]) -> Installation:
    """An installation with one worker, which runs until the last test."""
    made = install(learning="classic", n_min=RULES.n_min, max_dims=RULES.max_dims, **FIXED_DATES)
    made.start_ready()
    return made


@pytest.fixture(scope="module")
def sent() -> list[Close]:
    """The good closes sent so far, which the worker must have learned."""
    return []


def produce(installation: Installation, sent: list[Close], count: int, module: str) -> None:
    closes = good(count, module)
    installation.produce(closes)
    sent += closes


def put(installation: Installation, topic: str, partition: int, *records: Record) -> int:
    return send(
        installation.settings.broker, installation.settings.topic(topic), partition, records
    )


def learn_all(installation: Installation, sent: list[Close]) -> None:
    installation.until_idle()
    check_until_right(installation, learn([close.value for close in sent], RULES))
    for worker in installation.workers:
        worker.check()
        assert "worker.exits" not in worker.text()


def run(installation: Installation, *words: str) -> Result:
    return CliRunner().invoke(
        cli.commands[words[0]], list(words[1:]), env=installation.settings.environment()
    )


def test_closes_with_headers_that_are_no_utf8_are_learned(
    installation: Installation, sent: list[Close]
):
    produce(installation, sent, 60, "before")
    hostile = good(40, "hostile")
    for partition in range(installation.settings.partitions):
        part = hostile[partition :: installation.settings.partitions]
        put(installation, kinds.CLOSES, partition, *[(c.key, c.value, BAD_HEADERS) for c in part])
    sent += hostile
    many = good(2, "many")
    headers = [("same" if i % 2 else f"h{i}", b"\xff" * 100) for i in range(5_000)]
    put(installation, kinds.CLOSES, 0, *[(c.key, c.value, headers) for c in many])
    sent += many
    produce(installation, sent, 60, "after")
    learn_all(installation, sent)
    assert not dead_letters(installation)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"k" * 17 * MB, None),
        (b"k" * 40 * MB, b"{}"),
        (b"k" * 17 * MB, b"v" * 17 * MB),
        (b"k" * 16_700_000, b"v" * 60_000),
        (b"k" * 8 * MB, b"\xff" * 8 * MB),
    ],
    ids=["17 MB, null", "40 MB", "17 and 17 MB", "16.7 MB and 60 kB", "8 and 8 MB"],
)
def test_keys_of_many_megabytes_are_dead_letters_cut(
    installation: Installation, sent: list[Close], key: bytes, value: bytes | None
):
    offset = put(installation, kinds.CLOSES, 1, (key, value, BAD_HEADERS))
    produce(installation, sent, 5, f"big-{len(key)}-{len(value or b'')}")
    learn_all(installation, sent)
    letter = dead_letters(installation)[1, offset]
    headers = dict(letter.headers)
    whole = len(key) + len(value or b"") <= 16 * KEPT - 16_384
    assert headers["reason"] == (b"null_value" if value is None else headers["reason"])
    assert letter.key == (key if whole else key[:KEPT])
    assert letter.value == (value if whole or value is None else value[:KEPT])
    if not whole:
        assert headers["key.length"] == str(len(key)).encode()
        assert headers["key.sha256"] == hashlib.sha256(key).hexdigest().encode()
    shown = run(installation, "dlq", "show", f"{letter.partition}:{letter.offset}")
    assert shown.exit_code == 0, shown.output
    assert len(shown.output) < 400_000


def test_a_letter_whose_key_was_cut_is_sent_again(installation: Installation, sent: list[Close]):
    (fine,) = good(1, "redriven")
    key = b"k" * 17 * MB  # sent again as the letter has it
    old = send(
        installation.settings.broker,
        installation.settings.topic(kinds.CLOSES),
        2,
        [(key, fine.value, [])],
        stamp_ms=0,  # before its exit: refused now, and accepted when it is resent
    )
    installation.until_idle()
    letter = dead_letters(installation)[2, old]
    assert dict(letter.headers)["reason"] == b"future_exit"
    assert letter.key == key[:KEPT]
    again = run(installation, "dlq", "redrive", "--reason", "future_exit", "--yes", "--json")
    assert again.exit_code == 0, again.output
    sent.append(fine)
    learn_all(installation, sent)
    assert [r.key for r in installation.read(kinds.CLOSES) if r.partition == 2][-1] == key[:KEPT]


READERS: list[list[str]] = [
    ["status", "--json"],
    ["doctor", "--json"],
    ["dlq", "list", "--json"],
    ["dlq", "redrive", "--all", "--dry-run", "--json"],
    ["overrides", "list", "--json"],
    ["lessons", "list", "--json"],
    ["explain", "--pattern", "pm.plain.S1", "--category", "entry", "--scope", "chain=sol"],
    ["resolve", "--pattern", "pm.plain.S1", "--category", "entry", "--scope", "chain=sol"],
    ["topics", "check"],
]


def test_no_reader_ends_by_them_in_any_topic(
    installation: Installation, sent: list[Close], tmp_path: Path
):
    """Our records with bad headers added (they count), and foreign keys and headers of all
    kinds."""
    partitions = installation.settings.partitions
    produce(installation, sent, 60, "earlier")
    installation.until_idle()
    strangers: list[Record] = [
        (b"\xff\xfe", b"no JSON", BAD_HEADERS),
        (None, b"{}", BAD_HEADERS),
        (None, None, [("version", None), ("promotion", None), ("writer", None)]),
        (b"x", None, [("version", b"\xff"), ("promotion", b"\xff"), ("promotion.records", None)]),
        (b"x", b"[]", [("version", b"9" * 5_000), ("promotion.records", b"9" * 5_000)]),
        (b"x", b"\x00", [("version", b"-1"), ("redriven.from", b"\xff")]),
    ]
    for topic, kind in kinds.KINDS.items():
        taken = [s for s in strangers if s[0] is not None or kind.cleanup == "delete"]
        for partition in range(partitions):
            put(installation, topic, partition, *taken)
    for topic in (kinds.CLOSES, kinds.FACTS, kinds.LESSONS, kinds.OVERRIDES):
        put(installation, topic, 0, (b"k" * 17 * MB, None, BAD_HEADERS))
    key, record = min(installation.current(kinds.OVERRIDES).items())
    last = next(r for r in installation.read(kinds.OVERRIDES) if r.key == key.encode())
    put(
        installation,
        kinds.OVERRIDES,
        partition_of(record["module"], partitions),
        (last.key, last.value, [*last.headers, *BAD_HEADERS]),
    )
    produce(installation, sent, 30, "later")
    installation.until_idle()
    for worker in installation.workers:
        worker.check()
    installation.start_ready()  # hydrates from the existing records
    produce(installation, sent, 30, "last")
    learn_all(installation, sent)

    failed = {}
    tables = [
        "lessons",
        "overrides",
        "changes",
        "history",
        "weights",
        "factors",
        "baselines",
        "trades",
    ]
    exports = [["export", t, "--out", str(tmp_path / f"{t}.csv")] for t in tables]
    replays = [
        ["replay", "run", "again", "--all", "--json", "--work-dir", str(tmp_path)],
        ["replay", "run", "c", "--all", "--topic", "closes", "--work-dir", str(tmp_path)],
        ["replay", "diff", "again", "--json"],
        ["replay", "promote", "again", "--dry-run", "--json"],
    ]
    for words in [*READERS, *exports, *replays]:
        result = run(installation, *words)
        if result.exit_code != 0:
            failed[" ".join(words)] = (result.exit_code, result.output[-600:], result.exception)
    modules = asyncio.run(read_modules(installation.settings, Skipped()))  # the input of the audit
    assert {"earlier", "last"} <= modules.keys()
    assert not failed, json.dumps({k: str(v) for k, v in failed.items()}, indent=1)

    async def asked() -> float:
        async with OverrideBook(
            installation.settings.broker, topic_prefix=installation.settings.topic_prefix
        ) as book:
            assert await book.ready(30)
            assert book.status.bad_records > 0
            return len(book._shelf.records) if book._shelf else 0

    assert asyncio.run(asked()) == len(installation.current(kinds.OVERRIDES))


def test_a_record_that_hides_one_of_ours_is_published_again(installation: Installation):
    """A record with the key of an override and a higher version, but without a readable value."""
    before = installation.current(kinds.OVERRIDES)
    key, record = min(before.items())
    partition = partition_of(record["module"], installation.settings.partitions)
    put(installation, kinds.OVERRIDES, partition, (key.encode(), b"{", [("version", b"123456789")]))
    give_up = time.monotonic() + 60.0
    while True:
        last = [r for r in installation.read(kinds.OVERRIDES) if r.key == key.encode()][-1]
        if last.value != b"{":
            break
        assert time.monotonic() < give_up, "the owner has not published its override again"
        time.sleep(POLL_S)
    assert bare(json.loads(last.value)) == bare(record)
    listed = json.loads(
        run(installation, "overrides", "list", "--json", "--limit", "100000").stdout
    )
    assert {o["override_id"] for o in listed["overrides"]} == before.keys()
