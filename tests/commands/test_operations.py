"""topics, worker preflight, status and doctor: their messages if something is missing, and if all
is well."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import subprocess
import sys

import click
import pytest
from aiokafka.admin import NewTopic
from click.testing import CliRunner, Result

import app.commands
from app.commands.base import cli
from app.commands.doctor import doctor
from app.commands.status import status
from app.commands.topics import topics as topics_command
from app.kafka import topics
from app.kafka.admin import admin
from app.settings import Settings
from app.storage.migrate import migrate
from schemas import kinds

app.commands.load()
pytestmark = pytest.mark.stack


def run(command: click.Command, settings: Settings, *words: str) -> Result:
    return CliRunner().invoke(command, list(words), env=settings.environment())


def test_topics_are_created_once_and_then_as_declared(stack_settings: Settings) -> None:
    planned = json.loads(
        run(topics_command, stack_settings, "create", "--dry-run", "--json").stdout
    )
    assert run(topics_command, stack_settings, "check").exit_code == 3
    made = json.loads(run(topics_command, stack_settings, "create", "--json").stdout)
    assert (
        made["created"]
        == planned["created"]
        == [t.name for t in topics.declaration(stack_settings)]
    )
    assert (
        json.loads(run(topics_command, stack_settings, "create", "--json").stdout)["created"] == []
    )
    assert run(topics_command, stack_settings, "check").exit_code == 0


def test_each_mismatch_is_named_with_the_command_that_mends_it(stack_settings: Settings) -> None:
    async def make_wrong() -> None:
        async with admin(stack_settings) as client:
            wrong = NewTopic(
                stack_settings.topic("pm_overrides"),
                3,
                1,
                topic_configs={"cleanup.policy": "delete"},
            )
            await client.create_topics([wrong])

    asyncio.run(make_wrong())
    asyncio.run(topics.create(stack_settings))
    result = run(topics_command, stack_settings, "check")
    assert result.exit_code == 3
    assert "has 3 partitions, expected 2" in result.stdout
    assert "cleanup.policy=delete, expected compact" in result.stdout
    assert "faust -A app topics mend" in result.stdout


def test_mend_sets_what_is_declared_and_leaves_the_rest(stack_settings: Settings) -> None:
    name = stack_settings.topic("pm_overrides")

    async def make_wrong() -> None:
        async with admin(stack_settings) as client:
            wrong = NewTopic(
                name,
                2,
                1,
                topic_configs={"cleanup.policy": "delete", "min.compaction.lag.ms": "1234"},
            )
            await client.create_topics([wrong])

    async def lag() -> str:
        async with admin(stack_settings) as client:
            return (await topics._configs(client, [name]))[name]["min.compaction.lag.ms"]

    asyncio.run(make_wrong())
    asyncio.run(topics.create(stack_settings))
    planned = run(topics_command, stack_settings, "mend", "--dry-run")
    assert f"would fix {name}, which has cleanup.policy=delete" in planned.stdout
    assert run(topics_command, stack_settings, "check").exit_code == 3
    assert run(topics_command, stack_settings, "mend").exit_code == 0
    assert run(topics_command, stack_settings, "check").exit_code == 0
    assert asyncio.run(lag()) == "1234"


@pytest.mark.parametrize(
    "words", [["status"], ["overrides", "list"], ["overrides", "watch"], ["lessons", "list"]]
)
def test_commands_say_at_once_that_the_topics_are_missing(
    words: list[str], stack_settings: Settings
) -> None:
    command, rest = cli.commands[words[0]], words[1:]
    result = run(command, stack_settings, *rest)
    assert result.exit_code == 3
    assert "faust -A app topics create" in result.stderr


def worker(settings: Settings) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "faust", "-A", "app", "worker"]
    return subprocess.run(
        command,
        env=os.environ | settings.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_worker_refuses_to_start_without_its_topics(stack_settings: Settings) -> None:
    result = worker(stack_settings)
    assert result.returncode == 3
    assert "does not exist: faust -A app topics create" in result.stderr


def test_a_worker_refuses_to_start_on_a_database_that_is_not_migrated(
    stack_settings: Settings,
) -> None:
    asyncio.run(topics.create(stack_settings))
    result = worker(stack_settings)
    assert result.returncode == 3
    assert "faust -A app migrate" in result.stderr


def test_status_is_idle_when_there_is_nothing_and_times_out_when_nobody_works(
    stack_settings: Settings,
) -> None:
    asyncio.run(topics.create(stack_settings))
    idle = run(status, stack_settings, "--json")
    assert (idle.exit_code, json.loads(idle.stdout)["idle"]) == (0, True)

    async def send() -> None:
        from app.kafka.producer import Producer
        from app.kafka.records import Outgoing

        producer = Producer(stack_settings)
        await producer.send([Outgoing(stack_settings.topic(kinds.CLOSES), 0, b"k", b"{}")])
        await producer.stop()

    asyncio.run(send())
    waiting = run(status, stack_settings, "--until-idle", "--timeout", "0.5", "--json")
    assert waiting.exit_code == 1
    lags = {lag["role"]: lag["records"] for lag in json.loads(waiting.stdout)["lags"]}
    assert lags == {"ingest": 1, "lesson_builder": 0, "override_materializer": 0, "projector": 0}


def test_doctor_finds_what_is_wrong_and_says_what_to_do(stack_settings: Settings) -> None:
    before = json.loads(run(doctor, stack_settings, "--json").stdout)
    wrong = {check["check"]: check["remedy"] for check in before["checks"] if not check["ok"]}
    assert wrong == {
        "topics": "faust -A app topics create",
        "database": "Run `faust -A app migrate`.",
    }
    asyncio.run(topics.create(stack_settings))
    asyncio.run(migrate(stack_settings.database_url, stack_settings.database_schema))
    after = run(doctor, stack_settings)
    assert after.exit_code == 0, after.stdout
    password = stack_settings.database_url.split(":")[2].split("@")[0]
    assert password not in after.stdout + json.dumps(before)
    away = run(doctor, dataclasses.replace(stack_settings, broker="127.0.0.1:1"))
    assert away.exit_code == 4
    assert "No Kafka broker responds at 127.0.0.1:1" in away.stdout


def test_every_command_has_help_with_an_example() -> None:
    def commands(group: click.Group, path: str) -> list[tuple[str, click.Command]]:
        found = []
        for name, command in group.commands.items():
            callback = getattr(command.callback, "__wrapped__", command.callback)
            module = getattr(callback, "__module__", "")
            if isinstance(command, click.Group):
                found += commands(command, f"{path} {name}")
            elif module.startswith("app."):
                found.append((f"{path} {name}", command))
        return found

    ours = commands(cli, "faust -A app")
    assert len(ours) >= 15
    for path, command in ours:
        assert f"{path}" in (command.help or ""), f"{path} --help has no example of itself"
