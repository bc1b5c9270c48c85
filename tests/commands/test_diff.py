"""`faust -A app overrides diff`: its output for a log with a planted edge that fades, for an empty
one, and without a broker."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from app.commands.base import cli
from app.commands.diff import AGAINST, diff
from app.kafka import topics
from app.kafka.producer import Producer
from app.kafka.records import Outgoing
from app.settings import Settings
from schemas import kinds
from tests.audit.making import fact, market

pytestmark = pytest.mark.stack


def run(settings: Settings, *words: str) -> Result:
    return CliRunner().invoke(diff, list(words), env=settings.environment())


def diff_json(settings: Settings, *words: str) -> dict[str, Any]:
    result = run(settings, *words, "--json")
    assert result.exit_code == 0, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    return document


@pytest.fixture
def installation(stack_settings: Settings) -> Settings:
    """Two modules: one whose edge on {d0=0} halves every thirty days, and one without."""
    settings = dataclasses.replace(
        stack_settings, n_min=20, dimensions=("d0", "d1"), regime_signature=()
    )
    fading = market(1, n=400, edge=lambda day: 4.0 * 2 ** (-day / 30))
    corrected = fact("t0000", 1_728_000_000_000_000, 0.0, {"d0": "1"}, revision=1)
    dull = [
        msgspec.structs.replace(f, module="xm", pattern_key="xm.a.b")
        for f in market(2, n=200, edge=lambda day: 0.0)
    ]
    facts = [*fading, corrected, *dull]

    async def send() -> None:
        await topics.create(settings)
        producer = Producer(settings)
        encode = msgspec.json.Encoder().encode
        await producer.send(
            [
                Outgoing(
                    settings.topic(kinds.FACTS),
                    i % settings.partitions,
                    f"{f.pattern_key}|entry".encode(),
                    encode(f),
                )
                for i, f in enumerate(facts)
            ]
        )
        await producer.stop()

    asyncio.run(send())
    return settings


def test_it_tells_override_by_override(installation: Settings) -> None:
    result = run(installation, "--limit", "3")
    assert result.exit_code == 0, result.output
    assert "by `classic`.\n\nThey differ in" in result.stdout
    assert "; the 3 greatest:" in result.stdout
    assert re.search(r"Changed by half-lives: [1-9]\d* override", result.stdout)
    assert "pm.a.b entry in d0=0" in result.stdout
    assert "Changed by regime weights: 0 overrides." in result.stdout


def test_the_document_says_the_same(installation: Settings) -> None:
    document = diff_json(installation, "--limit", "2")
    assert document["against"] == "classic"
    assert document["overrides"]["classic"] > document["overrides"]["integrated"] > 0
    assert document["differences"]["total"] > len(document["differences"]["shown"]) == 2
    first = document["differences"]["shown"][0]
    assert set(first) == {"ours", "theirs", "reason"}
    assert (first["ours"] or first["theirs"])["pattern_key"].endswith(".a.b")
    assert document["learners"]["half-life"]["changed"] >= 1
    assert document["learners"]["half-life"]["greatest"] > 0.1


@pytest.mark.parametrize("against", [name.replace(" ", "-") for name in AGAINST])
def test_each_other_side(against: str, installation: Settings) -> None:
    document = diff_json(installation, "--against", against)
    assert document["against"].replace(" ", "-") == against
    text = run(installation, "--against", against).stdout
    assert f"{document['overrides']['integrated']:,} overrides by `integrated`" in text
    assert f"They differ in {document['differences']['total']:,} contexts" in text


def test_a_category_of_which_there_is_nothing(installation: Settings) -> None:
    assert diff_json(installation, "--category", "exit")["differences"] == {"total": 0, "shown": []}
    assert (
        "0 overrides of category exit by `integrated`, 0 by `classic`."
        in run(installation, "--category", "exit").stdout
    )


def test_an_empty_log(stack_settings: Settings) -> None:
    asyncio.run(topics.create(stack_settings))
    result = run(stack_settings)
    assert result.exit_code == 0, result.output
    assert (
        "0 overrides by `integrated`, 0 by `classic`.\n\nThey differ in 0 contexts."
        in result.stdout
    )
    assert diff_json(stack_settings)["differences"]["total"] == 0


def test_what_is_missing_is_said_in_a_sentence(stack_settings: Settings) -> None:
    without = run(stack_settings)
    assert without.exit_code == 3
    assert "faust -A app topics create" in without.stderr
    away = run(dataclasses.replace(stack_settings, broker="127.0.0.1:1"))
    assert away.exit_code == 4
    assert run(stack_settings, "--against", "everything").exit_code == 2


def test_help_has_examples() -> None:
    result = CliRunner().invoke(cli, ["overrides", "diff", "--help"])
    assert result.exit_code == 0
    for example in ("--against classic", "--against no-half-life", "--json"):
        assert f"faust -A app overrides diff {example}" in result.output or example in result.output
