"""The log: closed trades of ten patterns over two years, each with one entry and one exit, in eight
dimensions of context.

May touch: nothing.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import orjson

PATTERNS = 10
DIMENSIONS = tuple(f"d{i}" for i in range(8))
SPAN = timedelta(days=730)
_END = datetime(2026, 1, 1, tzinfo=UTC)
_SYMBOLS = ("AAA", "BBB", "CCC", "DDD", "EEE")


def closes(count: int, seed: int = 11) -> Iterator[tuple[str, bytes, int]]:
    """(trade id, event, timestamp in ms) of `count` closes, sorted by time; a slice of every second
    pattern has an edge."""
    rng = random.Random(seed)
    for number in range(count):
        exit_ = _END - SPAN + SPAN * (number / count)
        entry = exit_ - timedelta(hours=rng.randrange(1, 48))
        pattern = rng.randrange(PATTERNS)
        scope = {name: str(rng.randrange(4)) for name in DIMENSIONS}
        rr = rng.gauss(0.1, 1.0) + (0.5 if pattern % 2 and scope["d0"] == "1" else 0.0)
        times = [moment.isoformat(timespec="milliseconds") for moment in (entry, exit_)]
        key = f"pm.bench.S{pattern}"
        yield (
            f"t{number}",
            orjson.dumps(
                {
                    "event_id": f"e{number}",
                    "schema_version": 1,
                    "trade_id": f"t{number}",
                    "position_id": f"p{number}",
                    "module": "pm",
                    "symbol": rng.choice(_SYMBOLS),
                    "bucket": "micro" if number % 3 else "macro",
                    "timeframe": "1h",
                    "trade_summary": {
                        "entry_timestamp": times[0],
                        "exit_timestamp": times[1],
                        "rr": round(rr, 4),
                        "roi": round(rr / 50, 6),
                        "pnl_usd": round(20 * rr, 2),
                        "hold_time_days": 1.5,
                        "max_drawdown": 0.02,
                    },
                    "actions": [
                        {
                            "action_id": f"t{number}-1",
                            "ts": times[0],
                            "pattern_key": key,
                            "action_category": "entry",
                            "scope": scope,
                        },
                        {
                            "action_id": f"t{number}-2",
                            "ts": times[1],
                            "pattern_key": key,
                            "action_category": "exit",
                            "scope": scope,
                        },
                    ],
                }
            ),
            round(exit_.timestamp() * 1000),
        )
