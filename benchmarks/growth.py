"""How the cost of a close grows with the trades in a group's window, and with the lessons of a
module.

Run: python -m benchmarks.growth --plot docs/growth.svg

It measures the CPU time of this process, which other load on the machine disturbs less than the
clock.  `python -m benchmarks.pipeline --only workers` measures how the pipeline scales with
workers.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from app.learning.common.config import LearningConfig
from app.learning.integrated.group import IntegratedLearner
from app.learning.integrated.judge import IntegratedJudge
from benchmarks.speed.core import learner
from benchmarks.speed.worlds import CATEGORY, group, trades

DIMS, DEPTH, GROUP_TRADES = 8, 3, 500
CHANGING = 4
"""Number of groups that change, one after the other."""
URGENT, FULL = "a group's change, until sizes are published", "the rest, in a full judgement"


@dataclass(frozen=True)
class Point:
    """CPU seconds at a size."""

    size: int
    seconds: float


Curves = dict[str, list[Point]]


def cpu_s(work: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    began = time.process_time()
    work()
    return time.process_time() - began


def by_trades(sizes: list[int], runs: int) -> Curves:
    """A close in a group with each number of trades: until it is published, and the exact refit."""
    curves: Curves = {"one more trade, published": [], "refit of its group": []}
    for size in sizes:
        made = trades(size + 40 * runs, DIMS, (4,), seed=1)
        later = iter(made[size:])
        config = LearningConfig(max_dims=DEPTH, window_trades=size)
        one = IntegratedLearner("pm", group(0), CATEGORY, config, between=True)
        one.fold(made[:size])
        one.refit(version=1)

        def publish(one: IntegratedLearner = one, later: Iterator = later) -> None:  # type: ignore[type-arg]
            one.fold([next(later)])
            one.provisional(version=2)

        def refit(one: IntegratedLearner = one, later: Iterator = later) -> None:  # type: ignore[type-arg]
            one.fold([next(later)])
            one.refit(version=3)

        at_once = statistics.median(cpu_s(publish) for _ in range(20))
        exact = statistics.median(cpu_s(refit) for _ in range(runs))
        curves["one more trade, published"].append(Point(size, at_once))
        curves["refit of its group"].append(Point(size, exact))
    return curves


def by_lessons(groups: list[int], runs: int) -> Curves:
    """A judgement of a module with each number of lessons after one group has changed: first the
    part that a position manager waits for, then the rest of a full judgement."""
    curves: Curves = {URGENT: [], FULL: []}
    config = LearningConfig(max_dims=DEPTH)
    seeds = itertools.count(20_000)
    judge = IntegratedJudge("pm", config)
    changing: list[IntegratedLearner] = []
    for number in range(max(groups)):
        one = learner(config, number, trades(GROUP_TRADES, DIMS, (4,), seed=number))
        found = one.refit(version=1)
        judge.fold([*found.lessons, *([found.summary] if found.summary else [])])
        if number < CHANGING:
            changing.append(one)
        if number + 1 not in groups:
            continue
        judge.judge(version=1)
        urgent, full = [], []
        for turn in range(CHANGING * runs):
            one = changing[turn % len(changing)]
            one.fold(trades(5, DIMS, (4,), seed=next(seeds)))
            changed = one.refit(version=2)
            summary = [changed.summary] if changed.summary else []
            judge.fold([*changed.lessons, *summary], changed.retired)
            urgent.append(cpu_s(lambda: judge.judge(version=2, urgent_only=True)))
            full.append(cpu_s(lambda: judge.judge(version=2)))
        curves[URGENT].append(Point(judge.n_lessons, statistics.median(urgent)))
        curves[FULL].append(Point(judge.n_lessons, statistics.median(full)))
    return curves


def show(title: str, unit: str, curves: Curves) -> None:
    """Print a table in Markdown."""
    sizes = [point.size for point in next(iter(curves.values()))]
    print(f"\n| {title} | " + " | ".join(f"{size:,} {unit}" for size in sizes) + " |")
    print("|---|" + "---|" * len(sizes))
    for name, points in curves.items():
        print(f"| {name} | " + " | ".join(_time(p.seconds) for p in points) + " |")


def _time(seconds: float) -> str:
    return f"{1000 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def plot(path: str, panels: dict[str, Curves]) -> None:
    """Both curves on logarithmic axes."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "growth"  # the same file from the same figures
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(panels), figsize=(9, 3.4))
    for axis, (label, curves) in zip(axes, panels.items(), strict=True):
        for name, points in curves.items():
            axis.loglog(
                [p.size for p in points], [1000 * p.seconds for p in points], "o-", label=name
            )
        axis.set_xlabel(label)
        axis.set_ylabel("CPU, ms")
        axis.grid(True, which="major", alpha=0.3)
        axis.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None} if path.endswith(".svg") else None)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.growth", description=(__doc__ or "").partition("\n\n")[0]
    )
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to test that it runs")
    parser.add_argument(
        "--runs", type=int, default=3, help="runs, whose medians are reported (default 3)"
    )
    parser.add_argument("--plot", metavar="FILE", help="write a plot, as SVG or PNG")
    options = parser.parse_args()
    sizes = [200, 400] if options.quick else [1_000, 3_000, 10_000, 30_000]
    groups = [2, 4] if options.quick else [50, 100, 200, 400, 800]
    window = by_trades(sizes, options.runs)
    show("CPU of a close, by trades in its group's window", "trades", window)
    module = by_lessons(groups, options.runs)
    show("CPU of a judgement, by lessons of its module", "lessons", module)
    if options.plot:
        plot(options.plot, {"trades in the window": window, "lessons of the module": module})


if __name__ == "__main__":
    main()
