"""The settings of the learning core in one frozen object, shared by agents, backfill, audit, tests
and benchmarks.

May touch: nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.learning.common.event_time import DAY_US


@dataclass(frozen=True)
class LearningConfig:
    """Settings of the core.

    `learning` is `classic` or `integrated`; the last seven fields concern `integrated` alone.
    `window_us` in µs, `window_trades` and `n_min` in trades, `max_dims` 0 for any number;
    `edge_min` in units of size, `baseline_default` in units of the outcome; `alpha` is the error
    rate of a module; `half_life`, `regime_weights` and `latent_factors` switch the three
    meta-learners; `regime_signature` names the dimensions that distinguish regimes, the coarsest
    first; slices whose trades have a Jaccard index of `factor_jaccard` are one factor; at most
    `lessons_per_group` lessons of a group are published.
    """

    learning: str = "integrated"
    outcome: str = "rr"
    window_us: int = 90 * DAY_US
    window_trades: int = 10_000
    n_min: int = 33
    max_dims: int = 4
    edge_min: float = 0.05
    baseline_default: float = 0.0
    alpha: float = 0.03
    half_life: bool | None = None
    regime_weights: bool | None = None
    latent_factors: bool | None = None
    shared_effects: bool | None = None
    regime_signature: tuple[str, ...] = ("btc_macro",)
    factor_jaccard: float = 0.7
    lessons_per_group: int = 200
