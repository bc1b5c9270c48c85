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

    Attributes
    ----------
    learning
        `classic` or `integrated`; the fields from `alpha` on concern `integrated` alone.
    outcome
        `rr`, `roi` or `pnl`.
    window_us
        Length of the window, in microseconds.
    window_trades
        Most trades of a group in the window.
    n_min
        Trades that a slice needs to be judged.
    max_dims
        Most dimensions of a slice; 0 means no limit.
    edge_min
        `classic`: smallest absolute edge that makes an override, in units of size.
    baseline_default
        Baseline of a module without trades, in units of the outcome.
    alpha
        Error rate of a module.
    half_life, regime_weights, latent_factors, shared_effects
        Switches of the learners: True for on, False for off, None to let the record decide.
    regime_signature
        Dimensions that define regimes, the coarsest first.
    factor_jaccard
        Jaccard index of their trades from which slices are one factor.
    lessons_per_group
        Most lessons of a group that are published.
    """

    learning: str = "integrated"
    outcome: str = "rr"
    window_us: int = 90 * DAY_US
    window_trades: int = 10_000
    n_min: int = 33
    max_dims: int = 4
    edge_min: float = 0.05
    baseline_default: float = 0.0
    alpha: float = 0.02
    half_life: bool | None = None
    regime_weights: bool | None = None
    latent_factors: bool | None = None
    shared_effects: bool | None = None
    regime_signature: tuple[str, ...] = ("btc_macro",)
    factor_jaccard: float = 0.7
    lessons_per_group: int = 200
