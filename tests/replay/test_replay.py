"""Replays beside real workers: equal digests from topics, closes and files; interrupted, resumed,
compared, promoted, dropped."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, _ConsumerGroupTopicPartitions

from app.commands.replay import replay
from app.learning.engine import Engine
from app.replay.digest import digest
from app.settings import Settings
from schemas import kinds
from tests.docs.markdown import blocks
from tests.pipeline.in_process import KINDS, engines
from tests.pipeline.installation import FIXED_DATES, ROOT, Installation, wait
from tests.pipeline.planted import Log
from tests.pipeline.trades import START, Close, simple, text_of

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(300)]

SETTINGS = {
    "n_min": 15,
    "max_dims": 2,
    "window_days": 60.0,
    "window_trades": 200,
    "lessons_per_group": 40,
    **FIXED_DATES,
}
DOCUMENT = ROOT / "docs" / "replay.md"
SETTLED_S = 2.0
"""Time without a new offset, some commit intervals, after which an idle worker has committed all of
its own."""


def engine_digest(made: list[Engine]) -> str:
    """The digest of engines in one process."""
    return digest(
        {
            topic: {
                getattr(r, key): msgspec.json.encode(r) for engine in made for r in records(engine)
            }
            for topic, (records, key) in KINDS.items()
        }
    )


def run(settings: Settings, *words: str, code: int = 0) -> Result:
    result = CliRunner().invoke(replay, list(words), env=settings.environment())
    assert result.exit_code == code, result.output + repr(result.exception)
    return result


def document(settings: Settings, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(settings, *words, "--json").stdout)
    return found


def shell(installation: Installation, block: int) -> str:
    """Run a block of the document unchanged; returns its output."""
    return of_process(installation, "bash", "-euc", blocks(DOCUMENT)[block].text)


def of_command(installation: Installation, *words: str) -> str:
    """Run a command in a process of its own, whose memory is that of the command alone; returns its
    output."""
    return of_process(installation, "faust", "-A", "app", *words)


def of_process(installation: Installation, *words: str) -> str:
    result = subprocess.run(
        words,
        cwd=installation.directory,
        env={
            **os.environ, **installation.settings.environment(), "PYTHONPATH": str(ROOT),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        },
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def groups(installation: Installation) -> dict[str, Any]:
    """Committed offsets and members of every consumer group of the installation."""
    admin = AdminClient({"bootstrap.servers": installation.settings.broker, "log_level": 4})
    names = sorted(
        g.group_id
        for g in admin.list_consumer_groups().result(20).valid
        if g.group_id.startswith(installation.settings.consumer_group)
    )
    found: dict[str, Any] = {}
    for name in names:
        offsets = admin.list_consumer_group_offsets([_ConsumerGroupTopicPartitions(name)])[
            name
        ].result(20)
        members = admin.describe_consumer_groups([name])[name].result(20).members
        found[name] = (
            sorted(
                (tp.topic, tp.partition, tp.offset)
                for tp in offsets.topic_partitions
                if isinstance(tp, TopicPartition)
            ),
            sorted(m.member_id for m in members),
        )
    return found


def settled_groups(installation: Installation) -> dict[str, Any]:
    """The same, once workers that have nothing left to do have committed their last offsets: they
    are idle before, since a lag counts records, and a position also passes the end of a
    transaction."""
    last, since = groups(installation), time.monotonic()

    def steady() -> bool:
        nonlocal last, since
        found = groups(installation)
        if found != last:
            last, since = found, time.monotonic()
        return time.monotonic() - since > SETTLED_S

    wait(steady, 30.0, "steady offsets")
    return last


@pytest.fixture(scope="module")
def sent() -> list[Close]:
    """A log with corrections and repetitions, and two closes that input validation refuses."""
    log = Log(seed=20250405)
    bad = simple("bad") | {"trade_summary": {"exit_timestamp": "never"}}
    return [
        *log.sent(log.trades(500)),
        Close(json.dumps(bad).encode(), b"bad", round(START.timestamp() * 1000)),
        Close(b"{", b"torn", round(START.timestamp() * 1000)),
    ]


@pytest.fixture(scope="module")
def good(sent: list[Close]) -> list[Close]:
    return sent[:-2]


@pytest.fixture(scope="module")
def learned(install: Callable[..., Installation], sent: list[Close]) -> Installation:
    """A worker that has learned it, and keeps running."""
    installation = install(**SETTINGS)
    installation.start_ready()
    installation.produce(sent)
    installation.until_idle()
    return installation


def test_shadows_from_topics_and_files_are_live_and_the_core_in_one_process(
    learned: Installation, sent: list[Close], good: list[Close], tmp_path: Path
) -> None:
    wanted = engine_digest(engines(good, learned.settings))
    before, ends = (
        settled_groups(learned),
        learned.end_offsets(*kinds.DERIVED, kinds.CLOSES, kinds.DEAD_LETTERS),
    )
    half = len(sent) // 2
    files = [tmp_path / "first.jsonl", tmp_path / "second.jsonl"]
    for file, part in zip(files, (sent[:half], sent[half:]), strict=True):
        file.write_bytes(b"\n".join(close.value for close in part))
    spool = ("--work-dir", str(tmp_path / "spool"))
    facts = json.loads(of_command(learned, "replay", "run", "facts", "--all", "--json"))
    from_closes = document(
        learned.settings, "run", "closes", "--all", "--topic", "closes", "--jobs", "2", *spool
    )
    from_files = document(learned.settings, "run", "files", *map(str, files), "--all", *spool)
    assert {facts["digest"], from_closes["digest"], from_files["digest"]} == {wanted}
    assert facts["overrides"] == len(learned.current(kinds.OVERRIDES)) > 0
    assert from_closes["rejected"] == from_files["rejected"] == {"bad_time": 1, "not_json": 1}
    assert from_closes["records"] == len(sent)
    assert facts["facts"] == from_closes["facts"] == learned.records_in(kinds.FACTS)
    assert facts["trades"] == from_files["trades"] == len(good)
    assert 0 < facts["peak_memory_bytes"] < 2**30
    assert not list((tmp_path / "spool").iterdir())
    compared = document(learned.settings, "diff", "facts")
    assert compared["digests"] == {"live": wanted, "shadow": wanted}
    assert (compared["equal"], compared["overrides"]["total"]) == (True, 0)
    assert groups(learned) == before
    assert learned.end_offsets(*kinds.DERIVED, kinds.CLOSES, kinds.DEAD_LETTERS) == ends
    check_tables(learned)
    assert [
        state["name"] for state in json.loads(run(learned.settings, "list", "--json").stdout)
    ] == ["closes", "facts", "files"]


def check_tables(installation: Installation) -> None:
    """The shadow's tables have the same content as the live ones, apart from versions; its records
    are those of the topics."""
    shadow = replace(
        installation,
        settings=replace(
            installation.settings,
            database_schema=f"{installation.settings.database_schema}_shadow_facts",
        ),
    )
    versions = {"version", "lesson_version", "verdict_version", "judged_lesson_version", "evidence"}
    for table, key in (
        ("learning_lessons", "lesson_id"),
        ("pm_overrides", "override_id"),
        ("learning_baselines", "baseline_id"),
        ("learning_regime_weights", "regime_id"),
        ("learning_latent_factors", "factor_id"),
    ):
        mine, live = (
            [
                {name: cell for name, cell in row.items() if name not in versions}
                for row in i.query(f"SELECT * FROM {table} ORDER BY {key}")
            ]
            for i in (shadow, installation)
        )
        assert mine == live, table
        assert mine, table
    (days,) = shadow.query("SELECT count(*) AS n FROM learning_edge_history")
    assert days["n"] > 0
    (records,) = shadow.query(
        "SELECT count(*) AS n FROM replay_records WHERE topic = 'learning_lessons'"
    )
    assert records["n"] == len(installation.current(kinds.LESSONS))


def test_ranges_are_of_exits_and_of_offsets(learned: Installation, good: list[Close]) -> None:
    start, end = (text_of(START + timedelta(days=day)) for day in (20, 45))
    within = [
        c for c in good if start <= json.loads(c.value)["trade_summary"]["exit_timestamp"] < end
    ]
    assert 50 < len(within) < len(good)
    found = document(learned.settings, "run", "part", "--from", start, "--to", end)
    assert (found["trades"], found["digest"]) == (
        len(within),
        engine_digest(engines(within, learned.settings)),
    )
    ends = learned.end_offsets(kinds.FACTS)[kinds.FACTS]
    some = document(learned.settings, "run", "some", "--offsets", f"0:5-{ends[0]},1:-7")
    assert some["facts"] == max(ends[0] - 5, 0) + min(7, ends[1])
    assert run(learned.settings, "run", "none", code=2).stderr.startswith(
        "Error: No range was given"
    )
    assert (
        "another source or range: the topic pattern_trade_events, from"
        in run(learned.settings, "run", "part", "--all", code=3).stderr
    )
    other = replace(learned.settings, alpha=0.2)
    assert (
        "started with other settings: alpha (0.02, here 0.2)"
        in run(other, "run", "part", "--from", start, "--to", end, code=3).stderr
    )
    assert document(other, "run", "part", "--all", "--restart")["trades"] == len(good)
    refused = run(other, "promote", "some", "--yes", code=3).stderr
    assert "settings that differ from this environment's: alpha" in refused
    refused = run(other, "promote", "some", "--yes", "--accept", "settings", code=3).stderr
    assert "built from part of the log (offsets" in refused
    assert document(other, "promote", "some", "--dry-run")["refusals"].keys() == {
        "settings",
        "range",
        "workers",
    }
    run(learned.settings, "drop", "some", "--yes")
    assert "There is no shadow some." in run(learned.settings, "show", "some", code=3).stderr


HELD = """
import sys, time
from app.replay import explode, fold

def slow(function, after):
    calls = []
    def wrapper(*arguments):
        calls.append(1)
        if len(calls) > after:
            print("held", flush=True)
            time.sleep(600)
        return function(*arguments)
    return wrapper

if sys.argv[1] == "exploding":
    explode.CHECKPOINT_EVERY = 100
    explode.explode_batch = slow(explode.explode_batch, 2)
else:
    fold.history_records = slow(fold.history_records, int(sys.argv[3]))
from app import app
from app.commands.base import cli
options = ["--all", "--topic", "closes", "--jobs", "1", "--work-dir", sys.argv[2]]
sys.argv[:] = ["faust", "-A", "app", "replay", "run", "cut", *options]
cli()
"""


@pytest.mark.parametrize("stage", ["exploding", "folding"])
def test_a_replay_that_was_killed_resumes(
    learned: Installation, good: list[Close], tmp_path: Path, stage: str
) -> None:
    lessons = [lesson for engine in engines(good, learned.settings) for lesson in engine.lessons()]
    process = subprocess.Popen(
        [sys.executable, "-c", HELD, stage, str(tmp_path), str(len(lessons) // 2)],
        cwd=ROOT,
        env={**os.environ, **learned.settings.environment(), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    with process.stdout as stdout:
        assert stdout.readline() == b"held\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    state = document(learned.settings, "show", "cut")
    assert state["finished_at"] is None
    assert "is not finished" in run(learned.settings, "promote", "cut", "--yes", code=3).stderr
    checkpoints = [
        json.loads(file.read_bytes()) for file in sorted((tmp_path / "cut").glob("source-*.json"))
    ]
    if stage == "exploding":
        assert 0 < sum(c["closes"] for c in checkpoints) < learned.records_in(kinds.CLOSES)
    else:
        assert 0 < len(state["folded"]) < learned.settings.partitions
    give_up = time.monotonic() + 30
    while (
        result := CliRunner().invoke(
            replay, ["show", "cut", "--json"], env=learned.settings.environment()
        )
    ).exit_code:
        assert time.monotonic() < give_up, result.output
    found = document(
        learned.settings,
        "run",
        "cut",
        "--all",
        "--topic",
        "closes",
        "--jobs",
        "1",
        "--work-dir",
        str(tmp_path),
    )
    assert found["digest"] == engine_digest(engines(good, learned.settings))
    assert found["trades"] == len(good)
    assert found["rejected"] == {"bad_time": 1, "not_json": 1}
    if stage == "exploding":
        assert found["records"] == learned.records_in(kinds.CLOSES) - sum(
            c["closes"] for c in checkpoints
        )
    run(learned.settings, "drop", "cut", "--yes")


@pytest.mark.long
def test_the_documented_steps(learned: Installation, good: list[Close]) -> None:
    """It runs last, since it leaves other settings, then the other learning method, behind."""
    assert "Shadow and live are equal" in shell(learned, 0)
    what_if = shell(learned, 1)
    assert re.search(r"would get different answers in [1-9]\d* contexts", what_if), what_if
    steady = replace(learned.settings, half_life=False)
    live, shadow = (
        {o.override_id for engine in engines(good, s) for o in engine.overrides()}
        for s in (learned.settings, steady)
    )
    retired = len(live - shadow)
    assert re.search(rf"pm_overrides: [1-9]\d* to publish, {retired} to retire", what_if), what_if
    refused = run(steady, "promote", "steady", "--yes", code=3).stderr
    assert "1 worker(s) are running" in refused
    learned.terminate_all()
    assert re.search(r"Published [1-9]\d* records", shell(learned, 2))
    learned.settings = steady
    unchanged_by_a_start(learned, "steady")
    assert (
        engine_digest(engines(good, steady))
        == document(steady, "diff", "steady")["digests"]["live"]
    )
    promoted = [
        r
        for r in learned.read(kinds.OVERRIDES)
        if any(name == "promotion" for name, _ in r.headers)
    ]
    for partition in range(steady.partitions):
        mine = [dict(r.headers) for r in promoted if r.partition == partition]
        assert {(h["promotion.records"], h["writer"][:14]) for h in mine} <= {
            (str(len(mine)).encode(), b"replay-steady-")
        }
    assert document(steady, "promote", "steady", "--yes", "--accept", "workers")["records"] == 0
    assert "Dropped the schema" in shell(learned, 3)
    # Promoted beside workers with other settings: they publish their own results, and nothing is
    # lost.
    classic = replace(steady, learning="classic")
    learned_now = document(classic, "run", "classic", "--all")
    assert learned_now["overrides"] > 0
    live = document(classic, "diff", "classic")["digests"]["live"]
    assert document(classic, "promote", "classic", "--yes", "--accept", "workers")["published"]
    wait(
        lambda: healed(learned, live), 60, "workers that publish again what they say", learned.logs
    )
    learned.until_idle()
    learned.terminate_all()
    # Without workers it stays.
    assert document(classic, "promote", "classic", "--yes")["published"]
    learned.settings = classic
    learned.agree()
    unchanged_by_a_start(learned, "classic")


def healed(installation: Installation, live: str) -> bool:
    return bool(document(installation.settings, "diff", "classic")["digests"]["live"] == live)


def unchanged_by_a_start(installation: Installation, name: str) -> None:
    """A worker that starts finds that the promoted records equal its own results, and publishes
    nothing."""
    compacted: Mapping[str, list[int]] = installation.end_offsets(*KINDS)
    (worker,) = installation.start_ready()
    installation.until_idle()
    wait(
        lambda: worker.metric("edgeloop_refit_seconds_count", role="override_materializer") > 0,
        30,
        "judgements",
        installation.logs,
    )
    installation.until_idle()
    assert installation.end_offsets(*KINDS) == compacted
    compared = document(installation.settings, "diff", name)
    assert compared["equal"], compared["topics"]
