"""The input of an explanation about a module: learned from a planted log, or written by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from app.closes import explode
from app.explain import Known
from app.learning.common.config import LearningConfig
from app.learning.common.event_time import micros_from_text, text_from_micros
from app.learning.integrated.effect_history import history_records
from app.override_changes import OverrideChange
from app.settings import Settings
from edgeloop.overrides import Evidence, Override, OverrideDecay
from schemas.times import DAY_US
from tests.pipeline.in_process import engines
from tests.pipeline.planted import Trade, closes

START_US = 20_000 * DAY_US


def learned(
    trades: Iterable[Trade], settings: Settings, pattern_key: str, category: str = "entry"
) -> Known:
    """Everything that workers would have published about the only module of `trades`, and the facts
    of one of its groups; published at its `as_of`."""
    sent = closes(trades)
    (engine,) = engines(sent, settings)
    facts = [
        f
        for c in sent
        for f in explode(
            c.value, c.timestamp_ms, dimensions=settings.dimensions, outcome=settings.outcome
        )
    ]
    group = (pattern_key, category)
    return Known(
        config=settings.learning_config,
        module=engine.module,
        lessons={x.lesson_id: x for x in engine.lessons()},
        summaries={x.lesson_id: x for x in engine.summaries()},
        verdicts={x.lesson_id: x for x in engine.verdicts()},
        weights=engine.regime_weights(),
        factors={x.factor_id: x for x in engine.latent_factors()},
        days=[day for lesson in engine.lessons() for day in history_records(lesson, {})],
        facts=[f for f in facts if (f.pattern_key, f.action_category) == group],
        changes=[
            OverrideChange(o.override_id, o.version, micros_from_text(o.as_of), o)
            for o in engine.overrides()
            if (o.pattern_key, o.action_category) == group
        ],
    )


def override_of(known: Known, **scope: str) -> Override:
    """The override of a slice."""
    (found,) = [c.record for c in known.changes if c.record is not None and c.record.scope == scope]
    return found


def override(
    override_id: str,
    effect: float,
    scope: dict[str, str] | None = None,
    as_of_us: int = START_US,
    **changed: Any,
) -> Override:
    """An override of pm.a.b entry, without a half-life, that never expires; `changed` are other
    fields."""
    as_of = text_from_micros(as_of_us)
    made = Override(
        override_id=override_id,
        learning="integrated",
        module="pm",
        pattern_key="pm.a.b",
        action_category="entry",
        scope=scope or {},
        effect=effect,
        effect_sd=0.1,
        multiplier=round(min(max(1.0 + effect, 0.3), 3.0), 2),
        confidence=0.9,
        n_trades=40,
        baseline=0.0,
        decay=OverrideDecay("stable"),
        latent_factor_id=None,
        covers=(),
        regime_gains={},
        evidence=Evidence(as_of, as_of, 1),
        as_of=as_of,
        expires_at=None,
        version=1,
    )
    return msgspec.structs.replace(made, **changed)


def by_hand(changes: Sequence[OverrideChange], facts: Sequence[Any], **changed: Any) -> Known:
    """A module without lessons: every baseline is 0."""
    return Known(
        config=LearningConfig(n_min=3), module="pm", changes=changes, facts=facts, **changed
    )
