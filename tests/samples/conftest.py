"""Makes the repository's root importable, and prices that need no package.

May touch: samples.*.
"""

from __future__ import annotations

import sys
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from samples.market import SECTORS, Prices  # noqa: E402


@pytest.fixture(scope="session")
def random_prices() -> Prices:
    """Eight symbols over 900 working days: random walks with drift, so that every rule trades."""
    random = np.random.default_rng(5)
    symbols = tuple(sorted(SECTORS))[:8]
    steps = random.normal(0.0008, 0.016, (900, len(symbols))) + random.normal(0, 0.006, (900, 1))
    close = np.rint(40_000 * np.exp(np.cumsum(steps, axis=0))).astype(np.int64)
    days, day = [], date(2001, 1, 1)
    while len(days) < len(close):
        if day.weekday() < 5:
            days.append(day.isoformat())
        day += timedelta(days=1)
    return Prices(tuple(days), symbols, close, np.rint(close.mean(axis=1)).astype(np.int64))
