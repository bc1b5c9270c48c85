"""Charts as SVG: shapes and class names only, since the page's policy forbids inline styles.

May touch: nothing but its arguments.  Every chart has a label that says what it shows; the figures
are in the label or in a table beside the chart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from math import ceil, floor, log10

from markupsafe import Markup, escape

from app.context_text import context_text
from app.dashboard.attribution import Sum
from app.dashboard.database import Day, Month
from app.dashboard.learners import Weighed
from app.explain.decay import fitted_at
from app.explain.document import DecayLine, DecayLines, OverrideDocument
from app.explain.page import FITTED_STEPS
from app.learning.common.event_time import micros_from_text
from edgeloop.overrides import Override
from edgeloop.resolution import Match

WIDE, HALF, NARROW, SMALL = 1120, 560, 360, 260
"""Widths of drawings, in their own units, chosen so that their text is as large as the page's."""
MOST_PARTS = 10
"""Maximum number of parts of a size that are drawn one by one."""


def _both(wide: Callable[[int], Markup], width: int) -> Markup:
    """A drawing for wide screens and one for narrow screens; the style sheet shows one of them."""
    return Markup('<div class="on-wide">{}</div><div class="on-narrow">{}</div>').format(
        wide(width), wide(NARROW)
    )


class Frame:
    """A drawing of `height` with room for labels, whose y axis goes from `low` to `high` and x axis
    from 0 to 1."""

    def __init__(
        self, height: int, low: float, high: float, *, left: int = 46, width: int = HALF
    ) -> None:
        if high <= low:
            high = low + 1.0
        self.height, self.low, self.high, self.left = height, low, high, left
        self.width = width
        self.parts: list[str] = []

    def x(self, share: float) -> float:
        """The x coordinate of a place from 0 (left) to 1 (right)."""
        return round(self.left + share * (self.width - self.left - 10), 1)

    def y(self, value: float) -> float:
        """The y coordinate of a value of the y axis."""
        return round(10 + (self.high - value) / (self.high - self.low) * (self.height - 36), 1)

    def line(self, name: str, points: Sequence[tuple[float, float]]) -> None:
        """Draw a line of the class `name` through (place, value) points."""
        text = " ".join(f"{self.x(x)},{self.y(y)}" for x, y in points)
        self.parts.append(f'<polyline class="{name}" points="{text}"/>')

    def level(self, value: float, text: str, name: str = "grid") -> None:
        """Draw a horizontal line at `value`, labelled with `text`."""
        y = self.y(value)
        self.parts.append(
            f'<line class="{name}" x1="{self.left}" x2="{self.width - 10}" y1="{y}" y2="{y}"/>'
            f'<text class="tick" x="{self.left - 6}" y="{y + 4}" text-anchor="end">'
            f"{escape(text)}</text>"
        )

    def levels(self, *, counts: bool = False) -> None:
        """Lines at zero and at round values, at most five; with `counts` the labels are whole
        numbers without a sign."""
        step = round_step((self.high - self.low) / 4)
        step = max(step, 1.0) if counts else step
        digits = max(0, -floor(log10(step) + 1e-9))
        for k in range(ceil(self.low / step - 1e-9), floor(self.high / step + 1e-9) + 1):
            text = f"{k * step:,.0f}" if counts else f"{k * step:+,.{digits}f}"
            self.level(k * step, text if k else "0", "grid" if k else "axis")

    def below(self, share: float, text: str, anchor: str = "middle") -> None:
        """Write a label below the x axis."""
        self.parts.append(
            f'<text class="tick" x="{self.x(share)}" y="{self.height - 8}"'
            f' text-anchor="{anchor}">{escape(text)}</text>'
        )

    def bar(self, name: str, share: float, wide: float, value: float, title: str) -> None:
        """Draw a bar from zero to `value`; `wide` is its width as a share of the x axis."""
        zero, top = self.y(max(self.low, min(0.0, self.high))), self.y(value)
        y, tall = min(zero, top), max(abs(zero - top), 0.0)
        width = max((self.width - self.left - 10) * wide, 1.0)
        self.parts.append(
            f'<rect class="{name}" x="{self.x(share)}" y="{y}" width="{width:.1f}"'
            f' height="{tall:.1f}" rx="1.5"><title>{escape(title)}</title></rect>'
        )

    def dot(self, name: str, share: float, value: float, r: float, title: str) -> None:
        """Draw a dot with the radius `r`, in units of the drawing."""
        self.parts.append(
            f'<circle class="{name}" cx="{self.x(share)}" cy="{self.y(value)}" r="{r:.1f}">'
            f"<title>{escape(title)}</title></circle>"
        )

    def svg(self, label: str, name: str = "") -> Markup:
        """The drawing as an SVG element; `label` describes it to screen readers."""
        return Markup(
            f'<svg class="chart {name}" viewBox="0 0 {self.width} {self.height}" role="img"'
            f' aria-label="{escape(label)}">{"".join(self.parts)}</svg>'
        )


def round_step(least: float) -> float:
    """The first of 1, 2, 5, 10, 20, … that is not below `least`, at any power of ten.

    >>> [round_step(x) for x in (0.3, 1, 23, 0.011)]
    [0.5, 1.0, 50.0, 0.02]
    """
    power = 10.0 ** floor(log10(least))
    return next(float(f"{n * power:.12g}") for n in (1, 2, 5, 10) if n * power >= least * 0.999999)


def waterfall(parts: Sequence[tuple[Match, Override | None]], size: float) -> Markup:
    """From the neutral size to the answer, part by part, the strongest first; beyond a number of
    parts, the weakest are combined into one."""
    return _both(lambda width: _waterfall(parts, size, width), WIDE)


def _waterfall(parts: Sequence[tuple[Match, Override | None]], size: float, width: int) -> Markup:
    steps = [(m.contribution, context_text(o.scope) if o else m.override_id[:12]) for m, o in parts]
    if len(steps) > MOST_PARTS:
        rest = steps[MOST_PARTS - 1 :]
        steps = [
            *steps[: MOST_PARTS - 1],
            (sum(value for value, _ in rest), f"{len(rest)} weaker ones"),
        ]
    values, at = [1.0], 1.0
    for value, _ in steps:
        at += value
        values.append(at)
    low, high = min(*values, size, 0.9), max(*values, size, 1.1)
    row, top = 26, 8
    height = top + row * (len(steps) + 2) + 4
    frame = Frame(height, low, high, width=width)
    names, most = (330, 38) if width > NARROW else (128, 14)

    def x(value: float) -> float:
        return round(names + (value - low) / (high - low) * (width - names - 66), 1)

    out = frame.parts
    out.append(f'<line class="axis" x1="{x(1.0)}" x2="{x(1.0)}" y1="{top}" y2="{height - 4}"/>')
    rows = [("neutral", 1.0, 1.0, "1")]
    before = 1.0
    for value, name in steps:
        rows.append((name, before, before + value, f"{value:+.3f}"))
        before += value
    rows.append(("size", 1.0, size, f"× {size:.2f}"))
    for i, (name, start, end, text) in enumerate(rows):
        y = top + row * i
        shown = name if len(name) <= most else name[: most - 1] + "…"
        kind = "sum" if name == "size" and i == len(rows) - 1 else "good" if end >= start else "bad"
        left, right = min(x(start), x(end)), max(x(start), x(end))
        out.append(
            f'<text class="name" x="{names - 12}" y="{y + 17}" text-anchor="end">'
            f"{escape(shown)}</text>"
            f'<rect class="bar {kind}" x="{left}" y="{y + 5}" width="{max(right - left, 2):.1f}"'
            f' height="{row - 10}" rx="2"><title>{escape(name)}: {escape(text)}</title></rect>'
            f'<text class="value" x="{right + 6}" y="{y + 17}">{escape(text)}</text>'
        )
    return frame.svg(
        f"From the neutral size 1 by {len(parts)} parts to {size:.2f}; the table has each part.",
        "waterfall",
    )


def closes(days: Sequence[Day]) -> Markup:
    """Closed trades by day."""
    return _both(lambda width: _closes(days, width), HALF)


def _closes(days: Sequence[Day], width: int) -> Markup:
    top = max((day.trades for day in days), default=0) or 1
    frame = Frame(150, 0.0, top, width=width)
    frame.levels(counts=True)
    for i, day in enumerate(days):
        frame.bar(
            "bar", (i + 0.1) / len(days), 0.8 / len(days), day.trades,
            f"{day.day}: {day.trades:,} trades",
        )  # fmt: skip
    frame.below(0.0, days[0].day, "start")
    frame.below(1.0, days[-1].day, "end")
    total = sum(day.trades for day in days)
    return frame.svg(
        f"Closed trades a day, {days[0].day} to {days[-1].day}: {total:,} in all,"
        f" at most {top:,} a day."
    )


def predicted_and_realised(months: Sequence[Month], outcome: str) -> Markup:
    """By month: what the effects in force predicted per trade, and what the trades made in the
    predicted direction."""
    return _both(lambda width: _predicted_and_realised(months, outcome, width), WIDE)


def _predicted_and_realised(months: Sequence[Month], outcome: str, width: int) -> Markup:
    values = [v for m in months for v in (m.promised, m.made)]
    spread = max((abs(v) for v in values), default=1.0) or 1.0
    low, high = min(0.0, *values) - 0.06 * spread, max(0.0, *values) + 0.06 * spread
    frame = Frame(230, low, high, width=width)
    frame.levels()
    n = len(months)
    for i, m in enumerate(months):
        title = (
            f"{m.month}: {m.trades:,} trades, predicted {m.promised:+.3f}, realised {m.made:+.3f}"
        )
        kind = "good" if m.made > 0 else "bad"
        frame.bar(f"bar {kind}", (i + 0.2) / n, 0.6 / n, m.made, title)
    if n > 1:
        frame.line("promised", [((i + 0.5) / n, m.promised) for i, m in enumerate(months)])
    frame.below(0.0, months[0].month, "start")
    if n > 1:
        frame.below(1.0, months[-1].month, "end")
    kept = sum(m.made > 0 for m in months)
    return frame.svg(
        f"Predicted and realised per trade in {outcome}, by month, {months[0].month} to"
        f" {months[-1].month}: the direction was as predicted in {kept} of {n} months."
    )


def added(months: Sequence[Sum], outcome: str) -> Markup:
    """What sizing added compared with the neutral size, by month, with 90 % intervals."""
    return _both(lambda width: _added(months, outcome, width), HALF)


def _added(months: Sequence[Sum], outcome: str, width: int) -> Markup:
    values = [v for m in months for v in (m.added, m.low, m.high) if v is not None]
    spread = max((abs(v) for v in values), default=1.0) or 1.0
    low, high = min(0.0, *values) - 0.06 * spread, max(0.0, *values) + 0.06 * spread
    frame = Frame(210, low, high, left=56, width=width)
    frame.levels()
    n = len(months)
    for i, m in enumerate(months):
        title = f"{m.name}: {m.trades:,} trades, {m.added:+,.2f}"
        frame.bar(
            f"bar {'good' if m.added >= 0 else 'bad'}", (i + 0.2) / n, 0.6 / n, m.added, title
        )
        if m.low is not None and m.high is not None:
            frame.line("whisker", [((i + 0.5) / n, m.low), ((i + 0.5) / n, m.high)])
    frame.below(0.0, months[0].name, "start")
    if n > 1:
        frame.below(1.0, months[-1].name, "end")
    total = sum(m.added for m in months)
    return frame.svg(
        f"Added against the neutral size by month, in {outcome}: {total:+,.2f} in all."
    )


def walked(
    cuts: Sequence[str], total: Sequence[float], low: Sequence[float], high: Sequence[float]
) -> Markup:
    """The value of sizing so far, walked forward, with its band; the first cut starts at 0."""
    return _both(lambda width: _walked(cuts, total, low, high, width), HALF)


def _walked(
    cuts: Sequence[str],
    total: Sequence[float],
    low: Sequence[float],
    high: Sequence[float],
    width: int,
) -> Markup:
    xs = [_noon(cut[:10]) for cut in cuts]
    span = (xs[-1] - xs[0]) or 1
    shares = [(x - xs[0]) / span for x in xs]
    bottom, top = min(0.0, *low), max(0.0, *high)
    frame = Frame(210, bottom, top, left=56, width=width)
    band = [*zip(shares, high, strict=True), *reversed([*zip(shares, low, strict=True)])]
    points = " ".join(f"{frame.x(x)},{frame.y(y)}" for x, y in band)
    frame.parts.append(f'<polygon class="band" points="{points}"/>')
    frame.levels()
    frame.line("made", [*zip(shares, total, strict=True)])
    frame.below(0.0, cuts[0][:7], "start")
    frame.below(1.0, cuts[-1][:7], "end")
    return frame.svg(
        f"Value of sizing by what was learned before, added up from {cuts[0][:10]} to"
        f" {cuts[-1][:10]}: {total[-1]:+,.1f}, 90 % band {low[-1]:+,.1f} to {high[-1]:+,.1f}."
    )


def weights(line: Weighed) -> Markup:
    """How much the learners of one category counted as their record grew."""
    return _both(lambda width: _weights(line, width), SMALL)


def _weights(line: Weighed, width: int) -> Markup:
    first, last = line.points[0].at, line.points[-1].at
    span = (last - first) or 1.0
    frame = Frame(130, 0.0, 1.0, left=24, width=width)
    frame.level(0.0, "0", "axis")
    frame.level(1.0, "1")
    for name, kind in (("half_life", "one"), ("shared_effects", "two")):
        points = [((p.at - first) / span, float(getattr(p, name))) for p in line.points]
        steps = [points[0]] if points else []
        for (_, before), (x, y) in pairwise(points):
            steps += [(x, before), (x, y)]
        frame.line(kind, steps if len(steps) > 1 else [(0.0, points[0][1]), (1.0, points[0][1])])
    frame.below(0.0, _day(first), "start")
    frame.below(1.0, _day(last), "end")
    now = line.points[-1]
    return frame.svg(
        f"Weights of {line.module} {line.category} as the record grew: half-lives now"
        f" {now.half_life:.2f}, shared effects now {now.shared_effects:.2f}, from 0 to 1."
    )


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).date().isoformat()


def decay(document: OverrideDocument) -> Markup:
    """How an effect moved: what trades made, what had been predicted, and the fitted curve,
    continued into the future by the half-life."""
    return _both(lambda width: _decay(document, width), WIDE)


def _decay(document: OverrideDocument, width: int) -> Markup:
    d: DecayLines = document.decay
    points = d.stretches if len(d.stretches) > 2 else d.days
    first = _noon(d.days[0].first_day)
    now = micros_from_text(d.as_of)
    ahead = 0 if d.half_life_hours is None else min(d.half_life_hours * 3.6e9, (now - first) * 0.25)
    end = max(now, _noon(d.days[-1].last_day)) + ahead
    span = (end - first) or 1
    values = [v for p in points for v in (p.uplift, p.predicted)] + [d.now, 0.0]
    top = max(map(abs, values)) or 1.0
    frame = Frame(300, min(values) - 0.08 * top, max(values) + 0.08 * top, width=width)
    frame.levels()
    most = max(p.n for p in points)

    def middle(p: DecayLine) -> float:
        return ((_noon(p.first_day) + _noon(p.last_day)) / 2 - first) / span

    frame.line("promised", [(middle(p), p.predicted) for p in points])
    unit = d.now / document.override.effect if document.override.effect else 1.0
    steps = 48
    curve = []
    for i in range(steps + 1):
        at = first + span * i / steps
        value = fitted_at(document.override, round(at)) * unit
        if at > now and d.half_life_hours is not None:
            value = d.now * 2 ** (-(at - now) / (d.half_life_hours * 3.6e9))
        if abs(value) <= FITTED_STEPS * top and frame.low <= value <= frame.high:
            curve.append((i / steps, value))
    frame.line("fitted", curve)
    for p in points:
        frame.dot(
            "dot", middle(p), p.uplift, 2.5 + 4.5 * (p.n / most) ** 0.5,
            f"{p.first_day}: {p.n:,} trades made {p.uplift:+.3f}, predicted {p.predicted:+.3f}",
        )  # fmt: skip
    x = frame.x((now - first) / span)
    frame.parts.append(f'<line class="now" x1="{x}" x2="{x}" y1="10" y2="{frame.height - 26}"/>')
    frame.below((now - first) / span, "now", "middle" if ahead else "end")
    frame.below(0.0, d.days[0].first_day, "start")
    return frame.svg(
        f"The edge is {d.state}: {d.now:+.3f} {document.outcome} now. Dots: what the trades of"
        f" {len(points)} periods made; dashed: what was predicted before; line: the edge."
    )


def _noon(day: str) -> int:
    return micros_from_text(f"{day}T12:00:00Z")
