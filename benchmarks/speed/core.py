"""The learning core: refits, batches, judgement, memory."""

from __future__ import annotations

import gc
import itertools
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass

import orjson

from app.learning.common.config import LearningConfig
from app.learning.common.fact_trades import Group, trades_by_group
from app.learning.common.trade import Trade
from app.learning.common.window import GroupWindow
from app.learning.integrated.group import IntegratedLearner
from app.learning.integrated.judge import IntegratedJudge
from benchmarks.pipeline import workload
from benchmarks.speed.measure import Row, Took, row, timed
from benchmarks.speed.worlds import CATEGORY, group, trades
from schemas.lessons import GroupSummary, Lesson


@dataclass(frozen=True)
class Sizes:
    """The sizes of all measurements."""

    runs: int
    refits: tuple[tuple[int, int, tuple[int, ...], int, float], ...]
    """(trades, dimensions, values of a dimension, depth, seconds allowed)."""
    facts: int
    batch_trades: int
    batch_groups: int
    module_groups: int
    memory_trades: int
    between: tuple[tuple[int, float], ...]
    """(trades in the window, percentage of a full refit that one more trade may cost)."""
    memory_groups: int


FULL = Sizes(
    5,
    ((5_000, 19, (6, 7), 3, 0.5), (10_000, 12, (4,), 4, 2.0)),
    100_000,
    1_000,
    200,
    100,
    10_000,
    ((1_000, 5.0), (10_000, 1.0), (50_000, 0.5)),
    40,
)
QUICK = Sizes(
    1,
    ((600, 8, (4,), 3, 0.5), (800, 6, (3,), 4, 2.0)),
    2_000,
    50,
    10,
    3,
    1_000,
    ((1_000, 10.0),),
    2,
)

FACTS_TOGETHER = 20_000
"""Facts decoded at a time: a hundred of each group, as in a batch of one of four partitions."""
Progress = Callable[[str], None]


def measure(sizes: Sizes, progress: Progress) -> list[Row]:
    """All lines about the core."""
    rows = []
    for n, dims, values, depth, below in sizes.refits:
        progress(f"refit of {n:,} trades × {dims}")
        rows.append(full_refit(sizes.runs, n, dims, values, depth, below))
    for n, part in sizes.between:
        progress(f"one more trade into {n:,}")
        rows += between(sizes.runs, n, part)
    progress("facts of a log")
    rows.append(facts_of_a_log(sizes.runs, sizes.facts))
    progress("a batch into many groups")
    rows += batches(sizes)
    progress("a module")
    rows += module(sizes)
    progress("memory")
    rows.append(memory(sizes.memory_trades))
    rows.append(memory_of_lessons(sizes.memory_groups))
    return rows


def learner(config: LearningConfig, number: int, made: list[Trade]) -> IntegratedLearner:
    """One group with these trades."""
    one = IntegratedLearner("pm", group(number), CATEGORY, config)
    one.fold(made)
    return one


def full_refit(
    runs: int, n: int, dims: int, values: tuple[int, ...], depth: int, below: float
) -> Row:
    """A refit from scratch: snapshot, mining, search, half-lives, history, sketches, and the
    lessons themselves."""
    one = learner(
        LearningConfig(max_dims=depth, window_trades=n), 0, trades(n, dims, values, seed=1)
    )
    summaries: list[GroupSummary] = []

    def refit(_: object) -> None:
        found = one.refit(version=1).summary
        assert found is not None
        summaries.append(found)

    took = timed(runs, refit, lambda: one.adopt([]))  # nothing published: every lesson is new
    path = summaries[0].path
    detail = f"{summaries[0].n_slices:,} slices, {len(path.lesson_ids) if path else 0} effects"
    return row(
        f"full refit of one group: {n:,} trades × {dims} dims, depth {depth}", took, below, detail
    )


def between(runs: int, n: int, part: float) -> list[Row]:
    """One more trade, and 100 more, in a full window of `n`, until their changes are published; as
    a percentage of a full refit after one more trade in the same run."""
    made = trades(n + 10 * (runs + 1), 8, (4,), seed=1)
    later = iter(made[n:])
    config = LearningConfig(max_dims=3, window_trades=n)
    one = IntegratedLearner("pm", group(0), CATEGORY, config, between=True)
    one.fold(made[:n])

    def refit(_: object) -> None:
        assert one.refit(version=1).summary is not None

    def publish(arrived: list[Trade]) -> None:
        one.fold(arrived)
        assert one.provisional(version=2).summary is not None

    one.refit(version=1)
    full = timed(min(runs, 3), refit, lambda: one.fold([next(later)]))
    single = timed(4 * runs, publish, lambda: [next(later)])
    many = trades(100, 8, (4,), seed=2)
    seeds = itertools.count()

    def hundred() -> list[Trade]:
        one.refit(version=1)
        seed = next(seeds)
        return [trade._replace(trade_id=f"{seed}-{trade.trade_id}") for trade in many]

    batch = timed(min(runs, 3), publish, hundred)
    what = f"into {n:,} trades × 8 dims, depth 3"
    unit = "% of a full refit"

    def ratio(took: Took) -> float:
        return 100.0 * took.cpu_s / full.cpu_s

    detail = f"{{:.2f}} ms of CPU against {full.cpu_s:.3g} s"
    return [
        Row(f"one more trade {what}", ratio(single), unit, part, detail.format(1e3 * single.cpu_s)),
        Row(f"100 more trades {what}", ratio(batch), unit, 5.0, detail.format(1e3 * batch.cpu_s)),
    ]


def facts_of_a_log(runs: int, n: int) -> Row:
    """The CPU time of a fact that is decoded and put into its window, as when a worker reads its
    log; and that of `orjson.loads`."""
    values = [value for _, value in workload.facts(n)]
    config = LearningConfig()

    def unreadable(place: int, error: Exception) -> None:
        raise error

    def fold(_: object) -> None:
        windows: dict[Group, GroupWindow] = {}
        for start in range(0, n, FACTS_TOGETHER):
            batch = values[start : start + FACTS_TOGETHER]
            for key, found in trades_by_group(batch, config.outcome, unreadable)[0].items():
                if key not in windows:
                    windows[key] = GroupWindow(config.window_us, config.window_trades)
                windows[key].fold(found)

    def parse(_: object) -> None:
        for value in values:
            orjson.loads(value)

    took, bare = timed(runs, fold), timed(runs, parse)
    detail = f"{n:,} facts, 8 dims, 200 groups; orjson.loads {1e6 * bare.cpu_s / n:.1f} µs"
    return Row("a fact of a log, into its window", 1e6 * took.cpu_s / n, "µs of CPU", None, detail)


def batches(sizes: Sizes) -> list[Row]:
    """A batch of closes in groups of 250 trades each: folding it, and the refits of all groups,
    which are due some time later."""
    config = LearningConfig(max_dims=3)
    groups = [learner(config, g, trades(250, 8, (3, 4), seed=g)) for g in range(sizes.batch_groups)]
    share = sizes.batch_trades // sizes.batch_groups
    seeds = itertools.count(10_000)

    def batch() -> list[tuple[IntegratedLearner, list[Trade]]]:
        return [(one, trades(share, 8, (3, 4), seed=next(seeds))) for one in groups]

    def fold(arrived: list[tuple[IntegratedLearner, list[Trade]]]) -> None:
        for one, made in arrived:
            one.fold(made)

    def refit(_: object) -> None:
        for one in groups:
            one.refit(version=1)

    what = f"{sizes.batch_trades:,} trades into {len(groups)} groups"
    folding = timed(sizes.runs, fold, batch)
    refitting = timed(min(sizes.runs, 3), refit, lambda: fold(batch()))
    held = f"{len(groups[0].window)} trades a group, 8 dims, depth 3"
    return [
        row(f"incremental batch: {what}", folding, 0.2),
        row(f"the refits of those {len(groups)} groups, when they are due", refitting, None, held),
    ]


def module(sizes: Sizes) -> list[Row]:
    """Judging a module: from nothing, and after one group has changed."""
    config = LearningConfig(max_dims=3)
    groups = [learner(config, g, trades(500, 8, (4,), seed=g)) for g in range(sizes.module_groups)]
    records: list[Lesson | GroupSummary] = []
    for one in groups:
        found = one.refit(version=1)
        records += [*found.lessons, *([found.summary] if found.summary else [])]
    counts: list[int] = []
    judge = IntegratedJudge("pm", config)

    def from_nothing(_: object) -> None:
        nonlocal judge
        judge = IntegratedJudge("pm", config)
        judge.fold(records)
        counts[:] = [len(judge.judge(version=1).overrides.published)]

    lessons = len(records) - len(groups)
    what = f"{len(groups)} groups, {lessons:,} lessons"
    took = timed(sizes.runs, from_nothing)
    seeds = itertools.count(20_000)

    def changed() -> tuple[list[Lesson | GroupSummary], list[str]]:
        groups[0].fold(trades(5, 8, (4,), seed=next(seeds)))
        found = groups[0].refit(version=2)
        return [*found.lessons, *([found.summary] if found.summary else [])], found.retired

    def urgent_changes(change: tuple[list[Lesson | GroupSummary], list[str]]) -> None:
        judge.fold(*change)
        judge.judge(version=2, urgent_only=True)

    def again(change: tuple[list[Lesson | GroupSummary], list[str]]) -> None:
        judge.fold(*change)
        judge.judge(version=2)

    urgent, full = timed(sizes.runs, urgent_changes, changed), timed(sizes.runs, again, changed)
    return [
        row(f"materialising a module from nothing: {what}", took, 1.0, f"{counts[0]} overrides"),
        row("the same module once one group has changed, until sizes are published", urgent, 0.02),
        row("the same module, then in full", full),
    ]


def memory(n: int) -> Row:
    """The memory of Python and numpy for a group with its trades in the window, by tracemalloc."""
    config = LearningConfig(window_trades=n)
    IntegratedLearner("pm", group(0), CATEGORY, config)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    one = IntegratedLearner("pm", group(0), CATEGORY, config)
    for start in range(0, n, 500):
        one.fold(trades(min(500, n - start), 19, (6, 7), seed=start))
    gc.collect()
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    detail = f"{n:,} trades × 19 dims; of it {one.window.nbytes / n:.0f} in arrays"
    return Row("memory per trade in the window", held / len(one.window), "bytes", 500.0, detail)


def memory_of_lessons(groups: int) -> Row:
    """The memory beyond the windows of groups of 500 trades that have published their lessons."""
    config = LearningConfig(max_dims=3)
    held = [
        IntegratedLearner("pm", group(g), CATEGORY, config, between=True) for g in range(groups)
    ]
    for g, one in enumerate(held):
        one.fold(trades(500, 8, (4,), seed=g))
    gc.collect()
    tracemalloc.start()
    lessons = sum(len(one.refit(version=1).lessons) for one in held)
    gc.collect()
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    detail = f"{groups} groups of 500 trades, {lessons:,} lessons, histories included"
    return Row("memory per lesson, once published", taken / lessons, "bytes", 1500.0, detail)


def seconds(work: Callable[[], object]) -> Took:
    """One run, for measurements that take long."""
    at, busy = time.perf_counter(), time.process_time()
    work()
    return Took(time.perf_counter() - at, time.process_time() - busy)
