"""`integrated` through real workers: topics and tables equal the core's results for the same trades
in one process, whatever happens to workers.

It can be switched to `classic` and back, while the position manager keeps asking.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import NamedTuple

import pytest

from app.settings import Settings
from edgeloop import OverrideBook
from schemas import kinds
from tests.pipeline.compare import check, until_right
from tests.pipeline.in_process import check_integrated, engines
from tests.pipeline.installation import FIXED_DATES, Installation, wait
from tests.pipeline.planted import DAYS, Log, closes
from tests.pipeline.reference import Rules, learn
from tests.pipeline.test_reference import nonempty, refits
from tests.pipeline.trades import START, Close

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(240)]

SETTINGS = {
    "n_min": 15,
    "max_dims": 2,
    "window_days": 60.0,
    "window_trades": 400,
    "lessons_per_group": 40,
    **FIXED_DATES,
}
RULES = Rules(n_min=15, max_dims=2, window_days=60.0, window_trades=400)
COMPACTED = (
    kinds.LESSONS,
    kinds.VERDICTS,
    kinds.OVERRIDES,
    kinds.BASELINES,
    kinds.REGIME_WEIGHTS,
    kinds.FACTORS,
)


class Sent(NamedTuple):
    first: list[Close]
    second: list[Close]
    all: list[Close]


@pytest.fixture(scope="module")
def sent() -> Sent:
    """Two parts of one log, each shuffled and with repetitions; the second has corrections of the
    first's trades."""
    log = Log(seed=20250301)
    trades = log.trades(1_300)
    log.random.shuffle(trades)
    return Sent(log.sent(trades[:700]), log.sent(trades[600:]), closes(trades))


@pytest.fixture(scope="module")
def learned(install: Callable[..., Installation], sent: Sent) -> Installation:
    """Two workers that have learned the first part."""
    installation = install(**SETTINGS)
    installation.start_ready(2)
    installation.produce(sent.first)
    installation.until_idle()
    return installation


def test_topics_and_tables_equal_the_core_in_one_process(learned: Installation, sent: Sent):
    check_integrated(learned, engines(sent.first, learned.settings))


@pytest.mark.long
def test_they_still_do_after_corrections_and_a_killed_worker(learned: Installation, sent: Sent):
    before = engines(sent.first, learned.settings)
    after = engines(sent.all, learned.settings)
    start = learned.records_in(kinds.FACTS)
    learned.produce(sent.second)
    wait(
        lambda: learned.records_in(kinds.FACTS) >= start + 200,
        30,
        "growth of the facts",
        learned.logs,
    )
    learned.kill(learned.workers[0])
    learned.start_ready()
    learned.until_idle(90)
    check_integrated(learned, after)
    # Otherwise there would be nothing to find, and the comparison would prove nothing.
    found = [override for engine in after for override in engine.overrides()]
    assert {override.module for override in found} == {"pm", "dm-2"}
    assert any(override.decay.half_life_hours for override in found)
    assert any(override.latent_factor_id for override in found)
    assert any(override.covers for override in found)
    assert {o.override_id for engine in before for o in engine.overrides()} - {
        o.override_id for o in found
    }
    withdrawn = [record for record in learned.read(kinds.HISTORY) if record.value is None]
    assert withdrawn


def test_a_restart_of_all_workers_changes_nothing(learned: Installation, sent: Sent):
    records, history = learned.end_offsets(*COMPACTED), learned.current(kinds.HISTORY)
    learned.terminate_all()
    workers = learned.start_ready(2)
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
    learned.produce(sent.first[:50])
    learned.until_idle()
    assert learned.end_offsets(*COMPACTED) == records
    assert learned.current(kinds.HISTORY) == history


@pytest.mark.long
def test_to_classic_and_back_while_the_position_manager_asks(learned: Installation, sent: Sent):
    after, world = (
        engines(sent.all, learned.settings),
        learn([close.value for close in sent.all], RULES),
    )
    integrated = learned.settings
    with asking(learned) as answers:
        restart_with(learned, replace(integrated, learning="classic"))
        until_right(learned, lambda: check(learned, world))
        for topic in (kinds.REGIME_WEIGHTS, kinds.FACTORS):
            assert not learned.current(topic)
            assert not learned.query(f"SELECT * FROM {topic}")
        restart_with(learned, integrated)
        until_right(learned, lambda: check_integrated(learned, after))
    assert {reason for _, reason in answers} <= {"matched", "no_match"}
    assert all(0.3 <= multiplier <= 3.0 for multiplier, _ in answers)
    assert len({multiplier for multiplier, _ in answers}) > 4


def restart_with(installation: Installation, settings: Settings) -> None:
    """Replace all workers by one with other settings."""
    installation.terminate_all()
    installation.settings = settings
    installation.agree()
    installation.start_ready()
    installation.until_idle()


@contextmanager
def asking(installation: Installation) -> Iterator[list[tuple[float, str]]]:
    """A position manager that keeps asking the same few questions, and its answers."""
    answers: list[tuple[float, str]] = []
    done = threading.Event()
    bad_records: list[int] = []
    at = START + timedelta(days=DAYS)

    async def ask() -> None:
        async with OverrideBook(
            installation.settings.broker, topic_prefix=installation.settings.topic_prefix
        ) as book:
            assert await book.ready(30)
            while not done.is_set():
                for pattern in ("uptrend.S1.entry", "dip.S2.entry"):
                    for chain in ("sol", "eth"):
                        found = book.resolve(
                            pattern,
                            "entry",
                            {"chain": chain, "A_mode": "fast", "btc_macro": "S1"},
                            at,
                        )
                        answers.append((found.multiplier, found.reason))
                await asyncio.sleep(0.02)
            bad_records.append(book.status.bad_records)

    thread = threading.Thread(target=lambda: asyncio.run(ask()))
    thread.start()
    try:
        wait(lambda: answers or not thread.is_alive(), 30, "answers")
        yield answers
    finally:
        done.set()
        thread.join(30)
    assert bad_records == [0]
