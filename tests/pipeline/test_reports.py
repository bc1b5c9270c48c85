"""Reports about a real installation: explanations, overrides in force at a time, files, and dead
letters that are resent.

One worker learns a planted edge; then trades close that name its override; then the same
installation gets other dimensions.
"""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import exp2
from pathlib import Path
from random import Random
from typing import Any

import asyncpg
import click
import orjson
import pyarrow.parquet
import pytest
from click.testing import CliRunner, Result

from app.commands.dlq import list_letters, redrive, show_letter
from app.commands.explain import explain, explain_one
from app.commands.export import export
from app.commands.learned import list_overrides
from app.learning.common.event_time import micros_from_text, text_from_micros
from edgeloop.identity import slice_id
from schemas import kinds
from tests.pipeline.installation import Installation, wait
from tests.pipeline.trades import Close

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(240)]

SETTINGS = {"n_min": 15, "max_dims": 1, "alpha": 0.03}
PATTERN = "pm.edge.S1"
OVERRIDE = slice_id("pm", PATTERN, "entry", {"chain": "sol"})
NARROW = ("chain", "A_mode", "btc_macro")
CHAINS = ("sol", "eth", "base")


def event(
    trade_id: str, acted: datetime, exit_: datetime, rr: float, scope: dict[str, Any], *ids: str
) -> dict[str, Any]:
    """A close with one entry, which names the overrides `ids`."""
    return {
        "event_id": f"e-{trade_id}",
        "schema_version": 1,
        "trade_id": trade_id,
        "trade_summary": {"exit_timestamp": exit_.isoformat(), "rr": rr},
        "actions": [
            {
                "ts": acted.isoformat(),
                "pattern_key": "edge.S1",
                "action_category": "entry",
                "scope": scope,
                "applied_overrides": list(ids),
            }
        ],
    }


def record(value: dict[str, Any] | bytes, key: str) -> Close:
    """Its record, sent now."""
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Close(body, key.encode(), round(datetime.now(UTC).timestamp() * 1000))


@dataclass
class Told:
    """The installation, the times at which it had learned first and again, and the trades that name
    the override."""

    installation: Installation
    learned_at: datetime
    learned_again_at: datetime
    touched: list[dict[str, Any]]

    def run(self, command: click.Command, *words: str, **changed: Any) -> Result:
        """Run a command with the installation's settings, except those that are `changed`."""
        environment = replace(self.installation.settings, **changed).environment()
        return CliRunner().invoke(command, list(words), env=environment)

    def json(self, command: click.Command, *words: str, **changed: Any) -> dict[str, Any]:
        """The document that a command prints with `--json`."""
        result = self.run(command, *words, "--json", **changed)
        assert result.exit_code == 0, result.output
        document: dict[str, Any] = json.loads(result.stdout)
        return document


@pytest.fixture(scope="module")
def told(install: Callable[..., Installation]) -> Told:
    """An installation that has learned that {chain=sol} earns 1 more.  Then forty of its trades
    close that earn a quarter, and it learns again."""
    installation, random = install(**SETTINGS), Random(11)
    worker = installation.start_ready()[0]
    begin = datetime.now(UTC) - timedelta(days=55)
    first = [
        event(
            f"t{i}",
            exit_ - timedelta(hours=3),
            exit_,
            random.gauss(1.0 * (i % 3 == 0), 0.5),
            {"chain": CHAINS[i % 3]},
        )
        for i in range(300)
        for exit_ in (begin + timedelta(days=i * 54 / 300),)
    ]
    valid_soon = event(
        "soon-valid",
        begin,
        begin + timedelta(hours=1),
        0.5,
        {"chain": "sol", "market_family": {"no": "text"}},
    )
    never = event("never-valid", begin, begin + timedelta(hours=1), 0.5, {"chain": "sol"})
    never["actions"][0]["action_category"] = "buy"
    huge = event(
        "huge",
        begin,
        begin + timedelta(hours=1),
        0.5,
        {"chain": "sol", "note": "x" * (16 * 1024 * 1024 - 8_000)},
    )
    bad = [
        record(valid_soon, "soon-valid"),
        record(never, "never-valid"),
        record(huge, "huge"),
        record(b"\xff not json", "broken"),
    ]
    installation.produce([*(record(e, e["trade_id"]) for e in first), *bad])
    installation.until_idle()
    learned_at = datetime.now(UTC)
    touched = [
        event(
            f"n{i}",
            learned_at,
            learned_at + timedelta(minutes=30 * (i + 1)),
            random.gauss(0.25, 0.3),
            {"chain": "sol"},
            OVERRIDE,
        )
        for i in range(40)
    ]
    installation.produce([record(e, e["trade_id"]) for e in touched])
    installation.until_idle()
    installation.terminate(worker)
    return Told(installation, learned_at, datetime.now(UTC), touched)


def test_an_override_is_explained_and_its_effect_adds_up(told: Told) -> None:
    d = told.json(explain_one, OVERRIDE[:10], "--trades", "5")
    assert (d["override_id"], d["in_force"], d["notes"]) == (OVERRIDE, True, [])
    assert (d["evidence"]["n"], d["evidence"]["n_now"]) == (140, 140)
    assert d["override"]["scope"] == {"chain": "sol"}
    assert [t["trade_id"] for t in d["evidence"]["trades"]] == [
        f"n{i}" for i in (39, 38, 37, 36, 35)
    ]
    assert d["search"]["statistic"] > d["search"]["bar"]
    assert len(d["decay"]["days"]) >= 50
    # The trades were sized by overrides published before they began, not by overrides learned from
    # them.
    changes = [
        c
        for c in d["history"]
        if micros_from_text(c["published_at"]) <= told.learned_at.timestamp() * 1e6
    ]
    assert changes
    assert len(d["history"]) > len(changes)
    then = changes[-1]
    assert d["override"]["effect"] < then["effect"]
    (was,) = [
        r
        for r in told.installation.read(kinds.OVERRIDES)
        if r.key.decode() == OVERRIDE and version(r) == then["version"]
    ]
    published = orjson.loads(was.value)
    fade = 1.0
    if half_life := published["decay"]["half_life_hours"]:
        fade = exp2(
            -(told.learned_at.timestamp() * 1e6 - micros_from_text(published["as_of"]))
            / 3.6e9
            / half_life
        )
    a, rr = d["attribution"], [e["trade_summary"]["rr"] for e in told.touched]
    (baseline,) = told.installation.current(kinds.BASELINES).values()
    size = published["effect"] * fade
    assert (a["n"], a["n_actions"], a["n_assumed"]) == (40, 40, 0)
    assert a["mean_outcome"] == pytest.approx(sum(rr) / 40)
    assert a["mean_uplift"] == pytest.approx(sum(rr) / 40 - baseline["mean"], abs=1e-6)
    assert a["promised"] == pytest.approx(size, rel=1e-6)
    assert a["added"] == pytest.approx(size * (sum(rr) - 40 * baseline["mean"]), abs=1e-4)
    assert a["made"] < a["promised"] - 0.3
    text = told.run(explain_one, OVERRIDE).output
    assert "It sized 40 actions of 40 closed trades" in text
    assert f"It predicted {size:+.3f} per trade" in text


def version(record: Any) -> int:
    return int(dict(record.headers)["version"])


def test_without_the_database_it_says_what_may_be_missing(told: Told) -> None:
    for url, said in (
        ("", "EDGELOOP_DATABASE_URL is not set."),
        ("postgresql://u:secret@127.0.0.1:1/x", "is not usable"),
    ):
        d = told.json(explain_one, OVERRIDE, database_url=url)
        (note,) = d["notes"]
        assert said in note
        assert "secret" not in note
        assert "pm_overrides may be missing" in note
        assert d["attribution"]["n"] == 40
    assert told.run(explain_one, "ffff0000").exit_code == 5
    assert told.run(explain_one, OVERRIDE, broker="127.0.0.1:1").exit_code == 4


def test_a_context_is_explained(told: Told, tmp_path: Path) -> None:
    at = told.learned_again_at.isoformat()
    page = tmp_path / "page.html"
    d = told.json(
        explain,
        "--pattern",
        "edge.S1",
        "--category",
        "entry",
        "--scope",
        "chain=sol,chian=x,A_mode=fast",
        "--at",
        at,
        "--html",
        str(page),
    )
    assert OVERRIDE in [m["override_id"] for m in d["matches"] if m["state"] == "matched"]
    assert d["multiplier"] == pytest.approx(
        1 + sum(m["effect"] * m["gain"] * m["fade"] for m in d["matches"])
    )
    assert "did you mean chain?" in d["ignored"][0]["why"]
    assert (d["n_group"], d["n_context"]) == (340, 0)
    assert OVERRIDE[:12] in page.read_text()
    nothing = told.json(explain, "--pattern", "edge.S2", "--category", "entry")
    assert (nothing["multiplier"], nothing["similar"]) == (1.0, [f"{PATTERN} entry"])
    # For a time in between, with the overrides in force then.
    before = told.json(
        explain,
        "--pattern",
        "edge.S1",
        "--category",
        "entry",
        "--scope",
        "chain=sol",
        "--at",
        told.learned_at.isoformat(),
    )
    assert before["multiplier"] > d["multiplier"] + 0.05


def test_what_was_in_force_at_a_time(told: Told, tmp_path: Path) -> None:
    def at(moment: datetime, **changed: Any) -> dict[str, float]:
        found = told.json(list_overrides, "--as-of", moment.isoformat(), **changed)
        return {o["override_id"]: o["multiplier"] for o in found["overrides"]}

    now, before = at(datetime.now(UTC)), at(told.learned_at)
    assert now == {
        o["override_id"]: o["multiplier"] for o in told.json(list_overrides)["overrides"]
    }
    assert before[OVERRIDE] > now[OVERRIDE] + 0.05
    early = told.learned_at - timedelta(days=1)
    assert at(early) == {}
    # PostgreSQL still has the changes that compaction has removed from the topic.
    remember(told, early - timedelta(days=1), 2.5)
    assert at(early) == {OVERRIDE: 2.5}
    assert at(early, database_url="") == {}
    assert at(told.learned_at) == before
    assert at(datetime.now(UTC) + timedelta(days=60)) == {}  # all have expired by then
    file = tmp_path / "then.csv"
    assert (
        told.run(
            export,
            "overrides",
            "--as-of",
            told.learned_at.isoformat(),
            "--out",
            str(file),
            "--wide",
        ).exit_code
        == 0
    )
    rows = {
        row["override_id"]: row for row in csv.DictReader(file.open(encoding="utf-8", newline=""))
    }
    assert {i: float(row["multiplier"]) for i, row in rows.items()} == before
    assert (rows[OVERRIDE]["scope"], rows[OVERRIDE]["scope.chain"]) == ('{"chain":"sol"}', "sol")
    away = told.run(
        export, "overrides", "--as-of", told.learned_at.isoformat(), "--out", "-", database_url=""
    )
    assert "EDGELOOP_DATABASE_URL is not set." in away.stderr
    assert len(list(csv.DictReader(io.StringIO(away.stdout)))) == len(before)


def remember(told: Told, moment: datetime, multiplier: float) -> None:
    """Insert an old change, as the projector wrote it when it was published."""
    held = told.json(list_overrides)["overrides"]
    (one,) = [o for o in held if o["override_id"] == OVERRIDE]
    old = {
        **one,
        "multiplier": multiplier,
        "version": 1,
        "expires_at": text_from_micros(round(told.learned_at.timestamp() * 1e6)),
    }

    async def insert() -> None:
        settings = told.installation.settings
        connection = await asyncpg.connect(
            settings.database_url, server_settings={"search_path": settings.database_schema}
        )
        try:
            await connection.execute(
                "INSERT INTO pm_overrides_history VALUES ($1, 1, $2, false, $3)",
                OVERRIDE,
                moment,
                orjson.dumps(old).decode(),
            )
        finally:
            await connection.close()

    asyncio.run(insert())


def test_every_table_is_exported(told: Told, tmp_path: Path) -> None:
    def exported(table: str, *words: str) -> list[dict[str, Any]]:
        file = tmp_path / f"{table}{len(words)}.parquet"
        done = told.json(export, table, "--out", str(file), *words)
        rows: list[dict[str, Any]] = pyarrow.parquet.read_table(file).to_pylist()
        assert (done["rows"], done["format"]) == (len(rows), "parquet")
        return rows

    lessons = {row["lesson_id"]: row for row in exported("lessons")}
    published = {
        i: x for i, x in told.installation.current(kinds.LESSONS).items() if x["kind"] == "lesson"
    }
    verdicts = told.installation.current(kinds.VERDICTS)
    assert lessons.keys() == published.keys() == verdicts.keys()
    row, verdict = lessons[OVERRIDE], verdicts[OVERRIDE]
    assert (row["n"], row["edge"], row["reason"], row["decision"]) == (
        140,
        verdict["edge"],
        verdict["reason"],
        "override",
    )
    assert row["statistic"] == published[OVERRIDE]["marginal"]["statistic"]
    assert row["as_of"] == datetime.fromisoformat(published[OVERRIDE]["as_of"])
    trades = exported("trades")
    assert len(trades) == 340
    assert sum(OVERRIDE in json.loads(row["applied_overrides"]) for row in trades) == 40
    assert len(exported("trades", "--category", "exit")) == 0
    assert len(exported("history")) == len(told.installation.current(kinds.HISTORY))
    assert len(exported("baselines", "--module", "pm")) == len(
        told.installation.current(kinds.BASELINES)
    )
    assert len(exported("weights")) == len(told.installation.current(kinds.REGIME_WEIGHTS))
    members = [i for f in told.installation.current(kinds.FACTORS).values() for i in f["members"]]
    assert sorted(row["lesson_id"] for row in exported("factors")) == sorted(members)
    assert {row["override_id"] for row in exported("changes")} >= {
        row["override_id"] for row in exported("overrides")
    }
    described = told.json(export, "lessons", "--describe")
    assert [c["name"] for c in described["columns"]] == list(row)
    file = str(tmp_path / "lessons0.parquet")
    assert told.run(export, "lessons", "--out", file).exit_code == 2
    for words in (
        ("lessons",),
        ("lessons", "--out", "x.txt"),
        ("weights", "--out", "-", "--category", "exit"),
        ("trades", "--out", "-", "--as-of", "2026-01-01T00:00:00Z"),
    ):
        assert told.run(export, *words).exit_code == 2, words


def test_dead_letters_are_listed_and_shown(told: Told) -> None:
    d = told.json(list_letters)
    assert d["total"] == 4
    letters = {x["key"]: x for x in d["letters"]}
    assert {key: (x["reason"], x["path"]) for key, x in letters.items()} == {
        "soon-valid": ("wrong_type", "$.actions[0].scope.market_family"),
        "never-valid": ("unknown_category", "$.actions[0].action_category"),
        "huge": ("too_large", "$"), "broken": ("not_utf8", "$"),
    }  # fmt: skip
    assert {"reason": "wrong_type", "path": "$.actions[*].scope.market_family", "letters": 1} in d[
        "counts"
    ]
    assert told.json(list_letters, "--path", "$.actions[*]*", "--limit", "1")["total"] == 2
    assert told.json(list_letters, "--until", "2020-01-01T00:00:00Z")["total"] == 0
    assert "1 of 1 dead letters" in told.run(list_letters, "--key", "broken").output
    place = letters["soon-valid"]["place"]
    text = told.run(show_letter, place).output
    assert '"market_family": {   ◀── wrong_type' in text
    assert "It would be rejected again: wrong_type" in text
    narrow = told.run(show_letter, place, dimensions=NARROW).output
    assert "It would be accepted now" in narrow
    cut = told.json(show_letter, letters["huge"]["place"])
    assert cut["cut"] is True
    assert cut["bytes"] > 16_000_000
    assert cut["now"]["reason"] == "too_large"
    assert told.run(show_letter, "0:999999").exit_code == 5
    assert told.run(show_letter, "place").exit_code == 2


def test_what_has_become_valid_reaches_the_facts_once(told: Told) -> None:
    nothing = told.json(redrive, "--yes", "--key", "broken")
    assert (nothing["wanted"], nothing["sent"], nothing["refused_now"]) == (1, 0, {"not_utf8": 1})
    nothing = told.json(redrive, "--yes")
    assert (nothing["sent"], nothing["valid_now"]) == (0, 0)
    installation = told.installation
    before = installation.records_in(kinds.CLOSES)
    dry = told.json(redrive, "--dry-run", dimensions=NARROW)
    assert (dry["valid_now"], dry["sent"], len(dry["to_send"])) == (1, 0, 1)
    assert dry["refused_now"] == {"unknown_category": 1, "too_large": 1, "not_utf8": 1}
    assert told.run(redrive, "--json", dimensions=NARROW).exit_code == 2
    assert installation.records_in(kinds.CLOSES) == before
    installation.settings = replace(installation.settings, dimensions=NARROW, agents=("ingest",))
    installation.agree()
    installation.start_ready()
    assert told.json(redrive, "--yes", "--reason", "wrong_type")["sent"] == 1
    wait(
        lambda: facts_of(installation, "soon-valid"),
        30,
        "fact of what was sent again",
        installation.logs,
    )
    again = told.json(redrive, "--yes")
    assert (again["sent"], again["already_redriven"], again["valid_now"]) == (0, 1, 0)
    (sent,) = [
        r
        for r in installation.read(kinds.CLOSES)
        if any(name == "redriven.from" for name, _ in r.headers)
    ]
    (letter,) = [x for x in told.json(list_letters)["letters"] if x["key"] == "soon-valid"]
    assert dict(sent.headers) == {"redriven.from": letter["place"].encode()}
    assert (sent.partition, sent.key) == (letter["source.partition"], b"soon-valid")
    # All others are rejected again, the huge one as a whole, each for the same reason.
    rest = told.run(redrive, "--all", "--yes")
    assert rest.exit_code == 0, rest.output
    assert "sent 3 of 4 dead letters" in rest.output
    wait(
        lambda: installation.records_in(kinds.DEAD_LETTERS) == 7,
        30,
        "dead letters that have come back",
        installation.logs,
    )
    d = told.json(list_letters, "--key", "huge")
    assert len({x["bytes"] for x in d["letters"]}) == 1
    assert [x["reason"] for x in d["letters"]] == ["too_large"] * 2
    last = told.json(redrive, "--all", "--dry-run")
    assert (last["already_redriven"], len(last["to_send"])) == (4, 3)
    (fact,) = facts_of(installation, "soon-valid")
    assert fact["actions"][0]["scope"] == {"chain": "sol"}
    installation.terminate_all()


def facts_of(installation: Installation, trade_id: str) -> list[dict[str, Any]]:
    return [
        fact
        for r in installation.read(kinds.FACTS)
        if (fact := orjson.loads(r.value))["trade_id"] == trade_id
    ]


def test_settings_of_one_installation_are_used(told: Told) -> None:
    """Each command reports a prefix without topics in a sentence."""
    other = {"topic_prefix": "nothing-here."}
    for command, words in (
        (explain_one, (OVERRIDE,)),
        (explain, ("--pattern", "edge.S1", "--category", "entry")),
        (list_letters, ()),
        (redrive, ("--dry-run",)),
        (export, ("lessons", "--out", "-")),
        (export, ("trades", "--out", "-")),
    ):
        result = told.run(command, *words, **other)
        assert result.exit_code == 3, (command.name, result.output)
        assert "faust -A app topics create" in result.stderr
