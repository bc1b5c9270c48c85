"""`OverrideBook.resolve` with many overrides in the book.

The book's own call is measured, on a book filled through its own reader code, without a broker.
"""

from __future__ import annotations

import random
import time
from types import SimpleNamespace

import msgspec

from benchmarks.speed.measure import Row
from edgeloop import OverrideBook
from edgeloop.book import Shelf
from edgeloop.overrides import Evidence, Override, OverrideDecay
from edgeloop.scope import DEFAULT_DIMENSIONS

OVERRIDES = 1_000
CONTEXTS = 2_000
VALUES = 4
T0 = "2024-03-01T00:00:00.000000Z"


def override(i: int, groups: int, learning: str, rng: random.Random) -> Override:
    """An override on two to four dimensions."""
    dimensions = rng.sample(DEFAULT_DIMENSIONS, rng.randint(2, 4))
    integrated = learning == "integrated"
    return Override(
        override_id=f"{i:032x}",
        learning=learning,
        module="pm",
        pattern_key=f"pm.family.S{i % groups}.motif",
        action_category="add",
        scope={d: f"v{rng.randrange(VALUES)}" for d in dimensions},
        effect=rng.uniform(-0.3, 0.3),
        effect_sd=0.1,
        multiplier=rng.uniform(0.5, 2),
        confidence=0.5,
        n_trades=50,
        baseline=0.0,
        decay=OverrideDecay("decaying", 500.0) if integrated else OverrideDecay("stable"),
        latent_factor_id=None,
        covers=(),
        regime_gains={"": 0.9, "btc_macro=v1": 1.2} if integrated else {},
        evidence=Evidence(T0, T0, 1),
        as_of=T0,
        expires_at=None,
        version=1,
    )


def filled(groups: int, learning: str, rng: random.Random) -> OverrideBook:
    """A book with OVERRIDES overrides in a number of groups."""
    shelf = Shelf()
    made = [override(i, groups, learning, rng) for i in range(OVERRIDES)]
    shelf.apply(
        SimpleNamespace(
            key=o.override_id.encode(),
            value=msgspec.json.encode(o),
            headers=[("version", b"1")],
            offset=0,
            partition=0,
        )
        for o in made
    )
    assert len(shelf.records) == OVERRIDES
    book = OverrideBook("127.0.0.1:1", stale_after_s=1e9)
    book._shelf, book._current_at = shelf, time.monotonic()
    return book


def measure(calls: int) -> list[Row]:
    """p50 and p99, in contexts that give each of 29 dimensions a value; half-lives and regime gains
    where they are `integrated`."""
    rows = []
    for learning, groups in (
        ("integrated", 100),
        ("integrated", 1),
        ("classic", 100),
        ("classic", 1),
    ):
        rng = random.Random(7)
        book = filled(groups, learning, rng)
        contexts = [
            {d: f"v{rng.randrange(VALUES)}" for d in DEFAULT_DIMENSIONS} for _ in range(CONTEXTS)
        ]
        keys = [f"family.S{rng.randrange(groups)}.motif" for _ in range(CONTEXTS)]
        took, matches = [], 0
        for i in range(calls):
            key, context = keys[i % CONTEXTS], contexts[i % CONTEXTS]
            began = time.perf_counter_ns()
            found = book.resolve(key, "add", context)
            took.append(time.perf_counter_ns() - began)
            matches += len(found.ids)
            assert found.reason in ("matched", "no_match"), found
        took.sort()
        name = (
            f"resolve, {OVERRIDES:,} {learning} overrides in {groups}"
            f" group{'s' if groups > 1 else ''}"
        )
        held = learning == "integrated"  # the case that has the targets
        detail = f"{matches / calls:.1f} match"
        rows.append(
            Row(f"{name}: p50", took[calls // 2] / 1e3, "µs", 10.0 if held else None, detail)
        )
        rows.append(
            Row(f"{name}: p99", took[calls * 99 // 100] / 1e3, "µs", 50.0 if held else None, detail)
        )
    return rows
