"""Explain the overrides of the audit as `overrides explain` does, learned
from the audited log alone.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.audit.document import Audit
from app.audit.variants import variants
from app.audit.work import Now
from app.explain import Known, explain_override, html
from app.learning.common.config import LearningConfig
from app.learning.common.event_time import micros_from_text
from app.learning.integrated.effect_history import history_records
from app.override_changes import OverrideChange
from edgeloop.overrides import Override
from schemas.facts import PatternTradeEvent

EXPLAINED = 12
"""Number of overrides that are explained, the strongest first."""
Facts = Mapping[tuple[str, str, str], Sequence[PatternTradeEvent]]
"""By (module, pattern key, category)."""


def group_of(override: Override) -> tuple[str, str, str]:
    """Module, pattern key, category."""
    return override.module, override.pattern_key, override.action_category


def groups(found: Audit) -> dict[tuple[str, str, str], list[PatternTradeEvent]]:
    """The groups whose facts the explanations need, each with an empty list of facts."""
    return {group_of(audited.override): [] for audited in found.overrides[:EXPLAINED]}


def explanations(
    found: Audit, now: Mapping[str, Now], config: LearningConfig, facts: Facts
) -> dict[str, str]:
    """Fragments of HTML by override id; `facts` are all facts of `groups`, in any order."""
    at_us = micros_from_text(found.data.to_ts) if found.overrides else 0
    return {
        audited.override.override_id: html(
            explain_override(
                _known(audited.override, now, config, facts), audited.override.override_id, at_us
            )
        )
        for audited in found.overrides[:EXPLAINED]
    }


def _known(
    override: Override, now: Mapping[str, Now], config: LearningConfig, facts: Facts
) -> Known:
    state = now[override.module]
    group = group_of(override)
    return Known(
        config=variants(config)["integrated"],
        module=override.module,
        lessons={x.lesson_id: x for x in state.lessons},
        summaries={x.lesson_id: x for x in state.summaries},
        verdicts={x.lesson_id: x for x in state.verdicts},
        weights=state.weights,
        factors={x.factor_id: x for x in state.factors},
        days=[
            day
            for x in state.lessons
            if (x.module, x.pattern_key, x.action_category) == group
            for day in history_records(x, {})
        ],
        facts=facts[group],
        changes=[
            OverrideChange(o.override_id, o.version, micros_from_text(o.as_of), o)
            for o in state.overrides["integrated"]
            if group_of(o) == group
        ],
        notes=(
            ("Learned from the audited log; published records and their changes are not read."),
        ),
    )
