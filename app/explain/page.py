"""An explanation as a fragment of a page: sections, tables, and the decay drawn as SVG.  It has
class names only; the page provides the style.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from datetime import date
from html import escape

from app.explain.document import ContextDocument, DecayLine, DecayLines, OverrideDocument
from app.explain.sections import Section, Table, sections

WIDTH, HEIGHT, MARGIN = 640, 220, 44
"""Size of the drawing in its own units; on the page it takes the available width."""
FITTED_STEPS = 3.0
"""The fitted curve is cut at this multiple of the greatest other value: a short half-life rises
steeply to the left."""


def html(document: OverrideDocument | ContextDocument) -> str:
    """A `<section class="explain">` with the same content as the text.  All values are escaped."""
    parts = "".join(
        _section(section, number == 0) for number, section in enumerate(sections(document))
    )
    return f'<section class="explain">{parts}</section>\n'


def _section(section: Section, first: bool) -> str:
    level = "h3" if first else "h4"
    paragraphs = "".join(f"<p>{escape(sentence)}</p>" for sentence in section.sentences)
    drawn = drawing(section.plot) if section.plot is not None and len(section.plot.days) > 1 else ""
    held = _table(section.table) if section.table is not None else ""
    return (
        f'<{level} class="explain-title">{escape(section.title)}</{level}>{paragraphs}{drawn}{held}'
    )


def _table(table: Table) -> str:
    def cell(tag: str, place: int, text: str) -> str:
        kind = ' class="number"' if place in table.numbers else ""
        return f"<{tag}{kind}>{escape(text)}</{tag}>"

    head = "".join(cell("th", place, name) for place, name in enumerate(table.columns))
    rows = "".join(
        f"<tr>{''.join(cell('td', place, text) for place, text in enumerate(row))}</tr>"
        for row in table.rows
    )
    return (
        '<div class="explain-scroll"><table'
        f' class="explain-table"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def drawing(decay: DecayLines) -> str:
    """The decay as SVG: the realised uplift of each stretch (a dot, larger with more trades), the
    predicted uplift, and the fitted curve."""
    points = decay.stretches if len(decay.stretches) > 2 else decay.days
    first, last = (date.fromisoformat(decay.days[i].first_day).toordinal() for i in (0, -1))
    values = [v for p in points for v in (p.uplift, p.predicted)]
    top = max(map(abs, (*values, decay.now))) or 1.0
    high, low = max(*values, decay.now, 0.0) + 0.08 * top, min(*values, decay.now, 0.0) - 0.08 * top

    def x(day: float) -> float:
        return round(MARGIN + (day - first) / max(last - first, 1) * (WIDTH - MARGIN - 8), 1)

    def y(value: float) -> float:
        return round(8 + (high - value) / (high - low) * (HEIGHT - 8 - 24), 1)

    def middle(line: DecayLine) -> float:
        return (
            date.fromisoformat(line.first_day).toordinal()
            + date.fromisoformat(line.last_day).toordinal()
        ) / 2

    def tick(value: float) -> str:
        place = (
            f'x="{MARGIN - 6}" y="{y(value) + 4}" font-size="11" text-anchor="end"'
            ' fill="currentColor"'
        )
        return f'<text class="tick" {place}>{value:+.2f}</text>'

    fitted = " ".join(
        f"{x(date.fromisoformat(day.first_day).toordinal())},{y(day.fitted)}"
        for day in decay.days
        if abs(day.fitted) <= FITTED_STEPS * top
    )
    promised = " ".join(f"{x(middle(p))},{y(p.predicted)}" for p in points)
    most = max(p.n for p in points)
    dots = "".join(
        f'<circle class="made" fill="currentColor" cx="{x(middle(p))}" cy="{y(p.uplift)}"'
        f' r="{round(2 + 4 * (p.n / most) ** 0.5, 1)}"><title>{p.first_day}: {p.n} trades made'
        f" {p.uplift:+.3f}</title></circle>"
        for p in points
    )
    marks = [v for v in (high, 0.0, low) if v == 0.0 or abs(v) > 0.1 * (high - low)]
    return (
        f'<svg class="explain-decay" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
        ' aria-label="predicted and realised uplift by day">'
        f'<line class="zero" x1="{MARGIN}" x2="{WIDTH - 8}" y1="{y(0.0)}" y2="{y(0.0)}"'
        ' stroke="currentColor" stroke-opacity="0.3"/>'
        f"{''.join(map(tick, marks))}"
        f'<polyline class="promised" points="{promised}" fill="none" stroke="currentColor"'
        ' stroke-opacity="0.5" stroke-dasharray="4 3"/>'
        f'<polyline class="fitted" points="{fitted}" fill="none" stroke="currentColor"'
        f' stroke-width="1.5"/>{dots}'
        f'<text class="day" x="{MARGIN}" y="{HEIGHT - 6}" font-size="11"'
        f' fill="currentColor">{decay.days[0].first_day}</text>'
        f'<text class="day" x="{WIDTH - 8}" y="{HEIGHT - 6}" font-size="11" text-anchor="end"'
        ' fill="currentColor">'
        f"{decay.days[-1].last_day}</text></svg>"
        '<p class="explain-legend">Dots: realised. Dashed: predicted from earlier trades. Line: the'
        " edge with its half-life.</p>"
    )
