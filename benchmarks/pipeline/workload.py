"""The workload: closes of a few patterns with two context dimensions, three groups each.

On the bare chain, each close causes seven messages in and nine out (1 close, 3 facts, 3 lessons in;
3 facts, 3 lessons, 3 overrides out).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec
import orjson

from schemas.facts import FactAction, PatternTradeEvent, Segment

PATTERNS = 10
CATEGORIES = ("entry", "add", "exit")
SETTINGS = {
    "EDGELOOP_DIMENSIONS": "chain,vol_bucket",
    "EDGELOOP_MAX_DIMS": "2",
    "EDGELOOP_N_MIN": "33",
    # No throttling: the delay is that of the work itself.
    "EDGELOOP_LESSONS_PER_SECOND": "20000",
}
_START = datetime.now(UTC) - timedelta(days=30)


def exit_of(number: int) -> str:
    """Exit time of close `number`: one per second."""
    return (
        (_START + timedelta(seconds=number))
        .isoformat(timespec="microseconds")
        .replace("+00:00", "Z")
    )


def closes(
    count: int, first: int = 0, seed: int = 7, patterns: int = PATTERNS
) -> Iterator[tuple[str, bytes]]:
    """(trade id, event) of closes `first` … `first + count - 1`."""
    rng = random.Random(seed * 1_000_003 + first)
    for number in range(first, first + count):
        state = rng.randrange(patterns)
        pattern = f"pm.bench.S{state}"
        # far from the baseline, so that every group has an override that moves with each trade
        edge = 1.0 if state % 2 else -1.0
        scope = {"chain": rng.choice("abc"), "vol_bucket": rng.choice(("low", "high"))}
        event = {
            "event_id": f"e{number}",
            "schema_version": 1,
            "trade_id": f"t{number}",
            "module": "pm",
            "symbol": "XYZ",
            "entry_context": scope,
            "trade_summary": {
                "exit_timestamp": exit_of(number),
                "rr": round(rng.gauss(edge, 0.5), 4),
                "roi": 0.01,
                "pnl_usd": 1.5,
            },
            "actions": [
                {
                    "ts": exit_of(number),
                    "pattern_key": pattern,
                    "action_category": category,
                    "scope": scope,
                }
                for category in CATEGORIES
            ],
        }
        yield f"t{number}", orjson.dumps(event)


def facts(count: int, seed: int = 7) -> Iterator[tuple[str, bytes]]:
    """(message key, fact) of `count` facts in 200 groups, eight dimensions."""
    rng = random.Random(seed)
    encode = msgspec.json.Encoder(order="deterministic").encode
    dimensions = [f"d{i}" for i in range(8)]
    for number in range(count):
        key = f"pm.bench.S{rng.randrange(200)}"
        scope = {d: str(rng.randrange(4)) for d in dimensions}
        fact = PatternTradeEvent(
            module="pm",
            pattern_key=key,
            action_category="entry",
            trade_id=f"t{number}",
            revision=0,
            n_actions=1,
            exit_ts=exit_of(number),
            event_id=f"e{number}",
            value_sha256=f"{number:064x}",
            actions=(FactAction("a0", exit_of(number), scope),),
            rr=round(rng.gauss(0, 1), 4),
            roi=None,
            pnl_usd=None,
            segment=Segment("b", "1h"),
            home=True,
        )
        yield f"{key}|entry", encode(fact)
