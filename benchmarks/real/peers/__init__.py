"""Other ways to size the same decisions from the same trades."""

from __future__ import annotations

from collections.abc import Callable

from app.audit.peers import group_means, ridge
from benchmarks.real.peers.boosting import boosting
from benchmarks.real.peers.mixed import mixed
from benchmarks.real.peers.neutral import neutral
from benchmarks.real.peers.table import Floats, Lesson

PEERS: dict[str, Callable[[Lesson], Floats]] = {
    "boosting": boosting,
    "ridge": ridge,
    "mixed": mixed,
    "group means": group_means,
    "neutral": neutral,
}
"""Name → the uplift that the peer expects of each decision, in units of size."""
