"""A generated trade log through two workers: topics and tables equal an independent batch
computation, and a restart changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import NamedTuple

import pytest

from schemas import kinds
from tests.pipeline.compare import check, content
from tests.pipeline.installation import FIXED_DATES, Installation, Worker, wait
from tests.pipeline.reference import Rules, learn
from tests.pipeline.trades import START, Close, Generator, close, simple, text_of

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(240)]

RULES = Rules(n_min=15, max_dims=3, window_days=60.0, window_trades=200)
SETTINGS = {
    "learning": "classic",
    "n_min": 15,
    "max_dims": 3,
    "window_days": 60.0,
    "window_trades": 200,
    **FIXED_DATES,
}
COMPACTED = (kinds.LESSONS, kinds.VERDICTS, kinds.OVERRIDES, kinds.BASELINES)


class Log(NamedTuple):
    first: list[Close]
    second: list[Close]


@pytest.fixture(scope="module")
def log() -> Log:
    """Two parts of one log, each shuffled and with repetitions; the second has corrections of the
    first's trades."""
    generator = Generator(seed=20250101)
    closes = generator.log(1_500)
    generator.random.shuffle(closes)
    return Log(
        generator.sent([*on_the_edge_of_the_window(), *closes[:700]]), generator.sent(closes[500:])
    )


def on_the_edge_of_the_window() -> list[Close]:
    """A group with a trade exactly as old as the window, which is inside, and one a microsecond
    older."""
    newest = START + timedelta(days=100)
    oldest = newest - timedelta(days=RULES.window_days)
    exits = [
        newest,
        oldest,
        oldest - timedelta(microseconds=1),
        *(newest - timedelta(days=day) for day in range(1, 20)),
    ]
    events = [
        simple(f"edge-{number}", module="edge", rr=number / 10) for number in range(len(exits))
    ]
    for event, exit_ in zip(events, exits, strict=True):
        event["trade_summary"]["exit_timestamp"] = text_of(exit_)
    return [close(event) for event in events]


@pytest.fixture(scope="module")
def learned(install: Callable[..., Installation], log: Log) -> Installation:
    """Two workers that have learned the first part."""
    installation = install(**SETTINGS)
    installation.start_ready(2)
    installation.produce(log.first)
    installation.until_idle()
    return installation


def test_topics_and_tables_equal_the_batch_computation(learned: Installation, log: Log):
    check(learned, learn([close.value for close in log.first], RULES))


def test_they_still_do_after_corrections_that_move_windows(learned: Installation, log: Log):
    before = learn([close.value for close in log.first], RULES)
    after = learn([close.value for close in (*log.first, *log.second)], RULES)
    learned.produce(log.second, **{"compression.type": "zstd"})
    learned.until_idle()
    check(learned, after)
    # Otherwise nothing would have to be retired, and the comparison would prove nothing.
    assert before.lessons.keys() - after.lessons.keys()
    assert {k for k, v in before.lessons.items() if v["multiplier"]} - {
        k for k, v in after.lessons.items() if v["multiplier"]
    }
    retired = learned.query("SELECT count(*) AS n FROM pm_overrides_history WHERE retired")
    assert retired[0]["n"] > 0


def test_a_replay_from_zero_by_workers_of_one_role_each_gives_the_same_to_the_last_bit(
    learned: Installation, install: Callable[..., Installation], log: Log
):
    again = install(**SETTINGS)
    roles = [("ingest",), ("lesson_builder",), ("override_materializer", "projector")]
    workers = [again.start(agents=agents) for agents in roles]
    wait(
        lambda: all(worker.ready() for worker in workers), 60, "workers that are ready", again.logs
    )
    closes = list({close.value: close for close in (*log.first, *log.second)}.values())
    again.produce(closes)
    again.until_idle()
    assert content(again) == content(learned)
    again.kill_all()


def test_a_restart_of_all_workers_publishes_nothing(learned: Installation, log: Log):
    before, records = content(learned), learned.end_offsets(*COMPACTED)
    learned.terminate_all()
    workers = learned.start_ready(2)
    # The log is the state: wait until every partition with records has been read and judged again.
    wait(
        lambda: refits(workers, "lesson_builder") >= nonempty(learned, kinds.FACTS),
        30,
        "refits of the groups",
        learned.logs,
    )
    wait(
        lambda: refits(workers, "override_materializer") >= nonempty(learned, kinds.LESSONS),
        30,
        "judgements",
        learned.logs,
    )
    # Repetitions pass through all stages and change nothing.
    learned.produce(log.first[:50])
    learned.until_idle()
    assert learned.end_offsets(*COMPACTED) == records
    assert content(learned) == before


def refits(workers: list[Worker], role: str) -> float:
    return sum(worker.metric("edgeloop_refit_seconds_count", role=role) for worker in workers)


def nonempty(installation: Installation, topic: str) -> int:
    return sum(end > 0 for end in installation.end_offsets(topic)[topic])


@pytest.mark.parametrize("outcome", ["roi", pytest.param("pnl", marks=pytest.mark.long)])
def test_another_outcome_is_learned_from(install: Callable[..., Installation], outcome: str):
    generator = Generator(seed=3)
    closes = generator.sent(generator.log(400))
    installation = install(**SETTINGS, outcome=outcome)
    installation.produce(closes)
    installation.start_ready()  # behind a backlog
    installation.until_idle()
    check(installation, learn([close.value for close in closes], replace(RULES, outcome=outcome)))
    installation.kill_all()
