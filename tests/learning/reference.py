"""A plain batch computation of the results that the core must find, written for clarity and
independent of the core."""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from itertools import combinations

from app.learning.common.trade import Trade

HOUR_US = 3_600_000_000


def counting_trades(records: Iterable[Trade], window_us: int, window_trades: int) -> list[Trade]:
    """For each trade, the record that counts; of these, the ones inside the window, oldest
    first."""
    best: dict[str, Trade] = {}
    for record in records:
        if record.trade_id not in best or record.rank > best[record.trade_id].rank:
            best[record.trade_id] = record
    if not best:
        return []
    newest = max(t.exit_us for t in best.values())
    inside = sorted(
        (t for t in best.values() if t.exit_us >= newest - window_us),
        key=lambda t: (t.exit_us, t.trade_id),
    )
    return inside[-window_trades:]


def slices(
    trades: list[Trade], n_min: int, max_dims: int
) -> dict[frozenset[tuple[str, str]], list[Trade]]:
    """Every slice of at least `n_min` trades with its trades."""
    found: dict[frozenset[tuple[str, str]], dict[str, Trade]] = {}
    for trade in trades:
        for scope in trade.scopes:
            for k in range((max_dims or len(scope)) + 1):
                for part in combinations(scope.items(), k):
                    found.setdefault(frozenset(part), {})[trade.trade_id] = trade
    return {
        scope: list(members.values()) for scope, members in found.items() if len(members) >= n_min
    }


def statistics(trades: list[Trade]) -> tuple[int, float, float, float | None]:
    """n, mean, sample variance, slope per hour (None with fewer than 5 distinct exits), in exact
    arithmetic."""
    n = len(trades)
    y = [Fraction(t.outcome) for t in trades]
    x = [Fraction(t.exit_us, HOUR_US) for t in trades]
    y_mean, x_mean = sum(y) / n, sum(x) / n
    variance = sum((v - y_mean) ** 2 for v in y) / (n - 1) if n > 1 else Fraction(0)
    slope = None
    if len(set(x)) >= 5:
        slope = float(
            sum((a - x_mean) * (b - y_mean) for a, b in zip(x, y, strict=True))
            / sum((a - x_mean) ** 2 for a in x)
        )
    return n, float(y_mean), float(variance), slope


def decay(slope: float | None) -> tuple[str, float]:
    """State and multiplier."""
    if slope is None:
        return "insufficient", 1.0
    change = min(100 * abs(slope), 0.5)
    if slope < -0.001:
        return "decaying", max(0.5, 1 - change)
    if slope > 0.001:
        return "improving", min(1.5, 1 + change)
    return "stable", 1.0


def edge(n: int, mean: float, variance: float, decay_multiplier: float, baseline: float) -> float:
    """The classic edge."""
    reliability = 1 / (1 + variance + 0.25 / n)
    magnitude = 1 / (1 + math.exp(-mean))
    return (
        (mean - baseline)
        * reliability
        * (1 - math.exp(-n / 50) + magnitude + 1 + 1 / (1 + variance))
        * decay_multiplier
    )
