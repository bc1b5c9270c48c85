"""Records that another program wrote to our topics, with a valid version: commands show what they
can read, and report what they have skipped."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import app.commands
from app.commands.base import cli
from app.devstack import StackInfo
from app.kafka import topics
from app.kafka.producer import Producer
from app.kafka.records import Outgoing, derived_headers, published
from app.kafka.skipped import SHOWN
from app.settings import Settings
from schemas import kinds
from tests.audit.making import market
from tests.child import faust
from tests.stages.test_hostile_values import JUNK
from tests.storage import records

app.commands.load()
pytestmark = [pytest.mark.stack, pytest.mark.slow]

TRADES = 400
SKIPPED = len(JUNK) + 1
"""Number of unreadable records in each topic."""
GOOD: dict[str, list[Any]] = {
    kinds.FACTS: market(1, n=TRADES),
    kinds.LESSONS: [records.lesson("l1")],
    kinds.VERDICTS: [records.verdict("l1")],
    kinds.OVERRIDES: [records.override("o1")],
    kinds.BASELINES: [records.baseline("b1")],
    kinds.REGIME_WEIGHTS: [records.regime_weight("r1")],
    kinds.FACTORS: [records.factor("f1", members=("l1",))],
    kinds.HISTORY: [records.history("l1")],
}


def send(settings: Settings, sent: list[Outgoing]) -> None:
    async def go() -> None:
        producer = Producer(settings)
        await producer.send(sent)
        await producer.stop()

    asyncio.run(go())


def junk(settings: Settings, topic: str) -> list[Outgoing]:
    """Write junk under keys of its own, and once under the key of a good record, with a higher
    version."""
    made = [
        Outgoing(settings.topic(topic), 1, name.encode(), value, derived_headers(3))
        for name, value in JUNK.items()
    ]
    key = published(settings, topic, GOOD[topic][0], 1).key
    return [*made, Outgoing(settings.topic(topic), 1, key, b"{", derived_headers(3))]


@pytest.fixture(scope="module")
def settings(stack: StackInfo) -> Settings:
    """One good record of each kind, many facts, and junk in every topic."""
    made = Settings(
        broker=stack.broker,
        database_url=stack.database_url,
        database_schema="unreadable",
        topic_prefix="unreadable.",
        consumer_group="unreadable",
        partitions=2,
        n_min=20,
        dimensions=("d0", "d1"),
        regime_signature=(),
    )
    asyncio.run(topics.create(made))
    good = [published(made, topic, record, 1) for topic in GOOD for record in GOOD[topic]]
    send(made, [*good, *(record for topic in GOOD for record in junk(made, topic))])
    return made


def run(settings: Settings, *words: str) -> Result:
    result = CliRunner().invoke(cli, list(words), env=settings.environment())
    assert result.exit_code == 0, (result.output, result.exception)
    return result


def warnings(result: Result) -> list[str]:
    return [line for line in result.stderr.splitlines() if line.startswith("Warning: ")]


def check_warnings(result: Result, topic: str, count: int = SKIPPED) -> None:
    """The first are named, the others counted."""
    lines = warnings(result)
    assert len(lines) == SHOWN + 1
    assert f"Warning: Skipped unreadable.{topic}/1/" in lines[0]
    assert lines[-1] == (
        f"Warning: Skipped {count - SHOWN} more record{'s' * (count - SHOWN > 1)} that cannot be"
        " read."
    )


def check_document(document: dict[str, Any], topic: str, count: int = SKIPPED) -> None:
    assert document["unreadable"]["count"] == count
    first = document["unreadable"]["first"]
    assert len(first) == SHOWN
    assert {(r["topic"], r["partition"]) for r in first} == {(f"unreadable.{topic}", 1)}
    assert all(r["reason"] for r in first)
    assert len({r["offset"] for r in first}) == SHOWN


@pytest.mark.parametrize("words", [(), ("--as-of", "2100-01-01T00:00:00Z")], ids=["now", "as of"])
def test_overrides_are_listed(settings: Settings, words: tuple[str, ...]) -> None:
    shown = run(settings, "overrides", "list", *words)
    assert "1 of 1 overrides" in shown.stdout
    check_warnings(shown, kinds.OVERRIDES)
    document = json.loads(run(settings, "overrides", "list", *words, "--json").stdout)
    assert [o["override_id"] for o in document["overrides"]] == ["o1"]
    check_document(document, kinds.OVERRIDES)


def test_one_override_is_shown_and_resolved(settings: Settings) -> None:
    check_warnings(run(settings, "overrides", "show", "o1"), kinds.OVERRIDES)
    context = ("--pattern", "uptrend.S1.entry", "--category", "add")
    scope = ("--scope", "chain=sol,btc_macro=S1")
    document = json.loads(run(settings, "resolve", *context, *scope, "--json").stdout)
    assert [m["override_id"] for m in document["matches"]] == ["o1"]
    check_document(document, kinds.OVERRIDES)


def test_lessons_are_listed(settings: Settings) -> None:
    shown = run(settings, "lessons", "list")
    assert "1 of 1 lessons" in shown.stdout
    check_warnings(shown, kinds.LESSONS, 2 * SKIPPED)  # the verdicts' too
    document = json.loads(run(settings, "lessons", "list", "--json").stdout)
    assert [pair["verdict"]["lesson_id"] for pair in document["lessons"]] == ["l1"]
    check_document(document, kinds.LESSONS, 2 * SKIPPED)


@pytest.mark.parametrize(
    ("table", "topic", "rows"),
    [
        ("lessons", kinds.LESSONS, 1),
        ("overrides", kinds.OVERRIDES, 1),
        ("changes", kinds.OVERRIDES, 1),
        ("history", kinds.HISTORY, 1),
        ("weights", kinds.REGIME_WEIGHTS, 1),
        ("factors", kinds.FACTORS, 1),
        ("baselines", kinds.BASELINES, 1),
        ("trades", kinds.FACTS, TRADES),
    ],
)
def test_an_export_says_that_it_is_incomplete(
    settings: Settings, tmp_path: Path, table: str, topic: str, rows: int
) -> None:
    out = tmp_path / f"{table}.csv"
    shown = run(settings, "export", table, "--out", str(out))
    with out.open(newline="") as file:
        assert len(list(csv.DictReader(file))) == rows
    read = 2 if table in ("lessons", "factors") else 1  # topics
    check_warnings(shown, topic, read * SKIPPED)
    assert "; incomplete, see the warnings" in shown.stderr
    words = ("export", table, "--out", str(out), "--force", "--json")
    document = json.loads(run(settings, *words).stdout)
    assert document["rows"] == rows
    check_document(document, topic, read * SKIPPED)


def test_the_audit_says_that_it_is_incomplete(settings: Settings, tmp_path: Path) -> None:
    page = tmp_path / "audit.html"
    words = ("audit", "--cuts", "2", "--placebos", "0", "--jobs", "1")
    shown = run(settings, *words, "--html", str(page))
    check_warnings(shown, kinds.FACTS)
    said = f"Records that cannot be read were skipped: {SKIPPED}"
    assert said in shown.stdout
    assert said in page.read_text()
    data = json.loads(run(settings, *words, "--json").stdout)["data"]
    assert (data["trades"], data["unreadable"]) == (TRADES, SKIPPED)
    assert f"unreadable.{kinds.FACTS}/1/" in data["first_unreadable"]


def test_learners_are_compared(settings: Settings) -> None:
    document = json.loads(run(settings, "overrides", "diff", "--json").stdout)
    assert document["overrides"]["integrated"] > 0
    check_document(document, kinds.FACTS)


def test_an_override_and_a_context_are_explained_with_a_note(settings: Settings) -> None:
    context = ("--pattern", "uptrend.S1.entry", "--category", "add", "--scope", "chain=sol")
    for words in (("overrides", "explain", "o1"), ("explain", *context)):
        notes = json.loads(run(settings, *words, "--json").stdout)["notes"]
        assert any(f"the first is unreadable.{kinds.OVERRIDES}/1/" in note for note in notes)


def test_a_shadow_is_compared_and_promoted(settings: Settings, tmp_path: Path) -> None:
    run(settings, "replay", "run", "whole", "--all", "--jobs", "1", "--work-dir", str(tmp_path))
    shown = run(settings, "replay", "diff", "whole")
    count = (len(GOOD) - 2) * SKIPPED  # no facts, no edge history
    check_warnings(shown, kinds.LESSONS, count)
    assert "Published records that cannot be read were not compared." in shown.stdout
    document = json.loads(run(settings, "replay", "diff", "whole", "--json").stdout)
    assert document["topics"][kinds.OVERRIDES]["only_live"] == 1
    check_document(document, kinds.LESSONS, count)
    words = ("replay", "promote", "whole", "--dry-run", "--json")
    plan = json.loads(run(settings, *words).stdout)
    assert plan["topics"][kinds.OVERRIDES]["retire"] == 1  # not the junk, which has no module
    check_document(plan, kinds.LESSONS, count)


@pytest.fixture
def watching(stack_settings: Settings) -> Iterator[subprocess.Popen[str]]:
    asyncio.run(topics.create(stack_settings))
    process = subprocess.Popen(
        faust("overrides", "watch", "--count", "1", "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **stack_settings.environment()},
    )
    yield process
    process.kill()
    process.wait()


def test_watching_goes_on(stack_settings: Settings, watching: subprocess.Popen[str]) -> None:
    changed = published(stack_settings, kinds.OVERRIDES, records.override("o2"), 4)
    for _ in range(300):
        send(stack_settings, [*junk(stack_settings, kinds.OVERRIDES), changed])
        try:
            out, err = watching.communicate(timeout=0.2)
        except subprocess.TimeoutExpired:
            continue
        assert json.loads(out)["override_id"] == "o2"
        assert watching.returncode == 0
        assert f"Warning: Skipped {stack_settings.topic(kinds.OVERRIDES)}/1/" in err
        return
    pytest.fail("It shows no change within a minute.")
