"""Obvious peers on the same trades in the same run, each compared on equal work."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from app.learning.classic.slices import Incidence
from app.learning.classic.statistics import slice_statistics
from app.learning.common.config import LearningConfig
from app.learning.common.event_time import DAY_US
from app.learning.common.trade import Trade
from app.learning.common.window import GroupWindow
from app.learning.integrated.candidates import candidates
from app.learning.integrated.selection import Selection
from benchmarks.speed.core import Progress, seconds
from benchmarks.speed.measure import Comparison, timed
from benchmarks.speed.worlds import trades

N_MIN = 33
DEPTH = 3


@dataclass(frozen=True)
class Sizes:
    """(trades, dimensions) of each comparison."""

    runs: int
    mined: tuple[int, int]
    searched: tuple[int, int]
    updated: tuple[int, int]
    """Number of groups, and of new trades in each."""


FULL = Sizes(3, (5_000, 19), (2_000, 8), (200, 5))
QUICK = Sizes(1, (400, 6), (300, 4), (5, 5))


class Table:
    """Trades as peers need them, `codes` (T, D) from 1 and `outcome` (T,), and as a `window`."""

    def __init__(self, made: list[Trade]) -> None:
        self.window = GroupWindow(1000 * DAY_US, 10_000)
        self.window.fold(made)
        self.names = list(made[0].scopes[0])
        self.codes = np.array(
            [[int(trade.scopes[0][name][1:]) + 1 for name in self.names] for trade in made]
        )
        self.outcome = np.array([trade.outcome for trade in made])
        self.sets = [s for k in range(DEPTH + 1) for s in itertools.combinations(self.names, k)]


def measure(sizes: Sizes, progress: Progress) -> list[Comparison]:
    """All comparisons; where a peer is missing, only our time is reported."""
    table = Table(trades(*sizes.mined, (6, 7), seed=1))
    ours = timed(sizes.runs, lambda _: statistics_of(table.window)).wall_s
    count = statistics_of(table.window)
    work = f"n, mean and variance of all {count:,} {slices(table)}"
    progress("DuckDB")
    found = [
        Comparison(
            "duckdb GROUPING SETS, 1 thread",
            work,
            ours,
            _peer("duckdb", lambda: duckdb_statistics(table, count)),
        )
    ]
    progress("pandas")
    found.append(
        Comparison(
            "pandas group-by", work, ours, _peer("pandas", lambda: pandas_statistics(table, count))
        )
    )
    progress("sliceline")
    table = Table(trades(*sizes.searched, (4,), seed=1))
    ours = timed(sizes.runs, lambda _: search(table.window)).wall_s
    work = (
        f"exact search among all {slices(table)}: ours for those with an edge of their own, tested;"
        " sliceline's for the 10 of the greatest score (mean squared deviation against size),"
        " pruned by it"
    )
    found.append(
        Comparison("sliceline", work, ours, _peer("sliceline", lambda: sliceline_search(table)))
    )
    progress("river")
    found.append(one_by_one(sizes))
    return found


def slices(table: Table) -> str:
    return (
        f"slices of ≤ {DEPTH} of {len(table.names)} dims with ≥ {N_MIN} of {len(table.codes):,}"
        " trades"
    )


def _peer(package: str, work: Callable[[], Any]) -> float | None:
    return work() if find_spec(package) else None


def statistics_of(window: GroupWindow, *, fresh: bool = False) -> int:
    """n, mean, variance (and slope) of all slices, or only of those that contain a trade added
    since the last `settle`."""
    snapshot = window.snapshot()
    incidence = Incidence(snapshot)
    blocks = incidence.mine(N_MIN, DEPTH, fresh=fresh)
    return sum(
        len(slice_statistics(incidence, block.trades, snapshot.exit_us, snapshot.outcome).mean)
        for block in blocks
    )


def search(window: GroupWindow) -> None:
    """Mine all slices, and choose those with an edge of their own."""
    snapshot = window.snapshot()
    found = candidates(window, snapshot, N_MIN, DEPTH)
    hours = (snapshot.exit_us - snapshot.exit_us[0]) / 3.6e9
    every = np.ones((len(hours), 1))
    Selection(snapshot.outcome, hours, found.members, found.n_dims, found.order, every, N_MIN).path(
        LearningConfig().alpha
    )


def duckdb_statistics(table: Table, count: int) -> float:
    """The same numbers by one query."""
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET threads = 1")
    connection.execute(
        f"CREATE TABLE trades ({', '.join(f'{name} UTINYINT' for name in table.names)}, y DOUBLE)"
    )
    arrays = {name: table.codes[:, i].astype(np.uint8) for i, name in enumerate(table.names)} | {
        "y": table.outcome
    }
    connection.register("arrays", arrays)
    connection.execute("INSERT INTO trades SELECT * FROM arrays")
    sets = ", ".join(f"({', '.join(s)})" for s in table.sets)
    columns = ", ".join(table.names)
    query = (
        f"SELECT {columns}, count(*) AS n, avg(y), var_samp(y) FROM trades GROUP BY GROUPING SETS"
        f" ({sets}) HAVING n >= {N_MIN}"
    )
    found: list[int] = []
    took = seconds(lambda: found.append(len(connection.execute(query).fetchnumpy()["n"])))
    assert found == [count], (found, count)
    return took.wall_s


def pandas_statistics(table: Table, count: int) -> float:
    """The same numbers by a group-by for each set of dimensions."""
    import pandas as pd

    frame = pd.DataFrame(table.codes, columns=table.names).assign(y=table.outcome)
    found: list[int] = []

    def work() -> None:
        parts = [
            frame.groupby(list(s), sort=False)["y"].agg(["count", "mean", "var"])
            for s in table.sets
            if s
        ]
        found.append(sum(int((part["count"] >= N_MIN).sum()) for part in parts) + 1)

    took = seconds(work)
    assert found == [count], (found, count)
    return took.wall_s


def sliceline_search(table: Table) -> float:
    """Sagadeeva & Boehm 2021, with the package's defaults except for the bounds."""
    from sliceline.slicefinder import Slicefinder

    errors = (table.outcome - table.outcome.mean()) ** 2
    return seconds(
        lambda: Slicefinder(k=10, max_l=DEPTH, min_sup=N_MIN, verbose=False).fit(
            table.codes, errors
        )
    ).wall_s


def one_by_one(sizes: Sizes) -> Comparison:
    """Statistics of the slices that a batch touches: ours from the windows, river's by one update
    per trade and slice."""
    groups, share = sizes.updated
    windows = [Table(trades(250, 8, (3, 4), seed=g)).window for g in range(groups)]
    seeds = itertools.count(10_000)

    def arriving() -> list[list[Trade]]:
        for window in windows:
            window.settle()
        return [trades(share, 8, (3, 4), seed=next(seeds)) for _ in windows]

    def ours(batch: list[list[Trade]]) -> None:
        for window, made in zip(windows, batch, strict=True):
            window.fold(made)
            statistics_of(window, fresh=True)

    took = timed(sizes.runs, ours, arriving).wall_s
    batch = arriving()
    work = (
        f"{groups * share:,} trades come into {groups} groups of 250, 8 dims: n, mean and variance"
        f" of all slices of ≤ {DEPTH} that they are in; ours computed from the window, for"
        " those with ≥ 33 trades; river's running ones, which never forget"
    )
    return Comparison(
        "river Var, one update a slice", work, took, _peer("river", lambda: river_updates(batch))
    )


def river_updates(batch: list[list[Trade]]) -> float:
    """Running variances, in a dictionary by slice."""
    from river import stats

    def work() -> None:
        for made in batch:
            running: dict[tuple[tuple[str, str], ...], Any] = {}
            for trade in made:
                items = tuple(trade.scopes[0].items())
                for k in range(DEPTH + 1):
                    for key in itertools.combinations(items, k):
                        known = running.get(key)
                        if known is None:
                            known = running[key] = stats.Var()
                        known.update(trade.outcome)

    return seconds(work).wall_s
