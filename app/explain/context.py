"""The document of a context: why it resolves as it does, even if nothing matches.

May touch: nothing but its arguments.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from math import exp2

import msgspec

from app.explain.document import (
    ContextDocument,
    ContributionLine,
    DifferenceLine,
    IgnoredKey,
    LessonLine,
    NearLine,
    ValueLine,
)
from app.explain.known import Known, matches
from app.learning.common.event_time import HOUR_US, micros_from_text, text_from_micros
from app.override_changes import expired, held
from edgeloop.canonical import CanonicalError
from edgeloop.overrides import MAX_MULTIPLIER, MIN_MULTIPLIER, Override
from edgeloop.pattern_key import canonical_pattern_key
from edgeloop.prepared import contained, prepare
from edgeloop.resolution import Resolution, resolve
from edgeloop.scope import canonical_text, canonical_value, pairs_of

EARLY = "Nothing was published by then, so the current overrides are shown instead."
MOST_NEAR = 8
MOST_LESSONS = 20
MOST_SIMILAR = 5


def canonical_or_none(asked: str, module: str) -> str | None:
    """The canonical pattern key, None if `asked` has none."""
    try:
        return canonical_pattern_key(asked, module)
    except CanonicalError:
        return None


def explain_context(
    known: Known,
    asked: str,
    category: str,
    scope: Mapping[str, str],
    at_us: int,
    *,
    dimensions: Sequence[str],
    groups: Collection[tuple[str, str]],
) -> ContextDocument:
    """Why `scope` in the group of pattern key `asked` and `category` resolves to what it does at
    `at_us`.

    `known` is of the module and has the facts and changes of that group; `dimensions` are those of
    the settings, `groups` are all existing (pattern key, category) pairs of any module, so that a
    mistyped one can be distinguished from one without trades.
    """
    key = canonical_or_none(asked, known.module)
    counted, ignored = _counts(scope, dimensions)
    group = (key or "", category)
    # For a time before the first publication, the answer uses the current overrides, as `resolve`
    # does.
    early = all(change.published_us > at_us for change in known.changes)
    records = held(
        known.changes,
        max((c.published_us for c in known.changes), default=at_us) if early else at_us,
    ).values()
    of_group = [
        record for record in records if (record.pattern_key, record.action_category) == group
    ]
    found = resolve(
        of_group,
        asked,
        category,
        scope,
        datetime.fromtimestamp(at_us / 1e6, UTC),
        module=known.module,
    )
    matched = [o for o in of_group if _has(scope, o)]
    inside = [trade for trade in known.window if matches(trade, counted)] if key else []
    exists = group in groups
    context = ContextDocument(
        asked=asked,
        pattern_key=key,
        action_category=category,
        module=known.module,
        at=text_from_micros(at_us),
        scope=counted,
        ignored=ignored,
        multiplier=found.multiplier,
        reason=found.reason,
        detail=found.detail,
        matches=_contributions(matched, found, scope, at_us),
        near=_near([o for o in of_group if o not in matched and not expired(o, at_us)], scope),
        lessons=_lessons(known, group, counted),
        n_group=len(known.window) if exists else None,
        n_context=len(inside),
        n_min=known.config.n_min,
        values=(
            tuple(
                ValueLine(d, v, sum(matches(t, {d: v}) for t in known.window))
                for d, v in counted.items()
            )
            if exists
            else ()
        ),
        similar=() if exists or key is None else _similar(group, groups),
        because=(),
        notes=(*known.notes, EARLY) if early and of_group else known.notes,
    )
    return msgspec.structs.replace(context, because=tuple(_because(context, known)))


def _counts(
    scope: Mapping[str, str], dimensions: Sequence[str]
) -> tuple[dict[str, str], tuple[IgnoredKey, ...]]:
    """The parts of a given scope that count, and those that do not."""
    counted: dict[str, str] = {}
    ignored: list[IgnoredKey] = []
    for name, value in scope.items():
        if name not in dimensions:
            near = difflib.get_close_matches(name, dimensions, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            ignored.append(IgnoredKey(name, value, f"It is not one of EDGELOOP_DIMENSIONS{hint}"))
            continue
        try:
            text = canonical_value(value, name)
        except CanonicalError as error:
            ignored.append(IgnoredKey(name, value, error.message))
            continue
        if text is None:
            ignored.append(IgnoredKey(name, value, "The value means unknown."))
        else:
            counted[name] = text
    return dict(sorted(counted.items())), tuple(ignored)


def _has(scope: Mapping[str, str], override: Override) -> bool:
    try:
        return contained(prepare(override).items, scope)
    # an invalid override, or a value without a canonical form: the reader ignores it, too
    except ValueError:
        return False


def _contributions(
    matched: Sequence[Override], found: Resolution, scope: Mapping[str, str], at_us: int
) -> tuple[ContributionLine, ...]:
    part = dict(zip(found.ids, found.contributions, strict=True))
    lines = []
    for override in matched:
        regime, gain = _gain(override, scope)
        state = (
            "matched"
            if override.override_id in part
            else "expired"
            if expired(override, at_us)
            else "aside"
        )
        lines.append(
            ContributionLine(
                override_id=override.override_id,
                state=state,
                scope=override.scope,
                multiplier=override.multiplier,
                effect=override.effect,
                gain=gain,
                gain_regime=regime,
                fade=_fade(override, at_us),
                contribution=part.get(override.override_id, 0.0),
                n_trades=override.n_trades,
                expires_at=override.expires_at,
            )
        )
    return tuple(
        sorted(
            lines,
            key=lambda line: (line.state != "matched", -abs(line.contribution), line.override_id),
        )
    )


def _gain(override: Override, scope: Mapping[str, str]) -> tuple[str | None, float]:
    """The regime that the reader applies, and its gain."""
    prepared = prepare(override)
    for items, gain in zip(
        () if prepared.regimes is None else prepared.regimes.conditions,
        prepared.gains,
        strict=False,
    ):
        if contained(items, scope):
            return next(text for text in override.regime_gains if pairs_of(text) == items), gain
    return None, 1.0


def _fade(override: Override, at_us: int) -> float:
    half_life = override.decay.half_life_hours
    age = (at_us - micros_from_text(override.as_of)) / HOUR_US
    return exp2(-age / half_life) if half_life is not None and age > 0 else 1.0


def _near(others: Sequence[Override], scope: Mapping[str, str]) -> tuple[NearLine, ...]:
    lines = []
    for override in others:
        given = {dimension: _text(scope.get(dimension), dimension) for dimension in override.scope}
        differs = tuple(
            DifferenceLine(d, v, given[d]) for d, v in override.scope.items() if given[d] != v
        )
        lines.append(NearLine(override.override_id, override.scope, override.multiplier, differs))
    lines.sort(key=lambda line: (len(line.differs), -abs(line.multiplier - 1.0), line.override_id))
    return tuple(lines[:MOST_NEAR])


def _text(value: object, dimension: str) -> str | None:
    try:
        return canonical_value(value, dimension)
    except CanonicalError:
        return None


def _lessons(
    known: Known, group: tuple[str, str], scope: Mapping[str, str]
) -> tuple[LessonLine, ...]:
    lines = []
    for lesson in known.lessons.values():
        if (
            lesson.pattern_key,
            lesson.action_category,
        ) != group or not lesson.scope.items() <= scope.items():
            continue
        verdict = known.verdicts.get(lesson.lesson_id)
        lines.append(
            LessonLine(
                lesson_id=lesson.lesson_id,
                scope=lesson.scope,
                n=lesson.n,
                mean=lesson.mean,
                statistic=(
                    lesson.marginal.statistic
                    if lesson.marginal is not None and lesson.scope
                    else None
                ),
                edge=None if verdict is None else verdict.edge,
                decision="" if verdict is None else verdict.decision,
                reason="It has not been judged yet." if verdict is None else verdict.reason,
            )
        )
    lines.sort(
        key=lambda x: (
            x.decision != "override",
            x.decision != "covered",
            -abs(x.statistic or 0.0),
            -x.n,
            x.lesson_id,
        )
    )
    return tuple(lines[:MOST_LESSONS])


def _similar(group: tuple[str, str], groups: Collection[tuple[str, str]]) -> tuple[str, ...]:
    """Similar groups, as `pattern key category`: the same key with other
    categories first."""
    key, category = group
    same = [f"{key} {c}" for k, c in sorted(groups) if k == key]
    of_category = sorted({k for k, c in groups if c == category and k != key})
    return (
        *same,
        *(
            f"{k} {category}"
            for k in difflib.get_close_matches(key, of_category, n=MOST_SIMILAR, cutoff=0.6)
        ),
    )


def _because(context: ContextDocument, known: Known) -> list[str]:
    """The reasons as sentences, the decisive one first."""
    if context.pattern_key is None or context.reason == "error":
        return [f"The position manager gets × 1: {context.detail}"]
    live = [line for line in context.matches if line.state == "matched"]
    sentences = []
    if live:
        sentences.append(
            f"{_count(len(live), 'override')} of the group match{'es' if len(live) == 1 else ''}"
            " the context."
        )
        if abs(1.0 + sum(line.contribution for line in live) - context.multiplier) > 1e-12:
            sentences.append(
                f"The sum exceeds the bounds of {MIN_MULTIPLIER} to {MAX_MULTIPLIER} and is"
                " clamped."
            )
    elif context.n_group is None:
        sentences.append(f"No trade of {context.pattern_key} {context.action_category} is known.")
        if context.similar:
            sentences.append(f"Similar groups: {', '.join(context.similar)}.")
    elif any(line.state == "expired" for line in context.matches):
        sentences.append(
            "The matching overrides have expired: their group and module have had no trade for 30"
            " days."
        )
    elif context.near:
        sentences.append("The group's overrides have other scopes.")
    elif not live:
        sentences.append("The group has no override.")
    if live or context.n_group is None:
        return sentences
    if context.n_context < context.n_min:
        sentences.append(
            f"Of the {_count(context.n_group, 'trade')} in the group's window,"
            f" {context.n_context:,} {'matches' if context.n_context == 1 else 'match'} this"
            f" context; a slice needs {context.n_min} to be judged."
        )
    if len(context.scope) > known.config.max_dims > 0:
        sentences.append(
            f"The context has {len(context.scope)} dimensions; slices combine at most"
            f" {known.config.max_dims} of them (EDGELOOP_MAX_DIMS)."
        )
    unseen = [f"{line.dimension}={line.value}" for line in context.values if line.n == 0]
    if unseen:
        sentences.append(f"No trade of the group has {', '.join(unseen)}.")
    whole = next((line for line in context.lessons if line.scope == context.scope), None)
    if whole is not None:
        sentences.append(
            f"Its own slice, {canonical_text(whole.scope) or 'the whole group'}, is"
            f" {whole.decision or 'not judged'}: {whole.reason}"
        )
    elif context.n_context >= context.n_min and len(context.scope) <= (
        known.config.max_dims or len(context.scope)
    ):
        sentences.append(
            "Its own slice has no lesson: exactly the trades of a more general slice match it, or"
            " it is not among the strongest of its group."
        )
    return sentences


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
