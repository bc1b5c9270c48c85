"""The resources of a worker: memory, descriptors, threads, tasks.

May touch: the worker's process table entry and its `/metrics` (read only).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import psutil

from tests.pipeline.installation import Worker
from tests.soak.trend import Trend, trend

QUANTITIES = ("rss_mb", "descriptors", "threads", "tasks")
ALLOWED_SHARE = {"rss_mb": 0.04, "descriptors": 0.1, "threads": 0.1, "tasks": 0.1}
"""The share of its value after the warm-up by which a quantity may grow."""
ALLOWED_AT_LEAST = {"rss_mb": 6.0, "descriptors": 3, "threads": 3, "tasks": 5}


@dataclass
class Samples:
    """The samples of one worker."""

    worker: Worker
    times: list[float] = field(default_factory=list)
    values: dict[str, list[float]] = field(default_factory=lambda: {n: [] for n in QUANTITIES})

    def take(self, at_s: float) -> None:
        """Take one more sample of each; fails if the worker has ended."""
        self.worker.check()
        process = psutil.Process(self.worker.pid)
        with process.oneshot():
            found = {
                "rss_mb": process.memory_info().rss / 1e6,
                "descriptors": float(process.num_fds()),
                "threads": float(process.num_threads()),
            }
        found["tasks"] = self.worker.metric("edgeloop_asyncio_tasks")
        assert found["tasks"] > 0, "the worker does not tell its tasks"
        self.times.append(at_s)
        for name, value in found.items():
            self.values[name].append(value)

    def trends(self) -> dict[str, Trend]:
        return {name: trend(self.times, self.values[name]) for name in QUANTITIES}


def allowed(name: str, found: Trend) -> float:
    """How much a quantity may grow in a run."""
    return max(ALLOWED_AT_LEAST[name], ALLOWED_SHARE[name] * found.first)
