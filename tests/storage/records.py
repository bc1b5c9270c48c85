"""Records of the derived topics as the log delivers them, small and valid by default."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from aiokafka import ConsumerRecord

from edgeloop.overrides import Evidence, Override, OverrideDecay
from schemas import kinds
from schemas.facts import FactAction, PatternTradeEvent, Segment, group_key
from schemas.lessons import (
    Baseline,
    EdgeHistory,
    GroupSummary,
    LatentFactor,
    Lesson,
    LessonDecay,
    LessonVerdict,
    Metrics,
    RegimeCell,
    RegimeWeight,
)

T0 = "2024-03-01T00:00:00.000000Z"
T1 = "2024-03-02T12:00:00.000000Z"


def fact(
    trade: str = "t1", actions: Sequence[str] = ("t1/0", "t1/1"), **fields: Any
) -> PatternTradeEvent:
    defaults: dict[str, Any] = {
        "module": "pm",
        "pattern_key": "pm.uptrend.S1.entry",
        "action_category": "add",
        "trade_id": trade,
        "revision": 0,
        "n_actions": 2,
        "exit_ts": T1,
        "event_id": f"e-{trade}",
        "value_sha256": "00" * 32,
        "rr": 1.5,
        "roi": None,
        "pnl_usd": None,
        "segment": Segment("small", "1h"),
        "home": True,
    }
    made = tuple(FactAction(a, T0, {"chain": "sol"}, 0.25, ("o1",)) for a in actions)
    return PatternTradeEvent(**(defaults | {"actions": made} | fields))


def lesson(lesson_id: str = "l1", version: int = 1, **fields: Any) -> Lesson:
    defaults: dict[str, Any] = {
        "learning": "classic",
        "module": "pm",
        "pattern_key": "pm.uptrend.S1.entry",
        "action_category": "add",
        "scope": {"chain": "sol"},
        "n": 40,
        "mean": 0.95,
        "variance": 0.08,
        "decay": LessonDecay("stable"),
        "evidence": Evidence(T0, T1, version),
        "as_of": T1,
    }
    return Lesson(lesson_id=lesson_id, version=version, **(defaults | fields))


def summary(lesson_id: str = "g1", version: int = 1) -> GroupSummary:
    return GroupSummary(
        learning="classic",
        lesson_id=lesson_id,
        module="pm",
        pattern_key="pm.a.b",
        action_category="add",
        n=1,
        n_slices=1,
        segments=(),
        as_of=T1,
        version=version,
    )


def verdict(lesson_id: str = "l1", version: int = 1, **fields: Any) -> LessonVerdict:
    defaults: dict[str, Any] = {
        "learning": "classic",
        "module": "pm",
        "pattern_key": "pm.uptrend.S1.entry",
        "action_category": "add",
        "scope": {"chain": "sol"},
        "n": 40,
        "edge": 0.44,
        "baseline": 0.8,
        "multiplier": 1.44,
        "confidence": 0.5,
        "decision": "override",
        "reason": "edge",
        "override_id": "o1",
        "latent_factor_id": None,
        "lesson_version": 1,
        "as_of": T1,
    }
    return LessonVerdict(lesson_id=lesson_id, version=version, **(defaults | fields))


def override(override_id: str = "o1", version: int = 1, **fields: Any) -> Override:
    defaults: dict[str, Any] = {
        "learning": "classic",
        "module": "pm",
        "pattern_key": "pm.uptrend.S1.entry",
        "action_category": "add",
        "scope": {"chain": "sol", "btc_macro": "S1"},
        "effect": 0.44,
        "effect_sd": None,
        "multiplier": 1.44,
        "confidence": 0.5,
        "n_trades": 40,
        "baseline": 0.8,
        "decay": OverrideDecay("stable"),
        "latent_factor_id": None,
        "covers": ("l2", "l3"),
        "regime_gains": {"": 1.0},
        "evidence": Evidence(T0, T1, 1),
        "as_of": T1,
        "expires_at": None,
    }
    return Override(override_id=override_id, version=version, **(defaults | fields))


def baseline(baseline_id: str = "b1", version: int = 1, **fields: Any) -> Baseline:
    defaults: dict[str, Any] = {
        "learning": "classic",
        "module": "pm",
        "bucket": None,
        "timeframe": None,
        "n": 10,
        "mean": 0.1,
        "variance": 1.0,
        "as_of": T1,
    }
    return Baseline(baseline_id=baseline_id, version=version, **(defaults | fields))


METRICS = Metrics(0.5, 0.75, 0.25, 0.625, 0.125, 0.375)


def regime_weight(regime_id: str = "r1", version: int = 1, **fields: Any) -> RegimeWeight:
    defaults: dict[str, Any] = {
        "learning": "integrated",
        "module": "pm",
        "regime": "btc_macro=S1",
        "n_cells": 90,
        "n_trades": 400,
        "weights": {"offset": 1.0, "support": 1.2},
        "sds": {"offset": 0.1, "support": 0.2},
        "centres": {"support": 0.6},
        "p_value": 0.002,
        "active": True,
        "as_of": T1,
    }
    return RegimeWeight(regime_id=regime_id, version=version, **(defaults | fields))


def factor(factor_id: str = "f1", version: int = 1, **fields: Any) -> LatentFactor:
    defaults: dict[str, Any] = {
        "learning": "integrated",
        "module": "pm",
        "representative": "l1",
        "members": ("l1", "l2"),
        "cohesion": 0.8,
        "as_of": T1,
    }
    return LatentFactor(factor_id=factor_id, version=version, **(defaults | fields))


def history(
    lesson_id: str = "l1", day: str = "2024-03-02", version: int = 1, **fields: Any
) -> EdgeHistory:
    defaults: dict[str, Any] = {
        "learning": "integrated",
        "module": "pm",
        "pattern_key": "pm.uptrend.S1.entry",
        "action_category": "add",
        "n": 5,
        "predicted": 0.25,
        "uplift": 0.5,
        "metrics": METRICS,
        "regimes": {"btc_macro=S1": RegimeCell("btc_macro=S1", 3, 0.75)},
    }
    return EdgeHistory(lesson_id=lesson_id, day=day, version=version, **(defaults | fields))


def key_of(value: Any) -> str:
    if isinstance(value, EdgeHistory):
        return f"{value.lesson_id}|{value.day}"
    for name in ("lesson_id", "override_id", "baseline_id", "regime_id", "factor_id"):
        if hasattr(value, name) and not (
            name == "override_id" and isinstance(value, LessonVerdict)
        ):
            return str(getattr(value, name))
    return group_key(value.pattern_key, value.action_category)


TOPIC_OF = {
    PatternTradeEvent: kinds.FACTS,
    Lesson: kinds.LESSONS,
    GroupSummary: kinds.LESSONS,
    LessonVerdict: kinds.VERDICTS,
    Override: kinds.OVERRIDES,
    Baseline: kinds.BASELINES,
    RegimeWeight: kinds.REGIME_WEIGHTS,
    LatentFactor: kinds.FACTORS,
    EdgeHistory: kinds.HISTORY,
}


def record(
    value: Any,
    *,
    version: int | None = None,
    key: str | None = None,
    timestamp_ms: int = 1_700_000_000_000,
) -> ConsumerRecord:
    """`value` as delivered; None is a tombstone and needs `key` and `version`.  Bytes are delivered
    as they are."""
    if key is None:
        key = key_of(value)
    if version is None:
        version = getattr(value, "version", 0)
    body = value if value is None or isinstance(value, bytes) else msgspec.json.encode(value)
    headers = (("version", str(version).encode()),)
    return ConsumerRecord("topic", 0, 0, timestamp_ms, 0, key.encode(), body, None, 0, 0, headers)
