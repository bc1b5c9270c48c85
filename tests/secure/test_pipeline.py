"""The whole pipeline on a Kafka with SASL_SSL and access control: each role has its own user, with
exactly the rights that `topics acls` names."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import TopicAuthorizationFailedError
from click.testing import CliRunner, Result

import app.commands
from app.commands.base import cli
from app.devstack import StackInfo
from app.kafka.acls import promotion_id
from app.kafka.client import client_options
from app.kafka.producer import send_transaction
from app.kafka.records import Outgoing
from app.settings import Settings
from app.storage.migrate import migrate
from edgeloop import KafkaSecurity, OverrideBook
from edgeloop.history import OverrideHistory
from edgeloop.integrations import Connection
from edgeloop.kafka_security import SecurityError
from schemas import kinds
from tests.dashboard import site
from tests.pipeline.in_process import check_integrated, engines
from tests.pipeline.installation import Installation
from tests.pipeline.planted import Log, closes
from tests.pipeline.trades import Close
from tests.secure.conftest import As

app.commands.load()
pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(300)]


def run(settings: Settings, *words: str) -> Result:
    return CliRunner().invoke(cli.commands[words[0]], list(words[1:]), env=settings.environment())


def done(settings: Settings, *words: str) -> str:
    result = run(settings, *words)
    assert result.exit_code == 0, (words, result.output, result.exception)
    return result.stdout


@pytest.fixture(scope="module")
def trades() -> list[Close]:
    log = Log(seed=20250301)
    return closes(log.trades(500))


@pytest.fixture(scope="module")
def learned(
    as_user: As, trades: list[Close], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """The owner creates the topics, the producer sends closes, the worker learns."""
    assert run(as_user("owner"), "topics", "create").exit_code == 3  # has no rights yet
    done(as_user("admin"), "topics", "acls", "--apply")
    assert "created" in done(as_user("owner"), "topics", "create")
    settings = as_user("worker")
    asyncio.run(migrate(settings.database_url, settings.database_schema))
    worker = Installation(settings, tmp_path_factory.mktemp("installation"))
    producer = Installation(as_user("producer"), worker.directory)
    try:
        worker.start_ready(1)
        producer.produce(trades)
        done(as_user("reader"), "status", "--until-idle", "--timeout", "90")
        yield worker
    finally:
        worker.kill_all()


def test_what_is_learned_equals_the_core_in_one_process(
    learned: Installation, as_user: As, trades: list[Close]
) -> None:
    reader = Installation(as_user("reader"), learned.directory)
    check_integrated(reader, engines(trades, learned.settings))


def test_the_reader_reads_and_may_not_write(learned: Installation, as_user: As, tmp_path: Path):
    reader = as_user("reader")
    assert json.loads(done(reader, "overrides", "list", "--json"))["overrides"]
    done(reader, "lessons", "list", "--limit", "3")
    done(reader, "dlq", "list")
    done(reader, "workers")
    done(reader, "topics", "check")
    doctor = run(replace(reader, agents=("ingest",)), "doctor")
    assert doctor.exit_code == 0, doctor.output
    file = tmp_path / "one.jsonl"
    file.write_bytes(b"{}\n")
    refused = run(reader, "produce", str(file))
    assert refused.exit_code == 3, refused.output
    assert "does not let this user write to any topic" in refused.stderr
    assert "topics acls" in refused.stderr
    password = reader.kafka_password
    assert password not in doctor.output + refused.output


def test_the_book_works_with_read_on_the_overrides_alone(
    learned: Installation, as_user: As, secure_stack: StackInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The book connects with the variables alone, as a position manager does, and can read nothing
    else."""
    settings = as_user("position-manager")
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    published = learned_overrides(as_user("reader"))

    async def follow() -> None:
        async with OverrideBook(
            settings.broker,
            topic_prefix=settings.topic_prefix,
            security=KafkaSecurity.from_environment(),
        ) as book:
            assert await book.ready(30), book.status
            assert {o.override_id for o in book.overrides()} == published
        consumer = AIOKafkaConsumer(**client_options(settings))
        await consumer.start()
        try:
            assert await consumer.topics() == {settings.topic(kinds.OVERRIDES)}
        finally:
            await consumer.stop()

    asyncio.run(follow())
    refused = run(settings, "lessons", "list")
    assert refused.exit_code == 3
    assert "may not see it" in refused.stderr


def test_a_bot_sizes_and_reports_by_the_variables_alone(
    learned: Installation, as_user: As, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = as_user("operator")  # reads the overrides and writes closes
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    with Connection.from_environment(spool=tmp_path / "spool") as connection:
        assert connection.ready(30)
        with connection.trade("bot/1", symbol="BONK", timeframe="1h") as trade:
            assert trade.entry("uptrend.S1.entry").reason in ("matched", "no_match")
            trade.exit("uptrend.S3.exit")
            trade.close(rr=0.5)
        assert connection.flush(30), connection.status
        assert connection.status.refused == 0
    history = OverrideHistory.from_topic(
        settings.broker,
        topic_prefix=settings.topic_prefix,
        security=KafkaSecurity.from_environment(),
    )
    assert len(history) >= len(learned_overrides(as_user("reader")))
    monkeypatch.setenv("EDGELOOP_KAFKA_CA", str(tmp_path / "none.pem"))
    with pytest.raises(SecurityError, match="EDGELOOP_KAFKA_CA"):
        Connection.from_environment(spool=tmp_path / "other")


def test_the_dashboard_reads_everything_as_the_reader(
    learned: Installation, as_user: As, tmp_path: Path
) -> None:
    with site.running(as_user("reader"), tmp_path) as served:

        def health() -> str:
            return served.get("/health")[2]

        others = re.compile(">(loading|last known|away)<")
        site.wait(lambda: not others.search(health()), 120, "source that is live", health)
        answer = json.loads(served.get("/api/resolve?pattern=no.such&category=entry")[2])
        assert answer["reason"] == "no_match", answer
        assert f"{len(learned_overrides(as_user('reader'))):,} override" in served.get("/")[2]


def learned_overrides(reader: Settings) -> set[str]:
    shown = json.loads(done(reader, "overrides", "list", "--limit", "100000", "--json"))
    assert shown["overrides"]
    return {o["override_id"] for o in shown["overrides"]}


@pytest.mark.parametrize("role", ["producer", "position-manager", "reader", "worker"])
def test_nobody_else_writes_overrides_or_closes(
    learned: Installation, as_user: As, role: str
) -> None:
    settings = as_user(role)
    forbidden = {
        "producer": [kinds.OVERRIDES, kinds.DEAD_LETTERS],
        "position-manager": [kinds.OVERRIDES, kinds.CLOSES],
        "reader": [kinds.OVERRIDES, kinds.CLOSES],
        "worker": [kinds.CLOSES],
    }[role]

    async def send(topic: str) -> None:
        producer = AIOKafkaProducer(**client_options(settings))
        await producer.start()
        try:
            await producer.send_and_wait(settings.topic(topic), b"{}", b"x", partition=0)
        finally:
            await producer.stop()

    for topic in forbidden:
        with pytest.raises(TopicAuthorizationFailedError):
            asyncio.run(send(topic))


def test_every_mechanism_and_a_client_certificate_connect(
    learned: Installation, as_user: As, secure_stack: StackInfo
) -> None:
    for mechanism in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"):
        done(as_user("reader", kafka_mechanism=mechanism), "topics", "check")
    token_file = str(Path(as_user("reader").kafka_ca).with_name("edgeloop-reader.token"))
    bearer = as_user(
        "reader", kafka_mechanism="OAUTHBEARER", kafka_password="", kafka_token_file=token_file
    )
    done(bearer, "topics", "check")
    forged = run(replace(bearer, kafka_token="e30.e30.e30", kafka_token_file=""), "topics", "check")
    assert forged.exit_code == 3, forged.output
    assert "does not accept the token" in forged.stderr
    certificates = certificate_settings(as_user("reader"), secure_stack, "edgeloop-reader")
    done(certificates, "topics", "check")
    stranger = replace(certificates, kafka_certificate="")
    refused = run(stranger, "topics", "check")
    assert refused.exit_code in (3, 4), refused.output
    assert "certificate" in refused.stderr


def certificate_settings(settings: Settings, stack: StackInfo, user: str) -> Settings:
    ports = json.loads((stack.directory / "kafka" / "ports.json").read_text())
    return replace(
        settings,
        broker=f"127.0.0.1:{ports[2]}",
        kafka_security="ssl",
        kafka_user="",
        kafka_password="",
        kafka_certificate=str(Path(settings.kafka_ca).with_name(f"{user}.pem")),
    )


@pytest.mark.parametrize("by", ["certificate", "token"])
@pytest.mark.long
def test_a_worker_by_client_certificate_or_token_joins(
    learned: Installation, as_user: As, secure_stack: StackInfo, by: str
) -> None:
    """This includes Faust; the worker's certificate and token identify the same user."""
    worker = as_user("worker")
    token_file = str(Path(worker.kafka_ca).with_name("edgeloop-worker.token"))
    bearer = {"kafka_mechanism": "OAUTHBEARER", "kafka_password": "", "kafka_user": ""}
    settings = (
        certificate_settings(worker, secure_stack, "edgeloop-worker")
        if by == "certificate"
        else replace(worker, kafka_token_file=token_file, **bearer)
    )
    second = Installation(settings, learned.directory / by)
    second.directory.mkdir()
    try:
        second.start_ready(1)
        second.terminate_all()
    finally:
        second.kill_all()


def test_a_worker_with_a_wrong_password_ends_at_once_with_a_sentence(
    learned: Installation, as_user: As
) -> None:
    settings = as_user("worker", kafka_password="not-it-at-all")
    wrong = Installation(settings, learned.directory / "wrong")
    wrong.directory.mkdir()
    worker = wrong.start()
    try:
        assert worker.process.wait(30) == 3, worker.text()
    finally:
        wrong.kill_all()
    assert "does not accept the user 'edgeloop-worker' or its password" in worker.text()
    assert "Traceback" not in worker.text()
    assert "not-it-at-all" not in worker.text()


def test_what_keeps_a_command_out_is_said(as_user: As, tmp_path: Path) -> None:
    import trustme

    stranger = tmp_path / "other-ca.pem"
    stranger.write_bytes(trustme.CA().cert_pem.bytes())
    reader = as_user("reader")
    for changed, words in (
        ({"kafka_password": "wrong"}, "does not accept the user"),
        ({"kafka_mechanism": "PLAIN", "kafka_password": "wrong"}, "does not accept the user"),
        ({"kafka_ca": str(stranger)}, "EDGELOOP_KAFKA_CA"),
        ({"kafka_ca": str(tmp_path / "none.pem")}, "No such file"),
        (
            {"kafka_security": "plaintext", "kafka_ca": "", "kafka_user": "", "kafka_password": ""},
            "EDGELOOP_KAFKA_SECURITY",
        ),
        ({"kafka_security": "ssl", "kafka_user": "", "kafka_password": ""}, "SECURITY"),
    ):
        result = run(replace(reader, **changed), "status")
        assert result.exit_code in (3, 4), (changed, result.output)
        assert words in result.stderr, (changed, result.output)
        assert reader.kafka_password not in result.output


@pytest.mark.long
def test_the_operator_may_promote_and_rebuild(learned: Installation, as_user: As) -> None:
    operator = as_user("operator")
    headers = (("version", b"1"),)
    record = Outgoing(operator.topic(kinds.OVERRIDES), 0, b"0" * 32, None, headers)
    asyncio.run(send_transaction(operator, [record], promotion_id(operator)))
    learned.terminate_all()
    assert json.loads(done(operator, "rebuild", "--dry-run", "--json"))["records"]
