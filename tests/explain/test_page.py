"""Text and HTML have the same content, and no value is interpreted as markup."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ElementTree

from rich.console import Console

from app.explain import explain_context, explain_override, html
from app.explain.sections import sections
from app.explain.text import show
from app.learning.common.event_time import micros_from_text
from app.override_changes import OverrideChange
from app.settings import Settings
from tests.audit.making import fact
from tests.explain.making import START_US, by_hand, learned, override, override_of
from tests.pipeline import planted

VOID = "<script>alert(1)</script>"


def text_of(document: object) -> str:
    out = io.StringIO()
    show(document, Console(file=out, width=400))
    return out.getvalue()


def test_all_sentences_and_cells_are_in_both() -> None:
    known = learned(planted.half_life("pm", 20.0), Settings(n_min=15, max_dims=1), "pm.edge.S1")
    found = override_of(known, chain="sol")
    document = explain_override(known, found.override_id, micros_from_text(found.as_of), trades=2)
    page = ElementTree.fromstring(html(document))  # so it is well formed
    shown, text = " ".join(page.itertext()), text_of(document)
    for section in sections(document):
        assert section.title in shown
        assert section.title in text
        for sentence in section.sentences:
            assert sentence in shown
            assert sentence in text
        for row in section.table.rows if section.table else ():
            for cell in row:
                assert cell in shown
                assert cell in text
    drawings = page.findall(".//svg")
    assert len(drawings) == 1
    dots = [e for e in drawings[0] if e.get("class") == "made"]
    assert len(dots) == len(document.decay.stretches)
    heights = [float(dot.get("cy", "nan")) for dot in dots]
    # Downwards, as the edge fades.
    assert [heights[0], heights[3], heights[-1]] == sorted([heights[0], heights[3], heights[-1]])
    assert (min(heights), max(heights)) == (heights[0], heights[-1])
    _, _, width, height = map(float, drawings[0].get("viewBox", "").split())
    assert all(
        0 <= float(dot.get("cx", "nan")) <= width and 0 <= float(dot.get("cy", "nan")) <= height
        for dot in dots
    )


def test_what_comes_from_outside_is_escaped() -> None:
    bad = override("a", 0.5, {"x": VOID})
    known = by_hand(
        [OverrideChange("a", 1, START_US, bad)], [fact(VOID, START_US, 1.0, {"x": VOID})]
    )
    document = explain_override(known, "a", START_US, trades=5)
    context = explain_context(
        known, VOID, "entry", {VOID: VOID}, START_US, dimensions=("x",), groups=set()
    )
    near = explain_context(
        known, "a.b", "entry", {"x": "1"}, START_US, dimensions=("x",), groups={("pm.a.b", "entry")}
    )
    for each in (document, context, near):
        page = html(each)
        assert "<script" not in page
        assert "&lt;script&gt;" in page
        ElementTree.fromstring(page)
        assert VOID in text_of(each)


def test_an_edge_of_a_single_day_is_not_drawn() -> None:
    known = by_hand(
        [OverrideChange("a", 1, START_US, override("a", 0.5))], [fact("t", START_US, 1.0)]
    )
    document = explain_override(known, "a", START_US)
    assert "<svg" not in html(document)
    assert "It has no daily history." in html(document)
