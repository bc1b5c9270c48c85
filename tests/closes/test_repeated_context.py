"""Actions with the same context share its canonical form; contexts that are merely equal do not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.closes import explode


def scopes(*given: dict[str, Any]) -> list[dict[str, str]]:
    """The scopes of a trade's actions in its facts."""
    close = {
        "event_id": "e1",
        "schema_version": 1,
        "trade_id": "t1",
        "trade_summary": {"exit_timestamp": "2024-03-02T00:00:00Z", "rr": 1.0},
        "actions": [
            {
                "ts": f"2024-03-01T0{at}:00:00Z",
                "pattern_key": "a.b",
                "action_category": "entry",
                "scope": scope,
            }
            for at, scope in enumerate(given)
        ],
    }
    (fact,) = explode(
        json.dumps(close).encode(), 2_000_000_000_000, dimensions=("chain", "rank"), outcome="rr"
    )
    return [action.scope for action in fact.actions]


@pytest.mark.parametrize("value", ["1", 1, 1.5, True, None])
def test_each_context_is_its_own(value: Any) -> None:
    others = [" sol ", "sol", "1", 1, True, 1.5]
    alone = [scopes({"chain": "x", "rank": other})[0] for other in others]
    (first,) = scopes({"chain": "x", "rank": value})
    for other, expected in zip(others, alone, strict=True):
        given = {"chain": "x", "rank": value}, {"chain": "x", "rank": other}
        assert scopes(*given, *given) == [first, expected] * 2
