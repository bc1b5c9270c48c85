"""Compares the records and rows of an installation with the reference computation, and with another
installation.

May touch: reads topics and tables.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from schemas import kinds
from tests.pipeline.installation import POLL_S, Installation
from tests.pipeline.reference import EPOCH, World, microseconds

RELATIVE = 1e-9
HEALED_S = 20.0
VERSIONS = frozenset({"version", "lesson_version"})


def close_to(actual: float, expected: float, scale: float = 1.0) -> bool:
    """Whether numbers are equal to 1e-9, relative to the value or to the `scale` of its inputs."""
    return math.isclose(actual, expected, rel_tol=RELATIVE, abs_tol=RELATIVE * scale)


def check(installation: Installation, world: World) -> None:
    """Check that every derived topic and table has the reference's content for these trades, and
    nothing else."""
    lessons, verdicts = check_topics(installation, world)
    check_tables(installation, world, lessons, verdicts)


def check_until_right(installation: Installation, world: World) -> None:
    """As `check`, allowing for the time in which an owner republishes overwritten records."""
    until_right(installation, lambda: check(installation, world))


def until_right(installation: Installation, check: Callable[[], None]) -> None:
    """Check repeatedly, for as long as an owner may take to notice that the published records are
    wrong."""
    give_up = time.monotonic() + HEALED_S
    while True:
        try:
            check()
            return
        except (AssertionError, ValueError):  # a published value may not be JSON
            if time.monotonic() > give_up:
                raise
        time.sleep(POLL_S)
        installation.until_idle()


def check_topics(installation: Installation, world: World) -> tuple[dict[str, Any], dict[str, Any]]:
    published = installation.current(kinds.LESSONS)
    lessons = {key: record for key, record in published.items() if record["kind"] == "lesson"}
    summaries = {key: record for key, record in published.items() if record["kind"] == "group"}
    _same_keys(lessons, world.lessons)
    for key, expected in world.lessons.items():
        _check_lesson(lessons[key], expected)
    _same_keys(summaries, world.summaries)
    for key, expected in world.summaries.items():
        _check_summary(summaries[key], expected)
    baselines = installation.current(kinds.BASELINES)
    _same_keys(baselines, world.baselines)
    for key, expected in world.baselines.items():
        record = baselines[key]
        assert (record["module"], record["n"]) == (expected["module"], expected["n"])
        assert close_to(record["mean"], expected["mean"]), (record, expected)
        assert close_to(record["variance"], expected["variance"]), (record, expected)
    verdicts = installation.current(kinds.VERDICTS)
    _same_keys(verdicts, world.lessons)
    for key, expected in world.lessons.items():
        _check_verdict(verdicts[key], expected)
    overrides = installation.current(kinds.OVERRIDES)
    held = {
        key: expected
        for key, expected in world.lessons.items()
        if expected["decision"] == "override"
    }
    _same_keys(overrides, held)
    for key, expected in held.items():
        _check_override(overrides[key], expected)
    return lessons, verdicts


def _same_keys(actual: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    missing, extra = expected.keys() - actual.keys(), actual.keys() - expected.keys()
    shown = (
        [expected[key] for key in sorted(missing)[:3]],
        [actual[key] for key in sorted(extra)[:3]],
    )
    assert (len(missing), len(extra)) == (
        0,
        0,
    ), f"missing and too many, of {len(expected)}: {shown}"


def _same(actual: Mapping[str, Any], expected: Mapping[str, Any], *names: str) -> None:
    assert {name: actual[name] for name in names} == {name: expected[name] for name in names}, (
        actual,
        expected,
    )


def _check_lesson(record: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    _same(record, expected, "module", "pattern_key", "action_category", "scope", "n")
    assert close_to(record["mean"], expected["mean"]), (record, expected)
    assert close_to(record["variance"], expected["variance"]), (record, expected)
    assert record["decay"]["state"] == expected["decay_state"], (record, expected)
    assert close_to(record["decay"]["multiplier"], expected["decay_multiplier"]), (record, expected)
    evidence = record["evidence"]
    assert (microseconds(evidence["from"]), microseconds(evidence["to"])) == (
        expected["from_us"],
        expected["to_us"],
    ), (record, expected)
    assert microseconds(record["as_of"]) == expected["to_us"]


def _check_summary(record: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    _same(record, expected, "n", "n_slices")
    segments = {
        (s["bucket"], s["timeframe"]): (s["n"], s["sum"], s["sum_sq"])
        for s in record["segments"]
        if s["n"]
    }
    assert segments.keys() == expected["segments"].keys()
    for key, (n, total, squares) in expected["segments"].items():
        assert segments[key][0] == n
        assert close_to(segments[key][1], total, squares), (record, expected)
        assert close_to(segments[key][2], squares), (record, expected)


def _check_verdict(record: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    _same(record, expected, "module", "pattern_key", "action_category", "scope", "n", "decision")
    for name in ("edge", "baseline", "confidence"):
        assert close_to(record[name], expected[name]), (name, record, expected)
    assert record["multiplier"] == (
        expected["multiplier"] if expected["decision"] == "override" else 1.0
    ), (record, expected)
    assert (record["override_id"] is not None) == (expected["decision"] == "override")
    assert record["reason"]


def _check_override(record: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    _same(record, expected, "module", "pattern_key", "action_category", "scope", "multiplier")
    assert record["n_trades"] == expected["n"]
    assert close_to(record["effect"], expected["edge"]), (record, expected)
    assert close_to(record["confidence"], expected["confidence"]), (record, expected)
    assert close_to(record["baseline"], expected["baseline"]), (record, expected)
    assert record["learning"] == "classic"
    assert record["effect_sd"] is None
    assert record["expires_at"] is None
    assert record["decay"] == {
        "state": expected["judged_decay_state"],
        "half_life_hours": None,
        "interval": None,
    }


# -- tables
# --------------------------------------------------------------------------------------------------


def check_tables(
    installation: Installation,
    world: World,
    lessons: Mapping[str, Any],
    verdicts: Mapping[str, Any],
) -> None:
    _check_facts(installation, world)
    rows = {row["lesson_id"]: row for row in installation.query("SELECT * FROM learning_lessons")}
    _same_keys(rows, world.lessons)
    for key, row in rows.items():
        lesson, verdict = lessons[key], verdicts[key]
        _same(
            row,
            lesson,
            "module",
            "pattern_key",
            "action_category",
            "scope",
            "n",
            "mean",
            "variance",
        )
        _same(row, verdict, "baseline", "decision", "override_id", "latent_factor_id", "reason")
        assert row["edge_raw"] == verdict["edge"]
        assert (row["decay_state"], row["decay_halflife_hours"]) == (lesson["decay"]["state"], None)
        assert row["as_of"] == EPOCH + timedelta(microseconds=microseconds(lesson["as_of"]))
        assert row["version"] == max(lesson["version"], verdict["version"])
    baselines = {
        row["baseline_id"]: row for row in installation.query("SELECT * FROM learning_baselines")
    }
    _same_keys(baselines, world.baselines)
    for key, expected in world.baselines.items():
        assert baselines[key]["n"] == expected["n"]
        assert close_to(baselines[key]["mean"], expected["mean"])
    overrides = {
        row["override_id"]: row for row in installation.query("SELECT * FROM pm_overrides")
    }
    published = installation.current(kinds.OVERRIDES)
    _same_keys(overrides, published)
    for key, row in overrides.items():
        _same(
            row,
            published[key],
            "learning",
            "module",
            "pattern_key",
            "action_category",
            "scope",
            "version",
            "schema_version",
        )
        _same(
            row,
            published[key],
            "effect",
            "multiplier",
            "confidence",
            "n_trades",
            "baseline",
            "decay",
            "regime_gains",
            "evidence",
        )


def _check_facts(installation: Installation, world: World) -> None:
    """One row per action of the close that counts."""
    key_names = ("module", "trade_id", "action_id", "pattern_key", "action_category")
    rows = {
        tuple(row[name] for name in key_names): row
        for row in installation.query("SELECT * FROM pattern_trade_events")
    }
    expected = {
        (t.module, t.trade_id, a.action_id, a.pattern_key, a.category): (t, a)
        for t in world.trades.values()
        for a in t.actions
    }
    missing, extra = expected.keys() - rows.keys(), rows.keys() - expected.keys()
    assert (len(missing), len(extra)) == (
        0,
        0,
    ), f"missing {sorted(missing)[:3]}, too many {sorted(extra)[:3]}"
    for key, (trade, action) in expected.items():
        row = rows[key]
        assert (row["scope"], row["rr"], row["roi"], row["pnl_usd"]) == (
            action.scope,
            trade.rr,
            trade.roi,
            trade.pnl_usd,
        ), (row, trade)
        assert row["exit_ts"] == EPOCH + timedelta(microseconds=trade.exit_us)
        assert row["action_ts"] == EPOCH + timedelta(microseconds=action.ts_us)
        assert row["home"] == ((trade.module, action.pattern_key, action.category) == trade.home), (
            row,
            trade,
        )


# -- two installations
# --------------------------------------------------------------------------------------------------


def content(installation: Installation) -> dict[str, dict[str, Any]]:
    """All published records without versions, which a second run over the same trades must
    reproduce to the last bit."""
    compacted = (kinds.LESSONS, kinds.VERDICTS, kinds.OVERRIDES, kinds.BASELINES)
    return {
        name: {key: bare(record) for key, record in installation.current(name).items()}
        for name in compacted
    }


def bare(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record without versions."""
    return {
        name: bare(value) if isinstance(value, dict) else value
        for name, value in record.items()
        if name not in VERSIONS
    }
