"""The core's results for closes in this process, without Kafka, and whether an installation has
published and projected exactly these.

May touch: reads topics and tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime
from typing import Any

import msgspec

from app.closes import explode
from app.learning.common.event_time import DAY_US, micros_from_text
from app.learning.common.trade import Trade, trade_from_fact
from app.learning.engine import Engine
from app.learning.integrated.effect_history import day_text, history_records
from app.settings import Settings
from schemas import kinds
from tests.pipeline.compare import bare
from tests.pipeline.installation import Installation
from tests.pipeline.trades import Close

Records = dict[str, dict[str, Any]]

KINDS: dict[str, tuple[Callable[[Engine], Iterable[Any]], str]] = {
    kinds.LESSONS: (lambda engine: [*engine.lessons(), *engine.summaries()], "lesson_id"),
    kinds.VERDICTS: (Engine.verdicts, "lesson_id"),
    kinds.OVERRIDES: (Engine.overrides, "override_id"),
    kinds.BASELINES: (Engine.baselines, "baseline_id"),
    kinds.REGIME_WEIGHTS: (Engine.regime_weights, "regime_id"),
    kinds.FACTORS: (Engine.latent_factors, "factor_id"),
}
"""Compacted topics: how to get the records of each from an engine, and the field that is the
key."""


def engines(closes: Iterable[Close], settings: Settings) -> list[Engine]:
    """An engine for each module, which has learned from its trades."""
    groups: dict[str, dict[tuple[str, str], list[Trade]]] = {}
    for close in closes:
        for fact in explode(
            close.value,
            close.timestamp_ms,
            dimensions=settings.dimensions,
            outcome=settings.outcome,
        ):
            trade = trade_from_fact(fact, settings.outcome)
            assert trade is not None
            groups.setdefault(fact.module, {}).setdefault(
                (fact.pattern_key, fact.action_category), []
            ).append(trade)
    made = [Engine(settings.learning_config, module) for module in sorted(groups)]
    for engine in made:
        engine.fold(groups[engine.module])
        engine.learn()
    return made


def check_integrated(installation: Installation, engines: list[Engine]) -> None:
    """Check that every derived topic and table has the engines' content, and nothing else."""
    published = {topic: installation.current(topic) for topic in KINDS}
    for topic, (records_of, key) in KINDS.items():
        expected = {
            getattr(record, key): record for engine in engines for record in records_of(engine)
        }
        _same(
            topic,
            _bare(published[topic]),
            _bare({i: plain(record) for i, record in expected.items()}),
        )
    history = installation.current(kinds.HISTORY)
    _check_history(history, engines)
    _check_tables(installation, published, history)


def plain(record: Any) -> dict[str, Any]:
    """A record after conversion to JSON and back."""
    decoded: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(record))
    return decoded


def _bare(records: Records) -> Records:
    return {key: bare(record) for key, record in records.items()}


def _same(what: str, actual: Records, expected: Records) -> None:
    missing, extra = expected.keys() - actual.keys(), actual.keys() - expected.keys()
    shown = (
        [expected[key] for key in sorted(missing)[:2]],
        [actual[key] for key in sorted(extra)[:2]],
    )
    assert (len(missing), len(extra)) == (
        0,
        0,
    ), f"{what}: missing and too many, of {len(expected)}: {shown}"
    wrong = [key for key in expected if actual[key] != expected[key]]
    differences = (
        {name: (actual[wrong[0]].get(name), value) for name, value in expected[wrong[0]].items()}
        if wrong
        else {}
    )
    differences = {name: pair for name, pair in differences.items() if pair[0] != pair[1]}
    assert not wrong, f"{what}: {len(wrong)} of {len(expected)} differ; {wrong[0]}: {differences}"


def _check_history(published: Records, engines: list[Engine]) -> None:
    """Check every day of lessons with a history; days that windows have moved past, and days of
    lessons that are no longer chosen, may exist, too."""
    lessons = {
        lesson.lesson_id: lesson
        for engine in engines
        for lesson in engine.lessons()
        if lesson.history
    }
    assert lessons
    expected = {
        f"{i}|{day.day}": plain(day)
        for i, lesson in lessons.items()
        for day in history_records(lesson, {})
    }
    oldest = {
        i: day_text(micros_from_text(lesson.evidence.from_ts) // DAY_US)
        for i, lesson in lessons.items()
    }

    def is_of_the_past(key: str) -> bool:
        lesson_id, _, day = key.partition("|")
        return lesson_id not in lessons or day <= oldest[lesson_id]

    kept = {
        key: record
        for key, record in published.items()
        if key in expected or not is_of_the_past(key)
    }
    _same(kinds.HISTORY, _bare(kept), _bare(expected))


# -- tables
# --------------------------------------------------------------------------------------------------

TABLES = {
    kinds.OVERRIDES: ("pm_overrides", "override_id"),
    kinds.BASELINES: ("learning_baselines", "baseline_id"),
    kinds.REGIME_WEIGHTS: ("learning_regime_weights", "regime_id"),
    kinds.FACTORS: ("learning_latent_factors", "factor_id"),
}


def _check_tables(
    installation: Installation, published: Mapping[str, Records], history: Records
) -> None:
    for topic, (table, key) in TABLES.items():
        rows = {row[key]: row for row in installation.query(f"SELECT * FROM {table}")}
        _same(
            table,
            rows,
            {i: dict(_cells(row, published[topic].get(i, {}))) for i, row in rows.items()},
        )
        assert rows.keys() == published[topic].keys(), table
    days = {
        f"{row['lesson_id']}|{row['day']}": row
        for row in installation.query("SELECT * FROM learning_edge_history")
    }
    assert days.keys() == history.keys()
    _same(
        "learning_edge_history", days, {i: dict(_cells(row, history[i])) for i, row in days.items()}
    )
    lessons = {
        i: record for i, record in published[kinds.LESSONS].items() if record["kind"] == "lesson"
    }
    rows = {row["lesson_id"]: row for row in installation.query("SELECT * FROM learning_lessons")}
    assert rows.keys() == lessons.keys()
    for i, row in rows.items():
        lesson, verdict = lessons[i], published[kinds.VERDICTS][i]
        columns = {
            **{
                name: lesson[name]
                for name in (
                    "learning",
                    "module",
                    "pattern_key",
                    "action_category",
                    "scope",
                    "n",
                    "mean",
                    "variance",
                )
            },
            **{
                name: verdict[name]
                for name in (
                    "baseline",
                    "decision",
                    "override_id",
                    "latent_factor_id",
                    "reason",
                    "effect_sd",
                    "edge_raw",
                )
            },
            "effect": verdict["edge"],
            "decay_state": lesson["decay"]["state"],
            "decay_halflife_hours": lesson["decay"]["half_life_hours"],
        }
        assert {name: row[name] for name in columns} == columns
        assert (row["stats"]["marginal"], row["stats"].get("metrics")) == (
            lesson["marginal"],
            lesson["metrics"],
        )


def _cells(row: Mapping[str, Any], record: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The value of `record` for each column of `row`."""
    for name, cell in row.items():
        value = record[name]
        if isinstance(cell, datetime):
            value = datetime.fromisoformat(value)
        elif isinstance(cell, date):
            value = date.fromisoformat(value)
        yield name, value
