"""`pm_overrides`: the override record, the only record that the position manager reads.

May touch: nothing.
"""

from __future__ import annotations

import msgspec

TOPIC = "pm_overrides"
"""The topic of the overrides, without a prefix."""

SCHEMA_VERSION = 1
"""The version that every record written by this release carries as `schema_version`."""

MIN_MULTIPLIER = 0.3
MAX_MULTIPLIER = 3.0
"""The bounds of a size multiplier."""


def times_text(multiplier: float) -> str:
    """A multiplier for people: with two decimals, or three where two would say 1.00.

    >>> times_text(1.4), times_text(1.003), times_text(1.0)
    ('1.40', '1.003', '1.00')
    """
    text = f"{multiplier:.2f}"
    return f"{multiplier:.3f}" if text == "1.00" and multiplier != 1.0 else text


class Evidence(msgspec.Struct, frozen=True, rename={"from_ts": "from", "to_ts": "to"}):
    """The exits between which the slice's trades lie, and the version of the lesson they make."""

    from_ts: str
    to_ts: str
    lesson_version: int


class OverrideDecay(msgspec.Struct, frozen=True):
    """State of the edge.  With a half-life (hours; 80 % interval), the effect keeps decaying toward
    neutral in the reader."""

    state: str
    half_life_hours: float | None = None
    interval: tuple[float, float] | None = None


class Override(msgspec.Struct, frozen=True, kw_only=True):
    """The actionable part of a lesson.

    `learning` tells the reader how to combine several (classic blends, integrated sums).

    `effect` is the expected uplift at `as_of` (classic: edge_raw), `multiplier` the size factor of
    this override alone, in [0.3, 3.0], on a grid of 0.01, or of 0.001 if it is shared.  `part`
    says where it comes from: `selected`, an effect that passes alone, or `shared`, one of many that
    count together.  `regime_gains` maps a regime's canonical text to a gain of the effect; missing
    = 1.
    """

    override_id: str
    learning: str
    module: str
    pattern_key: str
    action_category: str
    scope: dict[str, str]
    effect: float
    effect_sd: float | None
    multiplier: float
    confidence: float
    n_trades: int
    baseline: float
    decay: OverrideDecay
    latent_factor_id: str | None
    covers: tuple[str, ...]
    regime_gains: dict[str, float]
    evidence: Evidence
    as_of: str
    expires_at: str | None
    version: int
    part: str = "selected"
    schema_version: int = SCHEMA_VERSION
