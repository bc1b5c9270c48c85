"""The audit as one page for a browser: answers first, then the evidence for them.  The page loads
no other files.

May touch: nothing but its arguments.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from html import escape

from app.audit.bootstrap import Estimate
from app.audit.document import Audit, AuditedOverride, Exploration, Question, Setting
from app.report import plots
from app.report.style import STYLE
from app.report.text import SIMPLE, figure
from edgeloop.overrides import times_text
from edgeloop.scope import canonical_text

DRAWN = 12
"""Number of overrides whose edge is drawn."""
BADGES = {"yes": "yes", "no": "no"}


def page(found: Audit, explanations: Mapping[str, str] | None = None) -> str:
    """The page.  `explanations` are fragments of HTML by override id, put below the rows of the
    override."""
    data = found.data
    title = "Does learning pay off?"
    parts = [
        _header(found, title),
        (
            '<section aria-labelledby="answers"><h2 id="answers">Answers</h2><div '
            f'class="cards">{"".join(map(_answer, found.questions))}</div></section>'
        ),
        _switches(found),
    ]
    if data.judged:
        parts += [_walk(found), _chance(found), _double(found), _decay(found), _regimes(found)]
    if found.exploration is not None:
        parts.append(_exploration(found.exploration))
    parts += [_overrides(found, explanations or {}), _method(found)]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="data:,">'
        f"<title>Audit: {escape(title)}</title><style>{STYLE}</style></head>"
        f"<body><main>{''.join(parts)}</main></body></html>\n"
    )


def prose(text: str) -> str:
    """A text of Edgeloop as HTML, with names in backticks as code.

    >>> prose("by `classic` < 1")
    'by <code>classic</code> &lt; 1'
    """
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(text))


def _header(found: Audit, title: str) -> str:
    data = found.data
    intro = (
        f"{data.trades:,} trades of {', '.join(data.modules) or 'no module'}, {data.from_ts[:10]}"
        f" to {data.to_ts[:10]}, from {data.source}. {data.judged:,} of {data.decisions:,}"
        f" {' and '.join(data.categories)} decisions judged after {data.cuts} cuts; outcome:"
        f" {data.outcome}."
    )
    refused = "".join(
        f'<p class="small">{r.count:,} closes were refused: <code>{escape(r.reason)}</code> (the'
        f" first: {escape(r.first)})</p>"
        for r in data.refused
    )
    if data.unreadable:
        refused += (
            f'<p class="small">Records that cannot be read were skipped: {data.unreadable:,} (the'
            f" first: {escape(data.first_unreadable)})</p>"
        )
    return (
        f'<header><h1>{escape(title)}</h1><p class="soft">{escape(intro)}</p>{refused}'
        f'<p class="headline{"" if found.edge else " none"}">{prose(found.headline)}</p></header>'
    )


def _answer(q: Question) -> str:
    return (
        f'<article class="card answer"><h3>{escape(q.question)}</h3><span class="badge'
        f' {BADGES.get(q.answer, "unsure")}">{escape(q.answer.capitalize())}</span><div><p'
        f' class="big">{_number(q.figure)}</p><p class="small soft">{escape(q.name)}, 90 % interval'
        f" {_between(q.figure)}</p></div>{_bar(q.figure, q.material)}<p>{prose(q.why)}</p><p"
        f' class="small soft">{prose(q.switching)}</p></article>'
    )


def _number(e: Estimate) -> str:
    return f"{e.value:+.4f}" if math.isfinite(e.low) else "unknown"


def _between(e: Estimate) -> str:
    return f"{e.low:+.4f} to {e.high:+.4f}" if math.isfinite(e.low) else "unknown"


def _bar(e: Estimate, material: float | None) -> str:
    """The interval on a line, with zero and the material value."""
    if not math.isfinite(e.low):
        return ""
    marks = [0.0, *([material] if material is not None else [])]
    low, high = min(e.low, *marks), max(e.high, *marks)
    span = (high - low) or 1.0

    def x(value: float) -> float:
        return round(20 + 260 * (value - low) / span, 1)

    def name(at: float, text: str) -> str:
        anchor = "start" if at < 40 else "end" if at > 260 else "middle"
        return f'<text x="{at}" y="43" text-anchor="{anchor}">{text}</text>'

    ticks = f'<line x1="{x(0)}" x2="{x(0)}" y1="4" y2="30" stroke="var(--faint)"/>{name(x(0), "0")}'
    if material is not None:
        far = abs(x(material) - x(0)) > 45
        ticks += (
            f'<line x1="{x(material)}" x2="{x(material)}" y1="4" y2="30" stroke="var(--faint)"'
            ' stroke-dasharray="3 3"/>' + (name(x(material), "material") if far else "")
        )
    label = f"Interval {_between(e)}, estimate {_number(e)}" + (
        f", material is {material:.4f}" if material is not None else ""
    )
    return (
        '<svg class="bar" viewBox="0 0 300 46" role="img"'
        f' aria-label="{escape(label)}">{ticks}<line x1="{x(e.low)}" x2="{x(e.high)}" y1="17"'
        ' y2="17" stroke="var(--c1)" stroke-width="5" stroke-linecap="round"'
        f' opacity="0.55"/><circle cx="{x(e.value)}" cy="17" r="6" fill="var(--c1)"/></svg>'
    )


def table(
    caption: str, head: Sequence[str], rows: Sequence[Sequence[str]], wrap: Sequence[int] = ()
) -> str:
    """A table in a box that scrolls; cells are HTML, columns of `wrap` may break.  A row of one
    cell is a heading."""
    cells = "".join(
        f'<th scope="col"{_kind(i, wrap)}>{escape(name)}</th>' for i, name in enumerate(head)
    )
    body = "".join(
        (
            f'<tr><th scope="row">{row[0]}</th>'
            + "".join(f"<td{_kind(i, wrap)}>{cell}</td>" for i, cell in enumerate(row[1:], 1))
            + "</tr>"
            if len(row) > 1
            else f'<tr class="part"><th scope="rowgroup" colspan="{len(head)}">{row[0]}</th></tr>'
        )
        for row in rows
    )
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(caption)}">'
        f"<table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _kind(column: int, wrap: Sequence[int]) -> str:
    return ' class="wrap text"' if column in wrap else ""


def _plot(caption: str, svg: str) -> str:
    return f'<figure class="card"><figcaption>{escape(caption)}</figcaption>{svg}</figure>'


def _switches(found: Audit) -> str:
    rows = "".join(
        f'<li><div><code>{s.variable}</code> <span class="small soft">now'
        f" {escape(s.now)}</span></div>"
        f"<strong>{escape(s.recommended)}</strong><p>{prose(s.reason)}</p></li>"
        for s in found.switches
    )
    weights = [
        (
            escape(f"{w.module} {w.category}"),
            f"{w.half_life:.2f}",
            f"{w.shared_effects:.2f}",
            f"{w.opened:.2f}",
        )
        for w in found.weights
    ]
    intro = (
        '<p class="soft">Current weights of the learners, from 0 to 1, by their past accuracy.'
        " Opened: the evidence that the module has any edge, which scales shared effects.</p>"
        + table(
            "Weights of learners",
            ("module and category", "half-life", "shared effects", "opened"),
            weights,
        )
        if weights
        else ""
    )
    return (
        '<section aria-labelledby="switches"><h2 id="switches">What to set</h2><ul class="switches'
        f' card">{rows}</ul>{intro}</section>'
    )


def _section(name: str, title: str, intro: str, *parts: str) -> str:
    return (
        f'<section aria-labelledby="{name}"><h2 id="{name}">{escape(title)}</h2><p'
        f' class="soft">{prose(intro)}</p>{"".join(parts)}</section>'
    )


def _walk(found: Audit) -> str:
    rows = [
        (
            escape(s.name),
            figure(s.score.value, 3),
            figure(s.score.added, 3),
            figure(s.beyond.value, 3) if s.beyond else "–",
            figure(s.slope, 2, sign=False),
            f"{s.score.sized:.0%}",
            f"{s.score.spread:.2f}",
            "–" if s.turnover is None else f"{s.turnover:.3f}",
        )
        for s in found.settings
    ]
    simple = [
        (
            escape(p.name),
            figure(p.score.value, 3),
            figure(p.score.added, 3),
            figure(p.beyond.value, 3),
            figure(p.slope, 2, sign=False),
            f"{p.score.sized:.0%}",
            f"{p.score.spread:.2f}",
            "–",
        )
        for p in found.peers
    ]
    head = (
        "sized by",
        "value",
        "outcome added",
        "integrated beyond it",
        "slope",
        "sized",
        "sd of ×",
        "turnover",
    )
    return _section(
        "walk",
        "Would it have helped?",
        "Each cut learns from the trades closed before it and sizes the decisions after it. Value"
        " is the outcome added by differences of size, less half their variance: it is greatest"
        " where sizes equal the expected outcomes. In units of size; turnover is the mean change of"
        " a multiplier per month.",
        f'<div class="trio">{_plot("Value so far, with 90 % bands", plots.value_over_time(found))}'
        f"{_plot('Value per decision', plots.settings_forest(found.settings, found.peers))}"
        f"{_plot('Calibration: realised against predicted', plots.calibration(found))}</div>",
        table(
            "Settings, walked forward",
            head,
            [*rows, (f"{SIMPLE[0].upper()}{SIMPLE[1:]}",), *simple],
        ),
    )


def _chance(found: Audit) -> str:
    tested: list[Setting] = [
        s for s in found.settings if s.placebo is not None and s.placebo.counts
    ]
    if not tested:
        return ""
    drawn = "".join(
        _plot(f"Overrides by {s.name}: real, and from shuffled logs", plots.placebo(s))
        for s in tested
    )
    rows = [
        (
            escape(s.name),
            f"{s.placebo.real:,}",
            f"{s.placebo.mean:,.1f}",
            f"{min(s.placebo.counts):,} to {max(s.placebo.counts):,}",
            f"{s.placebo.share:.0%}" if s.placebo.share is not None else "–",
        )
        for s in tested
        if s.placebo is not None
    ]
    return _section(
        "chance",
        "How many overrides are false?",
        "Blocks of outcomes are shuffled, so that scopes carry no information but clusters in time"
        " remain. Any override then learned is false; expect as many false ones among the real"
        " ones.",
        f'<div class="pair">{drawn}</div>',
        table(
            "Overrides and placebos",
            ("setting", "overrides", "by chance", "range", "share false"),
            rows,
        ),
    )


def _double(found: Audit) -> str:
    d = found.double_counting
    rows = [
        (
            escape(s.name), f"{s.overlap.decisions:,}", f"{s.overlap.matched:.1f}",
            figure(s.overlap.several, 2, sign=False) if s.overlap.decisions else "–",
        )
        for s in found.settings
    ]  # fmt: skip
    intro = (
        f"{d.matched:.1f} overrides of the batch jobs' formulas match each of the {d.decisions:,}"
        f" decisions that they size, which are {d.distinct:.1f} pieces of evidence:"
        f" {figure(d.repeated, 2, sign=False)} of the votes repeat another. With one vote per piece"
        f" of evidence, the multiplier changes by {figure(d.change, 3, sign=False)}, worth"
        f" {figure(d.worth)} per decision."
        if d.decisions
        else "The batch jobs' formulas size no decision."
    )
    head = ("setting", "decisions matched", "overrides that match", "share with several")
    return _section(
        "double", "Double counting", intro, table("Overrides that match a decision", head, rows)
    )


def _decay(found: Audit) -> str:
    d = found.decay
    if not d.trades:
        return _section(
            "decay",
            "How edges go",
            "No effect was chosen at any cut, so no decay could be observed.",
        )
    rows = [
        (name, figure(e))
        for name, e in (
            ("best over no edge", d.skill),
            ("exponential over linear", d.exponential_over_linear),
            ("exponential over constant", d.exponential_over_constant),
            ("linear over constant", d.linear_over_constant),
        )
    ]
    return _section(
        "decay",
        "How edges go",
        "Constant, linear and exponential edges were fitted to the trades before each cut"
        f" ({d.effects:,} fits), and predicted the {d.trades:,} trades after it. The best form is"
        f" {figure(d.skill)} nats per trade better than no edge.",
        f'<div class="pair">{_plot("Which form predicts better?", plots.forms(found))}'
        f"{table('Forms of decay', ('form', 'nats a trade'), rows)}</div>",
    )


def _regimes(found: Audit) -> str:
    r = found.regimes
    if not r.gains:
        return _section(
            "regimes",
            "Regimes",
            "No decision was sized by an effect that was learned over all regimes.",
        )
    rows = [
        (escape(g.regime), f"{g.decisions:,}", f"{g.promised:.3f}", figure(g.gain, 2, sign=False))
        for g in r.gains
    ]
    return _section(
        "regimes",
        "Regimes",
        "The realised part of the predictions of effects learned over all regimes, by regime. If"
        f" these gains were known, sizing by them would be worth {figure(r.attainable)} per"
        " decision.",
        f'<div class="pair">{_plot("Gain by regime", plots.regimes(found))}'
        f"{table('Gains by regime', ('regime', 'decisions', 'predicted', 'gain'), rows)}</div>",
    )


def _exploration(e: Exploration) -> str:
    rows = [
        (p.name, figure(p.dr), figure(p.snips), figure(p.ips), f"{p.decisions:,}")
        for p in e.policies
    ]
    rows.append(("as learned, by chosen sizes alone", figure(e.on_chosen_sizes), "", "", ""))
    left_out = f" {e.unusable:,} inconsistent draws were left out." if e.unusable else ""
    return _section(
        "exploration",
        "What sizing is worth, by exploration",
        f"{e.explored:,} of {e.decisions:,} decisions drew another size than the learned one, with"
        " a known probability. From these, what each way of sizing is worth beyond neutral sizes,"
        f" even where outcomes depend on the size itself.{left_out}",
        table(
            "Worth beyond neutral sizes, a decision",
            ("sizing", "doubly robust", "self-normalised IPS", "IPS", "decisions"),
            rows,
        ),
    )


def _overrides(found: Audit, explanations: Mapping[str, str]) -> str:
    if not found.overrides:
        return _section(
            "overrides",
            "Overrides now",
            "There are none: no effect passes among all that were searched.",
        )
    parts = [
        _override(shown, k, explanations.get(shown.override.override_id, ""))
        for k, shown in enumerate(found.overrides)
    ]
    total = next(s.overrides for s in found.settings if s.name == "integrated")
    intro = (
        f"The current overrides of `integrated`, strongest first ({len(found.overrides):,} of"
        f" {total:,})."
    )
    return _section("overrides", "Overrides now", intro, *parts)


def _override(shown: AuditedOverride, k: int, explanation: str) -> str:
    o = shown.override
    scope = canonical_text(o.scope).replace("|", ", ") or "every context"
    life, interval = o.decay.half_life_hours, o.decay.interval
    facts = [
        (
            "Effect",
            f"{o.effect:+.3f}" + (f" ± {o.effect_sd:.3f}" if o.effect_sd is not None else ""),
        ),
        ("Trades", f"{o.n_trades:,}, {o.evidence.from_ts[:10]} to {o.evidence.to_ts[:10]}"),
        ("Decay", o.decay.state),
        *([("Half-life", _half_life(life, interval))] if life else []),
        *(
            [
                (
                    "Regime gains",
                    ", ".join(f"× {gain:g} in {regime}" for regime, gain in o.regime_gains.items()),
                )
            ]
            if o.regime_gains
            else []
        ),
        *(
            [("Same evidence", f"{len(shown.members):,} other slices of its factor")]
            if shown.members
            else []
        ),
        ("Why", shown.reason),
        ("Id", o.override_id),
    ]
    listed = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in facts)
    drawn = ""
    if shown.curve is not None and k < DRAWN:
        label = f"Uplift of {scope} over time, with constant, linear and exponential fits"
        drawn = f"<div>{plots.effect(f'effect-{k}', label, shown.curve)}</div>"
    behind = (
        f'<details class="behind"><summary>Full explanation</summary>{explanation}</details>'
        if explanation
        else ""
    )
    return (
        f'<details{" open" if k < 3 else ""}><summary><span class="times">×'
        f" {times_text(o.multiplier)}</span> {escape(o.pattern_key)} {escape(o.action_category)} in"
        f' {escape(scope)}</summary><div class="override"><dl'
        f' class="facts">{listed}</dl>{drawn}</div>{behind}</details>'
    )


def _half_life(hours: float, interval: tuple[float, float] | None) -> str:
    between = f" ({interval[0] / 24:.3g} to {interval[1] / 24:.3g})" if interval else ""
    return f"{hours / 24:.3g} days{between}"


def _method(found: Audit) -> str:
    data = found.data
    return (
        "<footer><p>Intervals are 90 %, by a block bootstrap over cuts. Window"
        f" {data.window_days:g} days, horizon {data.horizon_days:g} days, {data.placebos} shuffled"
        f" logs, seed {data.seed}. Yes: the interval is above zero and the estimate is material."
        " No: the interval ends below what is material. Otherwise there is not enough data. Times"
        " are UTC.</p></footer>"
    )
