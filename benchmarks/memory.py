"""The memory of one worker that learns and judges: trades in the windows of groups, their lessons,
and the published records.

Run: python -m benchmarks.memory --groups 800

Both stages run in this process as in a worker, without Kafka: facts are folded group by group,
lessons are judged as they arrive, and in the end all pending work is done.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from prometheus_client import REGISTRY

from app.kafka.records import Outgoing, encode
from app.learning.common.event_time import text_from_micros
from app.learning.common.trade import Trade
from app.settings import Settings
from app.stages.lesson_builder import LessonBuilder
from app.stages.override_materializer import OverrideMaterializer
from app.worker.memory import give_back, one_heap
from benchmarks.speed.worlds import CATEGORY, group, trades
from schemas.facts import FactAction, PatternTradeEvent, Segment, TradeMetrics
from schemas.kinds import LESSONS

TOGETHER = 20
"""Number of groups whose lessons are judged together."""


@dataclass(frozen=True)
class Read:
    """A record as a stage reads it."""

    topic: str
    key: bytes | None
    value: bytes | None
    offset: int
    headers: Sequence[tuple[str, bytes]] = ()
    partition: int = 0
    timestamp: int = 2_000_000_000_000


def resident_mb() -> float:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def fact(trade: Trade, pattern_key: str) -> bytes:
    """The fact of a trade with one action."""
    exit_ts = text_from_micros(trade.exit_us)
    action = FactAction(
        f"{trade.trade_id}/0", exit_ts, dict(trade.scopes[0]), None, (), msgspec.UNSET
    )
    return encode(
        PatternTradeEvent(
            module="pm",
            pattern_key=pattern_key,
            action_category=CATEGORY,
            trade_id=trade.trade_id,
            revision=0,
            n_actions=1,
            exit_ts=exit_ts,
            event_id=f"close-{trade.trade_id}",
            value_sha256=hashlib.sha256(trade.trade_id.encode()).hexdigest(),
            actions=(action,),
            rr=trade.outcome,
            roi=None,
            pnl_usd=None,
            segment=Segment(*trade.segment),
            home=True,
            metrics=TradeMetrics(time_efficiency=trade.time_efficiency),
        )
    )


class Worker:
    """Both stages of one partition."""

    def __init__(self) -> None:
        settings = Settings(max_dims=3, partitions=1)
        self._builder = LessonBuilder(settings).new_store(0)
        self._judge = OverrideMaterializer(settings).new_store(0)
        self._lessons_topic = settings.topic(LESSONS)
        self._facts = self._offset = 0

    def take(self, pattern_key: str, made: list[Trade]) -> None:
        """Fold the facts of a group."""
        records = [
            Read("facts", pattern_key.encode(), fact(trade, pattern_key), self._facts + at)
            for at, trade in enumerate(made)
        ]
        self._facts += len(records)
        self._builder.fold(records, self._facts)

    def learn(self, full: bool) -> None:
        """Refit the groups that are due, and judge their lessons."""
        while True:
            sent = self._builder.changes(full=True)
            self._hand_over(sent)
            if self._builder.settled:
                break
            time.sleep(0.01)
        self._judge.changes(full)

    def _hand_over(self, sent: list[Outgoing]) -> None:
        records = [
            Read(self._lessons_topic, r.key, r.value, self._offset + at, r.headers)
            for at, r in enumerate(r for r in sent if r.topic == self._lessons_topic)
        ]
        self._offset += len(records)
        self._judge.fold(records, self._offset)

    @property
    def lessons(self) -> int:
        """Lessons that override_materializer knows, by its metric."""
        return round(REGISTRY.get_sample_value("edgeloop_lessons", {"partition": "0"}) or 0)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.memory", description=(__doc__ or "").partition("\n\n")[0]
    )
    parser.add_argument("--groups", type=int, default=800, help="number of groups (default 800)")
    parser.add_argument(
        "--trades", type=int, default=500, help="trades of each group (default 500)"
    )
    options = parser.parse_args()
    one_heap()
    empty, worker = resident_mb(), Worker()
    for number in range(options.groups):
        worker.take(group(number), trades(options.trades, 8, (4,), seed=number))
        if number % TOGETHER == TOGETHER - 1:
            worker.learn(full=False)
    worker.learn(full=True)
    gc.collect()
    held = resident_mb()
    give_back()
    print(f"{options.groups * options.trades:,} trades, {options.groups:,} groups,", end=" ")
    print(f"{worker.lessons:,} lessons: {held:.0f} MB resident, {resident_mb():.0f} MB", end=" ")
    print(f"once free memory is given back; {empty:.0f} MB before the first trade")


if __name__ == "__main__":
    main()
