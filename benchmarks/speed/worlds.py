"""The data to measure on: seeded trades in discrete contexts, with two effects among them."""

from __future__ import annotations

import numpy as np

from app.learning.common.event_time import DAY_US
from app.learning.common.trade import Trade

SPAN_DAYS = 60
SEGMENTS = (("micro", "1h"), ("mega", "1h"), ("micro", "4h"))
CATEGORY = "add"


def trades(n: int, dims: int, values: tuple[int, ...], seed: int) -> list[Trade]:
    """`n` closes with one action each, in contexts of `dims` dimensions; `values` gives the numbers
    of values that these have, in turn; the first values are more frequent."""
    rng = np.random.default_rng(seed)
    sizes = np.resize(values, dims)
    codes = (rng.random((n, dims)) ** 1.5 * sizes).astype(int)
    exits = np.sort(rng.integers(0, SPAN_DAYS * DAY_US, n)).tolist()
    outcome = rng.normal(0.1, 1.2, n)
    outcome += 0.8 * ((codes[:, 0] == 1) & (codes[:, 1] == 0)) - 0.6 * (codes[:, 2] == 2)
    names = ["btc_macro", *(f"d{i}" for i in range(1, dims))]
    return [
        Trade(
            trade_id=f"{seed}-{i}",
            rank=(0, 1, exit_us, f"e{i}", "00" * 32),
            exit_us=exit_us,
            outcome=float(y),
            segment=SEGMENTS[i % len(SEGMENTS)],
            home=True,
            scopes=(dict(zip(names, (f"v{code}" for code in row), strict=True)),),
            time_efficiency=0.5,
        )
        for i, (row, y, exit_us) in enumerate(
            zip(codes.tolist(), outcome.tolist(), exits, strict=True)
        )
    ]


def group(number: int) -> str:
    """The pattern key of a group."""
    return f"pm.family.S{number}.motif"
