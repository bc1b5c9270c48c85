"""The survey: outcomes and dimensions in either envelope, repetitions, the closes in the window,
and suitable settings."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.errors import ConfigurationError
from app.settings import Settings
from app.sources import Closed
from app.sources.survey import survey
from edgeloop.scope import DEFAULT_DIMENSIONS

NOW_MS = 1_800_000_000_000


def event(number: int, **summary: Any) -> dict[str, Any]:
    return {
        "event_id": f"e{number}",
        "schema_version": 1,
        "trade_id": f"t{number}",
        "trade_summary": {"exit_timestamp": f"2024-01-{number + 1:02}T00:00:00Z", **summary},
        "actions": [
            {
                "ts": "2024-01-01T00:00:00Z",
                "pattern_key": "a",
                "action_category": "entry",
                "scope": {"speed": 1, "chain": "x"},
            }
        ],
    }


OLDER = {
    "id": "o1",
    "kind": "position_closed",
    "content": {
        "trade_id": "t9",
        "entry_context": {"mood": "calm"},
        "trade_summary": {"exit_timestamp": "2024-02-20T00:00:00Z", "rpnl_pct": 5.0},
        "completed_trades": [
            {
                "trade_id": "t9",
                "actions": [
                    {
                        "ts": "2024-01-01T00:00:00Z",
                        "pattern_key": "a",
                        "action_category": "entry",
                        "scope": {"speed": 1},
                    }
                ],
            }
        ],
    },
}


def closed(*events: Any) -> list[Closed]:
    return [
        Closed(
            json.dumps(e).encode(),
            str(e.get("trade_id", "t9")).encode() if isinstance(e, dict) else None,
            f"f:{i}",
            i,
        )
        for i, e in enumerate(events)
    ]


def test_what_a_log_holds() -> None:
    found = survey(
        Settings(outcome="roi"),
        closed(event(1, roi=0.1), event(2, rr=1.0), event(1, roi=0.2), OLDER, "no event"),
        NOW_MS,
        show=2,
    )
    assert (found.closes, found.facts, found.dead_letters, found.repeated) == (5, 3, 2, 1)
    assert dict(found.outcomes) == {"roi": 3, "rr": 1}
    assert found.unconfigured == ["mood", "speed"]
    assert found.export == "export EDGELOOP_DIMENSIONS=chain,mood,speed"
    assert [place for place, _, _ in found.first] == ["f:0", "f:1"]
    document = found.document()
    assert [(d["reason"], d["count"], d["places"]) for d in document["dead_letters"]] == [
        ("missing_outcome", 1, ["f:1"]),
        ("wrong_type", 1, ["f:4"]),
    ]
    assert (document["first_exit"][:10], document["last_exit"][:10]) == ("2024-01-02", "2024-02-20")
    assert found.outcome_remedy() == ""


def test_dimensions_are_added_to_those_that_somebody_chose() -> None:
    chosen = survey(
        Settings(outcome="roi", dimensions=("own", "chain"), regime_signature=()),
        closed(event(1, roi=0.1)),
        NOW_MS,
    )
    assert chosen.export == "export EDGELOOP_DIMENSIONS=own,chain,speed"
    assert (
        survey(
            Settings(dimensions=(*DEFAULT_DIMENSIONS, "speed")), closed(event(1, rr=1.0)), NOW_MS
        ).export
        == ""
    )


def test_the_window_counts_from_the_newest_exit() -> None:
    found = survey(Settings(window_days=3), closed(*(event(i, rr=1.0) for i in range(10))), NOW_MS)
    assert found.in_window() == 4
    assert survey(Settings(), [], NOW_MS).in_window() == 0


@pytest.mark.parametrize(
    ("summary", "remedy"),
    [
        (
            {"roi": 0.1, "pnl_usd": 5},
            "They have roi (1) and pnl_usd (1): export EDGELOOP_OUTCOME=roi",
        ),
        ({"pnl_usd": 5}, "They have pnl_usd (1): export EDGELOOP_OUTCOME=pnl"),
        ({}, "They have no other outcome: map a return (roi), a profit (pnl_usd) or rr."),
    ],
)
def test_an_outcome_that_is_nowhere_has_a_remedy(summary: dict[str, float], remedy: str) -> None:
    found = survey(Settings(), closed(event(1, **summary)), NOW_MS)
    with pytest.raises(
        ConfigurationError, match="None of the 1 closes has the outcome rr"
    ) as error:
        found.check_outcome()
    assert error.value.remedy == remedy


def test_figures_to_compare_do_not_wait_for_the_outcome() -> None:
    settings = Settings(outcome="rr")
    good, bad = event(1, roi=0.1, pnl_usd=10.0), event(2, roi=0.2, pnl_usd="much")
    seen = survey(
        settings,
        [Closed(json.dumps(one).encode(), None, "t.csv:2", 0) for one in (good, bad)],
        NOW_MS,
    )
    assert seen.dead_letters == 2
    assert [(sums.closes, sums.after) for sums in seen.totals.money.values()] == [(1, 10.0)]
