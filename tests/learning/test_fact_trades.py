"""Facts that are decoded in bulk give the same trades as one by one."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.learning.common.fact_trades import trades_by_group
from app.learning.common.trade import Trade, trade_from_fact
from app.learning.common.trade_columns import TradeColumns, columns_of
from schemas.facts import FactAction, PatternTradeEvent, Segment, TradeMetrics
from tests.learning.making import SCOPES

VALUES = st.none() | st.floats(-1e16, 1e16)


@st.composite
def facts(draw: st.DrawFn) -> PatternTradeEvent:
    second = draw(st.integers(0, 59))
    return PatternTradeEvent(
        module=draw(st.sampled_from(["pm", "two"])),
        pattern_key=draw(st.sampled_from("ab")),
        action_category="entry",
        trade_id=draw(st.text(max_size=3)),
        revision=draw(st.integers(-1, 2)),
        n_actions=1,
        exit_ts=draw(st.sampled_from([f"2026-01-01T00:00:{second:02d}.000001Z", "noon"])),
        event_id=draw(st.text(max_size=3)),
        value_sha256=draw(st.sampled_from(["ab" * 32, "00" * 32, "no hex"])),
        actions=tuple(FactAction("x", "t", scope) for scope in draw(st.lists(SCOPES, max_size=3))),
        rr=draw(VALUES),
        roi=draw(VALUES),
        pnl_usd=draw(VALUES),
        segment=Segment(draw(st.none() | st.just("micro")), "1h"),
        home=draw(st.booleans()),
        metrics=TradeMetrics(time_efficiency=draw(st.none() | st.floats(0, 1))),
    )


def alone(fact: PatternTradeEvent, outcome: str) -> TradeColumns | None:
    """The trade of one fact; no trade if it lacks the outcome; None if it is not readable."""
    try:
        trade = trade_from_fact(fact, outcome)
        return columns_of([] if trade is None else [trade])
    except ValueError:
        return None


@given(st.lists(facts(), max_size=12), st.sampled_from(["rr", "roi", "pnl"]))
def test_in_bulk_as_one_by_one(made: list[PatternTradeEvent], outcome: str) -> None:
    expected: dict[tuple[str, str, str], TradeColumns] = {}
    unreadable, without = [], 0
    for place, fact in enumerate(made):
        held = alone(fact, outcome)
        if held is None:
            unreadable.append(place)
            continue
        without += not held
        group = (fact.module, fact.pattern_key, fact.action_category)
        expected.setdefault(group, TradeColumns()).extend(held)
    reported: list[int] = []
    values = [msgspec.json.encode(fact) for fact in made]
    found = trades_by_group(values, outcome, lambda place, _: reported.append(place))
    assert found == (expected, without)
    assert reported == unreadable


@pytest.mark.parametrize(
    "rank", [(-1, 1, 0, "e", ""), (0, 1 << 32, 0, "e", ""), (0, 1, -1, "e", "")]
)
def test_a_rank_that_cannot_be_packed_is_a_bad_value(rank: tuple[int, int, int, str, str]) -> None:
    with pytest.raises(ValueError, match="cannot be packed"):
        columns_of([Trade("t", rank, 0, 0.0, (None, None), True, ())])
