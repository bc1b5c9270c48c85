"""Decay curves on a terminal."""

from __future__ import annotations

from datetime import datetime
from io import StringIO

import msgspec
from rich.console import Console

from app.explain.document import DecayLine, DecayLines
from app.explain.sparklines import STEPS, curve, history
from app.learning.common.event_time import micros_from_text
from edgeloop.resolution import resolve
from tests.client.test_resolve import make

BLOCKS = " ▁▂▃▄▅▆▇█"


def heights(lines: list[str]) -> list[int]:
    """Height of each column, in eighths of a line."""
    return [sum(BLOCKS.index(line[i]) for line in lines) for i in range(len(lines[0]))]


def fading(half_life_hours: float | None, effect: float = 0.4):
    return msgspec.structs.replace(
        make("o", effect=effect, pattern_key="pm.a.b", action_category="add"),
        decay=msgspec.structs.replace(make("o").decay, half_life_hours=half_life_hours),
        expires_at="2024-03-31T00:00:00Z",
    )


def test_the_curve_falls_as_the_reader_has_it() -> None:
    override = fading(240.0)
    at = "2024-03-16T00:00:00+00:00"
    upper, lower, now, label = curve(override, micros_from_text(at))
    columns = heights([upper, lower])
    assert len(columns) == STEPS
    assert columns == sorted(columns, reverse=True)
    assert columns[0] == 16
    assert columns[STEPS // 3] == 8  # one half-life
    left = resolve([override], "a.b", "add", {}, datetime.fromisoformat(at)).multiplier - 1
    assert now.strip() == f"^ {left:+.3f} now"
    assert now.index("^") == round((STEPS - 1) / 2)
    assert label == "+0.400 on 2024-03-01, +0.050 on 2024-03-31; half-life 10.0 d"


def test_a_level_curve_and_one_below_zero() -> None:
    level = curve(fading(None), 0)
    assert set(heights(level[:2])) == {16}
    assert "does not decay" in level[3]
    below = heights(curve(fading(240.0, -0.4), 0)[:2])
    assert below == sorted(below)


def test_an_expired_override_says_so() -> None:
    assert "expired" in curve(fading(240.0), micros_from_text("2024-05-01T00:00:00Z"))[2]


def test_history_is_drawn_on_one_scale() -> None:
    lines = tuple(
        DecayLine(f"2024-03-0{i}", f"2024-03-0{i}", 5, promised, made, fitted)
        for i, (promised, made, fitted) in enumerate([(0, 1.0, 9.0), (0.5, 0.5, 1.0), (1, 0, 0)], 1)
    )
    decay = DecayLines(
        state="decaying",
        half_life_hours=24.0,
        interval=None,
        now=0.1,
        as_of="2024-03-03T00:00:00Z",
        days=lines,
        stretches=lines,
    )
    drawn = dict(history(decay))
    assert drawn["made"] == drawn["promised"][::-1] == "█▄▁"
    assert drawn["fitted"] == "██▁"  # far beyond the scale, cut to it
    assert history(msgspec.structs.replace(decay, stretches=lines[:1])) == []


def test_nothing_is_wider_than_a_terminal() -> None:
    out = Console(file=StringIO(), width=80)
    for line in curve(fading(240.0), 0):
        assert out.measure(line).maximum <= 80 - 19
