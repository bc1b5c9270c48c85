"""How long `OverrideBook.resolve` takes: `python -m benchmarks.resolve`, with 1 000 overrides in the book.

May touch: stdout.  Measures the book's own call on a book filled through its own reader code, without a broker.
"""

from __future__ import annotations

import random
import time
from types import SimpleNamespace

import msgspec

from app.runtime import OverrideBook
from app.runtime.book import Shelf
from schemas.lessons import Evidence
from schemas.overrides import Override, OverrideDecay
from schemas.scope import DEFAULT_DIMENSIONS

OVERRIDES = 1_000
CONTEXTS = 2_000
CALLS = 50_000
VALUES = 4
T0 = "2024-03-01T00:00:00.000000Z"


def override(i: int, groups: int, learning: str, rng: random.Random) -> Override:
    """An override on one to three dimensions."""
    dimensions = rng.sample(DEFAULT_DIMENSIONS, rng.randint(1, 3))
    integrated = learning == "integrated"
    return Override(
        override_id=f"{i:032x}", learning=learning, module="pm", pattern_key=f"pm.family.S{i % groups}.motif", action_category="add",
        scope={d: f"v{rng.randrange(VALUES)}" for d in dimensions}, effect=rng.uniform(-0.3, 0.3), effect_sd=0.1,
        multiplier=rng.uniform(0.5, 2), confidence=0.5, n_trades=50, baseline=0.0,
        decay=OverrideDecay("decaying", 500.0) if integrated else OverrideDecay("stable"), latent_factor_id=None, covers=(),
        regime_gains={"": 0.9, "btc_macro=v1": 1.2} if integrated else {}, evidence=Evidence(T0, T0, 1), as_of=T0, expires_at=None,
        version=1,
    )  # fmt: skip


def measure(groups: int, learning: str) -> tuple[float, float, float]:
    """p50 and p99 in microseconds and the mean number of matches, in contexts that give every dimension a value."""
    rng = random.Random(7)
    shelf = Shelf()
    made = [override(i, groups, learning, rng) for i in range(OVERRIDES)]
    shelf.apply(
        SimpleNamespace(key=o.override_id.encode(), value=msgspec.json.encode(o), headers=[("version", b"1")], offset=0, partition=0)
        for o in made
    )
    assert len(shelf.records) == OVERRIDES
    book = OverrideBook("127.0.0.1:1", stale_after_s=1e9)
    book._shelf, book._current_at = shelf, time.monotonic()
    contexts = [{d: f"v{rng.randrange(VALUES)}" for d in DEFAULT_DIMENSIONS} for _ in range(CONTEXTS)]
    keys = [f"family.S{rng.randrange(groups)}.motif" for _ in range(CONTEXTS)]
    took, matches = [], 0
    for i in range(CALLS):
        key, context = keys[i % CONTEXTS], contexts[i % CONTEXTS]
        began = time.perf_counter_ns()
        found = book.resolve(key, "add", context)
        took.append(time.perf_counter_ns() - began)
        matches += len(found.ids)
        assert found.reason in ("matched", "no_match"), found
    took.sort()
    return took[CALLS // 2] / 1e3, took[CALLS * 99 // 100] / 1e3, matches / CALLS


def main() -> None:
    print(f"{OVERRIDES} overrides in the book, {len(DEFAULT_DIMENSIONS)} dimensions in the context, {CALLS} calls")
    for learning in ("classic", "integrated"):
        for groups in (100, 10, 1):
            p50_us, p99_us, matches = measure(groups, learning)
            print(f"  {learning:10} {groups:3} groups, {matches:5.1f} matches: p50 {p50_us:6.1f} µs   p99 {p99_us:6.1f} µs")


if __name__ == "__main__":
    main()
