"""Every block of the documentation is run, in order, file by file: shell, Python and SQL, against
the real Kafka and PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import asyncpg
import pytest
from aiokafka import TopicPartition

from app.closes import explode
from app.kafka import topics
from app.kafka.bulk_reader import read_to_end, reader
from app.settings import Settings
from app.storage.migrate import migrate
from edgeloop.scope import DEFAULT_DIMENSIONS
from schemas import kinds
from tests.child import faust
from tests.docs.markdown import DOCUMENTS, ROOT, blocks, names, table

pytestmark = pytest.mark.stack

README = ROOT / "README.md"
DATA, RUNTIME, OPERATIONS, ADAPTERS = (
    ROOT / "docs" / f"{name}.md" for name in ("data", "runtime", "operations", "adapters")
)
OWN_BOT = ROOT / "docs" / "integrations" / "own-bot.md"
LIMIT_S = 420


def script(document: Path, folder: Path) -> str:
    """The blocks of `document` as one bash script; Python blocks become files, and each block is
    announced."""
    parts = ["set -euo pipefail"]
    for block in blocks(document):
        if block.elsewhere is not None:
            continue
        if block.language == "sh":
            parts += [f"echo '== {block}'", block.text]
        elif block.language == "python":
            file = folder / f"block_{block.line}.py"
            file.write_text(block.text)
            parts += [f"echo '== {block}'", f"python {shlex.quote(str(file))}"]
    return "\n".join(parts) + "\n"


def run(document: Path, settings: Settings, folder: Path) -> str:
    """Run the script of `document` in a session of its own; returns its output.  It leaves no
    process running."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("EDGELOOP_")
    }
    environment: Mapping[str, str] = {
        **inherited,
        "EDGELOOP_BROKER": settings.broker,
        "EDGELOOP_DATABASE_URL": settings.database_url,
        "EDGELOOP_DATABASE_SCHEMA": settings.database_schema,
        "EDGELOOP_TOPIC_PREFIX": settings.topic_prefix,
        "EDGELOOP_CONSUMER_GROUP": settings.consumer_group,
        "EDGELOOP_PARTITIONS": str(settings.partitions),
        # For a worker that a script started, if the tests are killed.
        "EDGELOOP_BROKER_AWAY_S": "120",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "error::DeprecationWarning:__main__",
    }
    output = folder / "output.txt"
    with output.open("wb") as stream:
        process = subprocess.Popen(
            ["bash", "-c", script(document, folder)],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(LIMIT_S)
        finally:
            # Workers that a failed script left behind are in its session.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    text = output.read_text(errors="replace")
    assert code == 0, f"{document.name} ended with {code}:\n{text[-6_000:]}"
    return text


@pytest.mark.slow
@pytest.mark.timeout(480)
def test_the_readme_runs(stack_settings: Settings, tmp_path: Path) -> None:
    text = run(README, stack_settings, tmp_path)
    assert "FAIL" not in text, text
    assert re.search(r"5 of [1-9][\d,]* overrides", text), text
    assert re.search(r"size × \d\.\d+ \(matched", text), text
    assert re.search(r"size × \d\.\d+: matched, [1-9]\d* overrides", text), text
    assert text.count("\nidle") == 2, text
    assert '"idle":true' in text, text
    assert "Emptied." in text, text
    assert "worker.stop_hung" not in text, text
    closes = asyncio.run(_records(stack_settings, kinds.CLOSES))
    (ours,) = [record for record in closes if record.key == b"T-1001"]
    facts = explode(ours.value, ours.timestamp, dimensions=DEFAULT_DIMENSIONS, outcome="rr")
    assert [(f.pattern_key, f.home) for f in facts] == [
        ("pm.uptrend.S1.entry", True),
        ("pm.uptrend.S3.trim", False),
    ]
    assert facts[0].actions[0].scope == {
        "chain": "sol",
        "curator": "alpha",
        "btc_macro": "S2",
        "A_mode": "patient",
    }
    asyncio.run(_headers_are_as_documented(stack_settings, kinds.DERIVED))


def test_the_example_of_a_dead_letter_runs(stack_settings: Settings, tmp_path: Path) -> None:
    asyncio.run(topics.create(stack_settings))
    text = run_with_ingest(DATA, stack_settings, tmp_path)
    assert "unknown_category $.actions[0].action_category ValidationError: " in text, text
    asyncio.run(_headers_are_as_documented(stack_settings, (kinds.DEAD_LETTERS,)))


def test_the_position_managers_side_runs(stack_settings: Settings, tmp_path: Path) -> None:
    asyncio.run(topics.create(stack_settings))
    text = run(RUNTIME, stack_settings, tmp_path)
    assert "1000.0 no_match ()" in text, text
    agreed = re.search(r"^(\d+) vectors agree$", text, flags=re.MULTILINE)
    assert agreed is not None, text
    assert int(agreed[1]) > 30


def test_an_own_bot_runs_as_documented(stack_settings: Settings, tmp_path: Path) -> None:
    asyncio.run(topics.create(stack_settings))
    text = run(OWN_BOT, stack_settings, tmp_path)
    assert "sent SenderStatus(waiting=0, sent=1" in text, text
    (close,) = asyncio.run(_records(stack_settings, kinds.CLOSES))
    assert close.key == b"T-2001"
    facts = explode(close.value, close.timestamp, dimensions=DEFAULT_DIMENSIONS, outcome="rr")
    assert [f.action_category for f in facts] == ["entry", "trim", "exit"]


def test_the_guide_shows_the_example() -> None:
    (block,) = (block for block in blocks(OWN_BOT) if block.language == "python")
    assert block.text.strip() == (ROOT / "examples" / "own_bot.py").read_text().strip()


@pytest.mark.slow
@pytest.mark.timeout(480)
@pytest.mark.long
def test_workers_are_managed_as_documented(stack_settings: Settings, tmp_path: Path) -> None:
    text = run(OPERATIONS, stack_settings, tmp_path)
    # The first `status` does not wait, so the workers may still be busy.
    assert text.count("\nidle") + text.count("\nnot idle") == 6, text
    assert text.count("\nidle") >= 5, text
    assert "worker.stop_hung" not in text, text
    assert "Emptied." in text, text
    assert asyncio.run(_records(stack_settings, kinds.LESSONS)), "nothing was learned"


def test_a_spreadsheet_goes_in(stack_settings: Settings, tmp_path: Path) -> None:
    text = run(ADAPTERS, stack_settings, tmp_path)
    assert "500 closes: 500 would be accepted, 0 would become dead letters." in text, text
    assert re.search(r"sent 18,000 closes", text), text
    assert len(asyncio.run(_records(stack_settings, kinds.CLOSES))) == 18_000


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.long
def test_a_new_users_trade_log_is_audited(tmp_path: Path) -> None:
    """The README's steps from a spreadsheet to a page, in a folder of their own, with fewer cuts
    and placebos to save time."""
    (block,) = [b for b in blocks(README) if b.elsewhere is not None and "audit.html" in b.text]
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("EDGELOOP_")
    }
    environment |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    script = "set -euo pipefail\n" + block.text.replace("samples/", f"{ROOT}/samples/").replace(
        "--html", "--cuts 6 --placebos 4 --html"
    )
    found = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert found.returncode == 0, found.stdout[-3_000:] + found.stderr[-3_000:]
    assert "What to set" in found.stdout
    page = (tmp_path / "audit.html").read_text()
    assert "<svg" in page
    assert all(
        setting in page
        for setting in ("EDGELOOP_LEARNING", "EDGELOOP_HALF_LIFE", "EDGELOOP_REGIME_WEIGHTS")
    )


def test_no_document_with_blocks_is_forgotten() -> None:
    runnable = {
        d
        for d in DOCUMENTS
        if any(
            block.language in ("sh", "python") and block.elsewhere is None for block in blocks(d)
        )
    }
    assert runnable == {README, DATA, RUNTIME, OPERATIONS, ADAPTERS, OWN_BOT}


def run_with_ingest(document: Path, settings: Settings, folder: Path) -> str:
    """`run` beside a worker of ingest alone."""
    log = folder / "worker.log"
    with log.open("wb") as stream:
        worker = subprocess.Popen(
            faust("worker"),
            cwd=ROOT,
            env={**os.environ, **settings.environment(), "EDGELOOP_AGENTS": "ingest"},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    try:
        return run(document, settings, folder)
    finally:
        worker.terminate()
        assert worker.wait(30) == 0, log.read_text(errors="replace")


async def test_the_queries_run(stack_settings: Settings) -> None:
    await migrate(stack_settings.database_url, stack_settings.database_schema)
    connection = await asyncpg.connect(
        stack_settings.database_url, server_settings={"search_path": stack_settings.database_schema}
    )
    try:
        queries = [
            block.text
            for document in DOCUMENTS
            for block in blocks(document)
            if block.language == "sql"
        ]
        assert queries
        for query in queries:
            assert await connection.fetch(query) == []
    finally:
        await connection.close()


async def _records(settings: Settings, topic: str) -> list:
    consumer = reader(settings)
    await consumer.start()
    try:
        partitions = [TopicPartition(settings.topic(topic), p) for p in range(settings.partitions)]
        return [
            record
            async for _, batch, _ in read_to_end(consumer, dict.fromkeys(partitions))
            for record in batch
        ]
    finally:
        await consumer.stop()


async def _headers_are_as_documented(settings: Settings, which: tuple[str, ...]) -> None:
    documented = {
        topic: names(headers)
        for cell, headers in table(DATA, "topic", "headers")
        for topic in names(cell)
    }
    for topic in which:
        records = await _records(settings, topic)
        assert records, topic
        assert {tuple(name for name, _ in record.headers) for record in records} == {
            tuple(documented[topic])
        }, topic
