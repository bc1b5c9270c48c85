"""An explanation in words: titled sections of sentences and tables, for a terminal and a page
alike.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from app.context_text import context_text
from app.explain.document import (
    Attribution,
    ContextDocument,
    DecayLines,
    DifferenceLine,
    OverrideDocument,
)
from edgeloop.overrides import times_text

BAR_CELLS = 20
"""Characters of the longest bar."""
SHOWN_STEP = 1e-3
"""Effects are shown with three decimals; smaller differences are not mentioned."""


class Table(NamedTuple):
    """Columns, rows of texts, and which columns hold numbers."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: frozenset[int] = frozenset()


class Section(NamedTuple):
    """A title, sentences, a table; with `plot`, a page may draw the decay instead of the table's
    bars."""

    title: str
    sentences: tuple[str, ...]
    table: Table | None = None
    plot: DecayLines | None = None


def sections(document: OverrideDocument | ContextDocument) -> list[Section]:
    """The sections of either document, in the order in which they are read."""
    return (
        _of_override(document) if isinstance(document, OverrideDocument) else _of_context(document)
    )


# -- an override


def _of_override(d: OverrideDocument) -> list[Section]:
    parts = [_head(d), _evidence(d)]
    if d.evidence.trades:
        parts.append(_trades(d))
    parts.append(_considered(d))
    if d.weighing is not None:
        parts.append(_weighing(d))
    parts.append(_decay(d))
    if d.gains:
        parts.append(_gains(d))
    if d.factor is not None:
        parts.append(_factor(d))
    parts += [_history(d), _attribution(d)]
    return [*parts, Section("Notes", d.notes)] if d.notes else parts


def _head(d: OverrideDocument) -> Section:
    o = d.override
    state = "in force" if d.in_force else "not in force"
    sentences = [
        (
            f"Override {o.override_id}, {state} at {_time(d.at)}: size ×"
            f" {times_text(o.multiplier)} for {o.pattern_key} {o.action_category} in"
            f" {context_text(o.scope)}."
        ),
        d.reason,
    ]
    if o.expires_at is not None:
        sentences.append(f"It is as of {_time(o.as_of)} and expires at {_time(o.expires_at)}.")
    if o.learning == "integrated" and o.effect_sd is not None:
        sentences.append(
            f"Its effect is {o.effect:+.3f} ± {o.effect_sd:.3f} (standard error); its sign is right"
            f" with probability {o.confidence:.2f}."
        )
    if d.metrics is not None:
        sentences.append(
            "Quality: "
            + ", ".join(
                f"{name.replace('_', ' ')} {getattr(d.metrics, name):.2f}"
                for name in d.metrics.__struct_fields__
            )
            + "."
        )
    return Section(
        f"× {times_text(o.multiplier)}  {o.pattern_key} {o.action_category}"
        f"  {context_text(o.scope)}",
        tuple(sentences),
    )


def _evidence(d: OverrideDocument) -> Section:
    e = d.evidence
    sentences = [f"{_count(e.n, 'trade')} with exits from {_time(e.from_ts)} to {_time(e.to_ts)}."]
    if e.mean is not None and e.uplift is not None:
        sentences.append(
            f"Their mean {d.outcome} is {e.mean:+.3f}, {e.uplift:+.3f} above the baselines of their"
            " segments."
        )
    if e.beyond is not None and d.override.learning == "integrated":
        sentences.append(
            f"That is {e.beyond:+.3f} beyond the group's trades without its effects; it includes"
            " all effects that match these trades."
        )
    rows = tuple(
        (s.bucket or "–", s.timeframe or "–", f"{s.n:,}", f"{s.baseline:+.3f}") for s in e.segments
    )
    return Section(
        "Evidence",
        tuple(sentences),
        (
            Table(("bucket", "timeframe", "trades", "baseline"), rows, frozenset({2, 3}))
            if rows
            else None
        ),
    )


def _trades(d: OverrideDocument) -> Section:
    rows = tuple(
        (t.trade_id, _time(t.exit_ts), f"{t.outcome:+.3f}", f"{t.uplift:+.3f}")
        for t in d.evidence.trades
    )
    title = f"The newest {len(rows):,} of {d.evidence.n_now:,} trades"
    return Section(
        title, (), Table(("trade", "exit", d.outcome, "beyond baseline"), rows, frozenset({2, 3}))
    )


def _considered(d: OverrideDocument) -> Section:
    sentences = []
    if (s := d.search) is not None:
        sentences.append(
            f"{_count(s.group_hypotheses, 'slice')} of the group were searched,"
            f" {s.module_hypotheses:,} hypotheses in the module. At an error rate of {s.alpha:.3g}"
            f" for all of them, an effect needs {s.bar:.2f} standard errors."
        )
        if d.override.part == "shared":
            sentences.append("The effect does not pass alone; it is one of many shared effects.")
        elif s.statistic is None or s.share is None:
            sentences.append("With the current lessons, the effect does not pass.")
        else:
            came = (
                ""
                if s.share >= 1.0
                else (
                    f" {s.share:.0%} of it counts: it is near the threshold, or its trades'"
                    " segments explain part of it."
                )
            )
            sentences.append(
                f"The effect has {s.statistic:.2f}, which is {s.statistic - s.bar:.2f} above the"
                f" threshold.{came}"
            )
    else:
        sentences.append(
            "Every slice is judged alone: it is not compared with others, and no error rate covers"
            " the search."
        )
    rows = tuple(
        (
            x.relation,
            context_text(x.scope),
            f"{x.n:,}",
            _number(x.mean),
            _number(x.statistic, "+.2f" if x.decision != "override" else ".2f"),
            x.decision,
            x.reason,
        )
        for x in d.slices
    )
    if len(rows) < d.n_slices:
        sentences.append(f"The {len(rows)} strongest of {d.n_slices} related slices:")
    columns = ("", "slice", "trades", "mean", "z", "decision", "why")
    return Section(
        "What else was considered",
        tuple(sentences),
        Table(columns, rows, frozenset({2, 3, 4})) if rows else None,
    )


def _weighing(d: OverrideDocument) -> Section:
    w = d.weighing
    assert w is not None
    sentences = [
        (
            "It was chosen: its evidence is sufficient alone."
            if w.part == "selected"
            else (
                "It is shared: too weak alone, it is part of the posterior mean of all slices of"
                " its group."
            )
        )
    ]
    if w.mean is not None and w.shared is not None:
        left = "" if w.kept is None else f", {w.kept:.0%} of it"
        sentences.append(
            f"Its trades average {w.mean:+.3f} more than the whole group, of which"
            f" {w.shared:+.3f}{left}, is its own, given all other slices."
        )
    own = ""
    if w.own_half_life is not None and round(w.own_half_life, 2) > round(w.half_life, 2):
        own = f" Its own trades raise the weight of its half-life to {w.own_half_life:.2f}."
    sentences.append(
        f"By their past accuracy, half-lives have a weight of {w.half_life:.2f} here, and shared"
        f" effects {w.shared_effects:.2f}.{own} The evidence that the module has any edge is"
        f" {w.open:.2f} (0 to 1)."
    )
    return Section("How it is weighed", tuple(sentences))


def _decay(d: OverrideDocument) -> Section:
    x = d.decay
    if d.override.learning == "classic":
        return Section(
            "Over time",
            (
                (
                    f"The outcomes of its trades are {x.state}; there is no half-life and no daily"
                    " history."
                ),
            ),
        )
    half_life = "no half-life is estimated"
    if x.half_life_hours is not None:
        half_life = f"half-life {_hours(x.half_life_hours)}"
        if x.interval is not None:
            half_life += f" (80 %: {_hours(x.interval[0])} to {_hours(x.interval[1])})"
    sentences = [
        f"The edge is {x.state}; {half_life}. At {_time(x.as_of)} it is {x.now:+.3f} in units of"
        f" {d.outcome}."
    ]
    if not x.stretches:
        sentences.append("It has no daily history.")
        return Section("Over time", tuple(sentences))
    top = max(max(abs(s.uplift), abs(s.predicted)) for s in x.stretches)
    rows = tuple(
        (
            s.first_day,
            f"{s.n:,}",
            f"{s.predicted:+.3f}",
            f"{s.uplift:+.3f}",
            f"{s.fitted:+.3f}",
            bar(s.uplift, top),
        )
        for s in x.stretches
    )
    sentences.append(
        "Uplift predicted before each day, and the realised uplift of each day's trades"
        f" ({len(x.days):,} days):"
    )
    columns = ("from", "trades", "predicted", "realised", "fitted", "")
    return Section("Over time", tuple(sentences), Table(columns, rows, frozenset({1, 2, 3, 4})), x)


def _gains(d: OverrideDocument) -> Section:
    rows = tuple(
        (
            g.regime or "every regime",
            f"× {g.gain:.2f}",
            "yes" if g.active else "no",
            f"{g.p_value:.2g}",
            f"{g.n_trades:,}",
            f"{g.offset:+.3f}",
            ", ".join(f"{t.name} {t.adds:+.3f}" for t in g.terms if t.weight) or "–",
        )
        for g in d.gains
    )
    count = sum(g.gain != 1.0 for g in d.gains)
    sentence = (
        f"{_count(len(rows), 'regime')} assessed; {count} of them change the effect. A gain is 1 +"
        " offset + the sum over the metrics of weight · (metric − centre)."
    )
    columns = ("regime", "gain", "test passed", "p", "trades", "offset", "metrics add")
    return Section("Regimes", (sentence,), Table(columns, rows, frozenset({1, 3, 4, 5})))


def _factor(d: OverrideDocument) -> Section:
    factor = d.factor
    assert factor is not None
    rows = tuple(
        (
            f"{m.pattern_key} {m.action_category}",
            context_text(m.scope),
            f"{m.n:,}",
            "representative" if m.representative else "covered" if m.covered else "",
        )
        for m in factor.members
    )
    sentence = (
        f"These {len(rows)} slices match nearly the same trades (mean Jaccard index"
        f" {factor.cohesion:.2f}), so they count as one piece of evidence."
    )
    return Section(
        "Latent factor", (sentence,), Table(("group", "slice", "trades", ""), rows, frozenset({2}))
    )


def _history(d: OverrideDocument) -> Section:
    rows = tuple(
        (
            _time(c.published_at),
            f"{c.version:,}",
            "retired" if c.multiplier is None else f"× {times_text(c.multiplier)}",
            _number(c.effect),
            "" if c.n_trades is None else f"{c.n_trades:,}",
            c.state or "",
        )
        for c in d.history
    )
    columns = ("published", "version", "size", "effect", "trades", "edge")
    return Section(
        "History",
        (f"{_count(len(rows), 'change')}.",),
        Table(columns, rows, frozenset({1, 2, 3, 4})),
    )


def _attribution(d: OverrideDocument) -> Section:
    a = d.attribution
    if a is None:
        return Section(
            "Realised effect",
            ("No closed trade lists it in the `applied_overrides` of its actions.",),
        )
    interval = "" if a.low is None else f" (90 % interval {a.low:+.3f} to {a.high:+.3f})"
    sentences = [
        (
            f"It sized {_count(a.n_actions, 'action')} of {_count(a.n, 'closed trade')}, with exits"
            f" from {_time(a.first_exit_ts)} to {_time(a.last_exit_ts)}, by ×"
            f" {a.mean_multiplier:.2f} on average."
        ),
        (
            f"They made {a.mean_outcome:+.3f} on average, {a.mean_uplift:+.3f} above their"
            f" baselines{interval}."
        ),
        *([kept_promise(a)] if d.override.learning == "integrated" else []),
        (
            f"Its sizing added {a.added:+.3f} in units of {d.outcome}: the sum of (its part of the"
            " size − 1) · uplift."
        ),
    ]
    if a.n_assumed:
        sentences.append(
            f"For {_count(a.n_assumed, 'trade')} no change before the action is known; the earliest"
            " known one is used."
        )
    return Section("Realised effect", tuple(sentences))


def kept_promise(a: Attribution) -> str:
    """Whether the trades' outcomes agree with the prediction."""
    sentence = f"It predicted {a.promised:+.3f} per trade"
    if abs(a.promised_by_all - a.promised) > SHOWN_STEP / 2:
        sentence += f", and all overrides of these actions together {a.promised_by_all:+.3f}"
    sentence += f"; relative to the group without its effects, they made {a.made:+.3f}"
    if a.made_low is None or a.made_high is None:
        return f"{sentence}: too few days to tell whether the prediction held."
    sentence += f" ({a.made_low:+.3f} to {a.made_high:+.3f})"
    if a.made_low <= a.promised_by_all <= a.made_high:
        unclear = ", but so is zero" if a.made_low <= 0.0 <= a.made_high else ""
        return f"{sentence}: the prediction is within the interval{unclear}."
    less = a.made < a.promised_by_all if a.promised_by_all >= 0 else a.made > a.promised_by_all
    return f"{sentence}: clearly {'less' if less else 'more'} than predicted."


# -- a context


def _of_context(d: ContextDocument) -> list[Section]:
    title = (
        f"× {d.multiplier:.4f}  {d.pattern_key or d.asked} {d.action_category} "
        f" {context_text(d.scope)}"
    )
    sentences = list(d.because)
    if d.pattern_key is not None and d.pattern_key != d.asked:
        sentences.append(f"The canonical pattern key is {d.pattern_key}.")
    parts = [Section(title, tuple(sentences))]
    if d.ignored:
        rows = tuple((x.name, x.value, x.why) for x in d.ignored)
        parts.append(Section("Not counted", (), Table(("key", "value", "why"), rows)))
    if d.matches:
        parts.append(_matches(d))
    if d.near:
        near = tuple(
            (
                context_text(x.scope),
                f"× {times_text(x.multiplier)}",
                _differs(x.differs),
                x.override_id[:12],
            )
            for x in d.near
        )
        parts.append(
            Section(
                "Overrides of the group that do not match",
                (),
                Table(("slice", "size", "difference", "override"), near, frozenset({1})),
            )
        )
    if d.lessons:
        lessons = tuple(
            (
                context_text(x.scope),
                f"{x.n:,}",
                f"{x.mean:+.3f}",
                _number(x.statistic, "+.2f"),
                _number(x.edge),
                x.decision,
                x.reason,
            )
            for x in d.lessons
        )
        columns = ("slice", "trades", "mean", "z", "edge", "decision", "why")
        parts.append(
            Section(
                "Slices that contain the context",
                (),
                Table(columns, lessons, frozenset({1, 2, 3, 4})),
            )
        )
    if d.n_group is not None:
        counts = (
            f"{_count(d.n_group, 'trade')} in the group's window, {d.n_context:,} of them with the"
            f" whole context; a slice needs {d.n_min}."
        )
        values = tuple((f"{x.dimension}={x.value}", f"{x.n:,}") for x in d.values)
        parts.append(
            Section(
                "Trades",
                (counts,),
                Table(("value", "trades"), values, frozenset({1})) if values else None,
            )
        )
    return [*parts, Section("Notes", d.notes)] if d.notes else parts


def _matches(d: ContextDocument) -> Section:
    rows = tuple(
        (
            context_text(x.scope),
            f"{x.effect:+.4f}",
            f"× {x.gain:.2f}" + (f" in {x.gain_regime}" if x.gain_regime else ""),
            f"× {x.fade:.3f}",
            (
                f"{x.contribution:+.4f}"
                if x.state == "matched"
                else {"expired": "expired", "aside": "not counted beside integrated"}[x.state]
            ),
            f"{x.n_trades:,}",
            x.override_id[:12],
        )
        for x in d.matches
    )
    total = 1.0 + sum(x.contribution for x in d.matches)
    columns = ("slice", "effect", "regime", "remaining", "adds", "trades", "override")
    sentence = f"1 + the sum of their contributions = {total:.4f}."
    return Section(
        "Overrides that match", (sentence,), Table(columns, rows, frozenset({1, 2, 3, 4, 5}))
    )


def _differs(differs: Iterable[DifferenceLine]) -> str:
    return "; ".join(f"{x.dimension} is {x.given or 'not given'}, not {x.wanted}" for x in differs)


# -- words


def bar(value: float, top: float) -> str:
    """A bar of up to `BAR_CELLS` cells for `value` on a scale that ends at ± `top`; a loss is drawn
    lightly.

    >>> bar(0.5, 1.0), bar(-0.2, 1.0), bar(0.0, 0.0)
    ('██████████', '░░░░', '')
    """
    cells = round(abs(value) / top * BAR_CELLS) if top > 0 else 0
    return ("█" if value > 0 else "░") * cells


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def _time(text: str) -> str:
    return text[:16].replace("T", " ") + " UTC"


def _number(value: float | None, form: str = "+.3f") -> str:
    return "" if value is None else format(value, form)


def _hours(hours: float) -> str:
    return f"{hours:.0f} h" if hours < 72 else f"{hours / 24:.0f} days"
