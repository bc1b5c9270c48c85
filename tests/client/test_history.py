"""`OverrideHistory` answers as a book would have at any time."""

from __future__ import annotations

import asyncio
import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

import app.commands
from app.commands.base import cli
from app.kafka import topics
from app.kafka.producer import Producer
from app.kafka.records import published, tombstone
from app.settings import Settings
from edgeloop.history import Change, OverrideHistory
from edgeloop.overrides import TOPIC
from edgeloop.resolution import resolve
from tests.client.test_resolve import make

START = datetime(2024, 3, 1, tzinfo=UTC)


def day(n: float) -> datetime:
    return START + timedelta(days=n)


def change(name: str, version: int, at: float, effect: float | None, **fields: object) -> Change:
    record = None if effect is None else make(name, effect=effect, **fields)
    return Change(name, version, day(at).timestamp(), record)


def multipliers(history: OverrideHistory, *days: float) -> list[float]:
    return [round(history.resolve("a.b", "add", {}, day(d)).multiplier, 6) for d in days]


CHANGES = [
    change("o1", 1, 1, 0.2),
    change("o1", 2, 3, 0.4),
    change("o2", 2, 4, 0.1),
    change("o1", 3, 5, None),
    change("o1", 4, 6, 0.3),
]


def test_nothing_of_the_future_is_seen() -> None:
    history = OverrideHistory(CHANGES)
    days = (0, 0.99, 1, 2, 3, 4, 5, 6, 9)
    assert multipliers(history, *days) == [1.0, 1.0, 1.2, 1.2, 1.4, 1.5, 1.1, 1.4, 1.4]
    whole = multipliers(history, *days)
    for n in range(len(CHANGES)):
        cut = CHANGES[n].published_s
        earlier = [d for d in days if day(d).timestamp() < cut]
        part = OverrideHistory([c for c in CHANGES if c.published_s < cut])
        assert multipliers(part, *earlier) == whole[: len(earlier)]


def test_questions_in_any_order_have_the_same_answers() -> None:
    history, days = OverrideHistory(CHANGES), [n / 4 for n in range(40)]
    in_order = dict(zip(days, multipliers(history, *days), strict=True))
    random.Random(1).shuffle(days)
    assert dict(zip(days, multipliers(history, *days), strict=True)) == in_order


def test_it_says_what_the_pure_function_says() -> None:
    rng = random.Random(2)
    changes = [
        change(f"o{rng.randrange(6)}", version, rng.uniform(0, 9), rng.uniform(-0.3, 0.3),
               scope={"chain": rng.choice(["sol", "eth"])})
        for version in range(60)
    ]  # fmt: skip
    history = OverrideHistory(changes)
    for _ in range(100):
        at = day(rng.uniform(0, 10))
        held: dict[str, Change] = {}
        for c in sorted(changes, key=lambda c: c.published_s):
            known = held.get(c.override_id)
            if c.published_s <= at.timestamp() and (known is None or c.version >= known.version):
                held[c.override_id] = c
        expected = resolve(
            [c.record for c in held.values() if c.record], "a.b", "add", {"chain": "sol"}, at
        )
        found = history.resolve("a.b", "add", {"chain": "sol"}, at)
        assert found.multiplier == pytest.approx(expected.multiplier, abs=1e-12)
        assert set(found.ids) == set(expected.ids)


def test_by_as_of_a_change_counts_from_its_newest_trade() -> None:
    late = [change("o1", 1, 300, 0.2, as_of="2024-03-05T00:00:00Z")]
    assert multipliers(OverrideHistory(late), 3, 5, 301) == [1.0, 1.0, 1.2]
    assert multipliers(OverrideHistory(late, by="as_of"), 3, 5, 301) == [1.0, 1.2, 1.2]
    with pytest.raises(ValueError, match="published_at, as_of"):
        OverrideHistory(late, by="guess")


def test_it_never_raises_and_needs_a_time() -> None:
    history = OverrideHistory(CHANGES)
    for found in (
        history.resolve("a.b", "add", {}),
        history.resolve("a.b", "add", {}, datetime(2024, 3, 3)),  # noqa: DTZ001
        history.resolve("a.b", "buy", {}, day(3)),
        history.resolve("", "add", {}, day(3)),
    ):
        assert (found.multiplier, found.reason) == (1.0, "error")
    assert history.resolve("a.b", "add", {}, emergency=True).reason == "emergency"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "2 is not a change"),
        ('{"override_id": "o"}', "2 is not a change"),
        ('{"override_id":"o","version":1,"published_at":"2024-03-01T00:00:00","override":null}',
         "no time zone"),
        ('{"override_id":"o","version":1,"published_at":"2024-03-01T00:00:00Z","override":{}}',
         "required field"),
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_read_is_named(tmp_path: Path, line: str, words: str) -> None:
    file = tmp_path / "changes.jsonl"
    file.write_text(f"\n{line}\n")
    with pytest.raises(ValueError, match=words):
        OverrideHistory.from_file(file)


@pytest.mark.stack
def test_the_topic_the_export_and_lines_say_the_same(
    stack_settings: Settings, tmp_path: Path
) -> None:
    fading = msgspec.structs.replace(
        make("o1", effect=0.4, scope={"chain": "sol"}, regime_gains={"btc_macro=S1": 0.5}),
        decay=msgspec.structs.replace(make("o1").decay, half_life_hours=240.0, interval=(1.0, 2.0)),
        expires_at="2027-03-31T00:00:00Z",
        covers=("a", "b"),
        latent_factor_id="f",
        part="shared",
        version=1,
    )

    async def publish() -> None:
        await topics.create(stack_settings)
        producer = Producer(stack_settings)
        gone = msgspec.structs.replace(fading, override_id="o2", effect=0.2)
        await producer.send([published(stack_settings, TOPIC, o, 1) for o in (fading, gone)])
        await producer.send([tombstone(stack_settings, TOPIC, "pm", "o2", 2)])
        await producer.stop()

    asyncio.run(publish())
    topic = OverrideHistory.from_topic(
        stack_settings.broker, topic_prefix=stack_settings.topic_prefix
    )
    app.commands.load()
    file = tmp_path / "changes.csv"
    exported = CliRunner().invoke(
        cli.commands["export"],
        ["changes", "--out", str(file)],
        env=stack_settings.environment(),
    )
    assert exported.exit_code == 0, exported.output
    table = OverrideHistory.from_file(file)
    assert len(topic) == len(table) == 3
    lines = tmp_path / "changes.jsonl"
    lines.write_text(
        json.dumps(
            {
                "published_at": datetime.now(UTC).isoformat(),
                "override_id": "o1",
                "version": 1,
                "override": msgspec.to_builtins(fading),
            }
        )
    )
    by_lines = OverrideHistory.from_file(lines)
    at = datetime.now(UTC) + timedelta(hours=1)
    for scope in ({"chain": "sol"}, {"chain": "sol", "btc_macro": "S1"}, {"chain": "eth"}):
        answers = [h.resolve("a.b", "add", scope, at) for h in (topic, table, by_lines)]
        assert answers[0] == answers[1] == answers[2]
    assert topic.resolve("a.b", "add", {"chain": "sol"}, at).reason == "matched"
    assert topic.resolve("a.b", "add", {"chain": "sol"}, day(3)).reason == "no_match"
