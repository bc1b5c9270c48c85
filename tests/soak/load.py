"""A steady stream of closes in the same few groups, whose windows are soon full.  Each is a new
trade, and the run covers the same span of event time however long it takes, so what a worker must
remember of trades (`SETTINGS`) reaches its bound early.

May touch: the broker.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from tests.pipeline.installation import Installation
from tests.pipeline.trades import DAYS, START, Close, close, simple

PATTERNS = ("up.S1", "down.S2", "wide.S3")
SCOPES = {
    "chain": ("sol", "eth", "base"),
    "bucket": ("micro", "large"),
    "timeframe": ("1h", "4h"),
}
SETTINGS: dict[str, Any] = {
    "n_min": 15,
    "max_dims": 2,
    "window_days": 4.0,
    "window_trades": 150,
    "retention_days": 8.0,
}
"""Windows are full after seconds.  The ranks of trades that left a window are remembered as long as
the log may hold them: 8 of 109 days, so also that is reached while a run warms up."""
REPEATED = 0.1
REFUSED = 0.02


def closes(seed: int, total: int) -> Iterator[Close]:
    """A number of trades, one after the other in time; some closes are sent twice, some are
    refused."""
    random = Random(seed)
    now = datetime.now(UTC)
    first_day = (now - START) / timedelta(days=1) - DAYS
    for number in range(total):
        event: dict[str, Any] = simple(
            f"s-{number}",
            day=first_day + number / total * (DAYS - 1),
            rr=random.gauss(0.3, 1.0),
            pattern=random.choice(PATTERNS),
            scope={name: random.choice(values) for name, values in SCOPES.items()},
        )
        if random.random() < REFUSED:
            del event["trade_id"]
        made = close(event, at=now)
        yield made
        if random.random() < REPEATED:
            yield made


class Steady:
    """Sends the closes that are due at a given rate; called repeatedly."""

    def __init__(self, installation: Installation, seed: int, rate: float, seconds: float) -> None:
        self._installation, self._rate = installation, rate
        self._closes = closes(seed, max(1, round(rate * seconds)))
        self._began = time.monotonic()
        self.sent = 0

    def send_due(self) -> None:
        """The number of closes that should have been sent by now, but were not."""
        due = int((time.monotonic() - self._began) * self._rate) - self.sent
        batch = [made for _, made in zip(range(due), self._closes, strict=False)]
        if batch:
            self._installation.produce(batch)
            self.sent += len(batch)
