"""The document of one override: the evidence behind it, what else was considered, how it moves, and
what it has achieved.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from collections import Counter

from app.errors import MissingError
from app.explain.decay import decay_lines
from app.explain.document import (
    ChangeLine,
    EvidenceLines,
    FactorLines,
    GainLine,
    GainTerm,
    MemberLine,
    OverrideDocument,
    SearchLines,
    SegmentLine,
    SliceLine,
    TradeLine,
    WeighingLines,
)
from app.explain.effect import attribution
from app.explain.known import Known, matches
from app.learning.common.event_time import text_from_micros
from app.learning.common.segments import segment_order
from app.learning.integrated.net_of_segments import weight_of_movement
from app.learning.integrated.prior_share import between
from app.learning.integrated.quality_metrics import METRICS
from app.override_changes import OverrideChange, expired
from edgeloop.identity import group_id, slice_id
from edgeloop.overrides import Override
from edgeloop.scope import canonical_text
from schemas.lessons import Lesson, RegimeWeight

MOST_SLICES = 12
"""Maximum number of slices per relation: those with the largest statistics."""


def explain_override(
    known: Known, override_id: str, at_us: int, *, trades: int = 0
) -> OverrideDocument:
    """The document of the override `override_id`, one of `known.changes`, at `at_us`; with the
    newest `trades` of the trades behind it.

    Raises `MissingError` if no change of it is known.
    """
    changes = [change for change in known.changes if change.override_id == override_id]
    held = [change.record for change in changes if change.record is not None]
    if not held:
        raise MissingError(
            f"Unknown override {override_id}.",
            "Run `faust -A app overrides list` to see those in force.",
        )
    override, lesson, verdict = (
        held[-1],
        known.lessons.get(override_id),
        known.verdicts.get(override_id),
    )
    evidence = _evidence(known, override, trades)
    live = changes[-1].record is not None and not expired(override, at_us)
    slices = _slices(known, override, lesson)
    reason = (
        verdict.reason
        if verdict is not None
        else "Its lesson no longer exists: too few of its trades remain in the window."
    )
    return OverrideDocument(
        override_id=override_id,
        at=text_from_micros(at_us),
        outcome=known.config.outcome,
        in_force=live,
        override=override,
        reason=reason,
        aliases=(
            lesson.marginal.aliases if lesson is not None and lesson.marginal is not None else ()
        ),
        metrics=None if lesson is None else lesson.metrics,
        evidence=evidence,
        slices=_strongest(slices),
        n_slices=len(slices),
        search=_search(known, override),
        weighing=_weighing(known, override, lesson),
        decay=decay_lines(
            override,
            [day for day in known.days if day.lesson_id == override_id],
            known.unit,
            _shift(known, override, lesson),
        ),
        gains=_gains(known, override, lesson),
        factor=_factor(known, override),
        history=tuple(_change(change) for change in changes),
        attribution=attribution(known, override_id),
        notes=(*known.notes, *_notes(evidence, changes[-1].record is not None, lesson)),
    )


def _notes(evidence: EvidenceLines, published: bool, lesson: Lesson | None) -> list[str]:
    notes = []
    if lesson is not None and evidence.n_now != lesson.n:
        notes.append(
            f"The lesson counted {lesson.n:,} trades and the facts now hold {evidence.n_now:,}: a"
            " refit is pending, the settings here differ from the workers', or the log has lost"
            " old trades."
        )
    if not published:
        notes.append("The override is retired; this shows its last state.")
    return notes


def _evidence(known: Known, override: Override, shown: int) -> EvidenceLines:
    found = [trade for trade in known.window if matches(trade, override.scope)]
    uplift = [trade.outcome - known.baseline(trade.segment) for trade in found]
    segments = Counter(trade.segment for trade in found)
    level = known.level(override.pattern_key, override.action_category)
    lines = [
        TradeLine(trade.trade_id, text_from_micros(trade.exit_us), trade.outcome, beyond)
        for trade, beyond in zip(found, uplift, strict=True)
    ]
    return EvidenceLines(
        from_ts=override.evidence.from_ts,
        to_ts=override.evidence.to_ts,
        n=override.n_trades,
        n_now=len(found),
        first_exit_ts=lines[0].exit_ts if lines else None,
        last_exit_ts=lines[-1].exit_ts if lines else None,
        mean=_mean([trade.outcome for trade in found]),
        uplift=_mean(uplift),
        beyond=_mean([value - level for value in uplift]),
        segments=tuple(
            SegmentLine(*key, segments[key], known.baseline(key))
            for key in sorted(segments, key=segment_order)
        ),
        trades=tuple(lines[::-1][:shown]),
    )


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _shift(known: Known, override: Override, lesson: Lesson | None) -> float:
    """The number that is added to the uplifts of the history.

    0, except for a whole group, whose days are not yet relative to its baseline.  The judgement
    does the same.
    """
    verdict = known.verdicts.get(override.override_id)
    if (
        override.scope
        or lesson is None
        or lesson.marginal is None
        or verdict is None
        or verdict.edge_raw is None
    ):
        return 0.0
    return verdict.edge_raw * known.unit - lesson.marginal.effect


def _strongest(slices: list[SliceLine]) -> tuple[SliceLine, ...]:
    found: list[SliceLine] = []
    for relation in ("alias", "parent", "child", "beside"):
        lines = [line for line in slices if line.relation == relation]
        lines.sort(key=lambda s: (-abs(s.statistic or 0.0), -s.n, canonical_text(s.scope)))
        found += lines[:MOST_SLICES]
    return tuple(found)


def _slices(known: Known, override: Override, lesson: Lesson | None) -> list[SliceLine]:
    own = override.scope.items()
    found = []
    for scope in (
        lesson.marginal.aliases if lesson is not None and lesson.marginal is not None else ()
    ):
        reason = "It matches exactly the same trades as a more general slice, which has the lesson."
        found.append(
            SliceLine(
                relation="alias",
                lesson_id=None,
                scope=scope,
                n=override.n_trades,
                mean=lesson.mean if lesson else None,
                statistic=None,
                decision="alias",
                reason=reason,
            )
        )
    for other in known.lessons.values():
        if other.lesson_id == override.override_id or not _same_group(other, override):
            continue
        verdict = known.verdicts.get(other.lesson_id)
        relation = (
            "parent"
            if other.scope.items() < own
            else "child"
            if other.scope.items() > own
            else "beside"
        )
        if relation == "beside" and (verdict is None or verdict.decision != "override"):
            continue
        marginal = other.marginal
        found.append(
            SliceLine(
                relation=relation,
                lesson_id=other.lesson_id,
                scope=other.scope,
                n=other.n,
                mean=other.mean,
                # The level of a whole group is judged in the module, where its statistic is.
                statistic=(
                    _statistic(known, other)
                    if marginal is None or not other.scope
                    else marginal.statistic
                ),
                decision="" if verdict is None else verdict.decision,
                reason=verdict.reason if verdict is not None else "It has not been judged yet.",
            )
        )
    return found


def _same_group(lesson: Lesson, override: Override) -> bool:
    return (lesson.pattern_key, lesson.action_category) == (
        override.pattern_key,
        override.action_category,
    )


def _statistic(known: Known, lesson: Lesson) -> float | None:
    """|z| of an effect that passes in the module, if it does."""
    if (
        known.standings is None
        or lesson.lesson_id not in known.standings.effects
        or lesson.lesson_id in known.standings.shared
    ):
        return None
    return known.standings.effects[lesson.lesson_id][0]


def _search(known: Known, override: Override) -> SearchLines | None:
    standings = known.standings
    if standings is None or override.learning != "integrated":
        return None
    summary = known.summary(override.pattern_key, override.action_category)
    passes = override.override_id not in standings.shared
    statistic, share = (
        standings.effects.get(override.override_id, (None, None)) if passes else (None, None)
    )
    return SearchLines(
        group_hypotheses=0 if summary is None or summary.path is None else summary.path.hypotheses,
        module_hypotheses=standings.searched,
        alpha=known.config.alpha,
        bar=standings.bar,
        statistic=statistic,
        share=share,
    )


def _weighing(known: Known, override: Override, lesson: Lesson | None) -> WeighingLines | None:
    standings = known.standings
    if standings is None or override.learning != "integrated":
        return None
    group = group_id(known.module, override.pattern_key, override.action_category)
    counts = standings.counts.get(override.action_category)
    half_lives = standings.half_lives.get(group)
    if counts is None or half_lives is None:
        return None
    whole = known.lessons.get(
        slice_id(known.module, override.pattern_key, override.action_category, {})
    )
    share = standings.shares.get(group, 0.0)
    shares = lesson.marginal.shared if lesson is not None and lesson.marginal is not None else ()
    shared = float(between(share) @ shares) if shares else 0.0
    mean = lesson.mean - whole.mean if lesson is not None and whole is not None and shared else None
    return WeighingLines(
        part=override.part,
        mean=mean,
        shared=shared or None,
        kept=shared / mean if mean else None,
        half_life=half_lives.half_life,
        own_half_life=(
            weight_of_movement(half_lives.half_life, lesson.decay, half_lives.odds_power)
            if lesson is not None and override.part == "selected" and lesson.scope
            else None
        ),
        shared_effects=counts.shared,
        open=counts.open,
    )


def _gains(known: Known, override: Override, lesson: Lesson | None) -> tuple[GainLine, ...]:
    """Every regime that was assessed for this override, with or without a gain, in the order of
    their texts."""
    if lesson is None or lesson.metrics is None or not override.scope:
        return ()
    return tuple(
        _gain(override, lesson, weight) for weight in sorted(known.weights, key=lambda w: w.regime)
    )


def _gain(override: Override, lesson: Lesson, weight: RegimeWeight) -> GainLine:
    terms = []
    for name in METRICS:
        metric = float(getattr(lesson.metrics, name))
        centre = weight.centres[name]
        terms.append(
            GainTerm(
                name, weight.weights[name], metric, centre, weight.weights[name] * (metric - centre)
            )
        )
    return GainLine(
        regime=weight.regime,
        gain=override.regime_gains.get(weight.regime, 1.0),
        active=weight.active,
        p_value=weight.p_value,
        n_cells=weight.n_cells,
        n_trades=weight.n_trades,
        offset=weight.weights["offset"],
        terms=tuple(terms),
    )


def _factor(known: Known, override: Override) -> FactorLines | None:
    factor = known.factors.get(override.latent_factor_id or "")
    if factor is None:
        return None
    members = [known.lessons[i] for i in factor.members if i in known.lessons]
    members.sort(
        key=lambda lesson: (lesson.lesson_id != factor.representative, -lesson.n, lesson.lesson_id)
    )
    return FactorLines(
        factor.factor_id,
        factor.cohesion,
        tuple(
            MemberLine(
                lesson_id=lesson.lesson_id,
                pattern_key=lesson.pattern_key,
                action_category=lesson.action_category,
                scope=lesson.scope,
                n=lesson.n,
                representative=lesson.lesson_id == factor.representative,
                covered=lesson.lesson_id in override.covers,
            )
            for lesson in members
        ),
    )


def _change(change: OverrideChange) -> ChangeLine:
    record = change.record
    return ChangeLine(
        published_at=text_from_micros(change.published_us),
        version=change.version,
        retired=record is None,
        multiplier=None if record is None else record.multiplier,
        effect=None if record is None else record.effect,
        n_trades=None if record is None else record.n_trades,
        state=None if record is None else record.decay.state,
        expires_at=None if record is None else record.expires_at,
    )
