"""Rows: the newest version wins in any order, a replaced close leaves no rows, retired keys do not
come back."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import Any

import asyncpg
import msgspec
import pytest

from app.settings import Settings
from app.storage.connect import close, connect
from app.storage.migrate import migrate
from app.storage.projection import BadRecord
from app.storage.tables import PROJECTIONS
from schemas import kinds
from schemas.lessons import HISTORY_DAYS, HistoryCell, LessonDecay, Marginal, RegimeCell
from tests.storage.records import (
    METRICS,
    TOPIC_OF,
    baseline,
    fact,
    factor,
    history,
    lesson,
    override,
    record,
    regime_weight,
    summary,
    verdict,
)

pytestmark = pytest.mark.stack


@pytest.fixture
async def database(stack_settings: Settings) -> AsyncIterator[asyncpg.Connection]:
    await migrate(stack_settings.database_url, stack_settings.database_schema)
    connection = await connect(stack_settings.database_url, stack_settings.database_schema)
    yield connection
    await close(connection)


async def put(database: asyncpg.Connection, *values: Any) -> None:
    """Write values, or (topic, ConsumerRecord) pairs, of one topic as one batch."""
    pairs = [v if isinstance(v, tuple) else (TOPIC_OF[type(v)], record(v)) for v in values]
    (topic,) = {topic for topic, _ in pairs}
    decoded = [PROJECTIONS[topic].decode(r) for _, r in pairs]
    batch = [d for d in decoded if d is not None]
    if batch:
        await PROJECTIONS[topic].write(database, batch)


def gone(topic: str, key: str, version: int) -> tuple[str, Any]:
    return topic, record(None, key=key, version=version)


async def rows(database: asyncpg.Connection, sql: str) -> list[tuple]:
    return [tuple(row) for row in await database.fetch(sql)]


# -- facts
# --------------------------------------------------------------------------------------------------

ACTIONS = "SELECT trade_id, pattern_key, action_id, rr FROM pattern_trade_events ORDER BY 1, 2, 3"


async def test_a_fact_is_a_row_per_action(database: asyncpg.Connection):
    """I19: an action's `applied_overrides` reach the table."""
    await put(database, fact())
    assert await rows(database, ACTIONS) == [
        ("t1", "pm.uptrend.S1.entry", "t1/0", 1.5),
        ("t1", "pm.uptrend.S1.entry", "t1/1", 1.5),
    ]
    row = (await database.fetch("SELECT * FROM pattern_trade_events LIMIT 1"))[0]
    assert row["scope"] == '{"chain": "sol"}'
    assert row["applied_overrides"] == ["o1"]
    assert row["action_ts"].isoformat() == "2024-03-01T00:00:00+00:00"
    assert (row["bucket"], row["timeframe"], row["home"]) == ("small", "1h", True)


LADDER = [
    fact(actions=("a", "b", "c"), rr=0.0),
    fact(actions=("a", "d"), rr=1.0, n_actions=3),
    fact(actions=("b",), rr=2.0, n_actions=3, exit_ts="2024-03-03T00:00:00.000000Z"),
    fact(actions=("a",), rr=3.0, n_actions=3, exit_ts="2024-03-03T00:00:00.000000Z", event_id="é"),
    fact(actions=("e", "a"), rr=4.0, revision=1, n_actions=2, event_id="a"),
    fact(actions=("e",), rr=5.0, revision=1, n_actions=2, event_id="a", value_sha256="ff" * 32),
]
"""Closes of one trade, each of a higher rank than the one before: by revision, actions, exit, event
id (code points), hash."""


@pytest.mark.parametrize("seed", range(6))
async def test_of_several_closes_the_highest_rank_counts_whole_in_any_order_and_batching(
    database: asyncpg.Connection, seed: int
):
    shuffled = LADDER * 2
    random.Random(seed).shuffle(shuffled)
    size = 1 + seed
    for start in range(0, len(shuffled), size):
        await put(database, *shuffled[start : start + size])
    assert await rows(database, ACTIONS) == [("t1", "pm.uptrend.S1.entry", "e", 5.0)]


async def test_each_rung_beats_the_one_below(database: asyncpg.Connection):
    for i, (low, high) in enumerate(itertools.pairwise(LADDER)):
        for first, second in ((low, high), (high, low)):
            await database.execute("TRUNCATE pattern_trade_events")
            await put(database, first)
            await put(database, second)
            expected = sorted(
                ("t1", "pm.uptrend.S1.entry", a.action_id, high.rr) for a in high.actions
            )
            assert await rows(database, ACTIONS) == expected, f"rung {i + 1}"


async def test_a_correction_leaves_other_groups_and_trades_alone(database: asyncpg.Connection):
    other_group = fact(actions=("x",), pattern_key="pm.uptrend.S2.entry")
    other_trade = fact("t2", actions=("y",))
    await put(database, fact(), other_group, other_trade)
    await put(database, fact(actions=("t1/1",), revision=1))
    assert [row[:3] for row in await rows(database, ACTIONS)] == [
        ("t1", "pm.uptrend.S1.entry", "t1/1"),
        ("t1", "pm.uptrend.S2.entry", "x"),
        ("t2", "pm.uptrend.S1.entry", "y"),
    ]


# -- keyed topics
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
async def test_an_override_is_its_newest_version_in_any_order(
    database: asyncpg.Connection, seed: int
):
    values = [override(version=v, multiplier=1 + v / 100) for v in range(1, 8)]
    random.Random(seed).shuffle(values)
    for start in range(0, len(values), 1 + seed % 3):
        await put(database, *values[start : start + 1 + seed % 3])
    assert await rows(database, "SELECT override_id, version, multiplier FROM pm_overrides") == [
        ("o1", 7, 1.07)
    ]


async def test_every_field_of_the_override_has_its_column(database: asyncpg.Connection):
    value = override()
    await put(database, value)
    row = dict((await database.fetch("SELECT * FROM pm_overrides"))[0])
    assert set(row) == set(value.__struct_fields__)
    assert row["covers"] == ["l2", "l3"]
    assert row["decay"] == '{"state": "stable", "interval": null, "half_life_hours": null}'
    assert row["as_of"].isoformat() == "2024-03-02T12:00:00+00:00"
    found = await rows(
        database, """SELECT override_id FROM pm_overrides WHERE scope @> '{"chain": "sol"}'"""
    )
    assert found == [("o1",)]


@pytest.mark.parametrize("seed", range(8))
async def test_a_retired_override_goes_and_older_records_do_not_bring_it_back(
    database: asyncpg.Connection, seed: int
):
    log = [
        override(version=1),
        override(version=3),
        gone(kinds.OVERRIDES, "o1", 5),
        override("o2", version=4),
    ]
    random.Random(seed).shuffle(log)
    for start in range(0, len(log), 1 + seed % 4):
        await put(database, *log[start : start + 1 + seed % 4])
    assert await rows(database, "SELECT override_id FROM pm_overrides") == [("o2",)]
    await put(database, override(version=6))
    assert await rows(database, "SELECT override_id, version FROM pm_overrides ORDER BY 1") == [
        ("o1", 6),
        ("o2", 4),
    ]
    await put(database, gone(kinds.OVERRIDES, "o1", 5))
    assert await rows(database, "SELECT count(*) FROM pm_overrides") == [(2,)]


async def test_of_equal_versions_the_later_in_the_log_wins(database: asyncpg.Connection):
    await put(database, override(version=5, multiplier=1.1), override(version=5, multiplier=1.2))
    assert await rows(database, "SELECT multiplier FROM pm_overrides") == [(1.2,)]
    await put(database, override(version=5, multiplier=1.3))
    assert await rows(database, "SELECT multiplier FROM pm_overrides") == [(1.3,)]
    await put(database, gone(kinds.OVERRIDES, "o1", 5))
    assert await rows(database, "SELECT count(*) FROM pm_overrides") == [(0,)]
    await put(database, override(version=5))
    assert await rows(database, "SELECT count(*) FROM pm_overrides") == [(1,)]


async def test_the_history_holds_every_change_once(database: asyncpg.Connection):
    first = (kinds.OVERRIDES, record(override(version=1), timestamp_ms=1_000))
    second = (kinds.OVERRIDES, record(override(version=2, multiplier=2.0), timestamp_ms=2_000))
    end = (kinds.OVERRIDES, record(None, key="o1", version=3, timestamp_ms=3_000))
    for _ in range(2):  # and a redelivery adds nothing
        await put(database, first, second)
        await put(database, end)
    history = """SELECT version, retired, (record->>'multiplier')::float,
            extract(epoch FROM published_at)::int
        FROM pm_overrides_history ORDER BY 1"""
    assert await rows(database, history) == [
        (1, False, 1.44, 1),
        (2, False, 2.0, 2),
        (3, True, None, 3),
    ]


LESSON_ROW = (
    "SELECT lesson_id, n, mean, decision, edge_raw, lesson_version, verdict_version, version FROM"
    " learning_lessons"
)


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
async def test_lesson_and_verdict_meet_in_one_row_in_any_order(
    database: asyncpg.Connection, order: tuple[int, ...]
):
    values = [
        lesson(version=3, mean=0.5),
        lesson(version=8),
        verdict(version=20, decision="neutral"),
        verdict(version=40),
    ]
    for i in order:
        await put(database, values[i])
    assert await rows(database, LESSON_ROW) == [("l1", 40, 0.95, "override", 0.44, 8, 40, 40)]


async def test_a_retired_half_leaves_the_other_and_the_row_goes_with_both(
    database: asyncpg.Connection,
):
    await put(database, lesson(version=3))
    await put(database, verdict(version=20))
    await put(database, gone(kinds.LESSONS, "l1", 9))
    assert await rows(database, LESSON_ROW) == [("l1", None, None, "override", 0.44, None, 20, 20)]
    await put(database, lesson(version=8))
    assert (await rows(database, LESSON_ROW))[0][1] is None, "an older lesson came back"
    await put(database, gone(kinds.VERDICTS, "l1", 21))
    assert await rows(database, LESSON_ROW) == []
    await put(database, verdict(version=20))
    assert await rows(database, LESSON_ROW) == []
    await put(database, lesson(version=10))
    assert await rows(database, LESSON_ROW) == [("l1", 40, 0.95, None, None, 10, None, 10)]


async def test_group_summaries_have_no_row(database: asyncpg.Connection):
    await put(database, summary())
    await put(database, summary(), lesson())
    assert await rows(database, "SELECT lesson_id FROM learning_lessons") == [("l1",)]


async def test_baselines(database: asyncpg.Connection):
    await put(
        database,
        baseline(version=2, mean=0.3),
        baseline(version=1, mean=0.2),
        baseline("b2", bucket="small"),
    )
    assert await rows(
        database, "SELECT baseline_id, bucket, mean, version FROM learning_baselines ORDER BY 1"
    ) == [
        ("b1", None, 0.3, 2),
        ("b2", "small", 0.1, 1),
    ]


MARGINAL = Marginal(
    step=2,
    statistic=5.5,
    conditional=5.25,
    p_value=1e-6,
    hypotheses=900,
    effect=0.5,
    effect_sd=0.125,
    now=0.25,
    now_sd=0.0625,
    noise_sd=0.75,
    reason="",
    aliases=({"chain": "sol", "curator": "alpha"},),
)


async def test_a_lesson_of_the_integrated_learning_keeps_what_was_found_of_it_but_not_its_ids(
    database: asyncpg.Connection,
):
    cell = HistoryCell(19_783, 0.2, (0.5,) * 6, (RegimeCell("", 3, 0.1),))
    decay = LessonDecay("decaying", half_life_hours=72.0, interval=(48.0, 120.0))
    await put(
        database,
        lesson(
            learning="integrated",
            marginal=MARGINAL,
            metrics=METRICS,
            history=(cell,),
            sketch="AbCdEfGh",
            decay=decay,
        ),
    )
    await put(database, lesson("l2"))
    halves = await rows(
        database,
        "SELECT decay_state, decay_halflife_hours, stats FROM learning_lessons ORDER BY lesson_id",
    )
    assert halves[0][:2] == ("decaying", 72.0)
    stats, classic = (json.loads(half[2]) for half in halves)
    assert stats.keys() == {"decay", "marginal", "metrics", "sketch_length"}
    assert stats["decay"]["interval"] == [48.0, 120.0]
    assert stats["marginal"]["aliases"] == [{"chain": "sol", "curator": "alpha"}]
    assert {name: stats["marginal"][name] for name in ("step", "p_value", "hypotheses", "now")} == {
        "step": 2, "p_value": 1e-6, "hypotheses": 900, "now": 0.25,
    }  # fmt: skip
    assert stats["metrics"] == {name: getattr(METRICS, name) for name in METRICS.__struct_fields__}
    assert stats["sketch_length"] == 8
    assert classic.keys() == {"decay"}


async def test_a_verdict_tells_the_edge_before_and_after_it_was_shrunk(
    database: asyncpg.Connection,
):
    await put(
        database,
        verdict("l1", edge=0.2),
        verdict("l2", edge=0.2, edge_raw=0.3, effect_sd=0.05, latent_factor_id="f1"),
        verdict("l3", edge=0.2, edge_raw=0.0),
    )
    assert await rows(
        database,
        "SELECT effect, edge_raw, effect_sd, latent_factor_id FROM learning_lessons ORDER BY"
        " lesson_id",
    ) == [
        (0.2, 0.2, None, None),
        (0.2, 0.3, 0.05, "f1"),
        (0.2, 0.0, None, None),
    ]


NEW_TABLES = {
    "learning_regime_weights": (regime_weight, kinds.REGIME_WEIGHTS, "r1", "p_value"),
    "learning_latent_factors": (factor, kinds.FACTORS, "f1", "cohesion"),
    "learning_edge_history": (history, kinds.HISTORY, "l1|2024-03-02", "uplift"),
}
"""How to create a record, its topic, its default key, and one of its numbers."""


@pytest.mark.parametrize("table", NEW_TABLES)
async def test_every_field_of_weights_factors_and_history_has_its_column(
    database: asyncpg.Connection, table: str
):
    make, *_ = NEW_TABLES[table]
    value = make()
    await put(database, value)
    row = dict((await database.fetch(f"SELECT * FROM {table}"))[0])
    assert set(row) == set(value.__struct_fields__)
    for name, cell in row.items():
        given = getattr(value, name)
        if name == "as_of":
            assert cell.isoformat() == "2024-03-02T12:00:00+00:00"
        elif name == "day":
            assert cell.isoformat() == given
        elif name in ("weights", "sds", "centres", "metrics", "regimes"):
            assert json.loads(cell) == msgspec.to_builtins(given)
        else:
            assert cell == (list(given) if isinstance(given, tuple) else given), name


@pytest.mark.parametrize("table", NEW_TABLES)
@pytest.mark.parametrize("seed", range(6))
async def test_weights_factors_and_history_are_the_newest_version_in_any_order(
    database: asyncpg.Connection, table: str, seed: int
):
    make, _, _, number = NEW_TABLES[table]
    values = [make(version=v, **{number: v / 8}) for v in range(1, 8)] * 2  # redelivered, too
    random.Random(seed).shuffle(values)
    for start in range(0, len(values), 1 + seed % 3):
        await put(database, *values[start : start + 1 + seed % 3])
    assert await rows(database, f"SELECT version, {number} FROM {table}") == [(7, 7 / 8)]
    await put(database, make(version=6, **{number: 0.0}))
    assert await rows(database, f"SELECT version, {number} FROM {table}") == [(7, 7 / 8)], (
        "a late older version"
    )


@pytest.mark.parametrize("table", NEW_TABLES)
@pytest.mark.parametrize("seed", range(8))
async def test_retired_weights_factors_and_days_do_not_come_back(
    database: asyncpg.Connection, table: str, seed: int
):
    make, topic, key, _ = NEW_TABLES[table]
    log = [make(version=1), make(version=3), gone(topic, key, 5), make("other", version=4)]
    random.Random(seed).shuffle(log)
    for start in range(0, len(log), 1 + seed % 4):
        await put(database, *log[start : start + 1 + seed % 4])
    assert await rows(database, f"SELECT version FROM {table}") == [(4,)]
    await put(database, make(version=3))
    assert await rows(database, f"SELECT version FROM {table}") == [(4,)], (
        "an older record came back"
    )
    await put(database, make(version=6))
    await put(database, gone(topic, key, 5))
    assert await rows(database, f"SELECT version FROM {table} ORDER BY version") == [(4,), (6,)]


async def test_each_day_of_a_lesson_has_its_own_row_and_version(database: asyncpg.Connection):
    await put(database, history(version=3), history(day="2024-03-03"), history("l2", uplift=-1.0))
    await put(database, history(version=2, uplift=9.0), gone(kinds.HISTORY, "l1|2024-03-03", 2))
    assert await rows(
        database,
        "SELECT lesson_id, day::text, uplift, version FROM learning_edge_history ORDER BY 1, 2",
    ) == [
        ("l1", "2024-03-02", 0.5, 3),
        ("l2", "2024-03-02", -1.0, 1),
    ]


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
async def test_the_history_reaches_back_from_its_newest_day(
    database: asyncpg.Connection, order: tuple[int, ...]
):
    newest = date(2024, 3, 2)
    days = [
        newest,
        newest - timedelta(days=HISTORY_DAYS),
        newest - timedelta(days=HISTORY_DAYS + 1),
        newest - timedelta(days=9_000),
    ]
    for i in order:
        await put(database, history(f"l{i}", days[i].isoformat()))
    assert await rows(database, "SELECT lesson_id FROM learning_edge_history ORDER BY 1") == [
        ("l0",),
        ("l1",),
    ]
    comment = await database.fetchval("SELECT obj_description('learning_edge_history'::regclass)")
    assert f"{HISTORY_DAYS} days" in comment


async def test_two_connections_do_not_interleave(
    database: asyncpg.Connection, stack_settings: Settings
):
    import asyncio

    other = await connect(stack_settings.database_url, stack_settings.database_schema)
    try:
        for round_ in range(20):
            low = [fact(f"r{round_}t{i}", actions=("a", "b"), rr=0.0) for i in range(50)]
            high = [
                fact(f"r{round_}t{i}", actions=("c",), rr=1.0, revision=1)
                for i in reversed(range(50))
            ]
            await asyncio.gather(put(database, *low), put(other, *high))
        assert await rows(database, "SELECT DISTINCT action_id, rr FROM pattern_trade_events") == [
            ("c", 1.0)
        ]
    finally:
        await close(other)


@pytest.mark.parametrize(
    ("topic", "bad"),
    [
        (kinds.FACTS, record(None, key="k", version=1)),
        (kinds.FACTS, record(b"{}", key="k", version=1)),
        (kinds.FACTS, record(fact(exit_ts="yesterday"))),
        (kinds.OVERRIDES, record(b"\xff", key="o1", version=1)),
        (kinds.OVERRIDES, record(override(), version=-1)),
        (kinds.OVERRIDES, record(override(), key="o2")),
        (kinds.OVERRIDES, record(override(as_of="2024-13-01T00:00:00Z"))),
        (kinds.LESSONS, record(b'{"kind":"lesson"}', key="l1", version=1)),
        (kinds.REGIME_WEIGHTS, record(regime_weight(), key="r2")),
        (kinds.FACTORS, record(factor(as_of="now"))),
        (kinds.HISTORY, record(history(), key="l1")),
        (kinds.HISTORY, record(history(), key="l1|2024-03-03")),
        (kinds.HISTORY, record(history(day="2024-02-30"))),
        (kinds.HISTORY, record(history(day="20240302"))),
        (kinds.HISTORY, record(None, key="l1|today", version=1)),
        (kinds.HISTORY, record(None, key="l1", version=1)),
    ],
)
def test_a_bad_record_is_named_as_such(topic: str, bad: Any):
    with pytest.raises(BadRecord):
        PROJECTIONS[topic].decode(bad)


def test_every_derived_topic_is_projected():
    assert set(PROJECTIONS) == set(kinds.DERIVED)
