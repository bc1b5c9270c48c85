"""The parts of the dashboard that need no server: the table, the heat map, attribution, the guard's
tokens, the readings, the summary at the top."""

from __future__ import annotations

import asyncio
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.audit.document import Audit
from app.dashboard import charts, formatting, heat, summary, table, worker_metrics
from app.dashboard.attribution import Sized, sized, summed
from app.dashboard.database import Month
from app.dashboard.feed import Feed, Reading
from app.dashboard.polling import poll
from app.dashboard.server import link, listen, token_for
from app.errors import UnreachableError, UsageError
from app.learning.common.event_time import text_from_micros
from app.override_changes import OverrideChange
from app.settings import Settings
from edgeloop.overrides import OverrideDecay
from tests.explain.making import DAY_US, START_US, override
from tests.explain.test_effect import touched

NOW = datetime.fromtimestamp(START_US / 1e6, UTC)


def test_the_table_searches_filters_sorts_and_turns_pages() -> None:
    held = [
        override(f"{i:032x}", 0.01 * (i - 20), {"chain": f"c{i % 3}"}, n_trades=i)
        for i in range(60)
    ]
    held[7] = override(f"{7:032x}", -0.5, {"chain": "c1"}, decay=OverrideDecay("decaying", 48.0))
    since = {o.override_id: text_from_micros(START_US - i * DAY_US) for i, o in enumerate(held)}

    def found(**query: str) -> list[int]:
        page = table.shown(held, table.asked(query), since, START_US)
        return [int(o.override_id, 16) for o in page.rows]

    everything = table.shown(held, table.asked({}), since, START_US)
    assert (everything.found, everything.total, everything.pages) == (60, 60, 3)
    assert found()[:2] == [7, 59]
    assert len(found(page="3")) == 10
    assert found(page="99") == found(page="3")
    assert set(found(q="CHAIN=c2 pm.a", sort="trades")) == set(range(59, -1, -3))
    assert found(size="down", sort="-size")[0] == 7
    assert found(half_life="some") == [7]
    assert found(since="1", sort="since") == [0, 1]
    assert found(sort="half_life")[0] == 7
    assert found(min_trades="58", sort="trades") == [59, 58]
    assert found(category="exit") == []
    assert found(part="shared") == []
    assert table.asked({"q": "a&b", "sort": "size"}).link(page=2) == "?q=a%26b&sort=size&page=2"


def test_a_cell_of_the_heat_map_is_what_the_position_manager_gets_there() -> None:
    held = [
        override("a" * 32, 0.5),
        override("b" * 32, -0.2, {"btc_macro": "S1"}),
        override("c" * 32, 0.9, {"btc_macro": "S1", "chain": "sol"}),
        override("d" * 32, 0.1, regime_gains={"btc_macro=S3": 0.0}),
    ]
    found = heat.heat(held, ("btc_macro",), NOW)
    assert (found.dimension, found.columns) == ("btc_macro", ["S1", "S3"])
    ((*group, cells),) = found.rows
    assert group == ["pm", "pm.a.b", "entry"]
    assert [(round(c.size, 6), c.made_by) for c in cells] == [(1.4, 3), (1.5, 2)]
    assert heat.heat(held, ("btc_macro",), NOW, "chain").columns == ["sol"]
    assert heat.heat([], ("btc_macro",), NOW).rows == []


def test_what_applied_overrides_have_made_is_the_sum_over_trades() -> None:
    held = override("o", 0.5, {"x": "1"})
    changes = {"o": [OverrideChange("o", 1, START_US, held)]}
    facts = [touched("t1", 1, 1.0, "o"), touched("t2", 2, -2.0, "o"), touched("t3", 3, 9.0)]
    naming = [f for f in facts if any(a.applied_overrides for a in f.actions)]
    trades = sized(naming, changes, {}, Settings())
    assert [(round(t.parts["o"], 9), t.uplift) for t in trades] == [(0.5, 1.0), (0.5, -2.0)]
    found = summed(trades, "rr", "")
    assert (found.total.trades, found.total.added, found.mean_size) == (2, -0.5, 1.5)
    assert found.assumed == 0
    later = {"o": [OverrideChange("o", 1, START_US + 3 * DAY_US // 2, held)]}
    assert summed(sized(naming, later, {}, Settings()), "rr", "").assumed == 1
    assert found.total.low is not None
    assert found.total.low < -0.5 < found.total.high  # type: ignore[operator]
    assert [s.name for s in found.overrides] == ["o"]
    nothing = summed([], "rr", "a note")
    assert (nothing.total.trades, nothing.first, nothing.note) == (0, None, "a note")


def test_it_helps_only_when_its_interval_says_so() -> None:
    def tone(uplift: float, spread: float) -> str:
        trades = [
            Sized(START_US + i * DAY_US, uplift + spread * (-1) ** i, {"o": 0.4}, False)
            for i in range(20)
        ]
        return summary.helping(summed(trades, "rr", ""), None).tone

    assert (tone(1.0, 0.1), tone(-1.0, 0.1), tone(0.1, 3.0)) == ("good", "bad", "unsure")
    assert summary.helping(None, None).tone == "none"
    for error, words_of in (("", "there is no audit yet"), ("bad", "the audit cannot be read")):
        audit = Reading[Audit]("audit", 10.0, None, 1.0, error)
        assert words_of in summary.helping(None, audit).text


def test_a_source_that_is_away_keeps_its_last_value_and_age() -> None:
    feed = Feed()
    feed.add("x", "an x", 0.01)
    answers = iter([1, UnreachableError("It is away."), 1, IndexError("ours"), 2])
    states: list[tuple[str, object, str]] = []

    async def ask() -> int:
        answer = next(answers, None)
        if answer is None:
            raise asyncio.CancelledError
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def look() -> None:
        task = asyncio.create_task(poll(feed, "x", ask))
        revision = 0
        for _ in range(5):
            revision = await feed.changed(revision, 10)
            states.append((feed["x"].state, feed["x"].value, feed["x"].error))
        await asyncio.wait([task], timeout=10)

    assert feed["x"].state == "loading"
    asyncio.run(look())
    assert states == [
        ("live", 1, ""), ("stale", 1, "It is away."), ("live", 1, ""),
        ("stale", 1, "IndexError: ours"), ("live", 2, ""),
    ]  # fmt: skip


def test_a_token_is_needed_where_others_can_reach_it(tmp_path: Path) -> None:
    assert token_for("127.0.0.1", None) is None
    assert len(token_for("0.0.0.0", None) or "") >= 32
    path = tmp_path / "token"
    path.write_text("short")
    with pytest.raises(UsageError, match="not usable"):
        token_for("127.0.0.1", path)
    path.write_text("0123456789abcdef\n")
    assert token_for("127.0.0.1", path) == "0123456789abcdef"
    assert link("0.0.0.0", 1, "t") == "http://127.0.0.1:1/?token=t"
    assert link("::1", 1, None) == "http://[::1]:1/"


def test_a_port_that_is_taken_is_said_with_what_to_do() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(UnreachableError, match="--port") as caught:
            listen("127.0.0.1", other.getsockname()[1])
        assert caught.value.exit_code == 4


def test_refit_times_are_read_from_the_exposition() -> None:
    text = (
        "# TYPE edgeloop_refit_seconds histogram\n"
        'edgeloop_refit_seconds_bucket{role="lesson_builder",le="0.1"} 8.0\n'
        'edgeloop_refit_seconds_bucket{role="lesson_builder",le="0.5"} 9.0\n'
        'edgeloop_refit_seconds_bucket{role="lesson_builder",le="+Inf"} 10.0\n'
        'edgeloop_refit_seconds_count{role="lesson_builder"} 10.0\n'
        'edgeloop_refit_seconds_sum{role="lesson_builder"} 2.0\n'
        "# TYPE edgeloop_learner_weight gauge\n"
        'edgeloop_learner_weight{module="pm",category="entry",learner="half_life"} 0.25\n'
    )
    (found,) = worker_metrics.refits_of("w", text)
    assert (found.role, found.count, found.mean_s, found.within_s) == (
        "lesson_builder",
        10,
        0.2,
        0.5,
    )
    assert worker_metrics.weights_of(text) == {"pm entry half_life": 0.25}


def test_charts_say_what_they_show_and_escape_it() -> None:
    drawn = charts.predicted_and_realised([Month("<b>", 3, 0.2, -0.1)], '"rr"')
    assert "<b>" not in drawn
    assert "&lt;b&gt;" in drawn
    assert drawn.count('role="img" aria-label="') == drawn.count("<svg") == 2
    assert formatting.prose("a `<x>` b") == "a <code>&lt;x&gt;</code> b"
