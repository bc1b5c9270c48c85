"""Scopes: flat maps of context dimensions to discrete values, in one canonical form for producers, learner and position manager.

May touch: nothing of ours.
"""

from __future__ import annotations

REGIME_DIMENSIONS: tuple[str, ...] = tuple(
    f"{market}_{horizon}" for market in ("btc", "alt", "bucket", "btcd", "usdtd") for horizon in ("macro", "meso", "micro")
)
DEFAULT_DIMENSIONS: tuple[str, ...] = (
    "curator", "chain", "mcap_bucket", "vol_bucket", "age_bucket", "intent", "mcap_vol_ratio_bucket", "market_family",
    "timeframe", "A_mode", "E_mode", "bucket", "bucket_leader", "bucket_rank_position", *REGIME_DIMENSIONS,
)  # fmt: skip
