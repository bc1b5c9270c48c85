"""The walk-forward: at each cut the product and the peers learn from the same trades and size the
same decisions.

May touch: the processes of its own pool, the logs it is given (read only).

Cuts, decisions and their worth are those of `app.audit.walk_forward`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from typing import NamedTuple

import numpy as np

from app.audit.timeline import Timeline
from app.audit.trades import Decision
from app.audit.walk_forward import HORIZON_US, SIZED, cut_times, judge_cut
from app.learning.common.config import LearningConfig
from app.learning.common.multiplier import multiplier
from benchmarks.real.peers import PEERS
from benchmarks.real.peers.table import Floats, Ints, lesson
from benchmarks.real.sources import Source


@dataclass(frozen=True)
class Task:
    """A cut of a log, the `number`th of `cuts`, by an outcome."""

    source: Source
    outcome: str
    cuts: int
    number: int


class Sized(NamedTuple):
    """N decisions: the cut that answers, what their trades made beyond the baseline in units of
    size, their group's name, and the multipliers by contender.  `product` names the contenders that
    are variants of Edgeloop; the first is as configured."""

    cut_us: Ints
    uplift: Floats
    group: np.ndarray  # array of text
    multipliers: dict[str, Floats]
    product: tuple[str, ...]


class _Desk:
    def __init__(self, source: Source, outcome: str, cuts: int) -> None:
        settings = source.settings(outcome)
        self.config: LearningConfig = settings.learning_config
        self.timelines = {
            name: Timeline(module, self.config, SIZED)
            for name, module in sorted(source.modules(settings).items())
        }
        self.cuts = cut_times(
            sorted(
                (d for t in self.timelines.values() for d in t.decisions), key=lambda d: d.at_us
            ),
            cuts,
        )


@lru_cache(maxsize=1)
def _desk(source: Source, outcome: str, cuts: int) -> _Desk:
    return _Desk(source, outcome, cuts)


def judged(task: Task) -> list[Sized]:
    """The answers of all contenders at a cut, module by module."""
    desk = _desk(task.source, task.outcome, task.cuts)
    if task.number >= len(desk.cuts):
        return []
    cut, end = desk.cuts[task.number], [*desk.cuts, 2**62][task.number + 1]
    return [_sized(name, timeline, desk, cut, end) for name, timeline in desk.timelines.items()]


def _sized(name: str, timeline: Timeline, desk: _Desk, cut: int, end: int) -> Sized:
    found = judge_cut(name, timeline, desk.config, cut, end).judged
    asked = timeline.asked(cut, min(end, cut + HORIZON_US))
    unit = unit_between(asked, found.uplift)
    table = lesson(timeline.known(cut), asked, SIZED, unit)
    peers = {peer: multiplier(expect(table)) for peer, expect in PEERS.items()}
    group = np.array([" ".join(d.group) for d in asked], np.str_)
    return Sized(
        found.cut_us, found.uplift, group, found.multipliers | peers, tuple(found.multipliers)
    )


def unit_between(asked: Sequence[Decision], uplift: Floats) -> float:
    """Units of the outcome that are one unit of size, from two decisions of a segment whose
    outcomes differ most; 1 if there are none.

    The uplift is the outcome minus the segment's baseline, in units of size; in the difference of
    two decisions of a segment, the baseline cancels.
    """
    best, unit = 0.0, 1.0
    segments: dict[object, list[int]] = {}
    for i, decision in enumerate(asked):
        segments.setdefault(decision.segment, []).append(i)
    for members in segments.values():
        ordered = sorted(members, key=lambda i: asked[i].outcome)
        outcome = asked[ordered[-1]].outcome - asked[ordered[0]].outcome
        size = float(uplift[ordered[-1]] - uplift[ordered[0]])
        if size > 0 and size > best:
            best, unit = size, outcome / size
    return unit


def joined(parts: Sequence[Sized]) -> Sized:
    """Several cuts as one."""
    parts = [part for part in parts if len(part.uplift)]
    if not parts:
        return Sized(np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.str_), {}, ())
    names = list(parts[0].multipliers)
    return Sized(
        np.concatenate([p.cut_us for p in parts]),
        np.concatenate([p.uplift for p in parts]),
        np.concatenate([p.group for p in parts]),
        {name: np.concatenate([p.multipliers[name] for p in parts]) for name in names},
        parts[0].product,
    )


Finished = Callable[[str, str, Sized], None]
"""Called with a log's name and outcome when all its cuts are done."""


def walk(
    sources: Sequence[Source],
    outcomes: Sequence[str],
    cuts: int,
    jobs: int,
    progress: Callable[[], None],
    finished: Finished,
) -> dict[tuple[str, str], Sized]:
    """All cuts of all logs over `jobs` processes, log by log; `progress` is called for each cut."""
    tasks = [
        Task(source, outcome, cuts, k)
        for source in sources
        for outcome in outcomes
        for k in range(cuts)
    ]
    left = {(source.name, outcome): cuts for source in sources for outcome in outcomes}
    parts: dict[tuple[str, str], list[tuple[int, list[Sized]]]] = {key: [] for key in left}
    done: dict[tuple[str, str], Sized] = {}
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        running = {pool.submit(judged, task): task for task in tasks}
        try:
            for future in as_completed(running):
                task = running.pop(future)
                key = (task.source.name, task.outcome)
                parts[key].append((task.number, future.result()))
                left[key] -= 1
                progress()
                if not left[key]:
                    done[key] = joined(
                        [
                            sized
                            for _, found in sorted(parts.pop(key), key=lambda p: p[0])
                            for sized in found
                        ]
                    )
                    finished(*key, done[key])
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    return done
