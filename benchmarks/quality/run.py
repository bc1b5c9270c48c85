"""Stream a world through the core: fold the closed trades, learn, and score the decisions that
follow.

May touch: the processes of its own pool.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from multiprocessing import get_context
from typing import Any

from app.audit.variants import variants
from app.learning.common.config import LearningConfig
from app.learning.common.trade import Trade
from benchmarks.quality.score import Answer, Cut, Record, churn, clone_change, score, truth_record
from benchmarks.quality.truth import DAY_US, Group, World, exit_micros
from benchmarks.quality.worlds import FAMILIES, make

CHURN_DAYS = (75.0, 80.0, 85.0, 90.0, 95.0, 100.0)
COUNTED = ("classic", "integrated")
"""Settings whose churn is counted, in families with a window of 90 days; it needs three times as
many refits."""
SETTINGS: Mapping[str, LearningConfig] = dict(
    sorted(variants(LearningConfig()).items(), key=lambda item: item[0] != "classic")
)
"""The configurations of the learning by name, `classic` first."""


class Stream:
    """One world through one engine, with the window that the world defines."""

    def __init__(self, world: World, config: LearningConfig) -> None:
        from app.learning.engine import Engine

        self.engine: Any = Engine(
            replace(config, window_us=round(world.calendar.window_days * DAY_US)), module="pm"
        )
        self._left = {group: trades[::-1] for group, trades in world.trades().items()}
        self.overrides: list[Any] = []

    def up_to(self, day: float) -> int:
        """Fold the trades closed by `day` and learn; returns the number of these closes."""
        until = exit_micros(day)
        batch: dict[Group, list[Trade]] = {}
        for group, left in self._left.items():
            closed = []
            while left and left[-1].exit_us <= until:
                closed.append(left.pop())
            if closed:
                batch[group] = closed
        self.engine.fold(batch)
        self.overrides = list(self.engine.learn())
        return len({trade.trade_id for closed in batch.values() for trade in closed})

    def answer(self) -> Answer:
        """The core's current answer."""
        m = sum(summary.n_slices for summary in self.engine.summaries())
        return Answer(self.overrides, list(self.engine.lessons()), list(self.engine.verdicts()), m)


def run_world(
    world: World,
    settings: Sequence[str],
    cuts: Sequence[float] = (),
    churn_days: Sequence[float] = CHURN_DAYS,
) -> list[Record]:
    """The scores of a world: for each cut (of `cuts`, else of the world's calendar), the truth's
    record and one per setting.

    In families whose churn is counted, it also learns on `churn_days`.
    """
    records = []
    cuts = cuts or world.calendar.cuts
    at = [Cut(world, day) for day in cuts]
    twins = [Cut(world.twin, day) for day in cuts] if world.twin else []
    for cut in at:
        records.append({"cut": cut.day, "setting": "truth", **truth_record(cut)})
    for name in settings:
        began = time.perf_counter()
        stream = Stream(world, SETTINGS[name])
        twin = Stream(world.twin, SETTINGS[name]) if world.twin else None
        counts = FAMILIES[world.family].churn and name in COUNTED
        changes: list[list[int]] = []
        days = sorted({*cuts, *(churn_days if counts else ())})
        for i, day in enumerate(days):
            before = stream.overrides
            closes = stream.up_to(day)
            if counts and i:
                changes.append([closes, *churn(before, stream.overrides)])
            if day not in cuts:
                continue
            k = list(cuts).index(day)
            answer = stream.answer()
            record = {"cut": day, "setting": name, **score(at[k], answer)}
            if twin is not None:
                twin.up_to(day)
                record["clone_change"] = [
                    world.n_clones,
                    clone_change(at[k], answer, twins[k], twin.answer()),
                ]
            record["churn"], changes = changes, []
            records.append(record)
        records[-1]["seconds"] = time.perf_counter() - began
    return [{"family": world.family, "index": world.index, **r} for r in records]


@dataclass(frozen=True)
class Task:
    """World number `index` of `family`."""

    family: str
    index: int
    seed: int
    settings: tuple[str, ...]


def run_task(task: Task) -> list[Record]:
    """The scores of the task's world.  Raises `RuntimeError`, which names the world."""
    try:
        return run_world(make(task.family, task.index, task.seed), task.settings)
    except Exception as error:
        raise RuntimeError(
            f"world {task.index} of {task.family}, seed {task.seed}: {type(error).__name__}:"
            f" {error}"
        ) from error


def run_all(
    tasks: Sequence[Task], processes: int, done: Callable[[Task], None]
) -> Iterator[Record]:
    """The scores of all tasks, in the order of completion; `done` is called after each."""
    if processes <= 1:
        for task in tasks:
            yield from run_task(task)
            done(task)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        running = {pool.submit(run_task, task): task for task in tasks}
        try:
            for future in as_completed(running):
                yield from future.result()
                done(running[future])
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
