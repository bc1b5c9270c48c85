"""Topics that are created again, brokers that are rolled back or replaced: workers end and name the
command that fixes it, and after that command everything matches the log."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

import app.commands
from app.commands.base import cli
from app.devstack import temporary_stack, up
from app.devstack.kafka import Kafka
from app.kafka import topics
from app.worker.log_guard import LOOK_EVERY_S
from edgeloop import OverrideBook
from schemas import kinds
from tests.pipeline.compare import check_until_right
from tests.pipeline.installation import FIXED_DATES, Installation, Worker, wait
from tests.pipeline.reference import Rules, learn
from tests.pipeline.test_dead_letters import good
from tests.pipeline.trades import Close

app.commands.load()
pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(240)]

RULES = Rules(n_min=5, max_dims=2, window_days=90.0)
SETTINGS: dict[str, Any] = {
    "learning": "classic",
    "n_min": RULES.n_min,
    "max_dims": RULES.max_dims,
    "partitions": 2,
    **FIXED_DATES,
}
ACCEPT = "faust -A app topics accept"


def admin_of(installation: Installation) -> AdminClient:
    return AdminClient({"bootstrap.servers": installation.settings.broker, "log_level": 4})


def make_anew(installation: Installation, *names: str) -> None:
    """Delete topics and create them again with their configuration, as an administrator would."""
    client, settings = admin_of(installation), installation.settings
    full = [settings.topic(name) for name in names]
    for done in client.delete_topics(full).values():
        done.result(30)
    wanted = {t.name: t for t in topics.declaration(settings)}

    def made() -> bool:
        try:
            new = [NewTopic(n, settings.partitions, 1, config=wanted[n].config) for n in full]
            for done in client.create_topics(new).values():
                done.result(30)
        except Exception:  # not deleted yet
            return set(full) <= set(client.list_topics(timeout=10).topics) and not any(
                installation.records_in(name) for name in names
            )
        return True

    wait(made, 30, "topics that are created again")


def grow(installation: Installation, name: str, total: int) -> None:
    new = [NewPartitions(installation.settings.topic(name), total)]
    client = admin_of(installation)  # keeps a reference until it is done
    for done in client.create_partitions(new).values():
        done.result(30)


def run(installation: Installation, *words: str) -> Result:
    return CliRunner().invoke(
        cli.commands[words[0]], list(words[1:]), env=installation.settings.environment()
    )


def succeeded(installation: Installation, *words: str) -> None:
    result = run(installation, *words)
    assert result.exit_code == 0, (result.output, result.exception)


def refused(
    installation: Installation, worker: Worker, *words: str, deadline_s: float = 60
) -> None:
    """The worker ends with code 3, and its last message names the remedy."""
    wait(lambda: worker.process.poll() is not None, deadline_s, "end of the worker", worker.text)
    installation.workers.remove(worker)
    assert worker.process.returncode == 3, worker.text()[-4_000:]
    for word in words:
        assert word in worker.text(), worker.text()[-4_000:]


def learned(installation: Installation, sent: list[Close], deadline_s: float = 60) -> None:
    installation.until_idle(deadline_s)
    check_until_right(installation, learn([close.value for close in sent], RULES))


def reversed_closes(closes: list[Close], module: str) -> list[Close]:
    """Trades of the same patterns with opposite outcomes."""
    found = []
    for close in closes:
        event = json.loads(close.value or b"")
        event["event_id"] += "-r"
        event["trade_id"] += "-r"
        event["trade_summary"]["rr"] *= -1
        found.append(Close(json.dumps(event).encode(), close.key, close.timestamp_ms))
    assert all(json.loads(c.value or b"")["module"] == module for c in found)
    return found


@pytest.mark.long
def test_facts_created_again_under_a_running_worker(install: Callable[..., Installation]):
    """The worker ends and says why; the next one refuses to start; accept repairs everything;
    versions never decrease."""
    installation = install(**SETTINGS)
    (worker,) = installation.start_ready()
    first = good(200, "pm")
    installation.produce(first)
    installation.until_idle()
    make_anew(installation, kinds.FACTS)
    refused(installation, worker, "created again", ACCEPT)
    refused(installation, installation.start(), "created again", ACCEPT)

    report = json.loads(run(installation, "doctor", "--json").stdout)
    (log,) = [check for check in report["checks"] if check["check"] == "log"]
    assert not log["ok"]
    assert "created again" in log["found"]
    assert ACCEPT in log["remedy"]
    planned = json.loads(run(installation, "topics", "accept", "--dry-run", "--json").stdout)
    assert {kinds.LESSONS, kinds.OVERRIDES, kinds.HISTORY} <= set(planned["recreated"])
    assert kinds.CLOSES not in planned["recreated"]
    assert planned["rebuilt"]
    done = run(installation, "topics", "accept", "--yes")
    assert done.exit_code == 0, done.output

    second = reversed_closes(first, "pm")
    installation.produce(second)
    installation.start_ready()
    learned(installation, first + second)
    assert run(installation, "topics", "accept", "--dry-run").output.startswith(
        "The log is unchanged"
    )
    assert json.loads(run(installation, "doctor", "--json").stdout)["ok"]


@pytest.mark.long
def test_facts_created_again_without_a_note_of_the_log(
    install: Callable[..., Installation],
):
    """Without the note (an older release, an expired offset), the versions reveal it."""
    installation = install(**SETTINGS)
    (worker,) = installation.start_ready()
    first = good(200, "pm")
    installation.produce(first)
    installation.until_idle()
    installation.terminate(worker)
    make_anew(installation, kinds.FACTS)
    client = admin_of(installation)
    group = installation.settings.consumer_group
    for name in (f"{group}.log", f"{group}.lesson_builder.done", group):
        client.delete_consumer_groups([name])[name].result(30)
    client_sql = f'TRUNCATE "{installation.settings.database_schema}".projected_log'
    installation.query(client_sql)
    refused(installation, installation.start(), "records of version", ACCEPT)
    succeeded(installation, "topics", "accept", "--yes")
    installation.start_ready()
    learned(installation, first)


@pytest.mark.parametrize("name", [kinds.CLOSES, kinds.LESSONS, kinds.OVERRIDES])
@pytest.mark.long
def test_a_topic_made_anew_between_two_workers(install: Callable[..., Installation], name: str):
    installation = install(**SETTINGS)
    (worker,) = installation.start_ready()
    first = good(120, "pm")
    installation.produce(first)
    installation.until_idle()
    installation.terminate(worker)
    make_anew(installation, name)
    refused(installation, installation.start(), "created again", ACCEPT)
    succeeded(installation, "topics", "accept", "--yes")
    second = reversed_closes(first, "pm")
    installation.produce(second)
    installation.start_ready()
    learned(installation, first + second)


@pytest.mark.long
def test_partitions_are_added(install: Callable[..., Installation], tmp_path: Path):
    """Added to the closes, all are read.  Added to a keyed topic, the worker ends, and accept
    repairs it."""
    installation = install(**SETTINGS)
    (worker,) = installation.start_ready()
    first = good(100, "pm")
    installation.produce(first)
    installation.until_idle()
    grow(installation, kinds.CLOSES, 6)
    second = reversed_closes(first, "pm")
    wait(
        lambda: {p for p, _ in installation.produce(second)} > {0, 1, 2},
        30,
        "a producer that knows the new partitions",
    )
    status = json.loads(run(installation, "status", "--json").stdout)
    learned(installation, first + second, 90)
    assert status["lags"][0]["role"] == "ingest"
    worker.check()
    assert run(installation, "topics", "check").exit_code == 0
    replayed = run(
        installation,
        "replay",
        "run",
        "all",
        "--all",
        "--topic",
        "closes",
        "--work-dir",
        str(tmp_path),
    )
    assert replayed.exit_code == 0, (replayed.output, replayed.exception)

    grow(installation, kinds.FACTS, 5)
    refused(installation, worker, "has 5 partitions, expected 2", ACCEPT)
    refused(installation, installation.start(), "has 5 partitions, expected 2", ACCEPT)
    succeeded(installation, "topics", "accept", "--yes")
    installation.start_ready()
    learned(installation, first + second, 90)


def test_the_book_reads_a_topic_that_was_created_again(install: Callable[..., Installation]):
    installation = install(**SETTINGS)
    (worker,) = installation.start_ready()
    first = good(200, "pm")
    installation.produce(first)
    installation.until_idle()
    installation.terminate(worker)
    before = installation.current(kinds.OVERRIDES)
    assert before

    async def follow() -> None:
        settings = installation.settings
        async with OverrideBook(
            settings.broker, topic_prefix=settings.topic_prefix, stale_after_s=4
        ) as book:
            assert await book.ready(30)
            assert book.status.overrides == len(before)
            await asyncio.to_thread(make_anew, installation, kinds.OVERRIDES)
            give_up = asyncio.get_running_loop().time() + 60
            while book.status.overrides:
                assert asyncio.get_running_loop().time() < give_up, book.status
                await asyncio.sleep(0.1)

    asyncio.run(follow())


@pytest.fixture
def own_stack(
    tmp_path_factory: pytest.TempPathFactory, install: Callable[..., Installation]
) -> Any:
    """A stack, with an installation on it, whose Kafka is rolled back and replaced."""
    folder = tmp_path_factory.mktemp("own")
    with temporary_stack(folder) as own:
        installation = install(broker=own.broker, database_url=own.database_url, **SETTINGS)
        yield installation, folder
        installation.kill_all()


@pytest.mark.timeout(600)
@pytest.mark.long
def test_kafka_is_rolled_back_and_then_replaced(own_stack: tuple[Installation, Path]):
    installation, folder = own_stack
    data = folder / "kafka" / "data"
    kafka = Kafka(folder / "kafka", [])
    (worker,) = installation.start_ready()
    first, second = good(100, "pm"), good(150, "pm-2")
    installation.produce(first)
    installation.until_idle()
    installation.terminate(worker)
    kafka.stop()
    shutil.copytree(data, folder / "backup")
    up(folder, die_with_parent=True)
    (worker,) = installation.start_ready()
    installation.produce(second)
    installation.until_idle()
    time.sleep(2 * LOOK_EVERY_S)  # a running worker compares with the log that it saw last

    # Rolled back: the running worker notices, and so does the next one, from what the first has
    # committed.
    kafka.stop()
    shutil.rmtree(data)
    shutil.copytree(folder / "backup", data)
    up(folder, die_with_parent=True)
    refused(installation, worker, "was rolled back", deadline_s=90)
    refused(installation, installation.start(), "is not the log that the group has read", ACCEPT)
    succeeded(installation, "topics", "accept", "--yes")
    (worker,) = installation.start_ready()
    learned(installation, first)

    # Replaced by an empty one.
    installation.terminate(worker)
    kafka.stop()
    shutil.rmtree(data)
    up(folder, die_with_parent=True)
    assert run(installation, "topics", "create").exit_code == 0
    refused(installation, installation.start(), "on another cluster", "faust -A app rebuild")
    (log,) = [
        check
        for check in json.loads(run(installation, "doctor", "--json").stdout)["checks"]
        if check["check"] == "log"
    ]
    assert "another cluster" in log["found"]
    succeeded(installation, "rebuild", "--yes")
    third = reversed_closes(second, "pm-2")
    installation.produce(third)
    installation.start_ready()
    learned(installation, third)
