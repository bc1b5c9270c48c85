"""A peer: running statistics of slices as a Quix Streams application in one file.

Run by `python -m benchmarks.pipeline`, with the interpreter that has the package `quixstreams`; it
imports nothing of ours.  PEER_BROKER and PEER_PREFIX name where it reads and writes.

A close becomes a fact for each of its three groups.  Facts are keyed by group through the
application's own repartition topic.  For each group it keeps the count, mean and variance of every
slice of the context in RocksDB, and publishes the multiplier of every slice that a close touches.
It has no window, no search, no test and no corrections of closes; delivery is at least once, and
all settings are the package's defaults.
"""

import math
import os
from collections.abc import Iterator
from itertools import combinations
from typing import Any

from quixstreams import Application, State

PREFIX = os.environ["PEER_PREFIX"]


def facts(close: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One fact for each group in which the trade acted."""
    summary = close["trade_summary"]
    for action in close["actions"]:
        yield {
            "group": f"{action['pattern_key']}|{action['action_category']}",
            "scope": action["scope"],
            "rr": summary["rr"],
            "as_of": summary["exit_timestamp"],
        }


def slices(scope: dict[str, str]) -> Iterator[str]:
    """All slices that contain a context."""
    pairs = [f"{name}={value}" for name, value in sorted(scope.items())]
    for size in range(len(pairs) + 1):
        for chosen in combinations(pairs, size):
            yield "|".join(chosen)


def learn(fact: dict[str, Any], state: State) -> Iterator[dict[str, Any]]:
    """The overrides of the slices that the fact touches, after Welford's update."""
    for name in slices(fact["scope"]):
        known = state.get(name) or {"n": 0, "mean": 0.0, "m2": 0.0}
        n = known["n"] + 1
        delta = fact["rr"] - known["mean"]
        mean = known["mean"] + delta / n
        m2 = known["m2"] + delta * (fact["rr"] - mean)
        state.set(name, {"n": n, "mean": mean, "m2": m2})
        shrunk = mean * n / (n + 30)
        yield {
            "override_id": f"{fact['group']}|{name}",
            "multiplier": min(max(1 + shrunk, 0.3), 3.0),
            "n_trades": n,
            "sd": math.sqrt(m2 / (n - 1)) if n > 1 else None,
            "as_of": fact["as_of"],
        }


def main() -> None:
    """Follow the closes until stopped."""
    app = Application(
        broker_address=os.environ["PEER_BROKER"],
        consumer_group=f"{PREFIX}peer",
        auto_offset_reset="earliest",
        state_dir=os.environ["PEER_STATE"],
    )
    closes = app.topic(f"{PREFIX}position_closed", value_deserializer="json")
    overrides = app.topic(f"{PREFIX}pm_overrides", value_serializer="json")
    frame = app.dataframe(closes)
    frame = frame.apply(facts, expand=True)
    frame = frame.group_by(lambda fact: fact["group"], name="group")
    frame = frame.apply(learn, stateful=True, expand=True)
    frame.to_topic(overrides, key=lambda override: override["override_id"])
    app.run()


if __name__ == "__main__":
    main()
